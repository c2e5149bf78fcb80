"""The answer log, the training state and the worker processes."""

import pytest
import torch
from quicksilver.benchmarks.quality.answer_log import AnswerLog, Record
from quicksilver.benchmarks.quality.decoders import Attempt
from quicksilver.benchmarks.quality.unquantised import unquantised
from quicksilver.fim.errors import InputError
from quicksilver.model.checkpoint import checkpoint
from tiny import tiny_denoiser, tiny_tokenizer

FIRST = Record("w/float32/c", "causal", "key1", Attempt("naïve\n\t'", 3, 0.5, 1.5), True)
SECOND = Record("w/float32/c", "floor-empty", "key1", Attempt(""), None)


def test_answers_outlive_a_kill(tmp_path):
    path = tmp_path / "answers.jsonl"
    with AnswerLog(path) as log:
        log.add([FIRST])
        log.add([SECOND])
    whole = path.read_bytes()
    for n_lost in (0, 1, 30, len(whole.splitlines()[1]) - 1):
        path.write_bytes(whole[: len(whole) - n_lost])
        with AnswerLog(path) as log:
            assert log.find("w/float32/c", "causal", "key1") == FIRST
            assert log.find("w/float32/c", "floor-empty", "key1") == (None if n_lost else SECOND)
            assert log.find("other/float32/c", "causal", "key1") is None
            log.add([SECOND])
        with AnswerLog(path) as log:
            assert log.find("w/float32/c", "floor-empty", "key1") == SECOND


def test_a_log_needs_no_file():
    with AnswerLog(None) as log:
        log.add([FIRST])
        assert log.find("w/float32/c", "causal", "key1") == FIRST


@pytest.mark.parametrize("content", [b'{"scores": []}\n', b"plain text", b"\xff\xfe\x00", b'{"by": 1}\n'])
def test_foreign_files_are_refused_and_left_alone(tmp_path, content):
    path = tmp_path / "notes"
    path.write_bytes(content)
    with pytest.raises(InputError, match="holds no answers"):
        AnswerLog(path)
    assert path.read_bytes() == content


def test_two_evaluations_do_not_share_a_file(tmp_path):
    with AnswerLog(tmp_path / "a.jsonl"), pytest.raises(InputError, match="another evaluation"):
        AnswerLog(tmp_path / "a.jsonl")
    with pytest.raises(InputError, match="cannot use"):
        AnswerLog(tmp_path / "none" / "a.jsonl")


@pytest.fixture
def saved(tmp_path):
    """A tiny checkpoint's folder, and the model as it was before rounding."""
    tokenizer = tiny_tokenizer()
    model = tiny_denoiser(tokenizer.vocab_size)
    checkpoint.save(tmp_path / "tiny", "tiny", model, tokenizer)
    return tmp_path / "tiny", model


def test_the_part_that_the_checkpoint_came_from_is_found(saved, tmp_path):
    folder, model = saved
    other = tiny_denoiser(model.config.vocab_size, seed=1).state_dict()
    ema = {f"_orig_mod.{key}": value for key, value in model.state_dict().items()}
    torch.save({"model": other, "ema": ema, "optimizers": [{}], "step": 3}, tmp_path / "state.pt")
    loaded = checkpoint.load(folder)
    found = unquantised(loaded, tmp_path / "state.pt")
    assert (found.part, found.is_source) == ("ema", True)
    weights = found.checkpoint.model.state_dict()
    assert all(torch.equal(weights[key], value) for key, value in model.state_dict().items())
    assert any(not torch.equal(weights[key], value) for key, value in loaded.model.state_dict().items())
    assert found.checkpoint.sha256 != loaded.sha256


def test_weights_of_another_moment_are_told_apart(saved, tmp_path):
    folder, model = saved
    later = {key: value + 0.01 for key, value in model.state_dict().items()}
    torch.save({"model": later}, tmp_path / "state.pt")
    assert not unquantised(checkpoint.load(folder), tmp_path / "state.pt").is_source


def test_a_bad_state_is_said_in_one_line(saved, tmp_path):
    loaded = checkpoint.load(saved[0])
    with pytest.raises(InputError, match="no training state"):
        unquantised(loaded, tmp_path / "none.pt")
    (tmp_path / "text.pt").write_text("no state")
    (tmp_path / "empty.pt").write_bytes(b"")
    for name in ("text.pt", "empty.pt"):
        with pytest.raises(InputError, match="not a training state"):
            unquantised(loaded, tmp_path / name)
    torch.save({"model": {"norm.weight": torch.ones(3)}}, tmp_path / "foreign.pt")
    with pytest.raises(InputError, match="the shape of tiny"):
        unquantised(loaded, tmp_path / "foreign.pt")
