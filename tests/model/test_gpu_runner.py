"""Whole loops, with and without kernels, against the step-by-step loop: same canvases, same scores, same steps."""

import copy
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from quicksilver.fim.budget import Budget
from quicksilver.fim.errors import EngineError
from quicksilver.model.decoding.denoise import denoise
from quicksilver.model.decoding.policies import threshold
from quicksilver.model.network.denoiser import Denoiser
from quicksilver.model.network.states import ContextStates
from quicksilver.model.requests import Context, Denoised, Fill, Rows
from quicksilver.model.runners.batching import ModelRunner
from quicksilver.model.runners.cuda_graphs import MOST_ROWS, STEPS_AT_A_TIME, GpuRunner, parts
from quicksilver.model.runners.drive import drive
from quicksilver.model.runners.graph_loop import Buffers, CanvasLoop, on_device
from quicksilver.model.tokenizers.canvas_tokens import CanvasTokens
from tiny import assert_near, tiny_config, tiny_denoiser
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

V = 330
MODEL = tiny_denoiser(V, copies_matches=True, marks_middle=True)
MASK, END = MODEL.config.vocab_size - 1, 5
NOTHING = np.zeros(V, np.bool_)


def mask_of(model: Denoiser) -> int:
    from quicksilver.model.special_tokens import Special

    return model.config.special(Special.MASK)


