"""Which files of a held-out package are read: source files that people wrote, in the languages that the list names.

Archives are read as text; nothing of them is built, imported or run.
"""

import gzip
import re
import tarfile
import zlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from email.parser import HeaderParser
from pathlib import Path, PurePosixPath

from ...fim.errors import InputError
from ...fim.syntax.tree import parse
from ..corpus.filters import N_CHARS_MAX, SKIPPED_FOLDERS, TEST_FOLDERS, reason_in_any_language
from ..corpus.heldout_packages import SUFFIXES, HeldOutPackage
from ..corpus.licence_texts import grants
from ..corpus.licences import licence_of
from ..corpus.package import normalise
from ..corpus.sources import N_FILE_BYTES_MAX, N_PACKAGE_BYTES_MAX

N_LINES_MIN = 30
NOT_SOURCE_FOLDERS = SKIPPED_FOLDERS | {"node_modules", "dist", "build", "generated", "examples", "benches", "disabled"}
_TEST_FILE = re.compile(r"(test_.*|.*[._-](test|tests|spec|bench)|.*_unittest|tests?|conftest|.*Tests?)\.\w+")
_GENERATED_FILE = re.compile(r".*[._-](min|bundle|d|generated|pb)\.\w+|_version\.py|.*_pb2(_grpc)?\.py")
_LICENCE_FILE = re.compile(r"(licen[cs]e|copying)([._-][\w.-]+)?", re.IGNORECASE)


@dataclass
class HeldOutFiles:
    """The texts of one package that are kept, by language and by path, and how many files were dropped, by reason."""

    package: HeldOutPackage
    texts: dict[tuple[str, str], str] = field(default_factory=dict)
    drops: Counter[str] = field(default_factory=Counter)


def read_files(package: HeldOutPackage, archive: Path) -> HeldOutFiles:
    """The files of an archive. Raises InputError when it is damaged or its licence is not what the list says."""
    members = dict(_members(archive))
    _check_licence(package, members)
    files = HeldOutFiles(package)
    for path, raw in sorted(members.items()):
        language = _language_of(path, package)
        if language is None:
            continue
        reason, text = _judge(path, raw, package, language)
        if reason is None:
            files.texts[language, path] = text
        else:
            files.drops[reason] += 1
    return files


def _members(archive: Path) -> Iterator[tuple[str, bytes]]:
    """(path below the archive's one folder, content) of all plain files of sensible size."""
    n_bytes = 0
    try:
        with tarfile.open(archive, mode="r|gz") as stream:
            for member in stream:
                path = PurePosixPath(*PurePosixPath(member.name).parts[1:])
                if not member.isreg() or member.size > N_FILE_BYTES_MAX or ".." in path.parts or path.is_absolute():
                    continue
                n_bytes += member.size
                if n_bytes > N_PACKAGE_BYTES_MAX:
                    raise InputError(f"{archive} unpacks to more than a gigabyte: that is not the pinned archive")
                content = stream.extractfile(member)
                yield path.as_posix(), content.read() if content else b""
    except (tarfile.TarError, gzip.BadGzipFile, zlib.error, EOFError, OSError) as error:
        raise InputError(f"the archive {archive} is damaged ({error}): delete it and run the command again") from error


def _check_licence(package: HeldOutPackage, members: dict[str, bytes]) -> None:
    metadata = HeaderParser().parsestr(members.get("PKG-INFO", b"").decode("utf-8", "replace"))
    texts = [raw.decode("utf-8", "replace") for path, raw in members.items() if _LICENCE_FILE.fullmatch(path)]
    if licence_of(metadata) is None:
        raise InputError(f"{package.archive}: its metadata state no permissive licence: take it off the list")
    if not grants(package.licence, texts):
        raise InputError(f"{package.archive}: no licence file grants {package.licence}: take it off the list")


def _language_of(path: str, package: HeldOutPackage) -> str | None:
    suffix = PurePosixPath(path).suffix
    return next((language for language in package.languages if suffix in SUFFIXES[language]), None)


def _judge(path: str, raw: bytes, package: HeldOutPackage, language: str) -> tuple[str | None, str]:
    """(why the file is left out, "") or (None, its text)."""
    reason = _reason_in_path(path, package.folders)
    if reason is not None:
        return reason, ""
    try:
        text = normalise(raw)
    except UnicodeDecodeError:
        return "not UTF-8", ""
    if text.count("\n") < N_LINES_MIN or len(text) > N_CHARS_MAX or "\0" in text:
        return f"not {N_LINES_MIN} lines to {N_CHARS_MAX:,} characters of text", ""
    reason = reason_in_any_language(text)
    if reason is None:
        syntax = parse(text, language)
        reason = "syntax errors, to the grammar" if syntax is None or syntax.n_errors else None
    return (reason, "") if reason is not None else (None, text)


def _reason_in_path(path: str, folders: tuple[str, ...]) -> str | None:
    """Judges what lies below the folders that the list names; the names of those folders themselves do not count."""
    root = next((each for each in folders if path.startswith(each + "/")), "")
    if folders and not root:
        return "outside the folders that are read"
    below = PurePosixPath(path.removeprefix(root).lstrip("/"))
    parents = {part.lower() for part in below.parts[:-1]}
    if parents & NOT_SOURCE_FOLDERS or any(part.startswith(".") for part in below.parts):
        return "vendored, built or an example"
    if parents & (TEST_FOLDERS | {"__tests__"}) or _TEST_FILE.fullmatch(below.name):
        return "test"
    return "generated" if _GENERATED_FILE.fullmatch(below.name) else None
