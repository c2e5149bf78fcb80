"""How many new parse errors an answer brings: what candidates are ranked by first, and answers marked by.

Owns the comparison. Code that is being typed is seldom whole, so an answer is held against the better of two readings
of the document: as it stands, and with the cursor's line blank. It does not know scores or trimming.
"""

from ..syntax.block_words import closer_by_line, opening_tag
from ..syntax.tree import Syntax
from ..text.line_marks import CLOSING_WORDS, SEMICOLONS
from ..text.line_scan import CLOSER_OF, LINE_BREAK
from ..types import Hole
from .context import count_brackets, line_left, line_rest


def new_errors(syntax: Syntax, hole: Hole, text: str, n_before: int | None = None) -> int:
    """How many errors and missing tokens the document has more with text in the hole than before; negative for fewer.

    syntax is that of the document as it stands. Brackets and blocks that the cursor's line and text leave open, with
    nothing right of the cursor, may be closed later, and a semicolon may follow: they are no errors. n_before spares
    the reading of the document without text (`errors_before`) to whoever compares several texts. A document that cannot
    be parsed has no errors.
    """
    n_before = errors_before(syntax, hole) if n_before is None else n_before
    filled = syntax.with_edit(*hole.replaced, text)
    if filled is None:
        return 0
    n_filled = filled.n_errors
    end = hole.replaced[0] + len(text)
    for closers in _endings(hole, text, filled) if n_filled > n_before else ():
        closed = filled.with_edit(end, end, closers)
        n_filled = n_filled if closed is None else min(n_filled, closed.n_errors)
    return n_filled - n_before


def errors_before(syntax: Syntax, hole: Hole) -> int:
    """The errors of the document with the hole empty, or with the cursor's line blank, whichever are fewer."""
    start, end = hole.replaced
    emptied = syntax.with_edit(start, end, "")
    n = 0 if emptied is None else emptied.n_errors
    if n == 0:
        return 0
    blank = syntax.with_edit(start - len(line_left(hole.prefix)), end + len(line_rest(hole.suffix)), "")
    return n if blank is None else min(n, blank.n_errors)


def _endings(hole: Hole, text: str, filled: Syntax) -> list[str]:
    """What may end the line that text makes, later: its closing brackets and its semicolon, the word or tag that closes
    the block that it opens, the entry behind its comma; none with text right of the cursor."""
    if line_rest(hole.suffix).strip():
        return []
    if hole.language in ("json", "jsonc") and text.rstrip().endswith(","):
        return ['"": 0', "0"]
    openers = count_brackets(LINE_BREAK.split(line_left(hole.prefix) + text), "", hole.language).openers
    closers = "".join(CLOSER_OF[opener] for opener in reversed(openers))
    tag = opening_tag(filled, hole.replaced[0] + len(text))
    word = None
    if hole.language in CLOSING_WORDS:
        word = closer_by_line(hole.language, [line_left(hole.prefix) + text + closers, ""])
    more = [";"] * (hole.language in SEMICOLONS) + ([f"{tag[0]}>"] if tag else []) + ([f"\n{word}"] if word else [])
    return [closers + ending for ending in ("", *more)]
