"""Progress of long measurements: lines in a pipe, a bar on a terminal, always on stderr."""

import sys

from quicksilver.benchmarks.progress import progress
from quicksilver.training.progress import counting


def test_a_pipe_gets_plain_lines_and_no_bar(capsys):
    with progress("keys typed", 3) as advance:
        for _ in range(3):
            advance()
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", "keys typed: 3/3\n")


def test_a_terminal_gets_a_bar(capsys, monkeypatch):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setenv("TERM", "xterm")
    with progress("keys typed", 2) as advance:
        advance()
        advance()
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "keys typed" in captured.err and "2/2" in captured.err


def test_what_training_counts_is_said_with_its_share(capsys):
    with counting("characters read", 2_000) as advance:
        advance(500)
        advance(1_500)
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", " 25.0% characters read: 500 of 2,000\n")
