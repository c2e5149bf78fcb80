"""The denoise loop: predict every masked position, commit what the policy trusts, repeat.

After every step the canvas can be read; when the budget is spent, the open positions take the last prediction. A row
whose end is settled (`partial_answer`) is not filled any further.
"""

import time
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from ...fim.budget import Budget
from ..network.states import ContextStates
from ..numerics import entropy, logsumexp
from ..requests import BranchWork, Denoised, Rows, never
from ..tokenizers.canvas_tokens import CanvasTokens
from .partial_answer import PartialAnswer, grow
from .policies import Scores, UnmaskPolicy, one
from .sampling import Choose, likeliest

LEAST = np.float32(1e-20)  # lower probabilities count as this one, so that all have a logarithm


class Prediction(NamedTuple):
    """For every position the chosen token, how sure it is, and the log-probability that the text stops there if not
    before, all [B, L]; the forwards taken; and the refused guesses for the last token and what follows it."""

    tokens: np.ndarray
    scores: Scores
    stop_log_probs: np.ndarray
    n_forwards: int
    refused: Sequence[int] = ()


@dataclass(frozen=True)
class DenoiseStep:
    """What one step did: canvas and newly committed positions (both [B, L]), ms since the loop began, log-probabilities
    of what is committed and of a stop, the predicted tokens (masks where there is no prediction) and the probability of
    each (all [B, L]), and the refused guesses for the last token and what follows it.

    index counts forwards, so it is 1 after a first step of one forward.
    """

    index: int
    elapsed_ms: float
    canvas: np.ndarray
    committed: np.ndarray
    log_probs: np.ndarray
    stop_log_probs: np.ndarray
    predicted: np.ndarray
    confidence: np.ndarray
    refused: Sequence[int] = ()


def ignore(step: DenoiseStep) -> None:
    """An on_step for callers that do not watch."""


def predict(
    states: ContextStates, canvas: np.ndarray, tokens: CanvasTokens, choose: Choose = likeliest
) -> BranchWork[Prediction]:
    """What the denoiser would put at every position of canvas [B, L], in one forward."""
    log_probs = tokens.allowed((yield Rows(canvas, states)))
    stops = first_stops(stop_log_probs(log_probs, tokens), canvas, tokens)
    chosen = choose(log_probs, 0)
    return Prediction(chosen, scores_of(log_probs, chosen), stops, 1)


def scores_of(log_probs: np.ndarray, chosen: np.ndarray) -> Scores:
    """How sure the chosen tokens [B, L] are, by log-probabilities [B, L, V]."""
    return Scores(np.exp(log_probs_at(log_probs, chosen)), lambda: entropy(log_probs))


