"""Where to cut a document, and whether the answer may run over several lines.

Owns the choice between rest-of-line and block holes. It does not know positions, editors or models. The range that an
answer replaces is empty at the cursor: the one form that every editor shows (an answer that only inserts).
"""

from .blocks import block_opener, indent_after
from .document import Document
from .errors import InputError
from .types import Hole


def find_hole(document: Document, offset: int) -> Hole:
    """Cuts the document at the cursor; prefix + suffix is the document's text.

    The hole is a block (multiline) when nothing stands right of the cursor, a line that opens a block stands above it
    or left of it, and the code below is not that block's body already. An offset between \\r and \\n counts as the end
    of the line. Raises InputError outside the text.
    """
    line = document.line_of(offset)
    line_end = document.line_end(line)
    offset = min(offset, line_end)
    prefix, suffix = document.text[:offset], document.text[offset:]
    at_line_end = not document.text[offset:line_end].strip()
    multiline = at_line_end and _opens_empty_block(prefix, suffix, document.language)
    return Hole(
        prefix=prefix, suffix=suffix, language=document.language, replaced=(offset, offset), multiline=multiline
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


def _opens_empty_block(prefix: str, suffix: str, language: str) -> bool:
    opener = block_opener(prefix, language)
    if opener is None:
        return False
    below = indent_after(suffix)
    return below is None or below <= opener.indent
