"""What runs inside the process that runs a benchmark's program: limits first, then the program, then a verdict.

Not imported: `infill_execution` starts it as a script, isolated (no site-packages, no environment), with descriptors of
files for the source and the verdict, and limits. It knows the standard library alone. The protection has two layers:

* The kernel (Linux on x86-64 and AArch64): a seccomp filter refuses new processes (threads are fine), other programs,
  sockets, io_uring, tracing, leaving the process group, and signals to other processes.
* The interpreter (everywhere): an audit hook refuses the same, and writing outside the working folder, and ctypes.

Processor time, memory, file size, open files and core dumps have limits. It protects from what a model writes by
mistake. It is no jail against somebody who attacks it: the interpreter's layer can be got around, and what the user may
read can be read.
"""

import builtins
import contextlib
import ctypes
import json
import os
import platform
import resource
import struct
import sys
import types

# System call numbers by machine: those refused, and those looked at. (Linux, arch/*/include and unistd.h)
AUDIT_ARCH = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
REFUSED = {
    # fork vfork execve execveat ptrace setpgid setsid process_vm_writev io_uring_setup socket unshare setns
    # pidfd_send_signal
    "x86_64": (57, 58, 59, 322, 101, 109, 112, 311, 425, 41, 272, 308, 424),
    "aarch64": (221, 281, 117, 154, 157, 271, 425, 198, 97, 268, 424),  # has no fork and no vfork
}
CLONE, CLONE3 = {"x86_64": 56, "aarch64": 220}, 435
# kill tkill tgkill rt_sigqueueinfo rt_tgsigqueueinfo
SIGNALS = {"x86_64": (62, 200, 234, 129, 297), "aarch64": (129, 130, 131, 138, 240)}
X32_BIT = 0x40000000
CLONE_THREAD = 0x10000
PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 38, 22, 2
ALLOW, KILL, EPERM, ENOSYS = 0x7FFF0000, 0x80000000, 0x00050000 | 1, 0x00050000 | 38
LOAD, EQUAL, AT_LEAST, HAS_BITS, RETURN = 0x20, 0x15, 0x35, 0x45, 0x06  # classic BPF, as in linux/bpf_common.h
NUMBER_AT, ARCH_AT, ARGUMENT_AT = 0, 4, 16  # offsets in struct seccomp_data

PROCESS_EVENTS = ("os.exec", "os.fork", "os.forkpty", "os.posix_spawn", "os.spawn", "os.system", "subprocess.Popen")
REFUSED_EVENTS = (*PROCESS_EVENTS, "pty.spawn", "ctypes.", "socket.bind", "socket.connect", "socket.getaddrinfo",
                  "socket.gethostby", "socket.sendto")  # fmt: skip
ONE, TWO, SECOND = slice(1), slice(2), slice(1, 2)  # which values of an event are paths that change
CHANGES = {
    "os.remove": ONE, "os.rmdir": ONE, "os.mkdir": ONE, "os.truncate": ONE, "os.chmod": ONE, "os.chown": ONE,
    "os.utime": ONE, "os.setxattr": ONE, "os.removexattr": ONE, "os.rename": TWO, "os.link": TWO, "os.symlink": SECOND,
}  # fmt: skip
WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


def limit(seconds: float, memory_bytes: int, output_bytes: int) -> None:
    """Set the limits of this process, for good."""
    cpu_s = int(seconds) + 1
    wanted = {"CPU": (cpu_s, cpu_s + 1), "AS": memory_bytes, "FSIZE": output_bytes, "NOFILE": 64, "CORE": 0}
    for name, value in wanted.items():
        soft, hard = value if isinstance(value, tuple) else (value, value)
        kind = getattr(resource, f"RLIMIT_{name}")
        most = resource.getrlimit(kind)[1]
        if most != resource.RLIM_INFINITY:
            soft, hard = min(soft, most), min(hard, most)
        with contextlib.suppress(ValueError, OSError):  # macOS refuses RLIMIT_AS
            resource.setrlimit(kind, (soft, hard))


def filter_of(machine: str, own_process: int) -> list[tuple[int, int, int, int]]:
    """The seccomp filter's instructions: (code, jump if true, jump if false, operand)."""

    def refuse(test: int, operand: int, answer: int) -> list[tuple[int, int, int, int]]:
        return [(test, 0, 1, operand), (RETURN, 0, 0, answer)]

    made = [(LOAD, 0, 0, ARCH_AT), (EQUAL, 1, 0, AUDIT_ARCH[machine]), (RETURN, 0, 0, KILL), (LOAD, 0, 0, NUMBER_AT)]
    if machine == "x86_64":
        made += refuse(AT_LEAST, X32_BIT, EPERM)
    for number in REFUSED[machine]:
        made += refuse(EQUAL, number, EPERM)
    made += refuse(EQUAL, CLONE3, ENOSYS)  # its flags lie in memory, out of reach; C libraries then use clone
    made += [(EQUAL, 0, 4, CLONE[machine]), (LOAD, 0, 0, ARGUMENT_AT), (HAS_BITS, 0, 1, CLONE_THREAD)]
    made += [(RETURN, 0, 0, ALLOW), (RETURN, 0, 0, EPERM)]
    for number in SIGNALS[machine]:
        made += [(EQUAL, 0, 4, number), (LOAD, 0, 0, ARGUMENT_AT), (EQUAL, 0, 1, own_process)]
        made += [(RETURN, 0, 0, ALLOW), (RETURN, 0, 0, EPERM)]
    return [*made, (RETURN, 0, 0, ALLOW)]


