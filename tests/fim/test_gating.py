"""Gating by size and by language; the other rules are in gating_cases.toml."""

import pytest
from quicksilver.fim.errors import InputError
from quicksilver.fim.gating import MAX_DOCUMENT_CHARS, MAX_LINE_CHARS, reason_for_silence
from quicksilver.fim.text.document import Document
from quicksilver.fim.typing_rhythm import Rhythm


def open_document(text: str, language: str = "python") -> Document:
    return Document("file:///home/ada/cart.py", 1, language, text)


@pytest.mark.parametrize("invoked", [False, True])
def test_long_lines(invoked: bool) -> None:
    document = open_document("x" * MAX_LINE_CHARS + "\r\n" + "x" * (MAX_LINE_CHARS + 1) + "\n")
    assert reason_for_silence(document, document.line_end(0), invoked=invoked) is None
    reason = reason_for_silence(document, document.line_end(1), invoked=invoked)
    assert reason is not None and "line is longer than 10,000" in reason


@pytest.mark.parametrize("invoked", [False, True])
def test_long_documents(invoked: bool) -> None:
    line = "x = 1\n"
    fits = open_document(line * (MAX_DOCUMENT_CHARS // len(line)))
    assert reason_for_silence(fits, len(fits.text), invoked=invoked) is None
    reason = reason_for_silence(open_document(fits.text + line), 0, invoked=invoked)
    assert reason is not None and "document is longer" in reason


def test_known_languages_are_the_callers() -> None:
    document = open_document("x", "lua")
    assert reason_for_silence(document, 1, known_languages={"lua"}) is None
    assert reason_for_silence(document, 1, known_languages={"python"}) is not None
    assert reason_for_silence(document, 1) is None


def test_a_reason_does_not_quote_the_text() -> None:
    document = open_document("hush\0hush")
    reason = reason_for_silence(document, 0)
    assert reason is not None and "hush" not in reason


def test_a_cursor_outside_is_refused() -> None:
    with pytest.raises(InputError, match="outside"):
        reason_for_silence(open_document("ab"), 3)


def test_without_a_tree_or_a_rhythm_their_rules_are_silent() -> None:
    assert reason_for_silence(open_document("# the "), 6) is None
    assert reason_for_silence(open_document("x = "), 4, rhythm=Rhythm(n_deletions=1)) is None
    assert reason_for_silence(open_document("x = "), 4, rhythm=Rhythm(n_deletions=2)) is not None
