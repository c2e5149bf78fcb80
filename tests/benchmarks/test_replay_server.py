"""`bench replay` as a whole: the real server, the real engine with the smallest model, discrete and real time."""

import asyncio
import json
from dataclasses import replace
from pathlib import Path

import pytest
from quicksilver.benchmarks.bench import main
from quicksilver.benchmarks.replay.deciding import WATCHED, watch_rules
from quicksilver.benchmarks.replay.engine import AnswerMemory, KeyTime, RememberingEngine
from quicksilver.fim import gating
from quicksilver.fim import hole as holes
from quicksilver.fim.errors import CheckpointError, InputError
from quicksilver.fim.text.document import Document
from quicksilver.fim.trimming import trim as trimming
from quicksilver.fim.types import Completion, CompletionRequest, Hole
from quicksilver.model import __file__ as package_file
from quicksilver.serving.client.engine_client import EngineClient
from quicksilver.serving.wire import EngineHealth

pytestmark = pytest.mark.slow
MODEL = ("--model", str(Path(package_file).parent / "checkpoints" / "nano"))

TEXT = """def area(width, height):
    total = width * height
    print("the area is", total)
    return total


def outline(width, height):
    total = 2 * width + 2 * height
    print("the outline is", total)
    return total
"""


@pytest.fixture
def package(tmp_path):
    folder = tmp_path / "shapes"
    folder.mkdir()
    (folder / "__init__.py").write_text("")
    (folder / "flat.py").write_text(TEXT * 2)
    return tmp_path


def test_discrete_time_twice_gives_the_same_and_remembers(package, tmp_path, capsys):
    rows = []
    for i in range(2):
        file = tmp_path / f"{i}.json"
        arguments = ["--files", "1", "--blocks", "1", "--seeds", "1", "--floors", "--fixed-ms", "40"]
        arguments += ["--memory", str(tmp_path / "memory"), *MODEL]
        assert main(["replay", str(package), *arguments, "--json", str(file)]) == 0
        rows.append(json.loads(file.read_text()))
    first, second = (row["rows"]["default"] for row in rows)
    assert first["questions"] > 3 and first["forwards"] > 0
    assert first == second
    assert rows[0]["rows"]["floor: none"]["characters_saved"] == 0
    assert rows[0]["rows"]["floor: oracle"]["characters_saved"] > 0.5
    assert (tmp_path / "memory" / "answers.jsonl").read_text().count("\n") >= first["questions"] - first["reused"] - 20
    assert "chars" in capsys.readouterr().out
    assert (package / "shapes" / "flat.py").read_text() == TEXT * 2


def test_a_file_of_answers_stands_for_the_model_and_survives_a_kill(package, tmp_path, monkeypatch, capsys):
    answers, results = tmp_path / "answers.jsonl", []
    arguments = [str(package), "--files", "1", "--blocks", "1", "--seeds", "1", "--fixed-ms", "40", *MODEL]
    arguments += ["--answers", str(answers), "--ablate", "--rules", "trailing-blank,deletions,cuts"]
    for i in range(2):
        file = tmp_path / f"{i}.json"
        assert main(["replay", *arguments, "--json", str(file)]) == 0
        results.append(json.loads(file.read_text()))
        answers.write_text(answers.read_text() + '{"key": "cut sho')  # what a kill leaves behind
        monkeypatch.setattr(EngineClient, "ensure_running", None)  # the second time no engine is started
    first, second = results
    assert first["rows"] == second["rows"] and first["engine"]["asked"]["default"] > 3
    assert set(second["engine"]["asked"].values()) == {0}
    assert second["engine"]["model"] == "nano"
    assert second["rows"]["without deletions"] == second["rows"]["default"] and "deletions" not in second["decided"]
    assert second["against"]["without deletions"]["characters_saved"] == [0.0, 0.0, 0.0]
    assert "without trailing-blank" in capsys.readouterr().out


def test_on_request(package, tmp_path):
    file = tmp_path / "invoked.json"
    arguments = ["--files", "1", "--blocks", "1", "--seeds", "1", "--invoked", "--json", str(file), *MODEL]
    assert main(["replay", str(package), *arguments]) == 0
    result = json.loads(file.read_text())
    assert result["plan"]["invoked"] and 0 < result["rows"]["default"]["questions"] < 20
    assert result["rows"]["default"]["texts"] > 0


def test_real_time(package, tmp_path):
    file = tmp_path / "wall.json"
    arguments = ["--files", "1", "--blocks", "1", "--seeds", "1", "--mode", "wall", "--json", str(file), *MODEL]
    (package / "shapes" / "flat.py").write_text(TEXT.replace("    print", "    x") * 3)
    assert main(["replay", str(package), *arguments]) == 0
    row = json.loads(file.read_text())["rows"]["default"]
    assert row["questions"] > 3 and row["answer_ms"]["p50"] > 0


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--files", "0"], "--files"),
        (["--policy", "all"], "--policy"),
        (["--memory"], "--memory"),
        (["--fixed-ms", "-1"], "--fixed-ms"),
        (["--answers", "a", "--memory", "b"], "--memory"),
        (["--rules", "cuts"], "--rules"),
        (["--ablate", "--rules", "cut"], "not 'cut'"),
        (["--context-tokens", "0"], "--context-tokens"),
        (["--invoked", "--mode", "wall"], "--invoked"),
    ],
)
def test_bad_arguments(package, arguments, complaint):
    with pytest.raises(InputError, match=complaint):
        main(["replay", str(package), *arguments])


