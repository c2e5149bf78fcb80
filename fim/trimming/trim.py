"""From the engine's raw text to what may be inserted: the rules in their order, run until nothing changes any more.

Owns the order, the line endings and the cleaning of characters; the other rules have files of their own. It does not
know models, scores or editors. Inside, lines end in "\\n"; the document's own line ending comes back at the very end.
Every rule takes text away, but for the one on indentation, which changes in one direction only; so the rules come to an
end, and a second trim changes nothing.
"""

import re
from collections.abc import Callable, Collection

from ..syntax.tree import Syntax
from ..text.line_scan import LINE_BREAK
from ..types import Hole
from .block_end import cut_at_block_end
from .brackets import cut_at_unmatched_bracket
from .context import TrimContext
from .echo import drop_line_above
from .indentation import with_document_indent
from .keys import drop_repeated_key
from .quoted import cut_at_string_end
from .repetition import drop_repeated_lines, drop_repeated_rest, drop_repetition

_SUSPECT = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ud800-\udfff\ufeff\ufffd]"
)


def trim(
    hole: Hole,
    text: str,
    eol: str = "\n",
    syntax: Syntax | None = None,
    off: Collection[str] = (),
    indent: str | None = None,
) -> str:
    """What may take the place of hole.replaced, with line breaks as eol; "" means: show nothing.

    A single-line hole never yields a line break. trim(hole, trim(hole, text, eol), eol) is trim(hole, text, eol).
    syntax is that of the document as it stands; without it blocks are read from indentation. off names the rules among
    TRIM_RULES that do not count; characters and line breaks are seen to in any case. indent is one level of indentation
    for a document that has none yet.
    """
    return trim_in(TrimContext(hole, syntax, indent), text, eol, off)


def trim_in(around: TrimContext, text: str, eol: str = "\n", off: Collection[str] = ()) -> str:
    """The same for surroundings that several texts share."""
    hole = around.hole
    rules = [rule for name, rule in TRIM_RULES if name not in off]
    text = LINE_BREAK.sub("\n", drop_suspect_characters(text, hole))
    text = text if hole.multiline else text.partition("\n")[0]
    before = None
    while text != before:
        before = text
        for rule in rules:
            text = rule(around, text)
    return text.replace("\n", eol)


def drop_suspect_characters(text: str, hole: Hole) -> str:
    """Text without the control, bidirectional, invisible and broken characters that stand nowhere around the hole."""
    suspects = set(_SUSPECT.findall(text))
    unwanted = {ord(each): None for each in suspects if each not in hole.prefix and each not in hole.suffix}
    return text.translate(unwanted) if unwanted else text


def drop_trailing_blank(around: TrimContext, text: str) -> str:
    """Text without the white space at its end, which stays if code follows at once; white space alone becomes ""."""
    stripped = text.rstrip()
    if not stripped:
        return ""
    return text if around.right[:1].strip() else stripped


TRIM_RULES: tuple[tuple[str, Callable[[TrimContext, str], str]], ...] = (
    ("indent-style", with_document_indent),
    ("block", cut_at_block_end),
    ("repetition", drop_repetition),
    ("repeated-lines", drop_repeated_lines),
    ("repeated-rest", drop_repeated_rest),
    ("unmatched-bracket", cut_at_unmatched_bracket),
    ("string-end", cut_at_string_end),
    ("line-above", drop_line_above),
    ("repeated-key", drop_repeated_key),
    ("trailing-blank", drop_trailing_blank),
)
