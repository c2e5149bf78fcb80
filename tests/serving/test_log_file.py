"""The engine's log on a disk that takes nothing more."""

import logging
from pathlib import Path

import pytest
from quicksilver.fim.terminal.logs import LogFile

FULL = Path("/dev/full")  # every write to it fails as on a full disk


def record(message: str, *arguments: object) -> logging.LogRecord:
    return logging.LogRecord("engine", logging.INFO, __file__, 1, message, arguments, None)


@pytest.mark.skipif(not FULL.exists(), reason="there is no /dev/full here")
def test_a_full_disk_is_reported_once_in_one_line(capsys):
    file = LogFile(FULL, prefix="quicksilver serve: ")
    for _ in range(3):
        file.handle(record("request of %d characters", 7))
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("quicksilver serve: the log /dev/full cannot be written: ") and "Traceback" not in line


def test_a_log_is_written_and_begun_anew_when_it_is_long(tmp_path, capsys):
    path = tmp_path / "engine.log"
    file = LogFile(path, prefix="")
    for i in range(3):
        file.handle(record("%s %d", "x" * 600_000, i))
    file.close()
    assert path.read_text(encoding="utf-8")[-3:] == " 2\n" and path.with_name("engine.log.1").exists()
    assert capsys.readouterr().err == ""
