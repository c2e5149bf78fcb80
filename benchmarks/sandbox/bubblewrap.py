"""Where a program runs: an empty folder, inside bubblewrap where that works, and what the layers protect.

With bubblewrap the process has its own users, processes, mounts and network; everything is read-only but the folder,
which lies in memory and disappears with the process. The layers of `jail` hold with and without it.
"""

import contextlib
import ctypes
import os
import secrets
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Collection, Iterator
from functools import cache
from pathlib import Path

# As -I, but that the hash seed can be set: the order of a set must not decide whether a program passes.
ISOLATED = ("-P", "-s", "-S", "-B", "-X", "utf8")
ENVIRONMENT = {"PATH": "", "LC_ALL": "C.UTF-8", "PYTHONHASHSEED": "0"}
FOLDER_BYTES = 64 << 20
PROBE_S = 20.0
PR_GET_DUMPABLE, PR_SET_DUMPABLE = 3, 4


@cache
def bubblewrap() -> str | None:
    """The path of bubblewrap where it is installed and can start Python here, which is tried once; else None."""
    program = shutil.which("bwrap") if sys.platform == "linux" else None
    if program is None:
        return None
    with own_folder() as folder:
        command = [*in_bubblewrap(program, folder), sys.executable, *ISOLATED, "-c", "import ctypes, resource"]
        try:
            tried = subprocess.run(
                command, env=ENVIRONMENT, stdin=subprocess.DEVNULL, capture_output=True, timeout=PROBE_S
            )
        except (OSError, subprocess.TimeoutExpired):
            return None
    return program if tried.returncode == 0 else None


def in_bubblewrap(program: str, folder: str) -> list[str]:
    """The beginning of a command that runs what follows in bubblewrap, in folder."""
    alone = [f"--unshare-{kind}" for kind in ("user", "pid", "net", "ipc", "uts", "cgroup-try")]
    files = ["--ro-bind", "/", "/", "--dev", "/dev", "--remount-ro", "/dev", "--proc", "/proc"]
    own = ["--size", str(FOLDER_BYTES), "--tmpfs", folder, "--chdir", folder]
    return [program, *alone, "--die-with-parent", "--cap-drop", "ALL", *files, *own, "--"]


@contextlib.contextmanager
def own_folder() -> Iterator[str]:
    """An empty folder, which is removed with all that was put there, however deep it is nested.

    A folder that cannot be removed stays: that must not cost an evaluation.
    """
    folder = os.path.realpath(tempfile.mkdtemp(prefix="quicksilver-"))
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        yield folder
    finally:
        with contextlib.suppress(OSError):
            os.fchmod(descriptor, 0o700)
            empty(descriptor)
            Path(folder).rmdir()
        os.close(descriptor)


def empty(folder: int) -> None:
    """Remove everything in an open folder. Folders are moved up to it before they are emptied, so no path is long.

    Follows no link. Raises OSError.
    """
    prefix, n_moved = secrets.token_hex(8), 0
    while names := _names(folder):
        for name, is_folder in names:
            if not is_folder:
                os.unlink(name, dir_fd=folder)
                continue
            os.chmod(name, 0o700, dir_fd=folder)
            inner = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=folder)
            try:
                for below in (below for below, is_folder in _names(inner) if is_folder):
                    os.chmod(below, 0o700, dir_fd=inner)
                    os.rename(below, f"{prefix}-{n_moved}", src_dir_fd=inner, dst_dir_fd=folder)
                    n_moved += 1
                for below, _ in _names(inner):
                    os.unlink(below, dir_fd=inner)
            finally:
                os.close(inner)
            os.rmdir(name, dir_fd=folder)


def _names(folder: int) -> list[tuple[str, bool]]:
    """What is in an open folder, and whether each is a folder itself."""
    with os.scandir(folder) as entries:
        return [(entry.name, entry.is_dir(follow_symlinks=False)) for entry in entries]


@contextlib.contextmanager
def memory_kept_private() -> Iterator[None]:
    """Keep other processes of the same user, on Linux, from reading and writing this one's memory meanwhile."""
    if sys.platform != "linux":
        yield
        return
    prctl = ctypes.CDLL(None).prctl
    before = prctl(PR_GET_DUMPABLE, 0, 0, 0, 0)
    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)
    try:
        yield
    finally:
        prctl(PR_SET_DUMPABLE, before, 0, 0, 0)


def isolation(protections: Collection[str]) -> list[str]:
    """What held programs back, in lines for a report. protections: those of `Verdict`s, some of them perhaps ""."""
    found = sorted({each for each in protections if each})
    layers = [set(each.split(", ")) for each in found]
    lines = [f"Programs were isolated by {'; others by '.join(found)}."] if found else []
    unheld = [
        what
        for what, by in (("child processes and network", "seccomp"), ("writing to files elsewhere", "Landlock"))
        if any(not each & {"bubblewrap", by} for each in layers)
    ]
    if unheld:
        lines.append(
            f"Mind: {' and '.join(unheld)} were refused by the interpreter alone, which a program can get around. "
            "Install bubblewrap (Linux), or run programs that you do not trust in a virtual machine."
        )
    return lines
