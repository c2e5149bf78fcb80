"""A file and a place in it, as a person names them on the command line: `FILE:LINE:COL`."""

from dataclasses import dataclass
from pathlib import Path

from ..errors import InputError
from ..text.document import Document
from ..text.language_ids import CODE_SUFFIXES, TEXT_SUFFIXES

_MAX_BYTES = 64 * 1024 * 1024


@dataclass(frozen=True, kw_only=True)
class FilePlace:
    """A file, with a line and a character column counted from 1."""

    path: Path
    line: int
    column: int


def parse_place(text: str) -> FilePlace:
    """Read FILE:LINE:COL from the right, so that `C:\\x.py:3:7` works. Raises InputError."""
    path, line, column = ["", "", *text.rsplit(":", 2)][-3:]
    if not path or not (_is_number(line) and _is_number(column)):
        raise InputError(f"{text!r} is not FILE:LINE:COL, for example app.py:12:5")
    if int(line) < 1 or int(column) < 1:
        raise InputError(f"line and column are counted from 1, not {line}:{column}")
    return FilePlace(path=Path(path), line=int(line), column=int(column))


def read_document(path: Path) -> Document:
    """The file as a document, version 1. Raises InputError for anything but a readable UTF-8 text file."""
    try:
        if path.is_dir():
            raise InputError(f"{path} is a folder, not a file")
        if not path.exists():
            raise InputError(f"there is no file {path}")
        if not path.is_file():
            raise InputError(f"{path} is not a regular file")
        if path.stat().st_size > _MAX_BYTES:
            raise InputError(f"{path} is larger than {_MAX_BYTES // 1024 // 1024} MB")
        data = path.read_bytes()
        uri = path.resolve().as_uri()
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from error
    return Document(uri=uri, version=1, language=language_of(path), text=_decode(path, data))


def language_of(path: Path) -> str:
    """The LSP language id of a file, by its extension."""
    suffix = path.suffix.lower()
    known = CODE_SUFFIXES.get(suffix) or TEXT_SUFFIXES.get(suffix)
    return known or suffix.lstrip(".") or "plaintext"


def position_of(document: Document, place: FilePlace) -> tuple[int, int]:
    """The zero-based line and code-point character of a place. Raises InputError if it is outside the document."""
    if place.line > document.line_count:
        raise InputError(f"{place.path} has {document.line_count} lines, there is no line {place.line}")
    length = document.line_end(place.line - 1) - document.line_start(place.line - 1)
    if place.column > length + 1:
        raise InputError(
            f"line {place.line} of {place.path} has {length} characters, there is no column {place.column}"
            f" (its end is {length + 1})"
        )
    return place.line - 1, place.column - 1


def _decode(path: Path, data: bytes) -> str:
    if b"\0" in data:
        raise InputError(f"{path} is a binary file: it holds NUL bytes")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not UTF-8 text (byte {error.start})") from error


def _is_number(text: str) -> bool:
    return text.isascii() and text.removeprefix("-").isdigit() and len(text) <= 9
