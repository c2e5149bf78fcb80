"""The class of a cursor's place: in a comment, after a dot, at the start of a block.

Near the cursor it goes by tokens and characters rather than by the nodes above them, which are often errors in code
that is being typed.
"""

import re
from typing import Literal

from .syntax.blocks import block_opener
from .syntax.kinds import MEMBER_TOKEN, MEMBER_TOKENS
from .syntax.literals import literal_at
from .syntax.tree import Syntax
from .text.line_scan import word_before
from .trimming.context import line_left

CursorClass = Literal[
    "comment", "docstring", "string", "after-dot", "identifier", "block-start", "blank-line", "code"
]  # fmt: skip

_NUMBER_DOT = re.compile(r"(?<!\w)\d+\.$")
N_CHARS_READ = 200  # of the cursor's line; longer names and numbers count as other code


def class_at(syntax: Syntax, offset: int) -> CursorClass:
    """The class of a place between two characters, the first of these that fits.

    In a comment, a docstring or another string; right after a token that leads to a member; in a name or at its end; in
    an empty block, on the line that opens it or on a blank one below; on a line with nothing left of the cursor; in
    other code.
    """
    literal = literal_at(syntax, offset)
    if literal is not None:
        return literal
    prefix = syntax.text[:offset]
    left = line_left(prefix)[-N_CHARS_READ:]
    if left.endswith(MEMBER_TOKENS.get(syntax.language, MEMBER_TOKEN)) and not _NUMBER_DOT.search(left):
        return "after-dot"
    word = word_before(left)
    if word and not word[0].isdecimal():
        return "identifier"
    if block_opener(prefix, syntax.language, syntax) is not None:
        return "block-start"
    return "code" if left.strip() else "blank-line"
