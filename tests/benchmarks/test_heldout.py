"""The evaluation as a whole, with a tiny random model over a tiny corpus."""

import gzip
import json
import multiprocessing
import sys
from dataclasses import asdict, replace

import pytest
import torch
from quicksilver.benchmarks.quality import decoders as decoding
from quicksilver.benchmarks.quality.decoders import CATALOGUE, UNLIMITED, read_context
from quicksilver.benchmarks.quality.evaluation import EvaluationWork, Setup, fill_in_processes, load
from quicksilver.benchmarks.quality.heldout import main
from quicksilver.benchmarks.quality.holes import KINDS, draw
from quicksilver.benchmarks.quality.plots import draw_plots, drawing_folder
from quicksilver.benchmarks.quality.tables import show
from quicksilver.fim.errors import CheckpointError, InputError, QuicksilverError
from quicksilver.model.checkpoint import checkpoint
from quicksilver.training.corpus.corpus import CorpusDocument
from tiny import tiny_denoiser, tiny_tokenizer

pytestmark = pytest.mark.slow

LIBRARY = """\
class Store:
    def __init__(self, items):
        self.items = list(items)
        self.n_items = len(self.items)

    def add(self, item):
        if item in self.items:
            raise ValueError(item)
        self.items.append(item)
        self.n_items += 1
        return item

    def total(self):
        total = 0
        for item in self.items:
            total += item
            print(item, total)
        return total


"""
DOCUMENTS = [
    CorpusDocument("one", "a.py", LIBRARY * 3),
    CorpusDocument("two", "b.py", LIBRARY.replace("item", "part") * 3),
]


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with a tiny checkpoint, its training state and a corpus."""
    folder = tmp_path_factory.mktemp("evaluation")
    tokenizer = tiny_tokenizer()
    model = tiny_denoiser(tokenizer.vocab_size)
    checkpoint.save(folder / "tiny", "tiny", model, tokenizer)
    for split in ("heldout", "valid"):
        with gzip.open(folder / f"{split}.jsonl.gz", "wt") as stream:
            stream.writelines(json.dumps(asdict(d)) + "\n" for d in DOCUMENTS)
    return folder


@pytest.fixture(scope="module")
def infiller(place):
    before = torch.get_num_threads()
    yield load(Setup(model=place / "tiny", dtype="float32", n_threads=1))
    torch.set_num_threads(before)


def run(place, *options):
    """Run the command; returns the JSON that it wrote."""
    target = place / "result.json"
    fixed = ("--model", place / "tiny", "--corpus", place, "--dtype", "float32", "--json", target)
    assert main([str(each) for each in (*fixed, *options)]) == 0
    return json.loads(target.read_text())


@pytest.fixture(scope="module")
def complete(place):
    """The result of every decoder on every kind of hole."""
    return run(place, "--holes", 2, "--workers", 1)


def test_every_decoder_fills_every_kind(complete):
    by_default = [each for each in CATALOGUE if not each.name.startswith(("within-", "alone-"))]
    assert len(complete["scores"]) == len(KINDS) * len(by_default)
    assert {row["kind"] for row in complete["scores"]} == set(KINDS)
    for row in complete["scores"]:
        assert row["holes"] == 2
        assert (row["ece"] is None) == (row["family"] == "floor")
        assert row["max_steps"] is None or row["mean_steps"] <= row["max_steps"]
    by_name = {(row["kind"], row["name"]): row for row in complete["scores"]}
    for kind in KINDS:
        assert by_name[kind, "denoiser-one"]["mean_steps"] >= by_name[kind, "denoiser-top-k"]["mean_steps"]
    assert (complete["format"], complete["packages"]) == ("quicksilver-heldout-3", ["one", "two"])


def test_every_number_is_shown(complete, capsys):
    show(complete)
    printed = capsys.readouterr().out
    assert "2 block holes" in printed and "denoiser-threshold@8" in printed
    assert "…" not in printed  # nothing is cut off at 80 columns


def test_plots_are_drawn(complete, tmp_path):
    pytest.importorskip("matplotlib")
    drawing_folder(tmp_path / "new" / "plots")
    drawn = draw_plots(complete, tmp_path / "new" / "plots")
    assert [path.name for path in drawn] == ["exact-match-by-steps.png", "risk-coverage.png", "reliability.png"]
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in drawn)


def test_plots_without_matplotlib_are_refused_before_anything_runs(place, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(InputError, match=r"pip install 'quicksilver-lsp\[bench\]'"):
        run(place, "--holes", 2, "--corpus", "/nowhere", "--plots", tmp_path)


def test_the_copy_floor_fills_a_text_that_repeats_itself(place):
    result = run(place, "--holes", 20, "--workers", 1, "--decoders", "floor-*", "--kinds", "rest-of-line,block")
    exact = {(row["kind"], row["name"]): row["exact_match"] for row in result["scores"]}
    assert exact["rest-of-line", "floor-longest-match"] >= 0.5
    assert exact["rest-of-line", "floor-empty"] == 0


def test_a_killed_evaluation_goes_on_and_workers_change_nothing(place, monkeypatch):
    kept = place / "answers.jsonl"
    options = (
        "--holes",
        3,
        "--kinds",
        "rest-of-line,random-span",
        "--decoders",
        "floor-longest-match,causal,denoiser-all",
    )

    def without_times(result):
        return [{k: v for k, v in row.items() if k != "median_ms"} for row in result["scores"]]

    whole = run(place, *options, "--workers", 2, "--resume", kept)
    lines = kept.read_text().splitlines(keepends=True)
    assert len(lines) == 3 * 6
    kept.write_text("".join(lines[:7]) + lines[7][:-9])  # killed while it wrote the eighth answer
    filled = []
    monkeypatch.setattr(
        "quicksilver.benchmarks.quality.evaluation.read_context",
        lambda infiller, task: (filled.append(task), read_context(infiller, task)),
    )
    resumed = run(place, *options, "--workers", 1, "--resume", kept)
    assert without_times(resumed) == without_times(whole)
    assert 0 < len(filled) < 6
    filled.clear()
    run(place, *options, "--workers", 1, "--resume", kept)
    assert not filled


def test_an_answer_does_not_depend_on_what_was_filled_before(infiller):
    tasks = draw(DOCUMENTS, "multi-line", 2, seed=2)
    has_time = [each for each in CATALOGUE if not each.name.startswith(("within-", "alone-"))]  # as much as it wants
    made = [decoder.make(infiller) for decoder in has_time if decoder.family != "floor"]
    alone: list[decoding.Attempt] = []
    for decode in made:
        read_context(infiller, tasks[1])
        alone.append(decode(tasks[1]))
    last: list[decoding.Attempt] = []
    for task in tasks:
        read_context(infiller, task)
        last = [decode(task) for decode in reversed(made)]
    assert [(a.text, a.confidence, a.steps) for a in alone] == [(a.text, a.confidence, a.steps) for a in last[::-1]]


@pytest.mark.parametrize("kind", ["rest-of-line", "block"])
def test_the_causal_decoder_is_greedy_over_the_plain_language_model(infiller, kind):
    """Shared context and trimmed states give what a fresh pass over the whole text gives, token by token."""
    for task in draw(DOCUMENTS, kind, 2, seed=1):
        read_context(infiller, task)
        answer = decoding.causal(infiller)(task)
        tokens = infiller.tokens_for(decoding.request_of(task).hole)
        context = infiller.layout.context(decoding.request_of(task), infiller.n_context_max)
        expected, model = list[int](), infiller.checkpoint.model
        for _ in range(answer.steps):
            with torch.inference_mode():
                hidden, states = model.context(torch.tensor([[*context, *expected]]))
                scores = tokens.allowed(model.log_probs(hidden[:, -1:], states)[0, 0].numpy())
            expected.append(int(scores.argmax()))
        written = infiller.tokenizer.decode([token for token in expected if token != tokens.end])
        assert written.startswith(answer.text)
        assert answer.text == written or task.multiline  # an end that no place asked for
        is_stopped = bool(tokens.stops[expected[-1]])
        assert is_stopped or answer.steps in (24, 96) or (task.multiline and answer.text != written)


def test_no_cap_means_none_that_an_answer_could_reach(infiller):
    request = decoding.request_of(draw(DOCUMENTS, "block", 1, seed=0)[0])
    assert request.max_evaluations == UNLIMITED > 96 and request.budget_ms is None


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--holes", "0"), "--holes must be at least 1"),
        (("--kinds", "block,paragraph"), "there is no kind of holes 'paragraph'"),
        (("--decoders", "oracle*"), r"there is no decoder 'oracle\*'"),
        (("--workers", "0"), "--workers must be from 1 to 256"),
        (("--holes", "5000", "--kinds", "block"), "lower --holes"),
        (("--json", "/nowhere/x.json"), "there is no folder"),
        (("--split", "train"), "invalid choice"),
        (("--corpus", "/nowhere"), "no corpus at"),
    ],
)
def test_what_can_be_mended_is_said_in_one_line(place, options, message):
    fixed = ["--model", str(place / "tiny"), "--corpus", str(place), "--holes", "1", "--workers", "1"]
    with pytest.raises(InputError, match=message) as raised:
        main([*fixed, *options])
    assert "\n" not in str(raised.value)


def test_a_damaged_corpus_is_said_in_one_line(place, tmp_path):
    (tmp_path / "valid.jsonl.gz").write_bytes(b"no gzip")
    with pytest.raises(InputError, match="damaged"):
        main(["--split", "valid", "--model", str(place / "tiny"), "--corpus", str(tmp_path)])


def test_what_happens_in_a_worker_reaches_the_caller(place):
    work = [
        EvaluationWork(task=task, key=task.key(), decoders=("causal",)) for task in draw(DOCUMENTS, "block", 20, seed=0)
    ]
    setup = Setup(model=place / "tiny", dtype="float32", n_threads=1)
    with pytest.raises(CheckpointError, match="no checkpoint in"):
        next(fill_in_processes(replace(setup, model=place / "none"), work, "", 2))
    answers = fill_in_processes(setup, work * 50, "", 1)
    assert next(answers)[0].decoder == "causal"
    for process in multiprocessing.active_children():
        process.kill()
    with pytest.raises(QuicksilverError, match="a worker process died"):
        list(answers)
    assert not multiprocessing.active_children()


def test_files_to_write_are_checked_before_anything_is_measured(tmp_path):
    answers = tmp_path / "answers.jsonl"
    with pytest.raises(InputError, match="the same file"):
        main(["--json", str(answers), "--resume", str(tmp_path / "." / "answers.jsonl")])
    with pytest.raises(InputError, match="is no file"):
        main(["--json", str(tmp_path)])
    assert not answers.exists()
