"""Training a denoising head: what the body read, the canvases that are made of it, steps, and the command."""

import csv
import gzip
import json
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from quicksilver.fim.errors import CheckpointError, InputError
from quicksilver.model.checkpoint.checkpoint import load
from quicksilver.model.checkpoint.head_file import HEAD
from quicksilver.model.load_infiller import infiller_of
from quicksilver.model.network.denoising_head import DenoisingHead
from quicksilver.model.network.head_config import HeadConfig
from quicksilver.training.adapt import head_states, head_step
from quicksilver.training.adapt.head_states import BodyReader, Reading
from quicksilver.training.adapt.head_texts import UNKNOWN, BodyText, canvases, load_texts, save_texts
from quicksilver.training.adapt.head_trainer import HeadPlan, HeadTrainer
from quicksilver.training.cli import main
from quicksilver.training.corpus.corpus import CorpusDocument
from tiny_body import save_body, tiny_body
from tiny_lora import DOCUMENTS, ticking

CONFIG = HeadConfig(
    width=16, n_layers=1, n_heads=2, n_kv_heads=1, head_size=8, ffn_width=32, n_words=20, n_canvas=4, n_window=6
)


def text_of(n: int, seed: int, first: int = 3) -> BodyText:
    """A text that counts up and begins anew; the body says so too, but at every seventh place."""
    rng = np.random.default_rng(seed)
    tokens = (np.arange(n) + rng.integers(20)) % 20
    best = (tokens[first:] + 1 + (np.arange(first, n) % 7 == 0)) % 20
    hidden = np.eye(20, dtype=np.float32)[tokens, :16] * 4
    return BodyText.of(tokens, best, hidden, first)


def test_what_was_read_comes_back_and_a_damaged_file_is_one_line(tmp_path):
    texts = [text_of(20, 0), text_of(9, 1, first=5)]
    save_texts(tmp_path / "a.npz", texts, "body")
    for old, new in zip(texts, load_texts([tmp_path / "a.npz"], "body"), strict=True):
        assert old.first == new.first
        for name in ("tokens", "best", "states", "scales"):
            assert np.array_equal(getattr(old, name), getattr(new, name))
    assert texts[0].best[:3].tolist() == [UNKNOWN] * 3
    restored = texts[0].states * texts[0].scales[:, None]
    assert np.abs(restored).max() == pytest.approx(4, abs=0.02)
    with pytest.raises(InputError, match="was read by another body"):
        list(load_texts([tmp_path / "a.npz"], "another"))
    (tmp_path / "a.npz").write_bytes((tmp_path / "a.npz").read_bytes()[:90])
    with pytest.raises(InputError, match="holds no states of a body"):
        list(load_texts([tmp_path / "a.npz"], "body"))


def test_canvases_ask_for_the_bodys_own_tokens_at_their_places():
    text = text_of(40, 2)
    found = canvases(np.random.default_rng(0), text, 12, CONFIG)
    assert found is not None and found.tokens.shape == (12, 4)
    start = len(text.tokens) - len(found.states)
    for i, anchor in enumerate((found.anchors + start).tolist()):
        for j in range(4):
            at = anchor + 1 + j
            if at >= len(text.tokens):
                assert found.weights[i, j] == 0
                continue
            assert found.targets[i, j] == text.best[at - 1]
            assert bool(found.is_given[i, j]) != bool(found.is_mask[i, j])  # there are no hints
            assert found.is_mask[i, j] or found.tokens[i, j] == text.tokens[at]
            own = all(text.best[k - 1] == text.tokens[k] for k in range(anchor + 2, at))
            assert bool(found.is_own[i, j]) == own
            assert bool(found.weights[i, j] > 0) == bool(found.is_mask[i, j])
    assert not bool(found.is_mask[:, 0].any()) and bool(found.is_mask[:, 1:].any(dim=1).all())
    whole = canvases(np.random.default_rng(0), text, 12, CONFIG, all_masked=True)
    assert whole is not None and bool(whole.is_mask[:, 1:].all())
    assert canvases(np.random.default_rng(0), text_of(9, 1, first=8), 4, CONFIG) is None