def filter_system_calls() -> bool:
    """Install the filter, for good. False where this kernel or machine has none."""
    machine = platform.machine()
    if sys.platform != "linux" or machine not in AUDIT_ARCH or struct.calcsize("P") != 8:
        return False
    code = b"".join(struct.pack("HBBI", *instruction) for instruction in filter_of(machine, os.getpid()))
    buffer = ctypes.create_string_buffer(code)
    program = ctypes.create_string_buffer(struct.pack("HP", len(code) // 8, ctypes.addressof(buffer)))
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    if prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
        return False
    return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.c_void_p(ctypes.addressof(program)), 0, 0) == 0


def refuse_in_interpreter(folder: str) -> None:
    """Add the audit hook, for good. folder is where files may be written."""
    inside, own = folder.rstrip(os.sep) + os.sep, os.getpid()
    real, is_folder = os.path.realpath, os.path.isdir  # as they are now, whatever the program does to them

    def is_outside(path: object) -> bool:
        if isinstance(path, int):
            return False
        name = os.fsdecode(path)  # type: ignore[arg-type]
        return name != os.devnull and not (real(name) + os.sep).startswith(inside)

    def hook(event: str, values: tuple) -> None:
        if event == "open":
            path, mode, flags = values
            if not isinstance(flags, int) or path is None or not is_outside(path):
                return
            if flags & WRITES:
                raise PermissionError("files outside the program's own folder cannot be written")
            if mode is None and is_folder(path):  # os.open: what is removed in there could not be told any more
                raise PermissionError("folders outside the program's own cannot be opened")
        elif event in CHANGES:
            if any(is_outside(path) for path in values[CHANGES[event]]):
                raise PermissionError("files outside the program's own folder cannot be changed")
        elif event.startswith(REFUSED_EVENTS):
            raise PermissionError(f"{event} is refused here")
        elif event in ("os.kill", "os.killpg") and values[0] != own:
            raise PermissionError("signals to other processes are refused")

    sys.addaudithook(hook)


def verdict_of(source: str, may_exit: bool) -> dict[str, str]:
    """Run source as __main__ and say how it ended. may_exit: leaving by SystemExit with status 0 is a good end."""
    module = types.ModuleType("__main__")
    module.__dict__["__builtins__"] = builtins
    sys.modules["__main__"] = module
    try:
        exec(compile(source, "program", "exec", dont_inherit=True), module.__dict__)
        sys.stdout.flush()
    except MemoryError:
        return {"outcome": "memory", "detail": "MemoryError"}
    except SystemExit as error:
        if may_exit and error.code in (None, 0):
            sys.stdout.flush()
            return {"outcome": "passed", "detail": ""}
        return {"outcome": "failed", "detail": "the program left before its end"}
    except BaseException as error:  # whatever it is, it is the program's
        return {"outcome": "failed", "detail": described(error)}
    return {"outcome": "passed", "detail": ""}


def described(error: BaseException) -> str:
    """An exception in one line; its own text is code of the program's, which may fail too."""
    try:
        text = str(error)
    except BaseException:
        text = "?"
    return f"{type(error).__name__}: {text}"[:200] if text else type(error).__name__


def main() -> None:
    """Protect, run, write the verdict, and leave without waiting for anything the program has left behind."""
    settings = json.loads(sys.argv[1])
    with os.fdopen(settings["source"], encoding="utf-8", errors="surrogatepass") as stream:
        source = stream.read()
    folder = os.path.realpath(".")
    limit(settings["seconds"], settings["memory_bytes"], settings["output_bytes"])
    is_filtered = filter_system_calls()
    if not is_filtered and os.getuid() != 0:
        resource.setrlimit(resource.RLIMIT_NPROC, (0, 0))
    refuse_in_interpreter(folder)
    builtins.exit = builtins.quit = sys.exit  # type: ignore[assignment]  # as `site` would do, which is left out
    protection = "kernel" if is_filtered else "interpreter"
    os.write(settings["verdict"], json.dumps({"protection": protection}).encode() + b"\n")
    verdict = verdict_of(source, settings["may_exit"])
    os.write(settings["verdict"], json.dumps(verdict).encode() + b"\n")
    os._exit(0)


if __name__ == "__main__":
    main()
