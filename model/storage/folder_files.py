"""Opens the files of a model folder: only regular files of a bounded size.

A model folder may come from anybody. Its files are opened without waiting and checked by kind and size before anything
is read, so that a pipe, a device or a sparse file of terabytes costs neither time nor memory. Links are followed:
caches keep weights in one place and link to them. A file's content is quoted only through `excerpt`.
"""

import hashlib
import io
import json
import mmap
import os
import stat
from pathlib import Path
from typing import Any

import psutil

from ...fim.errors import CheckpointError
from ...fim.text.printable import one_line, printable

MAX_CONFIG_BYTES = 2**20  # published ones have a few kB
MAX_TOKENIZER_BYTES = 64 * 2**20  # Gemma's, the largest known, has 33 MB; indexes of shards have less
N_EXCERPT = 200

_FLAGS = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NOCTTY", 0)
_FLAGS |= getattr(os, "O_BINARY", 0)
_KINDS = (
    (stat.S_ISDIR, "a folder"), (stat.S_ISFIFO, "a pipe"), (stat.S_ISSOCK, "a socket"), (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)  # fmt: skip


def open_file(path: Path, max_bytes: int | None) -> io.BufferedReader:
    """A regular file of 1 to max_bytes bytes (None: any number), open for reading. Raises CheckpointError."""
    descriptor = -1
    try:
        _check(path, path.stat(), max_bytes)  # before opening: opening a device can have effects
        descriptor = os.open(path, _FLAGS)
        _check(path, os.fstat(descriptor), max_bytes)
        return os.fdopen(descriptor, "rb")
    except BaseException as error:
        if descriptor >= 0:
            os.close(descriptor)
        if isinstance(error, FileNotFoundError):
            raise CheckpointError(
                f"there is no {printable(path.name)} in {path.parent}: it is not a model folder, or a part is missing"
            ) from None
        if not isinstance(error, OSError | ValueError):
            raise
        # A ValueError is about an impossible file name.
        reason = excerpt(getattr(error, "strerror", None) or error)
        raise CheckpointError(f"{printable(str(path))} cannot be read: {reason}") from error


def _check(path: Path, info: os.stat_result, max_bytes: int | None) -> None:
    name = printable(str(path))
    if not stat.S_ISREG(info.st_mode):
        kind = next((kind for is_kind, kind in _KINDS if is_kind(info.st_mode)), "no file")
        raise CheckpointError(f"{name} is {kind}, not a regular file: copy the model again")
    if not info.st_size:  # files in /proc have size 0, too
        raise CheckpointError(f"{name} is empty: copy it again")
    if max_bytes is not None and info.st_size > max_bytes:
        raise CheckpointError(f"{name} has {info.st_size:,} bytes, more than the {max_bytes:,} allowed: copy it again")


def is_there(path: Path) -> bool:
    """Whether a folder has an entry of that name, of any kind: opening it says what is wrong with it."""
    try:
        path.lstat()
    except (OSError, ValueError):
        return False
    return True


def read_file(path: Path, max_bytes: int) -> bytes:
    """All of a file. Raises CheckpointError."""
    with open_file(path, max_bytes) as stream:
        n_bytes = os.fstat(stream.fileno()).st_size
        check_memory(path, 2 * n_bytes)  # the bytes, and the objects made from them
        try:
            return stream.read(n_bytes)
        except OSError as error:
            raise CheckpointError(f"{path} cannot be read: {error.strerror or error}") from error
        except MemoryError:
            raise CheckpointError(f"{path} does not fit in memory: close something") from None


def map_file(path: Path, max_bytes: int) -> mmap.mmap:
    """Map a whole file, privately. Raises CheckpointError.

    The map is writeable, since runtimes want that of memory that they share; the file does not change.
    """
    with open_file(path, max_bytes) as stream:
        check_memory(path, 2 * os.fstat(stream.fileno()).st_size)  # with the runtime's copy
        try:
            return mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_COPY)
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            raise CheckpointError(f"{path} cannot be read: {excerpt(reason)}") from error


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal. Raises CheckpointError."""
    with open_file(path, None) as stream:
        try:
            return hashlib.file_digest(stream, "sha256").hexdigest()
        except OSError as error:
            raise CheckpointError(f"{path} cannot be read: {error.strerror or error}") from error


def read_json(path: Path, max_bytes: int = MAX_CONFIG_BYTES) -> dict[str, Any]:
    """A JSON file that holds an object. Raises CheckpointError."""
    try:
        value = json.loads(read_file(path, max_bytes).decode("utf-8"))
    except (ValueError, RecursionError, MemoryError) as error:
        raise CheckpointError(f"{path} cannot be read: {excerpt(error)}") from error
    if not isinstance(value, dict):
        raise CheckpointError(f"{path} does not hold a JSON object")
    return value


def check_memory(path: Path, n_bytes: int) -> None:
    """Raise CheckpointError if n_bytes, for the content of path, do not fit in free memory."""
    free = psutil.virtual_memory().available
    if n_bytes > free:
        raise CheckpointError(
            f"{path} needs {n_bytes / 1e9:,.1f} GB of memory, and {free / 1e9:,.1f} GB are free: close something, or "
            "use a smaller model"
        )


def excerpt(text: object) -> str:
    """Text from an untrusted file, or an error that quotes it, as one short printable line for a message."""
    return one_line(str(text))[:N_EXCERPT]
