"""What holds for every document, cursor and answer, with and without a tree, in every language with a grammar."""

from hypothesis import assume, given, settings
from hypothesis import strategies as st
from quicksilver.fim.cursor_class import class_at
from quicksilver.fim.gating import reason_for_silence
from quicksilver.fim.hole import find_hole
from quicksilver.fim.insertion import portable
from quicksilver.fim.syntax.grammars import GRAMMARS
from quicksilver.fim.syntax.tree import Syntax, parse
from quicksilver.fim.text.document import Document, TextChange
from quicksilver.fim.text.line_scan import CLOSERS
from quicksilver.fim.trimming.context import TrimContext, count_brackets
from quicksilver.fim.trimming.trim import trim
from quicksilver.fim.types import Hole
from quicksilver.fim.typing_rhythm import Rhythm

PLAIN = [
    "def f(a):", "class A {", "if x:", "else:", "then", "case 1:", "return a", "x = ", "value", "vals", "a.", "->", "(",
    ")", "[", "]", "{", "}", ",", ";", ":", "\n", "\n    ", "\n        ", " ", "  ", "\t", "1",
]  # fmt: skip
ODD = [
    '"""', "'''", '"', "'", "`", "${", "f'{", "#", "//", "/*", "*/", "<<E", "\\", "<?php ", "</a>", "\r", "\r\n",
    "\x0c", "é", "e\u0301", "中", "😀", "👩\u200d👩", "\ud83d", "\ude00", "\u2028", "\u202e", "\x00", "\ufeff",
]  # fmt: skip
plain_texts = st.lists(st.sampled_from(PLAIN), max_size=14).map("".join)
texts = st.lists(st.sampled_from(PLAIN + ODD), max_size=14).map("".join)
answers_with_closers = st.tuples(plain_texts, st.sampled_from(sorted(CLOSERS)), plain_texts).map("".join)
languages = st.sampled_from([*GRAMMARS, "cobol"])
rhythms = st.builds(Rhythm, n_deletions=st.integers(0, 3))


def document_of(text: str, language: str = "python") -> Document:
    return Document("file:///home/ada/cart.py", 1, language, text)


def cut(left: str, right: str, language: str = "python") -> tuple[Hole, Syntax | None]:
    syntax = parse(left + right, language)
    return find_hole(document_of(left + right, language), len(left), syntax), syntax


@settings(max_examples=400, deadline=None)
@given(texts, texts, texts, languages, rhythms, st.booleans())
def test_nothing_raises(left: str, right: str, text: str, language: str, rhythm: Rhythm, invoked: bool) -> None:
    document = document_of(left + right, language)
    hole, syntax = cut(left, right, language)
    reason = reason_for_silence(document, len(left), invoked=invoked, syntax=syntax, rhythm=rhythm)
    assert reason is None or "\n" not in reason
    portable(hole, trim(hole, text, document.eol, syntax))
    if syntax is not None:
        class_at(syntax, len(left))
    else:
        assert language == "cobol"


@settings(max_examples=300, deadline=None)
@given(texts, texts, texts, languages)
def test_an_answer_changes_nothing_outside_its_range(left: str, right: str, text: str, language: str) -> None:
    document = document_of(left + right, language)
    hole, syntax = cut(left, right, language)
    kept = trim(hole, text, document.eol, syntax)
    sent, (start, end) = portable(hole, kept)
    assert document.line_of(start) == document.line_of(end) and document.line_end(document.line_of(start)) >= end
    assert sent.endswith(document.text[start:end])
    first, last = (document.position_at(offset, "utf-16") for offset in (start, end))
    after = document.with_changes([TextChange(first, last, sent)], 2, "utf-16")
    assert after.text == hole.prefix + kept + hole.suffix


@settings(max_examples=300, deadline=None)
@given(texts, texts, texts, languages)
def test_trimming_twice_changes_nothing_more(left: str, right: str, text: str, language: str) -> None:
    hole, syntax = cut(left, right, language)
    once = trim(hole, text, "\n", syntax)
    assert trim(hole, once, "\n", syntax) == once


@settings(max_examples=400, deadline=None)
@given(plain_texts, st.sampled_from([")", " ]", "}", ", b)", "])"]), plain_texts, answers_with_closers)
def test_a_line_with_closing_brackets_is_balanced_no_worse(left: str, closing: str, below: str, text: str) -> None:
    hole, syntax = cut(left, closing + below)

    def n_unmatched(kept: str) -> int:
        found = count_brackets((left + kept + TrimContext(hole).right).split("\n"), "", hole.language)
        return len(found.openers) + found.n_surplus + found.n_skipped

    assert n_unmatched(trim(hole, text, "\n", syntax)) <= n_unmatched("")


@settings(max_examples=300, deadline=None)
@given(texts, texts, texts, texts, languages)
def test_a_tree_that_is_kept_up_to_date_is_that_of_the_text(
    left: str, old: str, new: str, right: str, language: str
) -> None:
    before = parse(left + old + right, language)
    assume(before is not None)
    shape = str(before.tree.root_node) if before else ""
    after, fresh = parse(left + new + right, language, before), parse(left + new + right, language)
    assert after is not None and fresh is not None and before is not None
    assert after.data == fresh.data
    assert str(before.tree.root_node) == shape
    if fresh.n_errors == 0:
        assert str(after.tree.root_node) == str(fresh.tree.root_node)


@given(texts, languages, st.data())
def test_places_in_bytes_and_back(text: str, language: str, data: st.DataObject) -> None:
    syntax = parse(text, language)
    if syntax is not None:
        offset = data.draw(st.integers(0, len(text)))
        byte = syntax.byte_at(offset)
        assert byte == len(text[:offset].encode("utf-8", "surrogatepass"))
        assert syntax.offset_at(byte) == offset
