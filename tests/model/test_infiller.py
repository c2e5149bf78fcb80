import dataclasses
from typing import Any

import pytest
import torch
from quicksilver.fim.errors import CheckpointError, InputError
from quicksilver.fim.types import CompletionRequest, Hole
from quicksilver.model import checkpoint
from quicksilver.model.infiller import DenoisingInfiller, load_infiller
from tiny import TEXTS, tiny_denoiser, tiny_tokenizer


@pytest.fixture
def folder(tmp_path):
    tokenizer = tiny_tokenizer()
    checkpoint.save(tmp_path / "c", "tiny", tiny_denoiser(tokenizer.vocab_size), tokenizer)
    return tmp_path / "c"


@pytest.fixture
def infiller(folder):
    return load_infiller(folder)


def request(prefix: str = TEXTS[0], multiline: bool = False, **more: Any) -> CompletionRequest:
    at = len(prefix)
    hole = Hole(prefix=prefix, suffix="\n", language="python", replaced=(at, at), multiline=multiline)
    return dataclasses.replace(CompletionRequest(hole=hole, budget_ms=None), **more)


def test_answers_and_says_how(infiller):
    completion = infiller.complete(request(), lambda: False)
    assert completion.finish_reason in {"stop", "length"}
    assert completion.steps >= 1
    assert 0 <= completion.confidence <= 1
    assert completion.range == (len(TEXTS[0]),) * 2
    assert completion.timings_ms["engine"] >= completion.timings_ms["denoise"] > 0
    assert completion.n_cached == 0 < completion.n_context


def test_the_same_request_again_comes_from_the_cache(infiller):
    first = infiller.complete(request(), lambda: False)
    second = infiller.complete(request(), lambda: False)
    assert second.text == first.text
    assert second.n_cached == second.n_context


@pytest.mark.parametrize("prefix", ["", "x", "\ud800", "\x00", "<mask>" * 50, "é漢😀" * 400])
def test_any_text_is_a_prefix(infiller, prefix):
    infiller.complete(request(prefix=prefix), lambda: False)


def test_cancel_before_the_first_step(infiller):
    completion = infiller.complete(request(), lambda: True)
    assert (completion.finish_reason, completion.text, completion.steps) == ("cancelled", "", 0)


def test_a_spent_budget_is_a_result(infiller):
    completion = infiller.complete(request(budget_ms=0.0), lambda: False)
    assert (completion.finish_reason, completion.text, completion.confidence) == ("budget", "", 0.0)


def test_the_evaluation_cap_holds_over_all_blocks(infiller):
    completion = infiller.complete(
        request(multiline=True, max_evaluations=3, max_tokens=60, policy="one"), lambda: False
    )
    assert completion.steps <= 3


def test_max_tokens(infiller):
    for n in (1, 3, 8, 20):
        assert infiller.complete(request(multiline=True, max_tokens=n, policy="all"), lambda: False).n_tokens <= n


def test_long_answers_go_on_block_by_block(infiller, monkeypatch):
    """A model that never ends its text fills canvas after canvas, each after the one before."""
    end = infiller.tokenizer.special(3)
    infiller.block_tokens.forbidden[end] = True
    completion = infiller.complete(request(multiline=True, max_tokens=20, policy="all"), lambda: False)
    assert (completion.n_tokens, completion.steps, completion.finish_reason) == (20, 3, "length")


def test_trace_has_a_frame_a_step_and_ends_with_the_text(infiller):
    completion = infiller.complete(request(trace=True, policy="one"), lambda: False)
    assert [frame.step for frame in completion.trace] == list(range(1, completion.steps + 1))
    last = completion.trace[-1].cells
    assert all(cell.state != "masked" for cell in last)
    assert "".join(cell.text for cell in last).startswith(completion.text.replace("\ufffd", "")[:1])


def test_bfloat16_runs(folder):
    infiller = DenoisingInfiller(checkpoint.load(folder), torch.bfloat16)
    assert infiller.complete(request(), lambda: False).steps >= 1


def test_load_errors(tmp_path, folder):
    with pytest.raises(CheckpointError):
        load_infiller(tmp_path / "nothing")
    with pytest.raises(InputError):
        load_infiller(folder, n_threads=0)