def log_probs_at(log_probs: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    """The log-probabilities [...] of the chosen tokens [...], of all [..., V]."""
    return np.take_along_axis(log_probs, chosen[..., None], axis=-1)[..., 0]


def stop_log_probs(log_probs: np.ndarray, tokens: CanvasTokens) -> np.ndarray:
    """Log-probability [...] of any stop, from those of all tokens [..., V]."""
    return logsumexp(log_probs[..., tokens.stop_ids])


Predict = Callable[[Any, np.ndarray, CanvasTokens], Generator[Any, Any, Prediction]]
AfterStep = Callable[[np.ndarray, np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray, np.ndarray]]


def leave_unchanged(
    canvas: np.ndarray, log_probs: np.ndarray, stops: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """An `AfterStep` that changes nothing."""
    return canvas, log_probs, stops


def denoise(
    states: object,
    canvas: np.ndarray,
    tokens: CanvasTokens,
    policy: UnmaskPolicy,
    budget: Budget,
    is_cancelled: Callable[[], bool] = never,
    on_step: Callable[[DenoiseStep], None] = ignore,
    predict: Predict = predict,
    rows: Sequence[PartialAnswer] = (),
    changed: AfterStep = leave_unchanged,
) -> Generator[Any, Any, Denoised]:
    """Fill the masks of canvas [B, L] after the context in states. Unmasked positions never change.

    Each step commits at least one position per row. is_cancelled is called before every step, on_step after it.
    predict gives the tokens at open positions, by default the denoiser's. rows [B] are the answers before each canvas,
    and are not changed; without them every canvas begins an answer.
    """
    start_s = time.monotonic()
    canvas = canvas.copy()
    log_probs = np.zeros(canvas.shape, dtype=np.float32)
    stops = np.full_like(log_probs, -np.inf)
    rows = rows or [PartialAnswer(tokens.end_rule) for _ in canvas]
    steps = 0
    while (canvas == tokens.mask).any():
        if is_cancelled():
            return Denoised(canvas, log_probs, stops, steps, "cancelled")
        if budget.expired() or budget.spent(steps):
            return Denoised(canvas, log_probs, stops, steps, "budget")
        step_start_s = time.monotonic()
        predicted, scores, stops_now, n_forwards, refused = yield from predict(states, canvas, tokens)
        step_s = time.monotonic() - step_start_s
        steps += n_forwards
        is_last = budget.spent(steps) or would_be_late(budget, step_s)
        masked = canvas == tokens.mask
        committed = masked if is_last else choose(policy, predicted, scores, masked, tokens)
        stops = np.where(ends_text(canvas, tokens), stops_now, stops)
        canvas, log_probs = commit(canvas, log_probs, predicted, scores.confidence, committed, tokens)
        canvas = end_settled_rows(canvas, log_probs, stops, tokens, rows)
        before = canvas
        canvas, log_probs, stops = changed(before, log_probs, stops)
        if canvas is not before:  # cells may have moved
            predicted = np.full_like(canvas, tokens.mask)
        elapsed_ms = 1000 * (time.monotonic() - start_s)
        on_step(
            DenoiseStep(steps, elapsed_ms, canvas, committed, log_probs, stops, predicted, scores.confidence, refused)
        )
        if is_last and ((masked & ~committed).any() or committed.sum() > 1):
            return Denoised(canvas, log_probs, stops, steps, "budget")
    return Denoised(canvas, log_probs, stops, steps, "filled")


def first_ends(stops: np.ndarray) -> np.ndarray:
    """Probabilities [L] that a text ends at each place and not before, from those of a stop there [L]."""
    goes_on = np.concatenate((np.ones(1, stops.dtype), (1 - stops).cumprod()[:-1]))
    return stops * goes_on


def would_be_late(budget: Budget, step_s: float) -> bool:
    """Whether another step of this length would miss the deadline."""
    return budget.deadline_s is not None and time.monotonic() + step_s > budget.deadline_s


def choose(
    policy: UnmaskPolicy, predicted: np.ndarray, scores: Scores, masked: np.ndarray, tokens: CanvasTokens
) -> np.ndarray:
    """Positions to commit, bool [B, L]: those that the policy picks, or the surest one if it picks none.

    A predicted end is committed only once everything left of it is, and nothing right of it. Before that it only says
    that the text has ended by there, and, being easy, it would settle the length before the text is known.
    """
    ends = masked & (predicted == tokens.end)
    eligible = masked & (ends.cumsum(axis=-1) - ends == 0) & ~(ends & (masked.cumsum(axis=-1) > 1))
    chosen = policy(scores, eligible) & eligible
    owed = ~chosen.any(axis=-1, keepdims=True)
    return chosen | (one(scores, eligible) & owed)


def commit(
    canvas: np.ndarray,
    log_probs: np.ndarray,
    predicted: np.ndarray,
    confidence: np.ndarray,
    committed: np.ndarray,
    tokens: CanvasTokens,
) -> tuple[np.ndarray, np.ndarray]:
    """Canvas and log-probabilities after committing; masks right of a committed stop become end."""
    was_masked = canvas == tokens.mask
    canvas = np.where(committed, predicted, canvas)
    log_probs = np.where(committed, np.log(np.maximum(confidence, LEAST)), log_probs)
    is_stop = tokens.stops[canvas] & committed
    is_over = (is_stop.cumsum(axis=-1) - is_stop > 0) & was_masked
    return np.where(is_over, tokens.end, canvas), np.where(is_over, np.float32(0), log_probs)


def ends_text(canvas: np.ndarray, tokens: CanvasTokens) -> np.ndarray:
    """Masks with no text right of them, bool [B, L]: the text cannot end left of text."""
    is_mask = canvas == tokens.mask
    is_text = ~is_mask & (canvas != tokens.end)
    return is_mask & (np.flip(np.flip(is_text, -1).cumsum(axis=-1), -1) == 0)


def first_stops(stop_log_probs: np.ndarray, canvas: np.ndarray, tokens: CanvasTokens) -> np.ndarray:
    """Log-probability [B, L] of ending at each place, given that the text has not ended before.

    After another mask, the probability of a stop is that of having ended by there.
    """
    is_mask = canvas == tokens.mask
    ended = np.minimum(np.exp(stop_log_probs), np.float32(1 - 1e-6))
    before = np.roll(np.where(is_mask, ended, np.float32(0)), 1, axis=-1)
    before[:, 0] = 0
    return np.log(np.maximum((ended - before) / (1 - before), LEAST))


def end_settled_rows(
    canvas: np.ndarray,
    log_probs: np.ndarray,
    stop_log_probs: np.ndarray,
    tokens: CanvasTokens,
    rows: Sequence[PartialAnswer],
) -> np.ndarray:
    """The canvas [B, L], in which rows whose end is among their committed tokens have `end` for each mask."""
    if not tokens.may_end_before.any():
        return canvas
    is_mask = canvas == tokens.mask
    settled = [
        masks.any() and grow(row, canvas[i], log_probs[i], stop_log_probs[i], tokens).end() is not None
        for i, (row, masks) in enumerate(zip(rows, is_mask, strict=True))
    ]
    return np.where(np.array(settled)[:, None] & is_mask, tokens.end, canvas)
