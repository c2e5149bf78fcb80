"""`quicksilver train lora`, from the arguments to the files, with a tiny body."""

import csv
import gzip
import json
import threading
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import pytest
from quicksilver.fim.errors import CheckpointError, InputError
from quicksilver.model.checkpoint.lora import read_lora
from quicksilver.model.gguf.body import read_body
from quicksilver.model.gguf.convert import import_gguf
from quicksilver.model.gguf.file import read_gguf
from quicksilver.training.adapt import lora_step
from quicksilver.training.adapt.lora_step import _Pause
from quicksilver.training.cli import main
from quicksilver.training.corpus.corpus import CorpusDocument
from safetensors import safe_open
from tiny_gguf import TinyGguf
from tiny_lora import DOCUMENTS, ticking


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A tiny body and data; a step takes a second, whatever the machine."""
    monkeypatch.setattr(lora_step, "monotonic", ticking())
    TinyGguf().write(tmp_path / "tiny.gguf")
    write_split(tmp_path / "python", "train", DOCUMENTS[:2])
    write_split(tmp_path / "python", "heldout", DOCUMENTS[1:2])
    write_split(tmp_path / "other", "train", DOCUMENTS[2:])
    return tmp_path


def write_split(folder: Path, split: str, documents: Sequence[CorpusDocument]) -> None:
    folder.mkdir(exist_ok=True)
    with gzip.open(folder / f"{split}.jsonl.gz", "wt") as stream:
        stream.writelines(json.dumps(asdict(document)) + "\n" for document in documents)


def train(folder: Path, *more: str, minutes: float = 3 / 60, body: str = "tiny.gguf") -> None:
    small = ["--batch-tokens", "300", "--micro-tokens", "150", "--rank", "2", "--exam-holes", "3", "--threads", "1"]
    main(
        [
            "lora", "--body", str(folder / body), "--data", str(folder / "python"), str(folder / "other"),
            "--out", str(folder / "out"), "--minutes", str(minutes), *small, *more,
        ]
    )  # fmt: skip


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as stream:
        return [*csv.DictReader(stream)]


def test_trains_writes_and_goes_on(folder: Path, capsys: pytest.CaptureFixture[str]):
    train(folder)
    out = folder / "out"
    files = {"heldout.csv", "latest.safetensors", "loss.csv", "run.lock", "state.pt", "status.txt"}
    assert {path.name for path in out.iterdir()} == files
    shapes = read_body(read_gguf(folder / "tiny.gguf")).config.weight_shapes()
    lora = read_lora(out / "latest.safetensors", shapes)
    assert len(lora.pairs) == 8 and lora.scale == 2.0 and lora.suffix_first
    with safe_open(out / "latest.safetensors", "numpy") as stream:
        facts = stream.metadata()
    steps = rows(out / "loss.csv")
    assert facts["rank"] == "2" and facts["tokens"] == steps[-1]["n_tokens"] and "rate 0.0004" in facts["recipe"]
    assert float(rows(out / "heldout.csv")[-1]["nats"]) > 0
    assert "held-out: nats" in (out / "status.txt").read_text()
    with pytest.raises(InputError, match="add --resume"):
        train(folder, minutes=5 / 60)
    train(folder, "--resume", minutes=5 / 60)
    more = rows(out / "loss.csv")
    assert more[:3] == steps and len(more) == 5
    assert [int(row["step"]) for row in more] == [*range(1, len(more) + 1)]
    assert f"{len(steps)} steps" in capsys.readouterr().out
    looks = rows(out / "heldout.csv")
    assert [row["step"] for row in looks] == ["3", "5"]
    train(folder, "--resume", minutes=5 / 60)  # over: another look, no step
    assert "at step 5" in (out / "status.txt").read_text()


def test_steps_that_a_kill_lost_are_not_listed_twice(folder: Path):
    train(folder)
    curve = folder / "out" / "loss.csv"
    n_steps = len(rows(curve))
    with curve.open("a") as stream:
        stream.write(f"{n_steps + 1},1,1,1,1,1\n{n_steps + 2},")
    train(folder, "--resume", minutes=5 / 60)
    steps = [int(row["step"]) for row in rows(curve)]
    assert steps == [*range(1, len(steps) + 1)]


def test_a_checkpoint_folder_is_a_body_too(folder: Path):
    import_gguf(folder / "tiny.gguf", folder / "body", name="body", source={})
    train(folder, body="body")
    assert (folder / "out" / "latest.safetensors").is_file()


@pytest.mark.parametrize(
    "more,message",
    [
        (["--minutes", "0"], "--minutes must be positive"),
        (["--save-minutes", "nan"], "--save-minutes must be positive"),
        (["--micro-tokens", "0"], "a pass must have"),
        (["--batch-tokens", "-5"], "a pass must have"),
        (["--rank", "0"], "--rank"),
        (["--threads", "0"], "--threads"),
        (["--exam-holes", "-1"], "--exam-holes"),
    ],
)
def test_numbers_that_make_no_run_are_one_line(folder: Path, more: Sequence[str], message: str):
    with pytest.raises(InputError, match=message):
        train(folder, *more)


def test_missing_data_and_a_damaged_body_are_one_line(folder: Path):
    (folder / "tiny.gguf").write_bytes(b"GGUF")
    with pytest.raises(CheckpointError):
        train(folder)
    (folder / "python" / "train.jsonl.gz").unlink()
    with pytest.raises(InputError, match="no corpus"):
        train(folder)


def test_a_pause_lasts_as_long_as_its_file(tmp_path: Path):
    path, interrupted = tmp_path / "pause", threading.Event()
    _Pause(None, interrupted).wait()
    _Pause(path, interrupted).wait()
    path.touch()
    waiting = threading.Thread(target=_Pause(path, interrupted).wait)
    waiting.start()
    waiting.join(0.1)
    assert waiting.is_alive()
    path.unlink()
    waiting.join(30)
    assert not waiting.is_alive()
    path.touch()
    interrupted.set()
    _Pause(path, interrupted).wait()
