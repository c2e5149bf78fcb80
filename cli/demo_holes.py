"""Holes cut from real files, as `examples/holes.toml` declares them.

Owns the file's layout and its checks.
"""

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..fim.errors import InputError
from ..fim.files.source_file import read_document
from ..fim.text.document import Document


@dataclass(frozen=True, kw_only=True)
class DemoHole:
    """A document without the hole's text, the cursor's offset in it, and the text that had stood there."""

    name: str
    document: Document
    offset: int
    expected: str

    @property
    def line_left(self) -> str:
        """The cursor's line, left of the cursor."""
        return self.document.text[self.document.line_start(self.document.line_of(self.offset)) : self.offset]

    @property
    def line_right(self) -> str:
        """The cursor's line, right of the cursor."""
        return self.document.text[self.offset : self.document.line_end(self.document.line_of(self.offset))]

    @property
    def position(self) -> tuple[int, int]:
        """Zero-based line and code-point character of the cursor."""
        line, character = self.document.position_at(self.offset, "utf-32")
        return line, character


@dataclass(frozen=True, kw_only=True)
class Trial:
    """One hole and three explained answers: while a person types, the same with half of it typed, and on request."""

    hole: DemoHole
    typing: dict[str, Any]
    further: DemoHole
    typing_further: dict[str, Any]
    request: dict[str, Any]


def typed_further(hole: DemoHole, share: float) -> DemoHole:
    """The same hole after the person has typed the first share (0 to 1) of what is missing, at least a character less.

    Raises ValueError for a share outside (0, 1).
    """
    if not 0 < share < 1:
        raise ValueError(f"share must lie between 0 and 1, not {share}")
    n_typed = min(len(hole.expected) - 1, round(share * len(hole.expected)))
    document, at = hole.document, hole.offset
    text = document.text[:at] + hole.expected[:n_typed] + document.text[at:]
    typed = Document(uri=document.uri, version=1, language=document.language, text=text)
    return DemoHole(name=hole.name, document=typed, offset=at + n_typed, expected=hole.expected[n_typed:])


def load_holes(folder: Path) -> list[DemoHole]:
    """The holes of folder/holes.toml. Raises InputError when it is missing or does not fit its files."""
    table = folder / "holes.toml"
    try:
        entries = tomllib.loads(table.read_text(encoding="utf-8"))["hole"]
        if not entries:
            raise InputError(f"{table} names no hole")
        return [_cut(folder, entry["file"], entry["anchor"], entry["text"], n) for n, entry in enumerate(entries, 1)]
    except OSError as error:
        raise InputError(f"cannot read {table}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{table} is not TOML: {error}") from error
    except (KeyError, TypeError) as error:
        raise InputError(f"{table}: a [[hole]] needs file, anchor and text (trouble with {error})") from error


def _cut(folder: Path, file: str, anchor: str, text: str, number: int) -> DemoHole:
    document = read_document(folder / file)
    where = f"hole {number} ({file})"
    if document.text.count(anchor) != 1:
        raise InputError(f"{where}: the anchor stands {document.text.count(anchor)} times in the file, not once")
    offset = document.text.index(anchor) + len(anchor)
    if not text or not document.text.startswith(text, offset):
        raise InputError(f"{where}: the text does not stand right after the anchor")
    cut = document.text[:offset] + document.text[offset + len(text) :]
    line = document.line_of(offset) + 1
    without = Document(uri=document.uri, version=1, language=document.language, text=cut)
    return DemoHole(name=f"{file}:{line}", document=without, offset=offset, expected=text)
