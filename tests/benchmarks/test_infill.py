"""`eval infill` as a whole, with a tiny random model, and the tasks that are derived from the examples."""

import importlib.util
import json
import random
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from quicksilver.benchmarks.evaluate import main
from quicksilver.benchmarks.infilling import step as infill
from quicksilver.benchmarks.infilling.gold import gold_verdicts
from quicksilver.benchmarks.infilling.readers import read_all
from quicksilver.benchmarks.sandbox.execution import Limits
from quicksilver.fim.errors import CheckpointError, InputError
from quicksilver.model.checkpoint import checkpoint
from tiny import tiny_denoiser, tiny_tokenizer
from tiny_checkpoints import write, write_diffusion_gemma

EXAMPLES = Path(__file__).parents[2] / "examples" / "infilling"
FLOORS = {"floor-empty", "floor-pass", "floor-longest-match", "floor-previous-line"}


def script(name):
    """A module of the examples, which are no package."""
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def sets(tmp_path_factory):
    """A folder with the tasks of every format."""
    folder = tmp_path_factory.mktemp("sets")
    counts = script("derive").derive(folder)
    assert len(counts) == 9
    return folder


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A tiny checkpoint."""
    folder = tmp_path_factory.mktemp("model") / "tiny"
    tokenizer = tiny_tokenizer()
    checkpoint.save(folder, "tiny", tiny_denoiser(tokenizer.vocab_size), tokenizer)
    return folder


def test_the_examples_pass_their_own_asserts():
    subprocess.run([sys.executable, str(EXAMPLES / "problems.py")], check=True, timeout=60)


def test_every_format_has_sixty_tasks_and_solutions_pass(sets):
    tasks = read_all(sorted(sets.iterdir()))
    counts = Counter(task.benchmark.split("-completion")[0] for task in tasks)
    families = Counter("safim" if name.startswith("safim") else name for name in counts.elements())
    assert len(families) == 9 and min(families.values()) >= 60, families
    drawn = random.Random(0).sample(tasks, 90)
    verdicts = gold_verdicts(drawn, Limits(seconds=20), 2)
    assert [(task.name, verdict) for task, verdict in verdicts if verdict.outcome != "passed"] == []
    assert len(verdicts) > 60


def test_wrong_solutions_are_found(sets, tmp_path, capsys):
    lines = (sets / "mbpp.jsonl").read_text().splitlines()[:3]
    wrong = json.loads(lines[1])
    wrong["code"] = wrong["code"].replace("longest = word", "longest = ''")
    painting = {**json.loads(lines[2]), "code": "raise ValueError('\x1b]0;title\x07\u202e')"}
    (tmp_path / "tasks.jsonl").write_text("\n".join([lines[0], json.dumps(wrong), json.dumps(painting)]))
    assert main(["infill", str(tmp_path / "tasks.jsonl"), "--gold"]) == 1
    *said, isolated = capsys.readouterr().out.splitlines()
    assert said == [
        "mbpp: 1 of 3 solutions pass",
        "  MBPP/1: failed AssertionError",
        "  MBPP/2: failed ValueError: \\x1b]0;title\\x07\\u202e",
    ]
    assert isolated.startswith("Programs were isolated by ")
    assert main(["infill", str(sets / "santacoder.jsonl"), "--gold"]) == 0
    assert capsys.readouterr().out == "santacoder-python: nothing is run\n"


def run(sets, model, place, *options, names=("single-line",), n_tasks=2):
    """Run the command on some tasks of each file; returns the JSON that it wrote."""
    files = [str(sets / f"{name}.jsonl") for name in names]
    fixed = ("--model", model, "--dtype", "float32", "--json", place / "result.json", "--workers", 1)
    assert main(["infill", *files, *map(str, (*fixed, "--tasks", n_tasks, *options))]) == 0
    return json.loads((place / "result.json").read_text())


def test_every_table_has_floors_and_lengths(sets, model, tmp_path, capsys):
    names = ("single-line", "santacoder", "safim", "mbpp")
    samples = tmp_path / "samples.jsonl"
    decoders = "causal,denoiser-all,denoiser-oracle"
    options = ("--samples", samples, "--runtime", "torch", "--decoders", decoders)
    result = run(sets, model, tmp_path, *options, names=names, n_tasks=1)
    benchmarks = {row["benchmark"] for row in result["scores"]}
    assert len(benchmarks) == 6 and result["format"] == "quicksilver-infill-1"
    for benchmark in benchmarks:
        rows = {row["name"]: row for row in result["scores"] if row["benchmark"] == benchmark}
        assert set(rows) > FLOORS and rows["denoiser-oracle"]["length"] == "oracle"
        assert all(row["tasks"] == 1 and row["solved_micro_95"][0] <= row["solved_micro"] for row in rows.values())
        assert rows["causal"]["mean_tokens"] <= rows["causal"]["mean_steps"]
        assert rows["denoiser-all"]["tokens_per_forward"] is not None
    assert result["contamination"] == {"manifest": None, "runs": None} and result["drawn"] == 1
    (protection,) = result["protection"]
    assert protection.endswith("audit hook")
    lines = [json.loads(line) for line in samples.read_text().splitlines()]
    assert len(lines) == len(result["scores"])
    assert {line["outcome"] for line in lines if line["benchmark"] == "santacoder-python"} == {None}
    printed = capsys.readouterr().out
    assert "oracle" in printed and "floor-pass" in printed and "line break that ends the hole was given" in printed
    assert "not compared with the training text" in printed and "…" not in printed.replace("… ", "")


def test_the_oracle_has_the_length_of_the_truth(model, tmp_path):
    task = {
        "task_id": "SingleLineInfilling/x/0/L0", "prompt": "def f(a):\n", "canonical_solution": "    return a\n",
        "suffix": "", "test": "def check(candidate):\n    assert candidate(1) == 1\n", "entry_point": "f",
    }  # fmt: skip
    (tmp_path / "one.jsonl").write_text(json.dumps(task))
    result = run(tmp_path, model, tmp_path, "--runtime", "torch", "--decoders", "denoiser-oracle", names=("one",))
    (row,) = [row for row in result["scores"] if row["name"] == "denoiser-oracle"]
    assert row["mean_tokens"] == len(tiny_tokenizer().encode("    return a"))
    assert 1 <= row["mean_steps"] <= row["mean_tokens"]


@pytest.mark.parametrize("family", ["dreamon", "sdar"])
def test_published_models_have_decoders_of_their_own(sets, tmp_path, family, capsys):
    write(tmp_path / family, family)
    options = ("--decoders", "denoiser-oracle,denoiser-canvas-8")
    result = run(sets, tmp_path / family, tmp_path, *options, n_tasks=1)
    assert result["model"]["family"] == family and len(result["scores"]) == 4 + 2
    lengths = {row["name"]: row["length"] for row in result["scores"]}
    assert lengths["denoiser-canvas-8"] == "fixed 8" and lengths["denoiser-oracle"] == "oracle"
    for row in result["scores"]:
        if row["name"] == "denoiser-canvas-8":
            assert row["mean_tokens"] <= 8 and row["mean_steps"] >= 1
    assert "does not say what it was trained on" in capsys.readouterr().out


def test_diffusion_gemma_has_one_decoder(sets, tmp_path):
    write_diffusion_gemma(tmp_path / "gemma")
    result = run(sets, tmp_path / "gemma", tmp_path, n_tasks=1)
    assert result["model"]["family"] == "diffusion-gemma"
    (row,) = [row for row in result["scores"] if not row["name"].startswith("floor")]
    assert row["name"] == "denoiser-own" and row["mean_steps"] >= 1


def test_an_interrupted_evaluation_goes_on(sets, model, tmp_path, monkeypatch):
    kept = tmp_path / "answers"
    options = ("--resume", kept, "--runtime", "torch", "--decoders", "denoiser-all")
    real = infill.run_programs

    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(infill, "run_programs", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run(sets, model, tmp_path, *options)
    assert len(kept.read_text().splitlines()) == 2 * 5
    monkeypatch.setattr(infill, "run_programs", real)
    monkeypatch.setattr(
        "quicksilver.benchmarks.quality.evaluation.read_context", interrupted
    )  # nothing is answered again
    first = run(sets, model, tmp_path, *options)
    monkeypatch.setattr("quicksilver.benchmarks.sandbox.verdicts.execute", interrupted)  # and nothing run again
    assert run(sets, model, tmp_path, *options)["scores"] == first["scores"]
    assert (tmp_path / "answers.verdicts").is_file()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--tasks", "0"), "--tasks must be at least 1"),
        (("--workers", "0"), "--workers must be from 1 to 256"),
        (("--seconds", "0"), "--seconds and --memory-mb"),
        (("--decoders", "best"), "there is no decoder 'best'"),
        (("--format", "json"), "invalid choice"),
        (("--corpus", "/nowhere"), "no corpus at"),
        (("--family", "dream"), "--family is for published models"),
        (("--json", "/nowhere/x.json"), "there is no folder"),
        (("--samples", "SELF"), "is a file of tasks"),
        (("--json", "OTHER", "--samples", "OTHER"), "name the same file"),
    ],
)
def test_what_can_be_mended_is_said_in_one_line(sets, model, tmp_path, options, message):
    file = sets / "mbpp.jsonl"
    names = {"SELF": str(file), "OTHER": str(tmp_path / "other")}
    with pytest.raises(InputError, match=message) as raised:
        main(["infill", str(file), "--model", str(model), *[str(names.get(o, o)) for o in options]])
    assert "\n" not in str(raised.value)


def test_a_missing_model_and_no_evaluation_are_said(sets, tmp_path):
    with pytest.raises(CheckpointError):
        main(["infill", str(sets / "mbpp.jsonl"), "--model", str(tmp_path), "--workers", "1"])
    with pytest.raises(InputError, match="EVALUATION"):
        main([])
    with pytest.raises(InputError, match="invalid choice"):
        main(["best"])
