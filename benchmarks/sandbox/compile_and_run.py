"""What compiles and runs a program in another language, inside the process and the folder that are its own.

Not imported: `execution` starts it as a script, as it does `jail`, with descriptors of the source, of the
report and of a pipe from which a secret comes. It imports the standard library and `jail_kernel` alone.

Compiling and running may write to the folder alone. While a program runs it can start no other and reach no network:
the filter lets through the one call that begins it. Where the kernel has no such filter nothing is run. A program has
passed when it ends with status 0, and what it printed last is the text that stands at its end; that text is another one
for each run. It lies in the program's own file, so it tells an early end from a good one and no more.
"""

import ctypes
import json
import os
import resource
import secrets
import signal
import subprocess
import sys
from pathlib import Path

sys.path.append(os.path.split(__file__)[0])  # at the end, so that the library's own modules are found first
from jail_kernel import drop_privileges, filter_system_calls, limit, restrict_files

ENDING = "{{ending}}"
COMPILING_S, COMPILING_BYTES = 60, 1 << 28
N_DETAIL = 200
PR_SET_DUMPABLE, PR_SET_NO_NEW_PRIVS = 4, 38


def confine_files(folder: str) -> list[str]:
    """Give up privileges and restrict files to folder, for this process and all that it starts.

    What it starts cannot open the memory and the descriptors of this process, which is not dumpable.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    drop_privileges(libc)
    if libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 or libc.prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "the process cannot be confined")
    return ["Landlock"] if restrict_files(libc, folder) else []


def compile_program(command: list[str], environment: dict[str, str]) -> str:
    """The compiler's first error; "" if there is none, or nothing to compile."""
    if not command:
        return ""
    resource.setrlimit(resource.RLIMIT_FSIZE, (COMPILING_BYTES, resource.RLIM_INFINITY))
    try:
        done = subprocess.run(
            command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace",
            timeout=COMPILING_S,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"not compiled ({type(error).__name__})"
    return "" if done.returncode == 0 else f"not compiled: {first_line(done.stderr, 'error')}"


def first_line(text: str, word: str) -> str:
    """The first line with a word in it, else the first with anything."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return next((line for line in lines if word in line.lower()), lines[0] if lines else "nothing was said")[:N_DETAIL]


def begin(seconds: float, memory_bytes: int, output_bytes: int) -> None:
    """Set limits and the filter for the process that is about to become the program. Raises OSError without one."""
    limit(seconds, memory_bytes, output_bytes)
    if not filter_system_calls(ctypes.CDLL(None, use_errno=True), may_begin=True):
        raise OSError("no filter")


def run(command: list[str], environment: dict[str, str], ending: str, limits: tuple[float, int, int]) -> str:
    """Run the program; "" if it ended well, else what went wrong. A signal ends this process too."""
    with Path("printed").open("wb") as printed, Path("said").open("wb") as said:
        child = subprocess.Popen(
            command, env=environment, stdin=subprocess.DEVNULL, stdout=printed, stderr=said,
            preexec_fn=lambda: begin(*limits),
        )  # fmt: skip
        status = child.wait()
    if status < 0:
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        if -status != signal.SIGKILL:
            signal.signal(-status, signal.SIG_DFL)
        os.kill(os.getpid(), -status)
    if status:
        return first_line(Path("said").read_text("utf-8", "replace")[: 1 << 20], "error")
    lines = Path("printed").read_text("utf-8", "replace").strip().splitlines()
    return "" if lines[-1:] == [ending] else "the program left before its end"


def main() -> None:
    """Confine, compile, say what holds, run, report."""
    code, gate, report, _, memory_bytes, output_bytes = map(int, sys.argv[1:7])
    toolchain, environment = json.loads(sys.argv[8]), {**os.environ, "PATH": "/usr/bin:/bin"}
    with os.fdopen(code, encoding="utf-8", errors="surrogatepass") as stream:
        source = stream.read()
    ending = secrets.token_hex(16)
    Path(toolchain["file"]).write_text(source.replace(ENDING, ending), encoding="utf-8", errors="surrogatepass")
    held = confine_files(os.path.realpath("."))
    wrong = compile_program(toolchain["compiling"], environment)
    os.write(report, ", ".join([*held, "seccomp"]).encode() + b"\n")
    secret = os.read(gate, 256)
    if not wrong:
        most = memory_bytes if toolchain["has_address_limit"] else resource.RLIM_INFINITY
        command = [part.replace("{memory_mb}", str(memory_bytes >> 20)) for part in toolchain["running"]]
        try:
            wrong = run(command, environment, ending, (float(sys.argv[7]), most, output_bytes))
        except (OSError, subprocess.SubprocessError) as error:
            wrong = f"not run: {error}"
    os.write(report, b"failed " + wrong.encode("utf-8", "replace")[:1000] if wrong else secret)
    os._exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
