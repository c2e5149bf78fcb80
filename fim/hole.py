"""Where to cut a document, and whether the answer may run over several lines.

Owns the choice between rest-of-line and block holes. It does not know positions, editors or models. The range that an
answer replaces is empty at the cursor: the one form that every editor shows (an answer that only inserts).
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass

from .errors import InputError
from .syntax import Syntax
from .syntax.blocks import block_opener, indent_after
from .syntax.literals import literal_at
from .text import Document
from .types import Hole

N_LINES_LONG = 8_000  # in longer documents nobody looks at several lines at once: most of them are generated


@dataclass(frozen=True)
class Cut:
    """A document cut at a cursor that has nothing right of it on its line."""

    document: Document
    prefix: str
    suffix: str
    syntax: Syntax | None


def find_hole(document: Document, offset: int, syntax: Syntax | None = None, off: Collection[str] = ()) -> Hole:
    """Cuts the document at the cursor; prefix + suffix is the document's text.

    The hole is a block (multiline) when nothing stands right of the cursor and no rule among HOLE_RULES objects, but
    for those that off names. An offset between \\r and \\n counts as the end of the line. syntax is the document's; the
    rules read lines without it. Raises InputError outside the text.
    """
    line_end = document.line_end(document.line_of(offset))
    offset = min(offset, line_end)
    cut = Cut(document, document.text[:offset], document.text[offset:], syntax)
    at_line_end = not document.text[offset:line_end].strip()
    multiline = at_line_end and all(allows(cut) for name, allows in HOLE_RULES if name not in off)
    return Hole(
        prefix=cut.prefix,
        suffix=cut.suffix,
        language=document.language,
        replaced=(offset, offset),
        multiline=multiline,
        in_prose=syntax is not None and literal_at(syntax, offset) is not None,
    )


def cut_hole(document: Document, start: int, end: int, multiline: bool) -> Hole:
    """Takes the text from start to end out, as if it had yet to be written; the answer replaces that range.

    Raises InputError for a range that is not in the text.
    """
    if not 0 <= start <= end <= len(document.text):
        raise InputError(f"range {start}..{end} is outside the document, which has {len(document.text)} characters")
    return Hole(
        prefix=document.text[:start],
        suffix=document.text[end:],
        language=document.language,
        replaced=(start, end),
        multiline=multiline,
    )


def _is_short(cut: Cut) -> bool:
    return cut.document.line_count < N_LINES_LONG


def _opens_empty_block(cut: Cut) -> bool:
    """A line above or left of the cursor opens a block, and the code below is not that block's body already."""
    opener = block_opener(cut.prefix, cut.document.language, cut.syntax)
    if opener is None:
        return False
    below = indent_after(cut.suffix)
    is_closed = opener.is_closed_by(cut.suffix)
    return below is None or below <= opener.indent or is_closed


HOLE_RULES: tuple[tuple[str, Callable[[Cut], bool]], ...] = (
    ("short-document", _is_short),
    ("empty-block", _opens_empty_block),
)
