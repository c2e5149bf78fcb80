"""Chunks of source text (runs of whole lines, short enough for a snippet), and the similarity of two texts."""

import re
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

# A model that reads 2,048 tokens has room for 500 of snippets: two chunks of this many lines.
N_LINES_MIN, N_LINES_MAX = 12, 32
_WORD = re.compile(r"[^\W\d]\w{2,}")
_COMMON = frozenset({
    "and", "any", "async", "await", "break", "case", "catch", "char", "class", "const", "continue", "def",
    "default", "elif", "else", "enum", "except", "export", "extends", "false", "False", "final", "finally",
    "float", "for", "from", "func", "function", "global", "if", "impl", "import", "include", "int", "interface",
    "lambda", "let", "match", "mod", "mut", "namespace", "new", "nil", "None", "nonlocal", "not", "null",
    "package", "pass", "private", "protected", "public", "pub", "raise", "return", "self", "Self", "static", "str",
    "struct", "super", "switch", "this", "throw", "throws", "trait", "true", "True", "try", "type", "typeof",
    "use", "using", "var", "void", "while", "with", "yield",
})  # fmt: skip


@dataclass(frozen=True)
class Chunk:
    """The lines of a text from start (counted from 0) to end (exclusive), where they come from, their language."""

    place: str
    start: int
    end: int
    text: str
    language: str | None = None


def split_lines(lines: Sequence[str]) -> list[tuple[int, int]]:
    """Ranges of lines that cover the text, each cut where the next line starts the outermost block in reach.

    A range has N_LINES_MIN to N_LINES_MAX lines, except the last one.
    """
    ranges: list[tuple[int, int]] = []
    start = 0
    while start < len(lines):
        end = _cut(lines, start)
        ranges.append((start, end))
        start = end
    return ranges


def split_text(place: str, text: str) -> list[Chunk]:
    """The chunks of a text that are not blank."""
    lines = text.splitlines()
    chunks = [Chunk(place, start, end, "\n".join(lines[start:end])) for start, end in split_lines(lines)]
    return [chunk for chunk in chunks if chunk.text.strip()]


def words(text: str) -> frozenset[str]:
    """The identifiers and words of a text, of at least three characters, without those of every text."""
    return frozenset(_WORD.findall(text)) - _COMMON


def similarity(one: AbstractSet[str], other: AbstractSet[str]) -> float:
    """Jaccard: the share of all members that both have, in [0, 1]; 0 if both are empty."""
    n_all = len(one | other)
    return len(one & other) / n_all if n_all else 0.0


def solid_lines(text: str) -> frozenset[str]:
    """The stripped lines of a text that have content."""
    return frozenset(line for line in map(str.strip, text.splitlines()) if len(line) >= 8)


def _cut(lines: Sequence[str], start: int) -> int:
    """The line that the next chunk starts at: after a blank line if it can be, the least indented, the last such."""
    if len(lines) - start <= N_LINES_MAX:
        return len(lines)
    places = range(start + N_LINES_MIN, start + N_LINES_MAX + 1)
    return min((place for place in places), key=lambda place: (*_depth(lines, place), -place))


def _depth(lines: Sequence[str], place: int) -> tuple[int, int]:
    line = lines[place]
    if not line.strip() or line.lstrip()[0] in ")]}":
        return 1_000, 0
    return len(line) - len(line.lstrip()), int(bool(lines[place - 1].strip()))
