"""The denoise loop: predict every masked position, commit what the policy trusts, repeat.

There is one such loop. After every step the canvas can be read; when the budget is spent, the open positions take the
last prediction. A row whose end is settled (`partial_answer`) is not filled any further. Knows tokens and tensors, no
text.
"""

import copy
import time
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ...fim.budget import Budget
from ..network.denoiser import ContextStates
from ..requests import BranchWork, Denoised, Rows, never
from ..tokenizers.canvas_tokens import CanvasTokens
from .partial_answer import PartialAnswer
from .policies import Scores, UnmaskPolicy, one


class Prediction(NamedTuple):
    """The likeliest token, how sure it is, and the log-probability that the text stops there if not before, at every
    position, all [B, L]; the forwards that it took; and tokens that were wrongly guessed in the last one's place and
    behind it."""

    tokens: Tensor
    scores: Scores
    stop_log_probs: Tensor
    n_forwards: int
    refused: Sequence[int] = ()


@dataclass(frozen=True)
class DenoiseStep:
    """What one step did: canvas and newly committed positions (both [B, L]), ms since the loop began, and what was
    guessed in the place of the last one and behind it, and refused.

    index counts forwards: that of the first step is 1 where a step takes one.
    """

    index: int
    elapsed_ms: float
    canvas: Tensor
    committed: Tensor
    refused: Sequence[int] = ()


def ignore(step: DenoiseStep) -> None:
    """An on_step for callers that do not watch."""


def predict(states: ContextStates, canvas: Tensor, tokens: CanvasTokens) -> BranchWork[Prediction]:
    """What the denoiser would put at every position of canvas [B, L], in one forward."""
    log_probs = tokens.allowed((yield Rows(canvas, states)))
    best = log_probs.max(dim=-1)
    stops = first_stops(stop_log_probs(log_probs, tokens), canvas, tokens)
    return Prediction(best.indices, Scores(best.values.exp(), lambda: entropy(log_probs)), stops, 1)


def entropy(log_probs: Tensor) -> Tensor:
    """Entropies [...] in nats of log-probabilities [..., V]."""
    return torch.special.entr(log_probs.exp()).sum(dim=-1)


def stop_log_probs(log_probs: Tensor, tokens: CanvasTokens) -> Tensor:
    """Log-probability [...] of any stop, from those of all tokens [..., V]."""
    return log_probs[..., tokens.stop_ids].logsumexp(dim=-1)


Predict = Callable[[Any, Tensor, CanvasTokens], Generator[Any, Any, Prediction]]
AfterStep = Callable[[Tensor, Tensor, Tensor], tuple[Tensor, Tensor, Tensor]]


