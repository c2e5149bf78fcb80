"""examples/headless.py as a script runs it: against the real server, with a scripted engine."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "headless.py"
SCRIPT = Path(__file__).with_name("scripted_server.py")
pytestmark = pytest.mark.slow


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "a folder"
    (folder / "sub").mkdir(parents=True)
    (folder / "a.py").write_bytes("ä = <CURSOR>\r\n😀 = [<CURSOR>, <CURSOR>]\r\n".encode())
    (folder / "sub" / "b.js").write_text("let x = <CURSOR>;\n")
    (folder / "none.py").write_text("no_mark = 1\n")
    (folder / "c.bin").write_bytes(b"\xff\xfe<CURSOR>")
    (folder / ".hidden.py").write_text("<CURSOR>")
    return folder


def run(folder, *options):
    command = [sys.executable, "-P", str(EXAMPLE), str(folder), sys.executable, "-P", str(SCRIPT), *options]
    return subprocess.run(command, capture_output=True, encoding="utf-8", timeout=120)


def test_each_mark_gets_a_line(folder, records):
    done = run(folder, "--record", str(records.file), "--text", "seen")
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == 0, done.stderr
    assert all(answer.pop("latency_ms") > 0 for answer in answers)
    assert answers == [
        {"file": "a.py", "line": 0, "character": 4, "text": "seen"},
        {"file": "a.py", "line": 1, "character": 5, "text": "seen"},
        {"file": "a.py", "line": 1, "character": 7, "text": "seen"},
        {"file": "sub/b.js", "line": 0, "character": 8, "text": "seen"},
    ]
    asked = records.all("asked")
    assert [record["prefix"].split("\n")[-1] for record in asked] == ["ä = ", "😀 = [", "😀 = [, ", "let x = "]
    assert "CURSOR" not in "".join(record["all"] for record in asked)
    assert "the model knows only Python" in done.stderr


def test_without_an_engine_one_line_says_why(folder):
    done = run(folder, "--unavailable")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "Quicksilver: the engine cannot start: scripted\n"
