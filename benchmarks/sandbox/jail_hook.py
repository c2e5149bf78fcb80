"""The interpreter's layer of the jail: an audit hook, and refusals in place of functions that have no audit event.

`jail` imports this inside the process that is about to run a program. It refuses what the kernel's layer refuses, on
every system, with a message. It stops mistakes, not attacks: a program shares the interpreter with the hook, and can
change it. It imports the standard library alone.
"""

import fcntl
import os
import posix
import sys
from collections.abc import Callable
from types import ModuleType

try:
    import _posixshmem  # pyright: ignore[reportMissingImports]
except ImportError:  # a Python without shared memory
    _posixshmem = None

PROCESS_EVENTS = ("os.exec", "os.fork", "os.forkpty", "os.posix_spawn", "os.spawn", "os.system", "subprocess.Popen")
REFUSED_EVENTS = (
    *PROCESS_EVENTS, "pty.spawn", "ctypes.", "socket.bind", "socket.connect", "socket.getaddrinfo", "socket.gethostby",
    "socket.sendto", "fcntl.ioctl", "gc.get_objects", "gc.get_refer",
)  # fmt: skip
ONE, TWO, SECOND = slice(1), slice(2), slice(1, 2)  # which values of an event are paths that change
CHANGES = {
    "os.remove": ONE, "os.rmdir": ONE, "os.mkdir": ONE, "os.truncate": ONE, "os.chmod": ONE, "os.chown": ONE,
    "os.utime": ONE, "os.setxattr": ONE, "os.removexattr": ONE, "os.rename": TWO, "os.link": TWO, "os.symlink": SECOND,
    "sqlite3.connect": ONE,
}  # fmt: skip
WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
IN_MEMORY = ("", ":memory:", "file::memory:", "file::memory:?cache=shared")  # databases of sqlite3 without a file
# These act on files or on other processes, and raise no audit event.
UNWATCHED = (
    "mkfifo", "mknod", "setpriority", "sched_setaffinity", "sched_setparam", "sched_setscheduler", "pidfd_open",
    "shm_open", "shm_unlink",
)  # fmt: skip
UNWATCHED_MODULES = ("_dbm", "_gdbm", "readline")
DESCRIPTOR_COMMANDS = tuple(
    getattr(fcntl, f"F_{name}")
    for name in ("DUPFD", "DUPFD_CLOEXEC", "GETFD", "SETFD", "GETFL", "SETFL", "GETLK", "SETLK", "SETLKW")
)


def refuse_in_interpreter(folder: str) -> None:
    """Refuse from now on what leads out of folder, the only one where files may be written."""
    _replace_unwatched(os, posix, _posixshmem)
    sys.addaudithook(_hook_of(folder))


def _hook_of(folder: str) -> Callable[[str, tuple], None]:
    inside, own = folder.rstrip(os.sep) + os.sep, os.getpid()
    real, is_folder = os.path.realpath, os.path.isdir  # as they are now, whatever the program does to them

    def check_open(path: object, mode: object, flags: object) -> None:
        if not isinstance(flags, int) or path is None or isinstance(path, int):
            return
        place = real(os.fsdecode(path)) + os.sep  # type: ignore[arg-type]
        if place.startswith("/proc/"):
            raise PermissionError("files of /proc cannot be opened")
        if place.startswith(inside) or place == os.devnull + os.sep:
            return
        if flags & WRITES:
            raise PermissionError("files outside the program's own folder cannot be written")
        if mode is None and is_folder(place):  # os.open: what is removed in there could not be told any more
            raise PermissionError("folders outside the program's own cannot be opened")

    def check_change(event: str, path: object) -> None:
        if isinstance(path, int):
            return
        name = os.fsdecode(path)  # type: ignore[arg-type]
        if event == "sqlite3.connect" and name in IN_MEMORY:
            return
        if name.startswith("file:") or not real(name).startswith(inside):  # file: is a URI of sqlite3's
            raise PermissionError("files outside the program's own folder cannot be changed")

    def hook(event: str, values: tuple) -> None:
        if event == "open":
            check_open(*values)
        elif event in CHANGES:
            for path in values[CHANGES[event]]:
                check_change(event, path)
        elif event.startswith(REFUSED_EVENTS):
            raise PermissionError(f"{event} is refused here")
        elif event in ("os.kill", "os.killpg", "resource.prlimit") and values[0] not in (
            (0, own) if event == "resource.prlimit" else (own,)
        ):
            raise PermissionError(f"{event} is refused for other processes")
        elif event == "fcntl.fcntl" and values[1] not in DESCRIPTOR_COMMANDS:
            raise PermissionError("fcntl is refused for what is no lock or flag of a descriptor")
        elif event == "import" and values[0] in UNWATCHED_MODULES:
            raise ImportError(f"{values[0]} is refused here", name=values[0])

    return hook


def _replace_unwatched(*modules: ModuleType | None) -> None:
    def refusal(name: str) -> Callable[..., None]:
        def refused(*_: object, **__: object) -> None:
            raise PermissionError(f"{name} is refused here")

        return refused

    for module in modules:
        for name in UNWATCHED:
            if hasattr(module, name):
                setattr(module, name, refusal(name))
