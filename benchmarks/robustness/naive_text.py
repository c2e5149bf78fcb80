"""A document in the simplest possible form, as an oracle for the real one: edits walk the whole text.

Owns a second, independent version of LSP's rules for lines and positions, and random edits that reach all of their
corner cases.
"""

import random
from typing import Any

from ...fim.text.positions import PositionEncoding

MAX_CHARS = 1_500
PIECES = (
    *"abc (:\n", "\r\n", "\r", "\t", "x = 1\n", "\u00e9", "\u2028", "\x0c", "\x0b", "\x85", "\u0301", "\U0001f642",
    "\U0001d4b3", "\u200d", "\u4e16", "    ", "\n\n", "\r\r\n", "\ufeff", "def g():\n",
)  # fmt: skip


class NaiveText:
    """A text; positions are (line, character) in the units of an encoding."""

    def __init__(self, text: str) -> None:
        self.text = text

    def lines(self) -> list[tuple[int, str]]:
        """Where each line starts, and its text without its ending."""
        found, start, i = [], 0, 0
        while i < len(self.text):
            if self.text[i] in "\r\n":
                found.append((start, self.text[start:i]))
                i += 2 if self.text[i : i + 2] == "\r\n" else 1
                start = i
            else:
                i += 1
        return [*found, (start, self.text[start:])]

    def offset(self, position: tuple[int, int], encoding: PositionEncoding) -> int:
        """The offset of a position; what lies behind an end is that end, inside of a character its start."""
        lines = self.lines()
        if position[0] >= len(lines):
            return len(self.text)
        start, line = lines[position[0]]
        units = 0
        for i, character in enumerate(line):
            units += width(character, encoding)
            if units > position[1]:
                return start + i
        return start + len(line)

    def random_position(self, rng: random.Random, encoding: PositionEncoding) -> tuple[int, int]:
        """A position in the text, now and then behind an end or inside of a character."""
        lines = self.lines()
        line = rng.randrange(len(lines) + 1) if rng.random() < 0.05 else rng.randrange(len(lines))
        units = sum(width(character, encoding) for character in (lines[line][1] if line < len(lines) else ""))
        return line, rng.randrange(units + (3 if rng.random() < 0.1 else 1))


def width(character: str, encoding: PositionEncoding) -> int:
    """The units of one character."""
    if encoding == "utf-8":
        return len(character.encode("utf-8", "surrogatepass"))
    return 2 if encoding == "utf-16" and ord(character) > 0xFFFF else 1


def random_edit(rng: random.Random, text: NaiveText, encoding: PositionEncoding) -> dict[str, Any]:
    """One content change, made to text too. A text that has grown long gets shorter."""
    new = "".join(rng.choice(PIECES) for _ in range(rng.choice((0, 1, 1, 1, 2, 5))))
    if rng.random() < 0.01:
        text.text = new
        return {"text": new}
    one, two = text.random_position(rng, encoding), text.random_position(rng, encoding)
    if rng.random() < 0.7 and len(text.text) < MAX_CHARS:
        two = one if rng.random() < 0.6 else (one[0], one[1] + rng.randrange(4))
    one, two = min(one, two), max(one, two)
    start, end = text.offset(one, encoding), text.offset(two, encoding)
    text.text = text.text[:start] + new + text.text[end:]
    where = [{"line": line, "character": character} for line, character in (one, two)]
    return {"range": {"start": where[0], "end": where[1]}, "text": new}
