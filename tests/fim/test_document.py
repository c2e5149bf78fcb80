"""Lines, positions and incremental edits, against oracles that walk the whole text."""

import dataclasses
import random
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from quicksilver.fim.errors import InputError
from quicksilver.fim.text.document import Document, TextChange
from quicksilver.fim.text.positions import Position, PositionEncoding

ENCODINGS: tuple[PositionEncoding, ...] = get_args(PositionEncoding)
PIECES = [
    "\r", "\n", "\r\n", "\r\r", "\n\r", "\t", "ab", "xyz", "é", "中", "😀", "👩\u200d👩", "e\u0301", "\ufeff", "\x0c",
    "\x0b", "\x85", "\u2028", "\ud83d", "\ude00",
]  # fmt: skip
texts = st.lists(st.sampled_from(PIECES), max_size=25).map("".join)
encodings = st.sampled_from(ENCODINGS)


def open_document(text: str) -> Document:
    return Document("file:///home/ada/cart.py", 1, "python", text)


def split_lines(text: str) -> list[str]:
    return text.replace("\r\n", "\n").replace("\r", "\n").split("\n")


def width(character: str, encoding: PositionEncoding) -> int:
    return {"utf-8": len(character.encode("utf-8", "surrogatepass")), "utf-16": 1 + (ord(character) > 0xFFFF)}.get(
        encoding, 1
    )


def walk(text: str, encoding: PositionEncoding) -> list[tuple[int, Position]]:
    """The position of every offset that is not inside a line ending's \\r\\n, found by walking the text."""
    found, line, units = [(0, Position(0, 0))], 0, 0
    for i, character in enumerate(text):
        if character == "\n" or (character == "\r" and text[i + 1 : i + 2] != "\n"):
            line, units = line + 1, 0
        elif character == "\r":
            continue
        else:
            units += width(character, encoding)
        found.append((i + 1, Position(line, units)))
    return found


@given(texts)
def test_lines_end_in_lsp_line_endings_only(text: str) -> None:
    document = open_document(text)
    expected = split_lines(text)
    assert document.line_count == len(expected)
    assert [document.line(i) for i in range(document.line_count)] == expected
    for i in range(document.line_count):
        assert document.line_of(document.line_start(i)) == i
        assert text[document.line_start(i) : document.line_end(i)] == expected[i]


@given(texts, encodings)
def test_positions_round_trip(text: str, encoding: PositionEncoding) -> None:
    document = open_document(text)
    for offset, position in walk(text, encoding):
        assert document.position_at(offset, encoding) == position
        assert document.offset_at(position, encoding) == offset


@given(texts, encodings)
def test_positions_outside_are_clamped(text: str, encoding: PositionEncoding) -> None:
    document = open_document(text)
    for i in range(document.line_count):
        assert document.offset_at(Position(i, 10_000), encoding) == document.line_end(i)
    assert document.offset_at(Position(document.line_count, 0), encoding) == len(text)
    assert document.offset_at(Position(10_000, 10_000), encoding) == len(text)


def test_between_carriage_return_and_line_feed_is_the_line_end() -> None:
    document = open_document("ab\r\ncd")
    assert document.position_at(3, "utf-16") == Position(0, 2)
    assert document.position_at(4, "utf-16") == Position(1, 0)


@pytest.mark.parametrize("position", [Position(-1, 0), Position(0, -1), Position(99, -1)])
def test_negative_positions_are_refused(position: Position) -> None:
    with pytest.raises(InputError, match="negative"):
        open_document("ab\n").offset_at(position, "utf-16")


@pytest.mark.parametrize("offset", [-1, 4])
def test_offsets_outside_are_refused(offset: int) -> None:
    with pytest.raises(InputError, match="outside"):
        open_document("ab\n").position_at(offset, "utf-16")


@pytest.mark.parametrize("line", [-1, 2])
def test_lines_outside_are_refused(line: int) -> None:
    with pytest.raises(InputError, match="outside"):
        open_document("ab\n").line(line)


@pytest.mark.parametrize(
    ("text", "eol"),
    [
        ("", "\n"),
        ("a\nb\r\nc\r\n", "\r\n"),
        ("a\nb\nc\r\n", "\n"),
        ("a\rb\r", "\r"),
        ("a\nb\r\n", "\n"),
        ("a\r\n", "\r\n"),
    ],
)
def test_eol(text: str, eol: str) -> None:
    assert open_document(text).eol == eol


def random_change(rng: random.Random, document: Document, encoding: PositionEncoding) -> tuple[TextChange, str]:
    """A change, and the text it leads to, worked out on the plain string."""
    text = document.text
    places = walk(text, encoding)
    at = rng.randrange(len(places))
    start, first = places[at]
    end, last = places[min(at + rng.choice((0, 0, 0, 1, 2, 9)), len(places) - 1)]
    inserted = "".join(rng.choices(PIECES, k=rng.choice((0, 1, 1, 2, 5))))
    if rng.random() < 0.005:
        return TextChange(None, None, inserted), inserted
    return TextChange(first, last, inserted), text[:start] + inserted + text[end:]


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_thousands_of_random_edits(encoding: PositionEncoding) -> None:
    rng = random.Random(7)
    document, n_lines = open_document(""), 0
    for version in range(2, 3_002):
        change, expected = random_change(rng, document, encoding)
        if len(expected) > 200:
            change, expected = TextChange(None, None, ""), ""
        document = document.with_changes([change], version, encoding)
        fresh = open_document(expected)
        assert document.text == expected
        starts = [document.line_start(i) for i in range(document.line_count)]
        assert starts == [fresh.line_start(i) for i in range(fresh.line_count)]
        n_lines += len(starts)
    assert document.version == 3_001
    assert n_lines > 30_000  # ten lines and more on average: the documents were not trivial


@given(texts, st.integers(0, 2**32), encodings)
def test_changes_of_one_notification_follow_each_other(text: str, seed: int, encoding: PositionEncoding) -> None:
    rng = random.Random(seed)
    first = open_document(text)
    step, changes = first, []
    for _ in range(4):
        change, expected = random_change(rng, step, encoding)
        step = open_document(expected)
        changes.append(change)
    last = first.with_changes(changes, 9, encoding)
    assert last == dataclasses.replace(step, version=9)
    assert [last.line(i) for i in range(last.line_count)] == split_lines(step.text)
    assert (first.text, first.version, first.line_count) == (text, 1, len(split_lines(text)))


def test_no_changes_still_make_a_new_version() -> None:
    document = open_document("a\nb").with_changes([], 5, "utf-8")
    assert (document.version, document.text, document.line_count) == (5, "a\nb", 2)


@pytest.mark.parametrize(
    "change",
    [
        TextChange(Position(1, 0), Position(0, 0), "x"),
        TextChange(Position(0, 2), Position(0, 1), "x"),
        TextChange(Position(0, 0), None, "x"),
        TextChange(None, Position(0, 0), "x"),
        TextChange(Position(0, -1), Position(0, 0), "x"),
    ],
)
def test_unusable_changes_are_refused(change: TextChange) -> None:
    with pytest.raises(InputError):
        open_document("ab\ncd").with_changes([change], 2, "utf-16")


def test_the_text_does_not_show_in_repr() -> None:
    assert "secret" not in repr(open_document("secret = 1"))
