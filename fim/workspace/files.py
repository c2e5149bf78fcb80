"""Which files of a workspace may be read, and how to read them without ever leaving it.

Owns the walk and safe reading: each part of a path is opened separately, below its folder, and must not be a link, so
that no change between a walk and a read leads out of the root. Rules of ignore files are in ignore_rules.py.
"""

import errno
import os
import stat
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path, PurePosixPath

from ..files.regular_file import OPEN_FLAGS, read_opened
from ..gating import is_data, is_secret
from ..text.language_ids import CODE_SUFFIXES
from .ignore_rules import IGNORE_FILES, IgnoreRules

# Besides these, every folder and file whose name starts with a dot, and folders with a pyvenv.cfg.
SKIPPED_FOLDERS = frozenset(
    {"node_modules", "bower_components", "__pycache__", "site-packages", "venv", "build", "dist", "target", "out"}
)
MAX_FOLDER_ENTRIES = 20_000  # of one folder that are read
N_ENTRIES_PART = 500  # of them at a time
MAX_DEPTH = 64  # of folders below the root
MAX_LINE_CHARS, MAX_MEAN_LINE_CHARS = 4_000, 250  # beyond, a file counts as generated
_PRIVATE_KEY = "PRIVATE KEY-----"
_FOLDER_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


@dataclass(frozen=True, kw_only=True)
class WalkLimits:
    """The limits of a walk: files, bytes of one file, bytes of all, seconds of work (not pauses between folders)."""

    max_files: int = 20_000
    max_file_bytes: int = 500_000
    max_total_bytes: int = 64_000_000
    max_work_s: float = 20.0


@dataclass(frozen=True, order=True)
class SourceFile:
    """A file of a workspace: root is an absolute, real folder, path the rest, with slashes."""

    root: str
    path: str

    @property
    def absolute(self) -> str:
        """The whole path."""
        return f"{self.root.rstrip('/')}/{self.path}"

    @property
    def folder(self) -> str:
        """The path of its folder below the root, "" for the root."""
        return self.path.rpartition("/")[0]

    @property
    def language(self) -> str | None:
        """The LSP language id by the file's extension, None for a file that is not read."""
        return CODE_SUFFIXES.get(PurePosixPath(self.path).suffix.lower())


@dataclass(frozen=True)
class Stamp:
    """What identifies a state of a file: time of change in nanoseconds, size in bytes."""

    mtime_ns: int
    size: int


def real_root(folder: str) -> str | None:
    """The real path of a workspace folder; None if it does not exist, or is or contains a home folder.

    A home folder holds mail, keys and other people's texts besides code: it is not a workspace.
    """
    path = os.path.realpath(folder)
    with suppress(RuntimeError):  # without a home folder
        if f"{os.path.realpath(Path.home())}/".startswith(f"{path.rstrip('/')}/"):
            return None
    with suppress(OSError):
        return path if Path(path).is_dir() else None
    return None


def walk(
    root: str,
    exclude: Sequence[str] = (),
    limits: WalkLimits | None = None,
    clock_s: Callable[[], float] = time.perf_counter,
) -> Iterator[list[tuple[SourceFile, Stamp]]]:
    """The files of one folder after another, those near the root first; a large folder comes in parts.

    Files that may not be read are left out: ignored, excluded, secret, hidden, minified, links, not source code, too
    large, too deep. A folder that cannot be read is empty.
    """
    limits = limits or WalkLimits()
    n_files = n_bytes = 0
    left_s = limits.max_work_s
    waiting = deque([("", IgnoreRules.above(root, exclude))])
    parts = _all_parts(root, waiting)
    while left_s > 0:
        started_s = clock_s()
        part = next(parts, None)
        if part is None:
            return
        kept: list[tuple[SourceFile, Stamp]] = []
        for file, seen in part[0]:
            fits = n_files < limits.max_files and n_bytes + seen.size <= limits.max_total_bytes
            if fits and seen.size <= limits.max_file_bytes:
                n_files, n_bytes = n_files + 1, n_bytes + seen.size
                kept.append((file, seen))
        waiting.extend(part[1])
        left_s -= clock_s() - started_s
        yield kept


def is_indexable(file: SourceFile, exclude: Sequence[str] = ()) -> bool:
    """Whether a walk would yield this file, if it exists and its folder is not too full; false for links."""
    rules, folder = IgnoreRules.above(file.root, exclude), ""
    *folders, name = file.path.split("/")
    if len(folders) > MAX_DEPTH:
        return False
    for part in folders:
        rules = _rules_inside(file.root, folder, rules)
        folder = f"{folder}/{part}".lstrip("/")
        absolute = f"{file.root.rstrip('/')}/{folder}"
        if _is_skipped_folder(part, absolute) or rules.ignores(absolute, is_folder=True):
            return False
    rules = _rules_inside(file.root, folder, rules)
    return _may_be_read(file, name, rules) and not _is_linked(file)


