import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st
from quicksilver.fim.text.printable import PrintableFormatter, one_line, printable


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


def test_one_line_has_no_line_breaks_and_no_controls():
    assert one_line(" a\n\n b\x1b[31m\r\nc ") == r"a b\x1b[31m c"


def test_a_log_record_cannot_act_on_a_terminal_or_forge_another():
    formatter = PrintableFormatter("%(levelname)s %(name)s: %(message)s")
    record = logging.LogRecord("q", logging.INFO, "f", 1, "opened %s", ("file:///x\nERROR q: forged\x1b[2J",), None)
    assert formatter.format(record) == "INFO q: opened file:///x\n  ERROR q: forged" + r"\x1b[2J"


def test_a_traceback_in_a_log_is_escaped():
    try:
        raise ValueError("\x1b]0;owned\x07\nERROR q: forged")
    except ValueError as error:
        record = logging.LogRecord("q", logging.ERROR, "f", 1, "broken", (), (type(error), error, error.__traceback__))
    text = PrintableFormatter("%(levelname)s %(message)s").format(record)
    assert "\x1b" not in text
    assert [line for line in text.splitlines() if line.startswith("ERROR")] == ["ERROR broken"]
