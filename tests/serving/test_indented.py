"""Answers end before a line that is indented too little, whole or in pieces."""

import asyncio
from contextlib import aclosing
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from quicksilver.fim.types import Completion, FinishReason
from quicksilver.serving.api.call import ApiAnswer, TextPiece
from quicksilver.serving.api.llamacpp.indented import cut_answer, cut_at_indent, cut_pieces


def answer(text: str, finish_reason: FinishReason = "stop", stopped_by=None) -> ApiAnswer:
    completion = Completion(
        text=text, range=(0, 0), confidence=0.5, finish_reason=finish_reason, steps=1, n_tokens=1, model="m"
    )
    reason = "stop" if finish_reason == "stop" or stopped_by else "length"
    return ApiAnswer(index=0, text=text, end_reason=reason, stopped_by=stopped_by, completion=completion)


@pytest.mark.parametrize(
    ("text", "n_indent", "kept"),
    [
        ("a\n    b\nc", 4, "a\n    b"),
        ("a\n    b\n  c\n    d", 4, "a\n    b"),
        ("a\n\tb\nc", 1, "a\n\tb"),
        ("a\n    b\n\n    c", 4, "a\n    b\n\n    c"),  # a blank line within
        ("a\n    b\n\n\nc", 4, "a\n    b"),
        ("a\n    b\n", 4, "a\n    b\n"),
        ("a  \nb", 4, "a"),
        ("\nb", 4, ""),
        ("a\nb", 0, "a\nb"),
        ("", 4, ""),
    ],
)
def test_a_text_ends_before_a_line_that_is_indented_too_little(text, n_indent, kept):
    assert cut_at_indent(text, n_indent) == kept


def test_a_cut_answer_says_that_it_met_a_limit():
    cut = cut_answer(answer("a\nb", stopped_by=";"), 4)
    assert (cut.text, cut.end_reason, cut.stopped_by) == ("a", "length", None)
    whole = answer("a\n    b")
    assert cut_answer(whole, 4) is whole


def test_an_answer_whose_time_is_over_ends_with_its_last_whole_line():
    assert cut_answer(answer("a\nb(", "budget"), 0).text == "a"
    assert cut_answer(answer("a\n\nb", "budget"), 0).text == "a\n"
    for text in ("a(", "\nb(", ""):  # nothing whole to keep
        assert cut_answer(answer(text, "budget"), 0).text == text
    assert cut_answer(answer("a\nb(", "length"), 0).text == "a\nb("  # the limit that was asked for
    assert cut_answer(answer("a\nb", "budget", stopped_by="("), 0).text == "a\nb"


class Parts:
    """Pieces of one answer, and whether they were closed."""

    def __init__(self, *parts: str) -> None:
        self.parts, self.is_closed = parts, False

    async def pieces(self):
        try:
            for part in self.parts:
                if part:
                    yield TextPiece(index=0, text=part)
            yield answer("".join(self.parts))
        finally:
            self.is_closed = True


@given(st.lists(st.text("a \n", max_size=4), max_size=8), st.integers(0, 3))
def test_pieces_join_to_the_cut_text(parts, n_indent):
    async def read() -> list[Any]:
        return [piece async for piece in cut_pieces(Parts(*parts).pieces(), n_indent)]

    *texts, last = asyncio.run(read())
    expected = cut_at_indent("".join(parts), n_indent)
    assert "".join(piece.text for piece in texts) == last.text == expected
    assert (last.end_reason == "length") == (expected != "".join(parts))


async def test_closing_the_cut_pieces_closes_what_they_are_made_of():
    parts = Parts("a", "b")
    async with aclosing(cut_pieces(parts.pieces(), 2)) as found:
        await anext(found)
    assert parts.is_closed
