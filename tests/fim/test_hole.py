"""Cutting documents: nothing is lost, and an answer touches nothing but its range."""

from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from quicksilver.fim.errors import InputError
from quicksilver.fim.hole import N_LINES_LONG, cut_hole, find_hole
from quicksilver.fim.syntax.tree import parse
from quicksilver.fim.text.document import Document, TextChange
from quicksilver.fim.text.positions import PositionEncoding
from quicksilver.fim.types import Hole

ENCODINGS: tuple[PositionEncoding, ...] = get_args(PositionEncoding)
PIECES = [
    "def f(a):",
    "x = ",
    "[",
    "(",
    ")",
    '"""',
    "'",
    '"',
    "# c:",
    "\n",
    "\r\n",
    "\r",
    "    ",
    "\t",
    "if",
    "é",
    "😀",
    "\ud83d",
]
texts = st.lists(st.sampled_from(PIECES), max_size=30).map("".join)


def open_document(text: str) -> Document:
    return Document("file:///home/ada/cart.py", 1, "python", text)


def fill(document: Document, hole: Hole, text: str, encoding: PositionEncoding) -> str:
    """The document after an editor has put text in place of the hole's range."""
    start, end = (document.position_at(offset, encoding) for offset in hole.replaced)
    return document.with_changes([TextChange(start, end, text)], 2, encoding).text


@given(texts, st.data())
def test_prefix_and_suffix_are_the_document(text: str, data: st.DataObject) -> None:
    document = open_document(text)
    offset = data.draw(st.integers(0, len(text)))
    hole = find_hole(document, offset)
    inside_line_ending = text[offset - 1 : offset + 1] == "\r\n" if offset else False
    assert hole.prefix + hole.suffix == text
    assert hole.replaced == (offset - inside_line_ending,) * 2
    assert len(hole.prefix) == hole.replaced[0]


@given(texts, st.data(), st.text(max_size=8), st.sampled_from(ENCODINGS))
def test_an_answer_leaves_all_other_text_alone(
    text: str, data: st.DataObject, answer: str, encoding: PositionEncoding
) -> None:
    document = open_document(text)
    hole = find_hole(document, data.draw(st.integers(0, len(text))))
    assert fill(document, hole, answer, encoding) == hole.prefix + answer + hole.suffix


@given(texts, st.data())
def test_what_was_cut_out_fits_back_in(text: str, data: st.DataObject) -> None:
    document = open_document(text)
    start, end = sorted(data.draw(st.tuples(st.integers(0, len(text)), st.integers(0, len(text)))))
    hole = cut_hole(document, start, end, multiline=True)
    assert (hole.replaced, hole.multiline, hole.language) == ((start, end), True, "python")
    assert hole.prefix + text[start:end] + hole.suffix == text


@given(texts, st.data())
def test_a_block_hole_has_nothing_right_of_it(text: str, data: st.DataObject) -> None:
    document = open_document(text)
    hole = find_hole(document, data.draw(st.integers(0, len(text))))
    if hole.multiline:
        assert not hole.suffix.replace("\r", "\n").split("\n")[0].strip()


@pytest.mark.parametrize("offset", [-1, 3])
def test_a_cursor_outside_is_refused(offset: int) -> None:
    with pytest.raises(InputError, match="outside"):
        find_hole(open_document("ab"), offset)


@pytest.mark.parametrize(("start", "end"), [(-1, 1), (1, 0), (0, 3)])
def test_a_range_outside_is_refused(start: int, end: int) -> None:
    with pytest.raises(InputError, match="outside"):
        cut_hole(open_document("ab"), start, end, multiline=False)


def test_an_opener_far_above_is_still_found_in_a_long_document() -> None:
    text = "x = 1\n" * 7_000 + "def f():\n    "
    assert find_hole(open_document(text), len(text)).multiline


@pytest.mark.parametrize("with_tree", [False, True])
def test_long_documents_have_no_block_holes(with_tree: bool) -> None:
    def is_block(n_lines: int, off: tuple[str, ...] = ()) -> bool:
        text = "x = 1\n" * (n_lines - 2) + "def f():\n    "
        return find_hole(open_document(text), len(text), parse(text, "python") if with_tree else None, off).multiline

    assert is_block(N_LINES_LONG - 1)
    assert not is_block(N_LINES_LONG)
    assert is_block(N_LINES_LONG, off=("short-document",))
