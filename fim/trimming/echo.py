"""Answers that repeat the line or lines above the cursor.

Owns that rule. It does not know what stands below the cursor (`repetition`), or keys of a literal (`keys`).
"""

import re
from collections.abc import Iterator
from itertools import pairwise

from ..syntax.blocks import indent_of, lines_above
from ..text.line_scan import LINE_BREAK, is_word_character
from .context import TrimContext
from .repetition import MIN_REPEATED_CHARS

N_LINES_ABOVE, N_LINES_BELOW = 400, 100  # in which a file may show that it repeats lines

_BARE_WORD = re.compile(r"\w+\s*:?")  # pass, break, else:, end


def drop_line_above(around: TrimContext, text: str) -> str:
    """Drops text whose first line makes the cursor's line equal to the nearest line above.

    Also drops several lines that stand directly above the cursor in this order, at any indentation. Keeps rows of data
    in open brackets, single words and signs, and all text in a file that already has two equal lines in a row.
    """
    found = _written(around, text)
    if found is None:
        return text
    lines, above = found
    is_again = _is_same(around, lines[0], _nearest(above)) or _are_same(around, lines, above)
    if not _says_enough(around, lines[0]) or not is_again:
        return text
    return text if around.in_expression or _has_equal_lines(around) else ""


def _written(around: TrimContext, text: str) -> tuple[list[str], list[str]] | None:
    """The lines that text writes, as a whole and from the first that is not blank, and those above them."""
    whole = (around.left + text).split("\n")
    whole[-1] += around.right
    first = next((i for i, line in enumerate(text.split("\n")) if line.strip()), None)
    if first is None:
        return None
    return whole[first:], [*lines_above(around.hole.prefix)[-N_LINES_ABOVE - 1 : -1], *whole[:first]]


def _nearest(lines: list[str]) -> str:
    """The last line that is not blank; "" without one."""
    return next((line for line in reversed(lines) if line.strip()), "")


def _is_same(around: TrimContext, line: str, other: str) -> bool:
    return indent_of(line) == indent_of(other) and _core(around, line) == _core(around, other)


def _are_same(around: TrimContext, lines: list[str], above: list[str]) -> bool:
    """Whether two lines or more are the nearest ones above, in the same order."""
    ours = [_core(around, line) for line in lines if line.strip()]
    theirs = [_core(around, line) for line in above if line.strip()][-len(ours) :]
    return len(ours) > 1 and ours == theirs


def _core(around: TrimContext, line: str) -> str:
    """A line without its comment, the blanks around it, and a comma or semicolon at its end."""
    code = line[: around.scan(line).code_end].strip()
    return (code or line.strip()).rstrip(",; \t")


def _says_enough(around: TrimContext, line: str) -> bool:
    core = _core(around, line)
    has_word = any(map(is_word_character, core)) and any(map(str.isalpha, core))
    return has_word and len("".join(core.split())) >= MIN_REPEATED_CHARS and not _BARE_WORD.fullmatch(core)


def _has_equal_lines(around: TrimContext) -> bool:
    """Whether two lines in a row, above or below the cursor's, are equal and say something."""
    for lines in (lines_above(around.hole.prefix)[-N_LINES_ABOVE - 1 : -1], list(_lines_below(around))):
        solid = [line for line in lines if line.strip()]
        if any(_is_same(around, a, b) and _says_enough(around, a) for a, b in pairwise(solid)):
            return True
    return False


def _lines_below(around: TrimContext) -> Iterator[str]:
    below = LINE_BREAK.split(around.hole.suffix[: N_LINES_BELOW * 200])
    yield from below[1 : N_LINES_BELOW + 1]
