"""Twins: a function that continues as another one of the file does, with this one's names in place of theirs.

Two functions are twins as far as their lines have the same shape (`analogies`). What follows in the other one, with the
names learnt on the way, is a draft for the rest of the line or, if the body is still empty, for the body.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ..syntax.blocks import indent_of
from .analogies import Names, continue_line, is_word, tokens_of

N_LINES_ABOVE, N_LINES_BELOW = 400, 100  # of the cursor, in which the other function begins
N_CHARS_LINE = 400
N_LINES_BODY = 40  # of a function that are compared
N_LINES_MAX = 12  # of a draft

_DEF = re.compile(r"\s*(?:async\s+)?def\s")
_DOCSTRING = re.compile(r"\s*[rRuU]?(?:\"\"\".*\"\"\"|'''.*''')$")


@dataclass(frozen=True)
class Twin:
    """A text for the hole, and its original in the other function; how many tokens above the cursor have the same shape
    there, and how many names were replaced."""

    text: str
    theirs: str
    n_tokens: int
    n_changed: int


def find_twin(prefix: str, suffix: str, *, multiline: bool) -> Twin | None:
    """What follows in the nearest function whose lines have the shape of those at the cursor; None without one."""
    above = [line[:N_CHARS_LINE] for line in prefix.split("\n")[-N_LINES_ABOVE:]]
    left = above.pop()
    header = _header(above, left)
    if header is None:
        return None
    ours = _solid(above[header:])
    if len(ours) > N_LINES_BODY:
        return None
    below = suffix.split("\n", N_LINES_BELOW)[1:]
    for lines in _functions(above[:header], below, tokens_of(ours[0])):
        found = _continue_like(ours, left, lines, multiline=multiline)
        if found is not None:
            return found
    return None


def _header(above: Sequence[str], left: str) -> int | None:
    """The index of the line that begins the cursor's function; None if it is not found."""
    indent = indent_of(left) if left.strip() else None
    for at in range(len(above) - 1, -1, -1):
        line = above[at]
        if not line.strip():
            continue
        if _DEF.match(line) and (indent is None or indent_of(line) < indent or not left.strip()):
            return at
        if not line[0].isspace() and not line.startswith(")"):
            return None
    return None


def _functions(above: Sequence[str], below: Sequence[str], header: Sequence[str]) -> Iterator[list[str]]:
    """The lines of the functions above, the nearest first, and of those below, whose first line has the header's shape;
    blank lines are left out."""
    for lines, places in ((above, range(len(above) - 1, -1, -1)), (below, range(len(below)))):
        for at in places:
            if _DEF.match(lines[at]) and _learns(Names(), tokens_of(lines[at]), header):
                indent = indent_of(lines[at])
                body = _solid(lines[at + 1 : at + 1 + 2 * N_LINES_BODY])
                end = next((i for i, line in enumerate(body) if _leaves(line, indent)), len(body))
                yield [lines[at], *body[:end]]


def _leaves(line: str, indent: int) -> bool:
    """Whether a line is outside the function; the bracket that ends its parameters is not."""
    return indent_of(line) <= indent and not (indent_of(line) == indent and line.lstrip().startswith(")"))


def _solid(lines: Sequence[str]) -> list[str]:
    return [line for line in lines if line.strip()]


def _continue_like(ours: Sequence[str], left: str, theirs: Sequence[str], *, multiline: bool) -> Twin | None:
    """What follows in theirs after lines of the same shape as ours; None if shapes differ, or nothing follows."""
    names, n_tokens = Names(), 0
    shift = indent_of(theirs[0]) - indent_of(ours[0])
    ours, theirs = _without_docstring(ours), _without_docstring(theirs, is_kept=len(ours) == 1 and not left.strip())
    if len(theirs) <= len(ours) or shift:
        return None
    for a, b in zip(theirs, ours, strict=False):
        if indent_of(a) != indent_of(b) or not _learns(names, tokens_of(a), tokens_of(b)):
            return None
        n_tokens += len(tokens_of(b))
    if not names.ours:
        return None
    n_changed = sum(a != b for a, b in names.ours.items())
    following = theirs[len(ours) :]
    rest = _rest(names, following, left, multiline=multiline)
    before = _rest(Names(), following, left, multiline=multiline)
    return Twin(rest, before, n_tokens, n_changed) if rest.strip() else None


def _rest(names: Names, theirs: Sequence[str], left: str, *, multiline: bool) -> str:
    """The rest of the cursor's line and, if several are wanted, the lines below it; "" if it is another line."""
    first, *others = theirs
    head = tokens_of(left)
    if head:
        if left[-1].isspace():
            head.append(" ")
        found = continue_line(head, tokens_of(first), names=names)
        text = "" if found is None else found.text.rstrip()
    elif indent_of(left) not in (0, indent_of(first)):
        return ""
    else:
        text = first[len(left) :] if left else first
        text = text[: len(text) - len(text.lstrip())] + names.translate(tokens_of(first))
    if not multiline or not text:
        return text
    return "\n".join([text, *(_translate_line(names, line) for line in others[: N_LINES_MAX - 1])])


def _translate_line(names: Names, line: str) -> str:
    return line[: len(line) - len(line.lstrip())] + names.translate(tokens_of(line))


def _learns(names: Names, theirs: Sequence[str], ours: Sequence[str]) -> bool:
    """Whether two lines have the same shape; their names are learnt."""
    if len(theirs) != len(ours):
        return False
    for a, b in zip(theirs, ours, strict=True):
        if is_word(a) and is_word(b):
            if not names.learn(a, b):
                return False
        elif a != b and not (a.isspace() and b.isspace()):
            return False
    return True


def _without_docstring(lines: Sequence[str], *, is_kept: bool = False) -> list[str]:
    """A function's lines without the one of its docstring, whose words are not compared."""
    return [line for i, line in enumerate(lines) if is_kept or i != 1 or not _DOCSTRING.match(line)]
