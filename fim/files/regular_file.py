"""Reads untrusted files, if they are regular: no link is followed, no pipe waited for, and no device read."""

import os
import stat
from pathlib import Path

OPEN_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC


def read_regular(path: Path, max_bytes: int) -> bytes | None:
    """The first max_bytes of a regular file that is not a link; None for anything else. Raises OSError."""
    fd = os.open(path, OPEN_FLAGS)
    try:
        return read_opened(fd, max_bytes)
    finally:
        os.close(fd)


def read_opened(fd: int, max_bytes: int) -> bytes | None:
    """The next max_bytes of a file opened with OPEN_FLAGS; None if it is not regular. Raises OSError."""
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        return None
    parts: list[bytes] = []
    while max_bytes > 0 and (part := os.read(fd, min(max_bytes, 1 << 20))):
        parts.append(part)
        max_bytes -= len(part)
    return b"".join(parts)