def leave_unchanged(canvas: Tensor, log_probs: Tensor, stops: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """A canvas whose cells stay where they are, with their log-probabilities and those of a stop."""
    return canvas, log_probs, stops


def denoise(
    states: object,
    canvas: Tensor,
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

    Commits at least one position a row and step. is_cancelled is asked before every step, on_step told after it.
    predict says what stands at the open positions; the denoiser alone unless something else is given. rows [B] are what
    stands before each canvas already, and are not changed; without them every canvas begins an answer.
    """
    start_s = time.monotonic()
    canvas = canvas.clone()
    log_probs = torch.zeros(canvas.shape, dtype=torch.float32, device=canvas.device)
    stops = torch.full_like(log_probs, float("-inf"))
    rows = rows or [PartialAnswer(tokens.end_rule) for _ in canvas]
    steps = 0
    while bool((canvas == tokens.mask).any()):
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
        stops = torch.where(ends_text(canvas, tokens), stops_now, stops)
        canvas, log_probs = commit(canvas, log_probs, predicted, scores.confidence, committed, tokens)
        canvas = settle(canvas, log_probs, stops, tokens, rows)
        canvas, log_probs, stops = changed(canvas, log_probs, stops)
        on_step(DenoiseStep(steps, 1000 * (time.monotonic() - start_s), canvas, committed, refused))
        if is_last and bool((masked & ~committed).any() | (committed.sum() > 1)):
            return Denoised(canvas, log_probs, stops, steps, "budget")
    return Denoised(canvas, log_probs, stops, steps, "filled")


def would_be_late(budget: Budget, step_s: float) -> bool:
    """Whether another step of this length would miss the deadline."""
    return budget.deadline_s is not None and time.monotonic() + step_s > budget.deadline_s


def choose(policy: UnmaskPolicy, predicted: Tensor, scores: Scores, masked: Tensor, tokens: CanvasTokens) -> Tensor:
    """Positions to commit, bool [B, L]: what the policy picks, and the surest one where it picks nothing.

    A predicted end is committed only once everything left of it is, and nothing right of it: before, it only says that
    the text has ended by there, and, being easy, it would settle the length before anything is known of the text.
    """
    ends = masked & (predicted == tokens.end)
    eligible = masked & (ends.cumsum(dim=-1) - ends.long() == 0) & ~(ends & (masked.cumsum(dim=-1) > 1))
    chosen = policy(scores, eligible) & eligible
    owed = ~chosen.any(dim=-1, keepdim=True)
    return chosen | (one(scores, eligible) & owed)


def commit(
    canvas: Tensor, log_probs: Tensor, predicted: Tensor, confidence: Tensor, committed: Tensor, tokens: CanvasTokens
) -> tuple[Tensor, Tensor]:
    """Canvas and log-probabilities after committing; masks right of a committed stop become end."""
    was_masked = canvas == tokens.mask
    canvas = torch.where(committed, predicted, canvas)
    log_probs = torch.where(committed, confidence.clamp_min(1e-20).log(), log_probs)
    is_stop = tokens.stops[canvas] & committed
    after = is_stop.cumsum(dim=-1) - is_stop.long() > 0
    return torch.where(after & was_masked, tokens.end, canvas), log_probs.masked_fill(after & was_masked, 0.0)


def ends_text(canvas: Tensor, tokens: CanvasTokens) -> Tensor:
    """Masks with no text right of them, bool [B, L]: left of text nothing can end."""
    is_mask = canvas == tokens.mask
    is_text = ~is_mask & (canvas != tokens.end)
    return is_mask & (is_text.flip(-1).cumsum(dim=-1).flip(-1) == 0)


def first_stops(stop_log_probs: Tensor, canvas: Tensor, tokens: CanvasTokens) -> Tensor:
    """Log-probability [B, L] of ending at each place, where it has not ended before.

    Behind another mask, what a stop is given is the probability of having ended by there.
    """
    is_mask = canvas == tokens.mask
    ended = stop_log_probs.exp().clamp_max(1 - 1e-6)
    before = torch.where(is_mask, ended, 0.0).roll(1, dims=-1)
    before[:, 0] = 0.0
    return ((ended - before) / (1 - before)).clamp_min(1e-20).log()


def settle(
    canvas: Tensor, log_probs: Tensor, stop_log_probs: Tensor, tokens: CanvasTokens, rows: Sequence[PartialAnswer]
) -> Tensor:
    """The canvas [B, L] with the masks of those rows ended whose end is among the tokens that stand."""
    if not bool(tokens.may_end_before.any()):
        return canvas
    is_mask = canvas == tokens.mask
    settled = [
        bool(masks.any()) and grow(row, canvas[i], log_probs[i], stop_log_probs[i], tokens).end() is not None
        for i, (row, masks) in enumerate(zip(rows, is_mask, strict=True))
    ]
    return torch.where(torch.tensor(settled, device=canvas.device).unsqueeze(-1) & is_mask, tokens.end, canvas)


def grow(
    row: PartialAnswer, canvas: Tensor, log_probs: Tensor, stop_log_probs: Tensor, tokens: CanvasTokens
) -> PartialAnswer:
    """A copy of row with what stands left of any mask or end in its canvas, and its scores (all [L]), behind it."""
    is_text = (canvas != tokens.mask) & (canvas != tokens.end)
    n = int(is_text.cumprod(dim=-1).sum())
    row = copy.deepcopy(row)
    row.add(
        canvas[:n].tolist(),
        log_probs[:n].tolist(),
        stop_log_probs[:n].tolist(),
        tokens.may_end_before[canvas[:n]].tolist(),
    )
    return row
