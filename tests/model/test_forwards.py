"""Several jobs in one pass: what comes out for each is what it would get alone."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from quicksilver.fim.budget import Budget
from quicksilver.model.cache.context_cache import ContextCache
from quicksilver.model.decoding.denoise import denoise
from quicksilver.model.decoding.policies import threshold
from quicksilver.model.network.denoiser import Denoiser, rows_of
from quicksilver.model.network.states import ContextStates, join_states
from quicksilver.model.requests import Branches, Context, Rows, Tree, Work, tree_of
from quicksilver.model.runners.batching import ModelRunner, run_branches
from quicksilver.model.runners.drive import drive, drive_all
from quicksilver.model.tokenizers.canvas_tokens import CanvasTokens
from tiny import assert_near, tiny_config, tiny_denoiser
from torch._subclasses.fake_tensor import FakeTensorMode

V = 330
MODEL = tiny_denoiser(V)
RUN = ModelRunner(MODEL)
NOTHING = np.zeros(V, np.bool_)
NO_STOP = CanvasTokens(mask=300, end=301, forbidden=NOTHING, stops=np.arange(V) == 301, may_end_before=NOTHING)


def ids(seed: int, *shape: int) -> torch.Tensor:
    return torch.randint(0, 300, shape, generator=torch.Generator().manual_seed(seed))


def context(seed: int, n: int) -> ContextStates:
    (states,) = RUN([Context(ids(seed, 1, n).numpy(), None)])
    assert isinstance(states, ContextStates)
    return states


def asks() -> list[Branches]:
    """Canvases and continuations, one row and several, after contexts of different lengths."""
    states = [MODEL.context(ids(seed, 1, n))[1] for seed, n in ((1, 7), (2, 30), (3, 1), (4, 19))]
    return [
        Rows(ids(5, 1, 8).numpy(), states[0]),
        tree_of(9, [*ids(6, 3, 5).tolist(), [4, 7]], states[1])[0],
        Rows(ids(7, 2, 6).numpy(), states[1]),
        Rows(ids(8, 1, 4).numpy(), states[2]),
        Tree((12,), (-1,), states[3]),
    ]


@torch.inference_mode()
def test_packed_equals_alone():
    together = run_branches(MODEL, asks())
    for ask, got in zip(asks(), together, strict=True):
        assert_near(got, run_branches(MODEL, [ask])[0])
        assert got.shape == (*(ask.tokens.shape if isinstance(ask, Rows) else [len(ask.tokens)]), V)


@torch.inference_mode()
def test_a_canvas_gets_what_training_computes():
    for ask in asks():
        if isinstance(ask, Rows):
            (got,) = run_branches(MODEL, [ask])
            for row, tokens in zip(got, torch.tensor(ask.tokens), strict=True):
                hidden = MODEL.canvas(tokens.view(1, 1, -1), ask.states).squeeze(1)
                assert_near(row, MODEL.log_probs(hidden, ask.states, tokens.view(1, -1))[0])


@torch.inference_mode()
def test_rows_of_a_batch_of_contexts():
    _, together = MODEL.context(ids(1, 3, 12))
    for i, row in enumerate(rows_of(together)):
        _, alone = MODEL.context(ids(1, 3, 12)[i : i + 1])
        assert_near(row.layers[2].keys, alone.layers[2].keys)
        assert torch.equal(row.tokens, alone.tokens)


def test_jobs_that_go_on_in_step_end_as_they_would_alone():
    canvas = np.full((1, 8), NO_STOP.mask)
    states = [context(seed, 5 + seed) for seed in range(4)]

    def works():
        return [
            denoise(s, canvas, NO_STOP, threshold((0.05, 0.2, 0.5, 0.99)[i]), Budget()) for i, s in enumerate(states)
        ]

    together = drive_all(RUN, works())
    assert len({result.steps for result in together}) > 1  # some end earlier than others
    for result, work in zip(together, works(), strict=True):
        alone = drive(RUN, work)
        assert np.array_equal(result.canvas, alone.canvas)
        assert result.steps == alone.steps


def test_prefill_and_denoising_share_a_pass():
    cache = ContextCache(n_chunk=4)
    canvas = np.full((1, 6), NO_STOP.mask)
    states = context(1, 9)
    works: list[Work[Any]] = [
        cache.states(ids(2, 11).tolist()),
        denoise(states, canvas, NO_STOP, threshold(0.9), Budget()),
    ]
    (read, n_cached), result = drive_all(RUN, works)
    assert (read.n_tokens, n_cached) == (11, 0)
    assert np.array_equal(result.canvas, drive(RUN, denoise(states, canvas, NO_STOP, threshold(0.9), Budget())).canvas)


def test_an_error_in_work_comes_out():
    with pytest.raises(ValueError, match="at least one token"):
        drive(RUN, ContextCache().states([]))


@pytest.mark.parametrize("matches", [False, True])
def test_asks_go_to_the_models_device(matches: bool):
    """On a device that is only imagined: shapes and devices are checked, numbers are not."""
    model = Denoiser(replace(tiny_config(V), copies_matches=matches, marks_middle=True))
    with FakeTensorMode(allow_non_fake_inputs=True):
        for module in model.modules():
            for name, parameter in module.named_parameters(recurse=False):
                setattr(module, name, torch.nn.Parameter(torch.empty(parameter.shape, device="meta")))
        run = ModelRunner(model)
        past = None
        for n in (12, 1, 5):
            (new,) = run([Context(np.zeros((1, n), np.int64), past)])
            assert isinstance(new, ContextStates)
            past = join_states(past, new)
        assert past is not None
        assert past.n_tokens == 18
        assert {t.device.type for t in (past.tokens, past.copy_keys, past.layers[0].keys)} == {"meta"}
        rows = np.zeros((3, 6), np.int64)
        tree = Tree((1, 2, 3, 2), (-1, 0, 0, 2), past)
        for got, shape in zip(run_branches(model, [Rows(rows, past), tree]), ((3, 6, V), (4, V)), strict=True):
            assert (got.shape, got.device.type) == (shape, "meta")