def read_source(file: SourceFile, max_bytes: int) -> tuple[str, Stamp] | None:
    """The text of a file and the state that it was read in; None if it cannot be read, is generated or not text.

    No part of the path below the root may be a link. None, too, for a text with a private key in it.
    """
    with suppress(OSError, UnicodeDecodeError), _open(file.root, file.path, OPEN_FLAGS) as fd:
        before = os.fstat(fd)
        if before.st_size > max_bytes:
            return None
        data = read_opened(fd, max_bytes + 1)
        if data is None or len(data) > max_bytes or b"\0" in data:
            return None
        text = data.decode("utf-8-sig")
        return None if _is_generated(text) or _PRIVATE_KEY in text else (text, _stamp(before))
    return None


def stamp_of(file: SourceFile) -> Stamp | None:
    """The present state of a regular file without a link on its path; None if there is none."""
    with suppress(OSError), _open(file.root, file.path, OPEN_FLAGS) as fd:
        info = os.fstat(fd)
        return _stamp(info) if stat.S_ISREG(info.st_mode) else None
    return None


_Found = list[tuple[SourceFile, Stamp]]
_Part = tuple[_Found, list[tuple[str, IgnoreRules]]]


def _all_parts(root: str, waiting: deque[tuple[str, IgnoreRules]]) -> Iterator[_Part]:
    """The parts of all folders in waiting; the caller adds the folders in each part to waiting."""
    while waiting:
        yield from _look_into(root, *waiting.popleft())


def _look_into(root: str, folder: str, rules: IgnoreRules) -> Iterator[_Part]:
    """The files of one folder that may be read, and its folders, each by name in order, N_ENTRIES_PART at a time."""
    rules = _rules_inside(root, folder, rules)
    with suppress(OSError), _open(root, folder, _FOLDER_FLAGS) as fd, os.scandir(fd) as entries:
        ordered = sorted(islice(entries, MAX_FOLDER_ENTRIES), key=lambda entry: entry.name)
        for start in range(0, max(1, len(ordered)), N_ENTRIES_PART):
            yield _sort_out(ordered[start : start + N_ENTRIES_PART], root, folder, rules)


def _sort_out(entries: Sequence[os.DirEntry[str]], root: str, folder: str, rules: IgnoreRules) -> _Part:
    files: _Found = []
    folders: list[tuple[str, IgnoreRules]] = []
    prefix = f"{folder}/" if folder else ""
    for entry in entries:
        file = SourceFile(root, prefix + entry.name)
        with suppress(OSError):
            if entry.is_dir(follow_symlinks=False):
                skipped = _is_skipped_folder(entry.name, file.absolute) or file.path.count("/") >= MAX_DEPTH
                if not skipped and not rules.ignores(file.absolute, is_folder=True):
                    folders.append((file.path, rules))
            elif entry.is_file(follow_symlinks=False) and _may_be_read(file, entry.name, rules):
                files.append((file, _stamp(entry.stat(follow_symlinks=False))))
    return files, folders


def _rules_inside(root: str, folder: str, rules: IgnoreRules) -> IgnoreRules:
    """The rules that hold in a folder: those around it and its own ignore files."""
    for name in IGNORE_FILES:
        path = f"{folder}/{name}" if folder else name
        with suppress(OSError), _open(root, path, OPEN_FLAGS) as fd:
            data = read_opened(fd, IgnoreRules.MAX_BYTES + 1)
            if data is not None:
                rules = rules.with_file(f"{root.rstrip('/')}/{folder}".rstrip("/"), data)
    return rules


def _is_skipped_folder(name: str, absolute: str) -> bool:
    if name.startswith(".") or name in SKIPPED_FOLDERS or not name.isprintable():
        return True
    try:
        return Path(absolute, "pyvenv.cfg").exists()
    except OSError:  # no permission: nothing is read there
        return True


def _may_be_read(file: SourceFile, name: str, rules: IgnoreRules) -> bool:
    if file.language is None or name.startswith(".") or not name.isprintable():
        return False
    if is_secret(file.absolute) or is_data(name):
        return False
    return not rules.ignores(file.absolute, is_folder=False)


def _is_linked(file: SourceFile) -> bool:
    """Whether there is a link on the path below the root; false for a file that does not exist (yet)."""
    try:
        with _open(file.root, file.path, OPEN_FLAGS):
            return False
    except OSError as error:
        return error.errno != errno.ENOENT


@contextmanager
def _open(root: str, path: str, flags: int) -> Iterator[int]:
    """A descriptor of path below root, without following a link. Raises OSError."""
    fd = os.open(root, _FOLDER_FLAGS)
    try:
        *folders, last = path.split("/")
        for part in folders:
            fd = _step(fd, part, _FOLDER_FLAGS)
        if last:
            fd = _step(fd, last, flags)
        yield fd
    finally:
        os.close(fd)


def _step(fd: int, name: str, flags: int) -> int:
    """A descriptor of an entry of the folder fd; fd is closed on success."""
    if name in ("", ".", ".."):
        raise OSError(errno.ELOOP, "not a name")
    below = os.open(name, flags, dir_fd=fd)
    os.close(fd)
    return below


def _stamp(info: os.stat_result) -> Stamp:
    return Stamp(info.st_mtime_ns, info.st_size)


def _is_generated(text: str) -> bool:
    lines = text.split("\n")
    return max(map(len, lines)) > MAX_LINE_CHARS or len(text) > MAX_MEAN_LINE_CHARS * len(lines) + 2_000