@pytest.mark.parametrize(
    ("runtime", "n"), [("openvino", 1), ("openvino", 5), ("openvino", 64), ("torch", 1), ("torch", 3)]
)
def test_the_body_reads_texts_as_the_plain_model_does(tmp_path, monkeypatch, runtime, n):
    monkeypatch.setattr(head_states, "N_ASKED", n)
    monkeypatch.setattr(head_states, "N_TOGETHER", n)
    infiller = infiller_of(load(save_body(tmp_path, tiny_body())), runtime=runtime)
    tokens = np.array(infiller.tokenizer.encode("def add(a, b):\n    return a + b\n\n\nx = add(1, 2)\n"))
    body = infiller.checkpoint.model
    with torch.inference_mode():
        hidden, _ = body.context(torch.from_numpy(tokens[None]))
        best = body.vocabulary_logits(hidden[0]).argmax(dim=-1).numpy()
    texts = [Reading(tokens, 10), Reading(tokens[:15], 2), Reading(tokens[:12], 3)]
    found, *others = BodyReader(infiller).read(texts)
    for other, text in zip(others, texts[1:], strict=True):
        assert other.first == 8 and other.tokens.tolist() == text.tokens.tolist()
        same = other.best[8:] == best[8 : len(text.tokens)]
        assert same.all() if runtime == "torch" else same.mean() > 0.7  # int8 rounds
    same = found.best[10:] == best[10:]
    assert found.first == 10 and (same.all() if runtime == "torch" else same.mean() > 0.7)
    near = float(hidden.abs().max()) / (100 if runtime == "torch" else 10)
    assert np.allclose(found.states * found.scales[:, None], hidden[0].numpy(), atol=near)


def trainer(texts: Sequence[BodyText], minutes: float = 1.0) -> HeadTrainer:
    torch.manual_seed(0)
    embedding = torch.randn(20, 16)
    plan = HeadPlan(minutes=minutes, n_warmup=2, n_texts=2, n_anchors=8, decay_share=0.5)
    return HeadTrainer(DenoisingHead(CONFIG, torch.arange(20)), embedding, texts, plan, ticking())


