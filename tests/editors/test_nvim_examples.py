"""examples/headless.lua in a Neovim without a screen: against the real server, with a scripted engine."""

import json
import os
import subprocess
from pathlib import Path

import pytest
from nvim_screen import scripted_server, version_of

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "headless.lua"
LAUNCHES = {"-S": ["--headless", "-u", "NONE", "-S", str(EXAMPLE), "--"], "-l": ["-l", str(EXAMPLE)]}


@pytest.fixture(params=list(LAUNCHES))
def run(request, nvim, tmp_path):
    """run(folder, *server_options): what the script did."""
    if request.param == "-l" and version_of(nvim) < (0, 9):
        pytest.skip("nvim -l is newer")
    environ = {
        **os.environ,
        **{f"XDG_{kind}_HOME": str(tmp_path / kind) for kind in ("CONFIG", "DATA", "STATE", "CACHE")},
    }

    def run_script(folder, *options):
        command = [nvim, *LAUNCHES[request.param], str(folder), *scripted_server(*options)]
        return subprocess.run(command, env=environ, capture_output=True, encoding="utf-8", timeout=120)

    return run_script


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "a folder"
    (folder / "sub").mkdir(parents=True)
    (folder / "a %#.py").write_bytes("ä = <CURSOR>\r\n😀 = [<CURSOR>, <CURSOR>]\r\n".encode())
    (folder / "sub" / "b.js").write_text("let x = <CURSOR>;\n// vim: set textwidth=1:\n")
    (folder / "none.py").write_text("no_mark = 1\n")
    (folder / ".hidden.py").write_text("<CURSOR>")
    return folder


def test_each_mark_gets_a_line(run, folder, tmp_path):
    record = tmp_path / "records.jsonl"
    done = run(folder, "--record", str(record), "--text", "seen")
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == 0, done.stderr
    assert all(answer.pop("latency_ms") > 0 for answer in answers)
    assert answers == [
        {"file": "a %#.py", "line": 0, "character": 4, "text": "seen"},
        {"file": "a %#.py", "line": 1, "character": 5, "text": "seen"},
        {"file": "a %#.py", "line": 1, "character": 7, "text": "seen"},
        {"file": "sub/b.js", "line": 0, "character": 8, "text": "seen"},
    ]
    assert "CURSOR" not in record.read_text(encoding="utf-8")
    assert "the model knows only Python" in done.stderr


def test_without_an_engine_one_line_says_why(run, folder):
    done = run(folder, "--unavailable")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.strip() == "Quicksilver: the engine cannot start: scripted"
