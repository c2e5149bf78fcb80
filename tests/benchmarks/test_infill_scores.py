"""What is counted, over tasks and over problems, and how the report says it."""

import argparse
from typing import Any

import numpy as np
import pytest
from quicksilver.benchmarks.infilling.contamination import manifest_facts, shared_runs
from quicksilver.benchmarks.infilling.gold import check_gold
from quicksilver.benchmarks.infilling.report import facts, show
from quicksilver.benchmarks.infilling.scores import Scored, score
from quicksilver.benchmarks.infilling.tasks import InfillTask
from quicksilver.benchmarks.quality import baselines as floors
from quicksilver.benchmarks.quality import calibration
from quicksilver.benchmarks.quality.decoders import CATALOGUE, Attempt
from quicksilver.benchmarks.quality.holes import Task
from quicksilver.benchmarks.sandbox.execution import Limits, RunVerdict
from quicksilver.fim.errors import InputError

BY_NAME = {decoder.name: decoder for decoder in CATALOGUE}


def scored(base, text, outcome, truth="x", **answer):
    hole = Task(base, "", "a = ", "\n", truth, "whole-line")
    task = InfillTask(name=f"{base}/{text}", benchmark="b", base=base, hole=hole)
    return Scored(task=task, answer=Attempt(text, **answer), verdict=outcome and RunVerdict(outcome=outcome))


def test_micro_counts_tasks_and_macro_problems():
    answers = [
        scored("one", "x", "passed", steps=2, ms=4.0, n_tokens=6),
        scored("one", "y", "failed", steps=1, ms=2.0, n_tokens=3),
        scored("one", "z", "timeout", steps=1, ms=2.0, n_tokens=1),
        scored("two", "1 * x", "passed", steps=4, ms=8.0, n_tokens=2),
    ]
    row = score("b", BY_NAME["denoiser-threshold"], answers)
    assert (row["solved_micro"], row["solved_macro"]) == (0.5, 0.6667)
    assert (row["exact_micro"], row["tasks"], row["problems"]) == (0.25, 4, 2)
    assert row["outcomes"] == {"passed": 2, "failed": 1, "timeout": 1, "memory": 0, "crashed": 0}
    assert (row["mean_steps"], row["tokens_per_forward"], row["median_ms"]) == (2.0, 1.5, 3.0)
    low, high = row["solved_macro_95"]
    assert low <= row["solved_macro"] <= high == 1.0


def test_where_nothing_is_run_the_text_decides():
    row = score("b", BY_NAME["floor-empty"], [scored("one", "x", None), scored("two", "y", None)])
    assert (row["is_run"], row["solved_micro"], row["outcomes"]) == (False, 0.5, {})
    assert (row["mean_tokens"], row["tokens_per_forward"], row["length"]) == (None, None, "–")


def test_intervals_draw_whole_problems():
    """Ten equal tasks of one problem tell no more than one: the interval must not shrink."""
    right = [True, False, True, False]
    names = [str(i) for i in range(4)]
    alone = calibration.interval(calibration.resampled_clusters(right, names)[0])
    tenfold = calibration.resampled_clusters(np.repeat(right, 10), list(np.repeat(names, 10)))
    assert calibration.interval(tenfold[0]) == pytest.approx(alone) == calibration.interval(tenfold[1])
    (same, _), all_right = calibration.resampled_clusters(right, ["a"] * 4), [True] * 4
    assert set(same) == {0.5} and set(calibration.resampled_clusters(all_right, names)[1]) == {1.0}


def test_every_decoder_says_where_its_length_comes_from():
    assert {d.length for d in CATALOGUE if d.family == "floor"} == {"–"}
    assert [d.name for d in CATALOGUE if d.length == "oracle"] == ["denoiser-oracle"]


@pytest.mark.parametrize(
    ("prefix", "suffix", "expected"),
    [("if a:\n", "\n", "    pass"), ("def f():\n    x = 1\n", "    return x\n", "    pass"), ("if a: ", "\n", "pass"),
     ("", "", "pass"), ("for a in b:\n    if a:\n", "    c()\n", "        pass")],
)  # fmt: skip
def test_the_floor_says_pass_where_a_statement_would_stand(prefix, suffix, expected):
    assert floors.pass_statement(prefix, suffix) == expected


