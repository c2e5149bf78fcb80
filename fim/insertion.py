"""The form of an answer that every editor shows: its range, and the text it must contain.

An answer of one line is inserted at the cursor. One of several lines, with text right of the cursor, replaces that text
and ends with it, because some editors show nothing else.
"""

from .trimming.context import line_rest
from .types import Hole


def portable(hole: Hole, text: str) -> tuple[str, tuple[int, int]]:
    """The text to send for an answer to hole, and the range of offsets that it replaces.

    The document becomes the same as with text at hole.replaced. The range never leaves the cursor's line, and
    the text contains what the range held. A hole that takes text out (`cut_hole`) keeps its range.
    """
    start, end = hole.replaced
    right = line_rest(hole.suffix)
    if start != end or not right or not ("\n" in text or "\r" in text):
        return text, hole.replaced
    return text + right, (start, end + len(right))
