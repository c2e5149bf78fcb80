"""Checks that a tokenizer's pattern for cutting text is fast on any text.

The tokenizers library runs patterns with a backtracking matcher that nothing can stop: `(([a-z]+)+)+!` takes hours on a
line of 40 letters. So the pattern itself is checked. It may have alternatives, groups, classes, quantifiers and
lookaheads, as those of GPT-2, Llama 3, Qwen, DeepSeek, Seed-Coder and o200k have. It may not repeat a group, refer
back, look behind, or backtrack over more than one repetition: so a match costs at most the square of the length.
"""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

MAX_LENGTH = 4_000
MAX_DEPTH = 8
MAX_CHOICES = 256  # ways through optional parts and alternatives that may be tried before a match fails
MANY = 8  # a quantifier that allows more counts as unbounded

_ESCAPE = re.compile(r"\\(?:[pP]\{\^?[A-Za-z_]{1,40}\}|x[0-9A-Fa-f]{2}|u[0-9A-Fa-f]{4}|[sSdDwWrntfvbB]|[^\w\s]| )")
_QUANTIFIER = re.compile(r"([*+?])([?+]?)|\{(\d{1,5})(,?)(\d{0,5})\}(\??)")
_GROUP = re.compile(r"\((\?:|\?i:|\?=|\?!|(?!\?))")


@dataclass(frozen=True)
class _Part:
    """Something that matches from least to most times; of a group, its alternatives."""

    least: int
    most: float
    alternatives: "tuple[tuple[_Part, ...], ...]" = ()


def check_pattern(pattern: str) -> None:
    """Raise ValueError for a pattern that could be slow, or that this check does not understand."""
    if not pattern or len(pattern) > MAX_LENGTH:
        raise ValueError(f"a pattern of {len(pattern):,} characters")
    alternatives, at = _alternatives(pattern, 0, 0)
    if at < len(pattern):
        raise ValueError(f"a bracket too many at character {at} of a pattern")
    for parts in alternatives:
        n_repeats, n_choices = _cost(parts, may_fail_after=False)
        if n_repeats > 1 or n_choices > MAX_CHOICES:
            raise ValueError("a pattern that can take very long")


def _alternatives(pattern: str, at: int, depth: int) -> tuple[tuple[tuple[_Part, ...], ...], int]:
    """The alternatives from at to the end or a closing bracket, and where that is."""
    if depth > MAX_DEPTH:
        raise ValueError("a pattern of too many brackets")
    found: list[list[_Part]] = [[]]
    while at < len(pattern) and pattern[at] != ")":
        if pattern[at] == "|":
            found.append([])
            at += 1
        else:
            part, at = _part(pattern, at, depth)
            found[-1].append(part)
    return tuple(tuple(parts) for parts in found), at


def _part(pattern: str, at: int, depth: int) -> tuple[_Part, int]:
    """One part with its quantifier, and where the next begins."""
    alternatives: tuple[tuple[_Part, ...], ...] = ()
    char = pattern[at]
    if char == "(":
        opening = _GROUP.match(pattern, at)
        if opening is None:
            raise ValueError(f"a group of an unknown kind at character {at} of a pattern")
        alternatives, at = _alternatives(pattern, opening.end(), depth + 1)
        if at >= len(pattern):
            raise ValueError("a bracket that is not closed in a pattern")
        at += 1
    elif char == "[":
        at = _class_end(pattern, at)
    elif char == "\\":
        at = _escape_end(pattern, at)
    elif char in "*+?":
        raise ValueError(f"a quantifier of nothing at character {at} of a pattern")
    else:
        at += 1
    least, most, at = _quantifier(pattern, at)
    if alternatives and most > 1:
        raise ValueError("a pattern that repeats a group")
    return _Part(least, most, alternatives), at


def _quantifier(pattern: str, at: int) -> tuple[int, float, int]:
    """How often the part before at may match, and where the next part begins."""
    found = _QUANTIFIER.match(pattern, at)
    if found is None:
        return 1, 1, at
    if _QUANTIFIER.match(pattern, found.end()):
        raise ValueError("a pattern that repeats a repetition")
    sign, _, least, comma, most, _ = found.groups()
    if sign:
        return int(sign == "+"), 1 if sign == "?" else math.inf, found.end()
    return int(least), int(most) if most else math.inf if comma else int(least), found.end()


def _escape_end(pattern: str, at: int) -> int:
    found = _ESCAPE.match(pattern, at)
    if found is None:
        raise ValueError(f"an unknown escape at character {at} of a pattern")
    return found.end()


def _class_end(pattern: str, at: int) -> int:
    """Where a class that begins at at ends. Raises ValueError for an empty or open one, or one inside another."""
    start = at = at + 1 + (pattern[at + 1 : at + 2] == "^")
    while at < len(pattern):
        if pattern[at] == "]" and at > start:
            return at + 1
        if pattern[at] in "[]":
            break
        at = _escape_end(pattern, at) if pattern[at] == "\\" else at + 1
    raise ValueError("a class that is empty, open or inside another in a pattern")


def _cost(parts: Sequence[_Part], *, may_fail_after: bool) -> tuple[int, int]:
    """Repetitions that may be undone one by one, and the number of other ways that may be tried."""
    n_repeats, n_choices = 0, 1
    for part in reversed(parts):
        inner = [_cost(each, may_fail_after=may_fail_after) for each in part.alternatives]
        if inner:
            n_repeats += max(n for n, _ in inner)
            n_choices *= sum(n for _, n in inner) if may_fail_after else max(n for _, n in inner)
        if may_fail_after and part.most - part.least >= MANY:
            n_repeats += 1
        elif may_fail_after:
            n_choices *= int(part.most - part.least) + 1
        may_fail_after = may_fail_after or part.least > 0
    return n_repeats, n_choices