def test_a_folder_that_is_not_there(tmp_path):
    with pytest.raises(InputError, match="no file or folder"):
        main(["replay", str(tmp_path / "nothing")])


class Counting:
    def __init__(self):
        self.n_asked = 0

    log_file = None

    async def shutdown(self):
        return None

    async def ensure_running(self, on_progress=None):
        return EngineHealth(status="ready", version="", pid=0, uptime_s=0.0, facts={"languages": "python"})

    async def complete(self, request):
        self.n_asked += 1
        return Completion(
            text="x", range=request.hole.replaced, confidence=0.5, finish_reason="stop", steps=1, n_tokens=1, model="m"
        )


async def test_what_was_asked_before_is_not_asked_again(tmp_path):
    hole = Hole(prefix="a = ", suffix="", language="python", replaced=(4, 4), multiline=False)
    request, real = CompletionRequest(hole=hole), Counting()
    for _ in range(2):
        engine = RememberingEngine(real, AnswerMemory(tmp_path / "m.jsonl"), KeyTime(), fixed_ms=30.0)
        for _ in range(2):
            assert (await engine.complete(request)).timings_ms["wait"] == 30.0
    assert real.n_asked == 1
    engine = RememberingEngine(real, AnswerMemory(tmp_path / "m.jsonl"), KeyTime(), fixed_ms=None)
    await engine.complete(CompletionRequest(hole=hole, drafts=3))
    assert real.n_asked == 2


def test_a_question_is_known_by_its_place(tmp_path):
    hole = Hole(prefix="a = ", suffix="", language="python", replaced=(4, 4), multiline=False)
    request, file = CompletionRequest(hole=hole, snippets=("b = 1",)), tmp_path / "m.jsonl"
    answer = Completion(
        text="x", range=(4, 4), confidence=0.5, finish_reason="stop", steps=1, n_tokens=1, model="m", timings_ms={}
    )
    AnswerMemory(file).keep(request, answer)
    assert AnswerMemory(file).find(replace(request, snippets=("b = 2",))) == answer  # as fast as the index was
    assert AnswerMemory(file).find(replace(request, hole=replace(hole, multiline=True))) is None
    assert AnswerMemory(file, sources="similar").find(request) is None


async def test_answers_of_another_model_are_not_mixed(tmp_path):
    hole = Hole(prefix="a = ", suffix="", language="python", replaced=(4, 4), multiline=False)
    memory = AnswerMemory(tmp_path / "m.jsonl")
    memory.keep_health(EngineHealth(status="ready", version="", pid=0, uptime_s=0.0, model="another"))
    engine = RememberingEngine(Counting(), memory, KeyTime(), fixed_ms=30.0)
    assert (await engine.ensure_running()).model == "another"
    with pytest.raises(CheckpointError, match="are of another"):
        await engine.complete(CompletionRequest(hole=hole))


async def test_nothing_is_warmed_before_anything_is_asked(tmp_path):
    hole = Hole(prefix="a = ", suffix="", language="python", replaced=(4, 4), multiline=False)
    real = Counting()
    engine = RememberingEngine(real, AnswerMemory(tmp_path / "m.jsonl"), KeyTime(), fixed_ms=30.0)
    assert (await engine.complete(CompletionRequest(hole=hole, warms=True))).text == ""
    assert real.n_asked == 0
    await engine.complete(CompletionRequest(hole=hole))
    await engine.complete(CompletionRequest(hole=hole, warms=True))
    assert real.n_asked == 2


def test_rules_that_decide_are_noted(monkeypatch):
    for module, table in ((gating, "GATING_RULES"), (holes, "HOLE_RULES"), (trimming, "TRIM_RULES")):
        monkeypatch.setattr(module, table, getattr(module, table))
    decided = watch_rules()
    document = Document("file:///a.py", 1, "python", "if a:\n    b\n")
    assert gating.reason_for_silence(document, 12) is None and decided == set()
    assert gating.reason_for_silence(document, 11) is None and decided == set()
    assert gating.reason_for_silence(document, 6) is not None and decided == {"indentation"}
    hole = holes.find_hole(document, 11)
    assert not hole.multiline and decided == {"indentation", "empty-block"}
    assert trimming.trim(hole, "x") == "x" and "trailing-blank" not in decided
    assert trimming.trim(hole, "x ") == "x" and "trailing-blank" in decided
    assert decided <= WATCHED


async def test_what_takes_longer_than_the_next_key_never_ends():
    time, late = KeyTime(), []
    time.tell_late = late.append
    time.press(1000.0, 150.0)
    await time.take(60.0, 3)
    await time.sleep(0.04)
    assert (time.now_s(), late) == (1.1, [])
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(time.sleep(0.06), 0.05)
    assert late == [{"wait_ms": 160.0, "steps": 3}]
    time.press(1150.0, 10.0)
    assert time.now_s() == 1.15
