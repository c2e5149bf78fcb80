"""Columns in code points and in units: round trips, rounding, odd characters."""

from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from quicksilver.fim.text.positions import PositionEncoding, column_of, units_of

ENCODINGS: tuple[PositionEncoding, ...] = get_args(PositionEncoding)
ODD = "aé中😀\U00010000\U0010ffff\u200d\u0301\ufeff\t\x0c\u2028\ud83d\ude00\udfff\ud800\x7f\x80\u07ff\u0800\uffff"
lines = st.text(st.one_of(st.sampled_from(ODD), st.characters(exclude_characters="\r\n")), max_size=30)
encodings = st.sampled_from(ENCODINGS)


def width(character: str, encoding: PositionEncoding) -> int:
    """Units of one character, from the definition of the encoding."""
    code = ord(character)
    if encoding == "utf-32":
        return 1
    if encoding == "utf-16":
        return 2 if code >= 0x10000 else 1
    return 1 + (code >= 0x80) + (code >= 0x800) + (code >= 0x10000)


@given(lines, encodings)
def test_units_are_the_sum_of_the_characters(line: str, encoding: PositionEncoding) -> None:
    assert units_of(line, encoding) == sum(width(character, encoding) for character in line)


@given(lines, encodings)
def test_every_unit_leads_to_the_character_that_holds_it(line: str, encoding: PositionEncoding) -> None:
    at = 0
    for column, character in enumerate(line):
        for _ in range(width(character, encoding)):
            assert column_of(line, at, encoding) == column
            at += 1
    assert column_of(line, at, encoding) == len(line)
    assert column_of(line, at + 7, encoding) == len(line)


@pytest.mark.parametrize(
    ("line", "units", "encoding", "column"),
    [
        ("a😀b", 2, "utf-16", 1),  # inside the surrogate pair
        ("a😀b", 3, "utf-16", 2),
        ("a😀b", 4, "utf-8", 1),  # inside the byte sequence
        ("a😀b", 5, "utf-8", 2),
        ("a😀b", 2, "utf-32", 2),
        ("👩\u200d👩", 5, "utf-16", 3),
        ("\ud83d\ude00", 1, "utf-16", 1),  # two characters that stand alone, not a pair
        ("", 3, "utf-16", 0),
    ],
)
def test_column_of(line: str, units: int, encoding: PositionEncoding, column: int) -> None:
    assert column_of(line, units, encoding) == column
