"""Where documents are cut: holes of every kind, in characters."""

from collections.abc import Sequence

import numpy as np
from numpy.random import Generator


def cut(rng: Generator, text: str, hole_mix: Sequence[float], by_line: bool = False) -> tuple[int, int]:
    """A hole (start, end) in text, in characters, of a kind drawn from hole_mix.

    Places are drawn evenly over the characters or, by_line, over the lines (but for spans of characters).
    """
    kind = int(rng.choice(4, p=hole_mix))
    if kind == 0:
        length = int(np.exp(rng.uniform(0.0, np.log(300))))
        start = int(rng.integers(0, max(1, len(text) - length)))
        return start, min(len(text), start + length)
    at = _line_start(rng, text) if by_line else int(rng.integers(0, len(text)))
    line = text.rfind("\n", 0, at) + 1
    if kind == 3:
        opener = text.find(":\n", at)
        if opener >= 0:
            return opener + 1, block_end(text, opener + 2, n_lines_max=12)
    end = line_end(text, line)
    indent = len(text[line:end]) - len(text[line:end].lstrip())
    start = int(rng.integers(line + indent, max(line + indent, end) + 1))
    for _ in range(int(rng.integers(1, 7)) if kind == 2 else 0):
        end = line_end(text, min(len(text), end + 1))
    return start, end


def _line_start(rng: Generator, text: str) -> int:
    """The offset of a line drawn evenly over all lines."""
    at = 0
    for _ in range(int(rng.integers(0, text.count("\n") + 1))):
        at = text.find("\n", at) + 1
    return min(at, len(text) - 1)


def line_end(text: str, start: int) -> int:
    """Offset of the end of the line that start lies on, before its break."""
    end = text.find("\n", start)
    return len(text) if end < 0 else end


def block_end(text: str, start: int, n_lines_max: int) -> int:
    """Offset of the end of the block whose first line begins at start: before the line break of its last line."""
    first = text[start : line_end(text, start)]
    indent = len(first) - len(first.lstrip())
    end = at = start
    for _ in range(n_lines_max):
        stop = line_end(text, at)
        line = text[at:stop]
        if line.strip():
            if len(line) - len(line.lstrip()) < max(indent, 1):
                break
            end = stop
        if stop >= len(text):
            break
        at = stop + 1
    return max(end, start - 1)