def test_a_head_learns_what_comes_next_and_goes_on_exactly(tmp_path):
    texts, exam = [text_of(30, i) for i in range(8)], [text_of(30, 50)]
    whole = trainer(texts)
    before = whole.examine(exam)
    losses = [*whole.steps()]
    after = whole.examine(exam)
    assert np.mean(losses[-8:]) < 0.7 * np.mean(losses[:8])
    assert after.right[0] > before.right[0] + 0.3 and after.kept > before.kept + 0.3
    assert all(kept <= guessed for kept, guessed in after.sure)
    part = trainer(texts)
    for _ in range(25):
        part._step()
    part.save(tmp_path)
    again = trainer(texts)
    assert again.resume(tmp_path) and again.step == 25
    assert [*again.steps()] == losses[25:]
    with pytest.raises(InputError, match="cannot resume"):
        other = trainer(texts)
        other.head = DenoisingHead(replace(CONFIG, n_layers=2), torch.arange(20))
        other.resume(tmp_path)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A tiny body and data; a step takes a second, whatever the machine; a file has four texts."""
    monkeypatch.setattr(head_step, "monotonic", ticking())
    monkeypatch.setattr(head_states, "N_TEXTS", 4)
    save_body(tmp_path / "body", tiny_body())
    data = tmp_path / "data"
    data.mkdir()
    for split, documents in (("train", DOCUMENTS), ("heldout", DOCUMENTS[1:2])):
        write_split(data, split, documents)
    return tmp_path


def write_split(folder: Path, split: str, documents: Sequence[CorpusDocument]) -> None:
    with gzip.open(folder / f"{split}.jsonl.gz", "wt") as stream:
        stream.writelines(json.dumps(asdict(document)) + "\n" for document in documents)


def train(folder: Path, *more: str, seconds: float = 3) -> None:
    small = [
        "--texts",
        "6",
        "--exam-texts",
        "2",
        "--layers",
        "1",
        "--ffn-width",
        "16",
        "--canvas",
        "4",
        "--threads",
        "1",
    ]
    main(
        [
            "head", "--body", str(folder / "body"), "--data", str(folder / "data"), "--out", str(folder / "out"),
            "--minutes", str(seconds / 60), "--threads", "1", *small, *more,
        ]
    )  # fmt: skip


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as stream:
        return [*csv.DictReader(stream)]


def test_the_command_reads_once_trains_and_goes_on(folder, capsys):
    train(folder)
    out = folder / "out"
    texts = {f"{name}-1-{i:05}.npz" for name, n in (("texts", 2), ("exam", 1)) for i in range(n)}
    assert {path.name for path in out.iterdir()} == texts | {
        "exam.csv", "head.safetensors", "loss.csv", "run.lock", "state.pt",
    }  # fmt: skip
    steps = rows(out / "loss.csv")
    assert len(steps) == 3 and 0 <= float(rows(out / "exam.csv")[-1]["kept"]) <= 3
    with pytest.raises(InputError, match="add --resume"):
        train(folder, seconds=5)
    (folder / "data" / "train.jsonl.gz").unlink()  # nothing is read again
    train(folder, "--resume", seconds=5)
    assert [row["step"] for row in rows(out / "loss.csv")] == ["1", "2", "3", "4", "5"]
    assert rows(out / "loss.csv")[:3] == steps
    assert "texts: 4 read" in capsys.readouterr().out
    (folder / "body" / HEAD).write_bytes((out / HEAD).read_bytes())
    head = load(folder / "body").head
    assert head is not None and head.config.n_canvas == 4 and len(head.words) == head.config.n_words


def test_a_run_keeps_its_words_when_other_texts_are_added(tmp_path):
    """Words are the most frequent tokens of the texts that a run began with."""
    texts = [text_of(30, i) for i in range(8)]
    first = trainer(texts)
    first.head.words.copy_(torch.arange(20).flip(0))
    first._speak()
    first._step()
    first.save(tmp_path)
    again = trainer(texts[:4])
    assert again.resume(tmp_path)
    assert torch.equal(again.head.words, first.head.words) and torch.equal(again._place, first._place)
    assert torch.equal(again._spoken, first._spoken)


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--texts", "0"], "--texts must be"),
        (["--canvas", "2"], "--canvas must be"),
        (["--minutes", "0"], "--minutes"),
        (["--layers", "17"], "--layers must be from 1 to 16"),
        (["--window", "5000"], "--window must be"),
    ],
)
def test_numbers_that_make_no_head_are_one_line(folder, more, message):
    with pytest.raises(InputError, match=message):
        train(folder, *more)


def test_a_missing_body_and_missing_data_are_one_line(folder):
    (folder / "data" / "heldout.jsonl.gz").unlink()
    with pytest.raises(InputError, match="hold no document"):
        train(folder)
    (folder / "body" / "config.json").unlink()
    with pytest.raises(CheckpointError, match="no checkpoint"):
        train(folder)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_gpu_that_is_not_there_is_one_line(folder):
    with pytest.raises(InputError, match="no GPU that PyTorch can use"):
        train(folder, "--device", "cuda")


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_reads_and_trains(folder):
    train(folder, "--device", "cuda")
    assert all(0 < float(row["nats"]) < 50 for row in rows(folder / "out" / "loss.csv"))
    train(folder, "--device", "cuda", "--resume", seconds=5)
    assert len(rows(folder / "out" / "loss.csv")) == 5


def test_a_run_goes_on_with_more_texts_and_with_no_other_body(folder):
    train(folder)
    train(folder, "--resume", "--texts", "9", seconds=5)
    assert len(rows(folder / "out" / "loss.csv")) == 5
    save_body(folder / "other", tiny_body(seed=8))
    with pytest.raises(InputError, match="another body"):
        train(folder, "--resume", "--body", str(folder / "other"), seconds=6)
    for file in (folder / "out").glob("*.npz"):
        file.unlink()
    with pytest.raises(InputError, match="another body"):
        train(folder, "--resume", "--body", str(folder / "other"), seconds=6)


def test_a_run_that_is_there_is_said_before_anything_is_read(folder):
    (folder / "out").mkdir()
    (folder / "out" / "state.pt").write_bytes(b"x")
    with pytest.raises(InputError, match="add --resume"):
        train(folder)
    assert not [*(folder / "out").glob("*.npz")]
