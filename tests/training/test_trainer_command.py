"""`quicksilver train run` and `curves`, from the arguments to the files, with a tiny recipe."""

import gzip
import json
from dataclasses import asdict, replace

import pytest
import torch
from quicksilver.fim.errors import InputError
from quicksilver.model.checkpoint import checkpoint
from quicksilver.training.cli import main
from quicksilver.training.corpus import shards
from quicksilver.training.corpus.corpus import CorpusDocument
from quicksilver.training.data.samples import SampleConfig
from quicksilver.training.run import recipes
from quicksilver.training.run.config import TrainConfig
from quicksilver.training.run.step import alone_in
from quicksilver.training.run.throughput import flops_per_context_token
from tiny import TEXTS, tiny_config, tiny_tokenizer

DOCUMENTS = [CorpusDocument("p", f"{i}.py", (TEXTS[0] + TEXTS[1]) * 4) for i in range(2)]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder with corpus and tokenizer, and a recipe `nano` that is tiny."""
    shape = replace(tiny_config(400), n_context=64)
    recipe = recipes.Recipe(name="nano", shape=shape, samples=SampleConfig(n_context=32, n_canvas=8))
    monkeypatch.setitem(recipes.RECIPES, "nano", lambda: recipe)

    def small(config):
        return replace(config, batch_tokens=128, warmup_steps=2, valid_steps=2, valid_samples=2, sample_steps=3)

    monkeypatch.setitem(recipes.SETTINGS, ("nano", "cpu"), small)
    (tmp_path / "corpus").mkdir()
    for split in ("train", "valid"):
        with gzip.open(tmp_path / "corpus" / f"{split}.jsonl.gz", "wt") as stream:
            stream.writelines(json.dumps(asdict(document)) + "\n" for document in DOCUMENTS)
    tiny_tokenizer().save(tmp_path / "tokenizer-nano.json")
    return tmp_path


def train(folder, *more):
    return main(["run", "--folder", str(folder), "--device", "cpu", *more])


def test_trains_exports_and_draws(folder, capsys):
    train(folder, "--steps", "4", "--seed", "3", "--micro-tokens", "64")
    run = folder / "nano"
    loaded = checkpoint.load(run / "checkpoint")
    assert loaded.name == "nano" and loaded.model.config.n_context == 64
    plan = TrainConfig(**json.loads((run / "plan.json").read_text()))
    assert (plan.steps, plan.seed, plan.micro_tokens, plan.init_from) == (4, 3, 64, None)
    assert "Step 3" in (run / "samples.md").read_text()
    assert {p.name for p in run.iterdir()} == {
        "checkpoint", "loss.jsonl", "plan.json", "run.lock", "samples.jsonl", "samples.md", "state.pt",
    }  # fmt: skip
    said = capsys.readouterr().out
    assert "averaged weights: next" in said and "100% of the plan is done" in said
    pytest.importorskip("matplotlib")
    main(["curves", "--folder", str(folder), "--run", str(run), str(run), "--png", str(folder / "deep" / "a.png")])
    assert (folder / "deep" / "a.png").read_bytes().startswith(b"\x89PNG")


def test_goes_on_from_exported_weights(folder):
    train(folder, "--steps", "3")
    first = folder / "nano" / "checkpoint"
    sha256 = checkpoint.load(first).sha256
    (folder / "nano").rename(folder / "before")
    train(folder, "--steps", "2", "--init-from", str(folder / "before" / "checkpoint"))
    assert json.loads((folder / "nano" / "plan.json").read_text())["init_from"] == sha256
    with pytest.raises(InputError, match="init_from"):  # the run's state began elsewhere
        train(folder, "--steps", "2")


def test_first_weights_are_those_of_the_checkpoint(folder, monkeypatch):
    train(folder, "--steps", "3")
    given = checkpoint.load(folder / "nano" / "checkpoint").model
    (folder / "nano").rename(folder / "before")
    seen = []
    monkeypatch.setattr(
        "quicksilver.training.run.trainer.Trainer.run", lambda self: seen.append(self.model) or "interrupted"
    )
    train(folder, "--steps", "2", "--init-from", str(folder / "before" / "checkpoint"))
    for a, b in zip(given.parameters(), seen[0].parameters(), strict=True):
        assert torch.equal(a, b)


def test_other_shapes_and_tokenizers_are_refused(folder, monkeypatch):
    train(folder, "--steps", "2")
    given = folder / "before"
    (folder / "nano" / "checkpoint").rename(given)
    recipe = recipes.RECIPES["nano"]()
    other = replace(recipe, shape=replace(recipe.shape, ffn_width=96))
    monkeypatch.setitem(recipes.RECIPES, "nano", lambda: other)
    with pytest.raises(InputError, match="ffn_width 64, not 96"):
        train(folder, "--steps", "2", "--init-from", str(given))
    monkeypatch.setitem(recipes.RECIPES, "nano", lambda: recipe)
    path = folder / "tokenizer-nano.json"
    bpe = json.loads(path.read_text())
    first, second = bpe["model"]["merges"][:2]
    bpe["model"]["merges"][:2] = [second, first]
    path.write_text(json.dumps(bpe))
    with pytest.raises(InputError, match="another tokenizer"):
        train(folder, "--steps", "2", "--init-from", str(given))


def test_a_run_does_not_go_on_with_another_tokenizer(folder):
    train(folder, "--steps", "2")
    path = folder / "tokenizer-nano.json"
    bpe = json.loads(path.read_text())
    bpe["model"]["merges"].reverse()
    path.write_text(json.dumps(bpe))
    with pytest.raises(InputError, match="tokenizer"):
        train(folder, "--steps", "3")


def test_what_changed_since_the_last_call_is_said(folder, capsys):
    train(folder, "--steps", "2")
    train(folder, "--steps", "3", "--batch-tokens", "64")
    said = capsys.readouterr().out
    assert "changed since the last call: steps 2 to 3" in said
    assert "changed since the last call: batch_tokens 128 to 64" in said


def test_two_runs_in_one_folder_are_refused(folder):
    with alone_in(folder / "nano", True), pytest.raises(InputError, match="another run is training"):
        train(folder, "--steps", "1")
    train(folder, "--steps", "1")  # the lock ended with its holder


def test_a_place_that_cannot_take_the_checkpoint_shows_before_training(folder, tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(InputError, match="could not write the checkpoint"):
        train(folder, "--steps", "2", "--export", str(tmp_path / "file" / "ck"))
    assert not (folder / "nano" / "loss.jsonl").exists()


@pytest.mark.parametrize("split", ["train", "valid"])
def test_a_split_without_text_is_one_line(folder, split):
    with gzip.open(folder / "corpus" / f"{split}.jsonl.gz", "wt") as stream:
        stream.write("")
    with pytest.raises(InputError, match="holds no text"):
        train(folder, "--steps", "1")


def test_a_full_disk_leaves_the_old_tokenizer(folder, monkeypatch):
    path = folder / "tokenizer-nano.json"
    before = path.read_bytes()

    def full(*_given):
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr("quicksilver.fim.files.atomic_write.replace_whole", full)
    with pytest.raises(InputError, match="No space left"):
        main(["tokenizer", "--folder", str(folder)])
    assert path.read_bytes() == before
    assert not path.with_name(path.name + ".part").exists()


def test_a_card_of_other_weights_is_refused(folder):
    train(folder, "--steps", "1")
    (folder / "corpus" / "manifest.json").write_text("{}")
    evaluation = folder / "eval.json"
    evaluation.write_text(json.dumps({"model": {"sha256": "0" * 64}, "scores": [], "packages": []}))
    given = ["--checkpoint", str(folder / "nano" / "checkpoint"), "--evaluation", str(evaluation), "--hardware", "x"]
    with pytest.raises(InputError, match="other weights"):
        main(["card", "--folder", str(folder), *given])


def test_shards_serve_where_there_is_no_corpus(folder):
    """With worker processes, as on a machine that only got the shards; they hold the tokenizer too."""
    shards.write(folder / "shards-nano", {"train": DOCUMENTS, "valid": DOCUMENTS}, folder / "tokenizer-nano.json")
    train(folder, "--steps", "2")
    from_corpus = [json.loads(line)["next_token"] for line in (folder / "nano" / "loss.jsonl").open()]
    for path in ("corpus", "nano"):
        (folder / path).rename(folder / f"{path}-away")
    (folder / "tokenizer-nano.json").unlink()
    train(folder, "--steps", "2", "--workers", "2")
    from_shards = [json.loads(line)["next_token"] for line in (folder / "nano" / "loss.jsonl").open()]
    assert from_shards == from_corpus


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--steps", "0"], "--steps must be positive"),
        (["--minutes", "nan"], "--minutes must be positive"),
        (["--minutes", "1", "--call-minutes", "-1"], "--call-minutes must be positive"),
        (["--steps", "1", "--workers", "-1"], "--workers"),
        (["--steps", "1", "--seed", "-1"], "--seed"),
        (["--steps", "1", "--micro-tokens", "0"], "--micro-tokens must be positive"),
        (["--steps", "1", "--minutes", "1"], "not allowed with"),
        (["--steps", "1" + 400 * "0"], "--steps must be positive and at most"),
        (["--minutes", "1e308"], "--minutes must be positive and at most"),
        (["--steps", "1", "--seed", "9" * 23], "--seed must be"),
        ([], "required"),
    ],
)
def test_impossible_arguments_are_one_line(folder, arguments, message):
    with pytest.raises(InputError, match=message):
        train(folder, *arguments)


def test_an_unknown_device_or_missing_data_is_one_line(folder):
    with pytest.raises(InputError, match="no device"):
        main(["run", "--folder", str(folder), "--device", "abacus", "--steps", "1"])
    (folder / "tokenizer-nano.json").rename(folder / "away.json")
    with pytest.raises(InputError, match="no tokenizer"):
        train(folder, "--steps", "1")
    (folder / "away.json").rename(folder / "tokenizer-nano.json")
    (folder / "corpus" / "train.jsonl.gz").unlink()
    with pytest.raises(InputError, match="no corpus"):
        train(folder, "--steps", "1")


def test_curves_need_a_run(folder):
    pytest.importorskip("matplotlib")
    with pytest.raises(InputError, match="no run in"):
        main(["curves", "--run", str(folder / "nowhere"), "--png", str(folder / "a.png")])


def test_recipes_cover_every_device():
    for (size, device), _ in recipes.SETTINGS.items():
        recipe = getattr(recipes, size)()
        config = recipes.train_config(
            steps=5, minutes=None, seed=1, n_context=recipe.shape.n_context, size=size, device=device
        )
        for _, n_context in config.stages:
            n_micro, n_rows = config.batches(n_context, 1)
            assert n_micro * n_rows * n_context == pytest.approx(config.batch_tokens, rel=0.5)
            assert n_rows * n_context <= (config.micro_tokens or config.batch_tokens)


def test_arithmetic_of_base():
    """6 operations a weight and token, plus attention: by hand, for base at 1,024 context tokens."""
    base = recipes.base().shape
    weights = 8 * (640 * 1280 + 640 * 640 + 3 * 640 * 1728) + 16384 * 640 + 2 * 640 * 128
    attention = 12 * 8 * 640 * 512 + 6 * 128 * 512
    assert flops_per_context_token(base, 1024, 0) == 6 * weights + attention
