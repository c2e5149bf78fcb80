import pytest
from hypothesis import given
from hypothesis import strategies as st
from quicksilver.fim.printable import printable


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("x = 'é 漢 😀'", "x = 'é 漢 😀'"),
        ("\x1b]0;owned\x07", r"\x1b]0;owned\x07"),
        ("a\u202eb\u200bc", r"a\u202eb\u200bc"),
        ("a\x9bb\x7f", r"a\x9bb\x7f"),
        ("one\ntwo\r\tthree\u2028", r"one\ntwo\r\tthree\u2028"),
        ("\ud800\U000e0041", r"\ud800\U000e0041"),
        ("a\\x1b", "a\\x1b"),
        ("no-break\u00a0space", "no-break\u00a0space"),
    ],
)
def test_what_is_escaped(text, shown):
    assert printable(text) == shown


def test_newlines_may_stay():
    assert printable("a\n\tb\r\x1b", keep_newlines=True) == "a\n\tb\\r\\x1b"


@given(st.text())
def test_nothing_unsafe_is_left_and_a_second_time_changes_nothing(text):
    once = printable(text)
    assert not any(ord(c) < 32 or 0x7F <= ord(c) < 0xA0 for c in once)
    assert printable(once) == once
