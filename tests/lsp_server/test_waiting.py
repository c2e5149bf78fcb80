"""What a person who waits is told on stderr."""

import sys
import time

from quicksilver.fim.terminal.spinner import waiting


def test_a_pipe_gets_a_line_now_and_then_with_the_latest_news(capsys):
    with waiting("starting", line_s=0.02) as tell:
        until_s = time.monotonic() + 10
        while "starting" not in (printed := capsys.readouterr().err) and time.monotonic() < until_s:
            time.sleep(0.01)
        tell("loading\x1b[31m")
        assert printed.startswith("quicksilver: starting …\n")
        while "loading" not in (printed := capsys.readouterr().err) and time.monotonic() < until_s:
            time.sleep(0.01)
    assert r"quicksilver: loading\x1b[31m …" in printed
    capsys.readouterr()
    time.sleep(0.05)
    assert capsys.readouterr().err == ""


def test_a_short_wait_says_nothing_in_a_pipe(capsys):
    with waiting("starting") as tell:
        tell("loading")
    assert capsys.readouterr().err == ""


def test_a_terminal_gets_a_spinner(capsys, monkeypatch):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setenv("TERM", "xterm")
    with waiting("starting") as tell:
        tell("loading")
    assert "loading …" in capsys.readouterr().err
