"""`quicksilver eval cursors`: the file, the verdicts, and a run before an engine that answers at once."""

import json
import re
import sys
from pathlib import Path

import pytest
from quicksilver.benchmarks.evaluate import main
from quicksilver.benchmarks.quality import cursors
from quicksilver.benchmarks.quality.cursors import CURSOR, Cursor, read_cursors
from quicksilver.benchmarks.speed.instant_server import MODULE
from quicksilver.cli.demo import EXAMPLES
from quicksilver.fim.errors import InputError

FILE = '[[cursor]]\nname = "one"\ndocument = "x = ‸\\n"\nwanted = "inst.*"\n'


def test_the_examples_are_what_they_say() -> None:
    found = read_cursors(EXAMPLES / "cursors.toml")
    assert len({cursor.name for cursor in found}) == len(found) > 40
    assert all(cursor.document.count(CURSOR) == 1 and cursor.forbidden for cursor in found)


@pytest.mark.parametrize(
    ("text", "verdict"),
    [("", "silent"), ("abc", "right"), ("abcd", "open"), ("xabc", "wrong"), ("abc\n", "open")],
)
def test_verdicts(text: str, verdict: str) -> None:
    assert Cursor(name="a", document=CURSOR, wanted="abc", forbidden="^x").verdict(text) == verdict


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("cursor = 1", "needs name and document"),
        ("[[cursor]]\nname = 'a'", "needs name and document"),
        ("[[cursor]]\nname = 'a'\ndocument = 'x'", "needs one cursor"),
        ("[[cursor]]\nname = 'a'\ndocument = '‸'\nwanted = '('", "pattern"),
        ("[[cursor]", "not TOML"),
    ],
)
def test_a_file_that_does_not_fit(tmp_path: Path, text: str, complaint: str) -> None:
    path = tmp_path / "cursors.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=complaint) as caught:
        read_cursors(path)
    assert "\n" not in str(caught.value)


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot read"):
        main(["cursors", str(tmp_path / "none.toml")])


def test_a_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    path, result = tmp_path / "cursors.toml", tmp_path / "result.json"
    path.write_text(FILE + FILE.replace('"one"', '"two"').replace("wanted", "forbidden"), encoding="utf-8")
    monkeypatch.setattr(cursors, "server_command", lambda *_: [sys.executable, "-P", "-m", MODULE])
    assert main(["cursors", str(path), "--json", str(result)]) == 0
    found = json.loads(result.read_text(encoding="utf-8"))
    assert found["model"] == "instant"
    assert [row["invoked"] for row in found["rows"]] == [
        {"text": "instantly", "verdict": verdict, "confidence": 1.0} for verdict in ("right", "wrong")
    ]
    assert found["counts"] == {"automatic": {"right": 1, "wrong": 1}, "invoked": {"right": 1, "wrong": 1}}
    shown = capsys.readouterr().out
    assert re.search(r"one +right +instantly +right +instantly", shown)
    assert "invoked: 1 right, 1 wrong, 0 silent, 0 open, of 2" in shown
