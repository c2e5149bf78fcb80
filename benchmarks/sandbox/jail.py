"""What runs inside the process that runs a benchmark's program: protection first, then the program, then a report.

Not imported: `execution` starts it as a script, isolated (no site-packages, no environment), with descriptors of
the source, of the report, and of a pipe from which a secret comes. It imports the standard library alone.

The report's first line says what holds the program back (`jail_kernel`, `jail_hook`). Only then does the parent
send the secret. Where the program comes to its end, C code that no variable of Python leads to writes the secret; the
parent believes nothing else. Otherwise the report says in words what went wrong.
"""

import builtins
import os
import resource
import sys
from functools import partial
from operator import call

sys.path.append(os.path.split(__file__)[0])  # at the end, so that the library's own modules are found first
from jail_hook import refuse_in_interpreter
from jail_kernel import confine, limit

sys.path.pop()
for module in ("jail_hook", "jail_kernel"):
    del sys.modules[module]


def run_as_main(source: str, may_exit: bool) -> None:
    """Run source as __main__. may_exit: leaving by SystemExit with status 0 is a good end. Raises what it raises."""
    module = type(sys)("__main__")
    module.__dict__["__builtins__"] = builtins
    sys.modules["__main__"] = module
    try:
        exec(compile(source, "program", "exec", dont_inherit=True), module.__dict__)
    except SystemExit as error:
        if not may_exit or error.code not in (None, 0):
            raise


def flush_output() -> None:
    """Write out what the program has printed, to wherever it prints now."""
    sys.stdout.flush()


def describe_failure(error: BaseException) -> str:
    """How a program failed, in one line; an exception's own text is code of the program's, which may fail too."""
    if isinstance(error, SystemExit):
        return "the program left before its end"
    try:
        text = str(error)
    except BaseException:
        text = "?"
    return f"{type(error).__name__}: {text}"[:200] if text else type(error).__name__


def main() -> None:
    """Protect, run, report, and leave without waiting for anything the program has left behind."""
    code, gate, report, may_exit, memory_bytes, output_bytes = map(int, sys.argv[1:7])
    with os.fdopen(code, encoding="utf-8", errors="surrogatepass") as stream:
        source = stream.read()
    limit(float(sys.argv[7]), memory_bytes, output_bytes)
    folder = os.path.realpath(".")
    held = confine(folder)
    if "seccomp" not in held and os.getuid() != 0:
        resource.setrlimit(resource.RLIMIT_NPROC, (0, 0))
    refuse_in_interpreter(folder)
    builtins.exit = builtins.quit = sys.exit  # type: ignore[assignment]  # as `site` would do, which is left out
    os.write(report, ", ".join([*held, "audit hook"]).encode() + b"\n")
    write, leave = os.write, os._exit
    try:
        # The secret is in no variable: only this list refers to it, and to the list only the call in progress.
        list(map(call, [partial(run_as_main, source, bool(may_exit)), flush_output,
                        partial(write, report, os.read(gate, 256))]))  # fmt: skip
    except MemoryError:
        write(report, b"memory MemoryError")
    except BaseException as error:  # whatever it is, it is the program's
        write(report, b"failed " + describe_failure(error).encode("utf-8", "replace"))
    else:
        leave(0)
    leave(1)


if __name__ == "__main__":
    main()
