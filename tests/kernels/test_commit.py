"""The commit against the denoise loop's own `choose` and `commit`."""

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from quicksilver.kernels import commit as kernels
from quicksilver.model.decoding import denoise
from quicksilver.model.decoding.policies import Scores, threshold

MASK, END, N_IDS = 7, 6, 9
SETTINGS = settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])


def scores_of(confidence: np.ndarray) -> Scores:
    return Scores(confidence, lambda: pytest.fail("a threshold needs no entropy"))


@st.composite
def steps(draw, distinct=True):
    """Canvas, log-probabilities, predictions, confidences and stops, as full of masks, ends and stops as it gets."""
    b, n_slots = draw(st.integers(1, 4)), draw(st.integers(1, 19))
    n = b * n_slots

    def some(values):
        return torch.tensor(draw(st.lists(values, min_size=n, max_size=n))).view(b, n_slots)

    text, mask, end = st.integers(0, N_IDS - 1), st.just(MASK), st.just(END)
    canvas = some(st.one_of(mask, mask, mask, text))
    predicted = some(st.one_of(end, text.filter(lambda v: v != MASK)))
    if distinct:
        confidence = torch.tensor(draw(st.permutations(range(1, n + 1)))).view(b, n_slots) / n
    else:
        confidence = some(st.sampled_from((0.0, 0.25, 0.5, 1.0)))
    stops = torch.tensor(draw(st.lists(st.booleans(), min_size=N_IDS, max_size=N_IDS)))
    stops[END] = True
    log_probs = -torch.arange(float(n)).view(b, n_slots)
    return canvas, log_probs, predicted, confidence.float(), stops


THRESHOLDS = st.sampled_from((0.05, 0.25, 0.5, 0.9, 1.0))


def names(confidence_min):
    return {"mask": MASK, "end": END, "threshold": confidence_min}


def assert_equal(one, other):
    for name, a, b in zip(kernels.Committed._fields, one, other, strict=True):
        assert a.dtype == b.dtype and torch.equal(a.cpu(), b.cpu()), name


@SETTINGS
@given(step=steps(), confidence_min=THRESHOLDS)
def test_the_reference_is_the_loops_step(step, confidence_min):
    canvas, log_probs, predicted, confidence, stops = (tensor.numpy() for tensor in step)
    nothing = np.zeros(N_IDS, np.bool_)
    tokens = denoise.CanvasTokens(mask=MASK, end=END, forbidden=nothing, stops=stops, may_end_before=nothing)
    chosen = denoise.choose(threshold(confidence_min), predicted, scores_of(confidence), canvas == MASK, tokens)
    expected = denoise.commit(canvas, log_probs, predicted, confidence, chosen, tokens)
    n_open = (expected[0] == MASK).sum(axis=-1, dtype=np.int32)
    wanted = kernels.Committed(*(torch.from_numpy(array) for array in (*expected, chosen, n_open)))
    found = kernels.reference(*step, **names(confidence_min))
    torch.testing.assert_close(found.log_probs, wanted.log_probs, rtol=1e-6, atol=1e-6)  # logarithms differ in a bit
    assert_equal(found._replace(log_probs=wanted.log_probs), wanted)


@SETTINGS
@given(step=steps(distinct=False), confidence_min=THRESHOLDS)
def test_the_kernel_is_the_reference(device, step, confidence_min):
    before = [tensor.clone() for tensor in step]
    committed = kernels.launch(*(tensor.to(device) for tensor in step), **names(confidence_min))
    expected = kernels.reference(*step, **names(confidence_min))
    torch.testing.assert_close(committed.log_probs.cpu(), expected.log_probs, rtol=1e-6, atol=1e-6)
    assert_equal(committed._replace(log_probs=expected.log_probs), expected)
    assert all(map(torch.equal, step, before))


@SETTINGS
@given(step=steps(), confidence_min=THRESHOLDS)
def test_what_was_there_stays_and_every_row_with_masks_moves_on(step, confidence_min):
    canvas = step[0]
    committed = kernels.commit(*step, **names(confidence_min))
    masked = canvas == MASK
    assert torch.equal(committed.canvas[~masked], canvas[~masked])
    assert torch.equal(committed.log_probs[~masked], step[1][~masked])
    n_before = masked.sum(dim=-1)
    assert ((committed.n_open < n_before) | (n_before == 0)).all()


def test_long_strided_rows(device):
    torch.manual_seed(0)
    canvas = torch.randint(0, N_IDS, (3, 200))[:, 50:150]
    predicted = torch.randint(0, MASK - 1, (3, 100))
    predicted[:, 70] = END
    stops = torch.arange(N_IDS) == END
    step: Any = [tensor.to(device) for tensor in (canvas, torch.zeros(3, 100), predicted, torch.rand(3, 100), stops)]
    expected = kernels.reference(*step, **names(0.3))
    assert (expected.canvas[:, 71:] == END).any() and (expected.n_open > 0).any()
    committed = kernels.launch(*step, **names(0.3))
    torch.testing.assert_close(committed.log_probs, expected.log_probs, rtol=1e-6, atol=1e-6)
    assert_equal(committed._replace(log_probs=expected.log_probs), expected)


def step(b=2, n_slots=5) -> Any:
    numbers = torch.zeros(b, n_slots)
    return [numbers.long() + MASK, numbers, numbers.long(), numbers, torch.zeros(N_IDS, dtype=torch.bool)]


@pytest.mark.parametrize(
    ("place", "change", "says"),
    (
        (0, torch.Tensor.int, "canvas must be int64, not int32"),
        (0, lambda canvas: canvas[:, :0], "canvas must have 1 to 1024 positions a row, not 0"),
        (0, lambda canvas: canvas.repeat(1, 300), "canvas must have 1 to 1024 positions a row, not 1500"),
        (1, lambda log_probs: log_probs[1:], r"log_probs must have the shape \[2, 5\], not \[1, 5\]"),
        (2, lambda predicted: predicted.to("meta"), "predicted must be on cpu as the first argument is, not on meta"),
        (3, torch.Tensor.bfloat16, "confidence must be float32, not bfloat16"),
        (3, lambda confidence: confidence.T.contiguous().T, "confidence's last axis must be dense"),
        (4, torch.Tensor.int, "stops must be bool, not int32"),
    ),
)
def test_wrong_arguments_are_named(place, change, says):
    tensors = step()
    tensors[place] = change(tensors[place])
    with pytest.raises(ValueError, match=says):
        kernels.commit(*tensors, **names(0.5))


@pytest.mark.parametrize("confidence_min", (0.0, -1.0, 1.5, float("nan")))
def test_thresholds_are_probabilities(confidence_min):
    with pytest.raises(ValueError, match=r"threshold must lie in \(0, 1\]"):
        kernels.commit(*step(), **names(confidence_min))
