"""Columns of one line of text, in code points and in the units of an LSP position encoding.

Lone surrogates in the text count as one UTF-16 unit and as three UTF-8 bytes, and never raise.
"""

import re
from typing import Literal, NamedTuple

PositionEncoding = Literal["utf-8", "utf-16", "utf-32"]

_ASTRAL = re.compile("[\U00010000-\U0010ffff]")


class Position(NamedTuple):
    """A place in a document: zero-based line, zero-based character in the units of a position encoding."""

    line: int
    character: int


def units_of(text: str, encoding: PositionEncoding) -> int:
    """The length of text in units: UTF-8 bytes, UTF-16 code units or (utf-32) code points."""
    if encoding == "utf-32" or text.isascii():
        return len(text)
    if encoding == "utf-8":
        return len(text.encode("utf-8", "surrogatepass"))
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def column_of(line: str, units: int, encoding: PositionEncoding) -> int:
    """The code-point column that lies units into line, at most len(line).

    units must not be negative. A place inside a character (its UTF-8 bytes, its surrogate pair) goes to its start.
    """
    head = line[:units]  # a character takes at least one unit, so the column is within head
    if encoding == "utf-32" or head.isascii():
        return len(head)
    if encoding == "utf-8":
        return _column_of_bytes(head, units)
    column = units
    for n_before, match in enumerate(_ASTRAL.finditer(head)):
        if match.start() + n_before >= units:
            break
        column -= 1  # the character takes two units, or holds the place between its two
    return min(column, len(head))


def _column_of_bytes(head: str, n_bytes: int) -> int:
    data = head.encode("utf-8", "surrogatepass")
    if n_bytes >= len(data):
        return len(head)
    while data[n_bytes] & 0xC0 == 0x80:  # a continuation byte: step back to the lead byte
        n_bytes -= 1
    return len(data[:n_bytes].decode("utf-8", "surrogatepass"))