def corpus_of(folder, *texts):
    import gzip
    import json

    with gzip.open(folder / "train.jsonl.gz", "wt") as stream:
        stream.writelines(json.dumps({"package": "p", "path": "a.py", "text": text}) + "\n" for text in texts)
    return folder


def test_shared_words_are_found_and_short_tasks_are_not_called_clean(tmp_path):
    words = " ".join(f"word{i}" for i in range(20))
    tasks = [
        InfillTask(name=str(i), benchmark="b", base="b", hole=Task("b", "", before, "", "truth", "block"))
        for i, before in enumerate((words, " ".join(f"other{i}" for i in range(20)), "too short"))
    ]
    found = shared_runs(tasks, corpus_of(tmp_path, "nothing here", f"x = 1\n{words.upper()}"), tmp_path)
    assert (found["tasks"], found["checked"], found["shared"], found["share"]) == (3, 2, 1, 0.5)
    assert found["first_shared"] == ["0"] and found["is_own_corpus"] is None
    with pytest.raises(InputError, match="no corpus at"):
        shared_runs(tasks, tmp_path / "none", tmp_path)


def test_the_manifest_says_what_was_trained_on_and_a_missing_one_that_nothing_is_known(tmp_path):
    assert manifest_facts(tmp_path, {}) == {"manifest": None}
    (tmp_path / "sources.json").write_text(
        '{"sources": [{"sha256": "a", "split": "train"}, {"sha256": "b", "split": "heldout"}], '
        '"decontaminated": ["tasks.jsonl (sha256 ff00)"]}'
    )
    assert manifest_facts(tmp_path, {"tasks.jsonl": "ff00", "others.jsonl": "ee"}) == {
        "manifest": "sources.json", "training_packages": 1, "kept_free_of": ["tasks.jsonl"],
    }  # fmt: skip
    (tmp_path / "sources.json").write_text("[]")
    with pytest.raises(InputError, match="no manifest of training sources"):
        manifest_facts(tmp_path, {})


def test_the_report_never_claims_what_was_not_checked():
    result = {
        "has_whole_lines": False, "line_break": "given", "drawn": None, "protection": [], "limits": {},
        "contamination": {"manifest": None, "runs": None},
    }  # fmt: skip
    assert facts(result) == [
        "Contamination: this checkpoint does not say what it was trained on.",
        "The tasks were not compared with the training text (no --corpus).",
    ]
    runs = {"n_words": 13, "tasks": 9, "checked": 8, "shared": 2, "share": 0.25, "is_own_corpus": None}
    manifest = {"manifest": "sources.json", "training_packages": 3, "kept_free_of": ["a.jsonl"]}
    said = " ".join(facts({**result, "drawn": 5, "seed": 1, "contamination": {**manifest, "runs": runs}}))
    assert "2 of 8 tasks share 13 words in a row with the corpus (25.0 %); 1 are too short" in said
    assert "kept free of a.jsonl" in said and "does not hold everything" in said and "At most 5 tasks" in said


def test_the_report_escapes_what_programs_say(capsys, monkeypatch):
    hostile = "\x1b]0;owned\x07\u202e\x9b31m"
    task: Any = argparse.Namespace(benchmark="humaneval", name=hostile)
    verdict = RunVerdict(outcome="failed", detail=hostile)
    monkeypatch.setattr("quicksilver.benchmarks.infilling.gold.gold_verdicts", lambda *_: [(task, verdict)])
    assert check_gold([task], Limits(), 1) == 1
    printed = capsys.readouterr().out
    assert r"\x1b]0;owned\x07\u202e\x9b31m" in printed
    result = {
        "model": {"name": hostile}, "scores": [], "drawn": None, "protection": [], "has_whole_lines": False,
        "limits": {}, "line_break": "given",
        "contamination": {"manifest": None, "overlaps": {}},
    }  # fmt: skip
    monkeypatch.setattr("quicksilver.benchmarks.infilling.report.facts", lambda _: [hostile])
    show(result)
    printed += capsys.readouterr().out
    assert not set(printed) & set("\x1b\x07\u202e\x9b")
