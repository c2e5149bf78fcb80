"""What holds for every answer and every hole; the single rules are in trim_cases.toml."""

import re
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from quicksilver.fim.hole import cut_hole, find_hole
from quicksilver.fim.syntax.tree import parse
from quicksilver.fim.text.document import Document
from quicksilver.fim.trimming.context import TrimContext
from quicksilver.fim.trimming.repetition import drop_repeated_rest
from quicksilver.fim.trimming.trim import drop_trailing_blank, trim
from quicksilver.fim.types import Hole

PIECES = [
    "def f(a):", "return a", "x = ", "x", "ab", "a + b", " ", "  ", "    ", "\t", "[", "]", "(", ")", "{", "}", '"""',
    "'''", "'", '"', "#", ":", ",", "\\", "\n", "\n    ", "\r\n", "\r", "é", "😀", "\x00", "\u202e", "\u2028", "\ud83d",
]  # fmt: skip
texts = st.lists(st.sampled_from(PIECES), max_size=16).map("".join)
eols = st.sampled_from(["\n", "\r\n", "\r"])


@st.composite
def holes(draw: st.DrawFn) -> Hole:
    prefix, suffix = draw(texts), draw(texts)
    document = Document("file:///home/ada/cart.py", 1, "python", prefix + suffix)
    if draw(st.booleans()):
        return find_hole(document, len(prefix))
    return cut_hole(document, len(prefix), len(prefix), draw(st.booleans()))


def around(left: str, right: str) -> TrimContext:
    document = Document("file:///home/ada/cart.py", 1, "python", left + right)
    return TrimContext(cut_hole(document, len(left), len(left), multiline=False))


@settings(max_examples=500)
@given(holes(), texts, eols)
def test_trimming_twice_changes_nothing_more(hole: Hole, text: str, eol: str) -> None:
    once = trim(hole, text, eol)
    assert trim(hole, once, eol) == once


@settings(max_examples=300)
@given(holes(), texts, eols)
def test_a_single_line_hole_never_gets_a_line_break(hole: Hole, text: str, eol: str) -> None:
    if not hole.multiline:
        assert not set(trim(hole, text, eol)) & {"\r", "\n"}


@settings(max_examples=300)
@given(holes(), texts, eols)
def test_line_breaks_are_the_documents(hole: Hole, text: str, eol: str) -> None:
    found = set(re.findall(r"\r\n|\r|\n", trim(hole, text, eol)))
    assert found <= {eol}


@settings(max_examples=300)
@given(holes(), texts)
def test_an_answer_is_what_the_engine_wrote_with_its_end_taken_off(hole: Hole, text: str) -> None:
    trimmed = trim(hole, text, off=("indent-style",))  # which alone changes more
    cleaned = text.replace("\r\n", "\n").replace("\r", "\n")
    for character in set(cleaned) - set(trimmed):
        if character in "\x00\u202e\u2028\ud83d":
            cleaned = cleaned.replace(character, "")
    cleaned = cleaned.replace("\r\n", "\n").replace("\r", "\n")
    assert cleaned.startswith(trimmed)


@settings(max_examples=300)
@given(holes(), texts)
def test_an_answer_is_nothing_or_more_than_white_space(hole: Hole, text: str) -> None:
    trimmed = trim(hole, text)
    assert trimmed == "" or trimmed.strip()


@settings(max_examples=300)
@given(holes(), texts)
def test_no_character_appears_that_neither_side_has_seen(hole: Hole, text: str) -> None:
    assert not {"\x00", "\u202e", "\u2028", "\ud83d"} & (set(trim(hole, text)) - set(hole.prefix + hole.suffix))


@given(texts, texts, texts)
def test_only_a_tail_that_the_rest_begins_with_is_dropped(left: str, text: str, right: str) -> None:
    kept = drop_repeated_rest(around(left, right), text)
    assert text.startswith(kept)
    assert right.startswith(text[len(kept) :])


@given(texts, texts)
def test_dropping_blanks_drops_nothing_else(text: str, right: str) -> None:
    kept = drop_trailing_blank(around("", right), text)
    assert text.startswith(kept) and not text[len(kept) :].strip()


def test_a_long_answer_with_long_surroundings_is_quick_enough_to_finish() -> None:
    document = Document("file:///home/ada/cart.py", 1, "python", "f" + "(" * 4_000 + ")" * 4_000)
    hole = find_hole(document, 4_001)
    assert trim(hole, "x" + ")" * 200) == "x"


@pytest.mark.slow
def test_five_million_characters_on_one_line_are_quick_enough_to_finish() -> None:
    text = "x = [" + "'é', " * 1_000_000 + "\n"
    document = Document("file:///home/ada/cart.py", 1, "python", text)
    for offset in (5, len(text) - 1):
        hole = find_hole(document, offset)
        assert trim(hole, "'value', 'other'", "\n", parse(text, "python")).startswith("'value'")


def test_a_line_of_comment_signs_in_a_literal_is_read_at_once() -> None:
    for sign in ("#", "/"):
        prefix = "x = {\n    'a': 1,\n    " + 40 * sign + "\n    "
        hole = Hole(prefix=prefix, suffix="\n}\n", language="python", replaced=(0, 0), multiline=False)
        started_s = time.perf_counter()
        assert trim(hole, "'b': f(c=1),") == "'b': f(c=1),"
        assert time.perf_counter() - started_s < 5  # 26 signs took 44 s, and each further one twice as long