def rules(model: Denoiser = MODEL, n_stops: int = 9) -> CanvasTokens:
    forbidden = np.arange(V) >= V - 8
    stops = (np.arange(V) == END) | (np.arange(V) % (V // n_stops) == 7)
    return CanvasTokens(
        mask=mask_of(model), end=END, forbidden=forbidden, stops=stops & ~forbidden, may_end_before=NOTHING
    )


def ids(seed: int, *shape: int, n: int = 12) -> np.ndarray:
    return np.random.default_rng(seed).integers(10, 10 + n, shape)


def context(n: int, seed: int = 0, model: Denoiser = MODEL) -> ContextStates:
    """States of n tokens, of which many stood there before."""
    (states,) = ModelRunner(model)([Context(ids(seed, 1, n), None)])
    assert isinstance(states, ContextStates)
    return states


def rehearsed(run: Callable[[], None]) -> Callable[[], None]:
    """Like a capture, which runs the steps on what stands there before they are run again."""
    run()
    run()
    return run


def expected(ask: Fill, model: Denoiser = MODEL) -> Denoised:
    policy, budget = threshold(ask.threshold), Budget(max_evaluations=ask.n_steps)
    return drive(ModelRunner(model), denoise(ask.states, ask.canvas, ask.tokens, policy, budget))


def check(got: object, wanted: Denoised) -> None:
    assert isinstance(got, Denoised)
    assert np.array_equal(got.canvas, wanted.canvas)
    assert_near(got.log_probs, wanted.log_probs)
    ends = wanted.stop_log_probs > -1e30
    assert np.array_equal(got.stop_log_probs > -1e30, ends)
    assert_near(np.exp(got.stop_log_probs[ends]), np.exp(wanted.stop_log_probs[ends]))  # differences of near numbers
    assert (got.steps, got.ended) == (wanted.steps, wanted.ended)


def canvas_of(model: Denoiser, n_rows: int, n: int, seed: int | None = None) -> np.ndarray:
    canvas = np.full((n_rows, n), mask_of(model))
    if seed is not None:  # a draft in which some tokens are open
        given = np.random.default_rng(seed).random((n_rows, n)) < 0.4
        canvas = np.where(given, ids(seed, n_rows, n), canvas)
    return canvas


PAIRS = [  # each two values of two parameters meet
    (n_steps, (0.02, 0.5, 1.0)[(i + j) % 3], n_context)
    for i, n_steps in enumerate((1, 3, 4, 7, 16))
    for j, n_context in enumerate((2, 31, 32, 60))
]


@pytest.mark.parametrize(("n_steps", "confidence_min", "n_context"), PAIRS)
def test_one_canvas(n_steps: int, confidence_min: float, n_context: int):
    ask = Fill(canvas_of(MODEL, 1, 11), context(n_context), rules(), confidence_min, n_steps)
    (got,) = GpuRunner(MODEL, rehearsed)([ask])
    check(got, expected(ask))


@pytest.mark.parametrize("changes", [{}, {"copies_matches": True}, {"marks_middle": True}])
def test_every_kind_of_model(changes: dict[str, bool]):
    model = tiny_denoiser(V, seed=3, **changes)
    ask = Fill(canvas_of(model, 2, 9, seed=1), context(40, model=model), rules(model), 0.1, 5)
    (got,) = GpuRunner(model, rehearsed)([ask])
    check(got, expected(ask, model))


def test_several_jobs_fill_their_canvases_side_by_side():
    run, tokens = GpuRunner(MODEL, rehearsed), rules()
    asks = [
        Fill(canvas_of(MODEL, rows, n, seed), context(length, seed), tokens, 0.05, 3)
        for seed, (rows, n, length) in enumerate([(1, 16, 50), (3, 7, 9), (1, 1, 33), (2, 12, 64), (4, 16, 20)])
    ]
    rows = Rows(canvas_of(MODEL, 1, 5), context(12))
    got = run([asks[0], rows, *asks[1:]])
    assert sorted(shape.n_rows for shape in run._loops) == [4, 8]  # eleven rows
    for ask, reply in zip(asks, [got[0], *got[2:]], strict=True):
        check(reply, expected(ask))
    (alone,) = ModelRunner(MODEL)([rows])
    assert isinstance(got[1], np.ndarray) and isinstance(alone, np.ndarray)
    assert_near(got[1], alone)


def test_a_loop_used_again_keeps_nothing():
    run, tokens = GpuRunner(MODEL, rehearsed), rules()
    asks = [
        Fill(canvas_of(MODEL, 2, 16, 1), context(60, 1), tokens, 0.1, 4),
        Fill(canvas_of(MODEL, 1, 6), context(8), tokens, 0.1, 4),
    ]
    for ask in (*asks, *reversed(asks)):
        check(run([ask])[0], expected(ask))


def test_more_rows_than_a_loop_has_and_contexts_of_one_token():
    """Also where ends could settle early: a whole loop has none, and neither has what takes its place."""
    tokens = replace(rules(), may_end_before=np.arange(V) % 3 == 0)
    run = GpuRunner(MODEL, rehearsed)
    many = Fill(canvas_of(MODEL, 2 * MOST_ROWS + 1, 6, 2), context(20), tokens, 0.1, 3)
    one_token = Fill(canvas_of(MODEL, 1, 6), context(1), tokens, 0.1, 3)
    for ask, got in zip((one_token, many), run([one_token, many]), strict=True):
        check(got, expected(replace(ask, tokens=replace(tokens, may_end_before=NOTHING))))
    assert sorted(shape.n_rows for shape in run._loops) == [1, MOST_ROWS]


def test_a_loop_that_cannot_be_captured_is_denoised_step_by_step(caplog: pytest.LogCaptureFixture):
    def broken(run: Callable[[], None]) -> Callable[[], None]:
        raise RuntimeError("out of resource: shared memory")

    run = GpuRunner(MODEL, broken)
    ask = Fill(canvas_of(MODEL, 2, 6), context(20), rules(), 0.1, 3)
    for _ in range(2):
        check(run([ask])[0], expected(ask))
    assert [record.levelname for record in caplog.records if record.levelname != "INFO"] == ["WARNING"]  # once


def test_no_memory_is_no_broken_loop():
    def broken(run: Callable[[], None]) -> Callable[[], None]:
        raise torch.OutOfMemoryError("out of memory")

    with pytest.raises(torch.OutOfMemoryError):
        GpuRunner(MODEL, broken)([Fill(canvas_of(MODEL, 1, 6), context(20), rules(), 0.1, 3)])


def test_broken_numbers_are_an_error_and_no_sure_token():
    broken = copy.deepcopy(MODEL)
    torch.nn.init.constant_(broken.norm.weight, float("nan"))
    with pytest.raises(EngineError, match="NaN"):
        GpuRunner(broken, rehearsed)([Fill(canvas_of(MODEL, 1, 6), context(20), rules(), 0.1, 3)])


def test_a_rehearsal_notices_kernels_that_compute_something_else(monkeypatch: pytest.MonkeyPatch):
    GpuRunner(MODEL, rehearsed).rehearse(rules())
    for wrong in (lambda p: p + 0.1, lambda p: p * float("nan")):
        run, whole = GpuRunner(MODEL, rehearsed), CanvasLoop.predict
        with monkeypatch.context() as patch:
            patch.setattr(CanvasLoop, "predict", lambda loop, w=wrong, f=whole: (f(loop)[0], w(f(loop)[1]), f(loop)[2]))
            with pytest.raises(RuntimeError, match="differ"):
                run.rehearse(rules())


def test_a_cancelled_loop_ends_between_two_launches():
    ask = Fill(canvas_of(MODEL, 1, 16), context(30), rules(n_stops=1), 1.0, 16, is_cancelled=lambda: True)
    (got,) = GpuRunner(MODEL, rehearsed)([ask])
    assert isinstance(got, Denoised)
    assert (got.ended, got.steps) == ("cancelled", STEPS_AT_A_TIME)
    assert (got.canvas == ask.tokens.mask).any()


def test_a_deadline_fills_what_is_open():
    ask = Fill(canvas_of(MODEL, 1, 16), context(30), rules(n_stops=1), 1.0, 16, deadline_s=0.0)
    (got,) = GpuRunner(MODEL, rehearsed)([ask])
    assert isinstance(got, Denoised)
    assert (got.ended, got.steps) == ("budget", STEPS_AT_A_TIME + 1)
    assert not (got.canvas == ask.tokens.mask).any()


def test_a_deadline_is_one_requests_alone():
    tokens = rules(n_stops=1)
    late = Fill(canvas_of(MODEL, 1, 16), context(30), tokens, 1.0, 16, deadline_s=0.0)
    calm = Fill(canvas_of(MODEL, 1, 16), context(31, 1), tokens, 1.0, 16)
    first, second = GpuRunner(MODEL, rehearsed)([late, calm])
    assert isinstance(first, Denoised)
    assert (first.ended, first.steps) == ("budget", STEPS_AT_A_TIME + 1)
    check(second, expected(calm))
    part = expected(replace(late, n_steps=STEPS_AT_A_TIME + 1))
    assert np.array_equal(first.canvas, part.canvas)
    assert_near(first.log_probs, part.log_probs)


def test_no_rules_take_the_place_of_others():
    """Loops are told apart by their rules' address: it must not be given to other rules."""
    run = GpuRunner(MODEL, rehearsed)
    for n_stops in (1, 40, 3, 25):
        ask = Fill(canvas_of(MODEL, 1, 12), context(25), rules(n_stops=n_stops), 0.05, 4)
        check(run([ask])[0], expected(ask))


def test_parts():
    assert list(parts(3)) == [(3, True)]
    assert list(parts(9)) == [(4, False), (4, False), (1, True)]


class OneDevice(TorchDispatchMode):
    """Fails where an operation takes or makes a tensor on another device: copies that a graph cannot hold."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        tensors = [t for t in tree_leaves((args, kwargs, result)) if isinstance(t, torch.Tensor)]
        assert {t.device.type for t in tensors} <= {"meta"}, func
        return result


@pytest.mark.parametrize("matches", [False, True])
def test_a_step_never_waits_for_the_device(matches: bool):
    """On a device without values whatever asks for one raises, and nothing comes from the host or goes there."""
    config = replace(tiny_config(V), copies_matches=matches)
    model, tokens = Denoiser(config).to("meta"), on_device(rules(Denoiser(config)), torch.device("meta"))
    loop = CanvasLoop(model, Buffers(model, 2, 64), tokens, 0.5, 2, 16)
    loop.run(1, is_end=True)  # as before a capture
    loop.begin()
    with OneDevice():
        loop.run(3, is_end=True)
    assert loop.result().canvas.shape == (2, 16)
    with pytest.raises(RuntimeError):
        bool((loop.canvas == 1).any())


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_graphs_on_a_gpu(dtype: torch.dtype):
    model = tiny_denoiser(V, copies_matches=True, marks_middle=True)
    run, plain = GpuRunner(model.to("cuda", dtype)), ModelRunner(model)
    (states,) = plain([Context(ids(0, 1, 50), None)])
    assert isinstance(states, ContextStates)
    tokens = rules(model)
    run.rehearse(tokens)
    for n_rows, n_steps in ((1, 3), (2, 6), (1, 3)):
        ask = Fill(canvas_of(model, n_rows, 14, n_rows), states, tokens, 0.1, n_steps)
        (got,) = run([ask])
        assert isinstance(got, Denoised)
        assert not (got.canvas == tokens.mask).any()
        if dtype == torch.float32:
            policy, budget = threshold(0.1), Budget(max_evaluations=n_steps)
            check(got, drive(plain, denoise(states, ask.canvas, tokens, policy, budget)))
