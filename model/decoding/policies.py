"""Unmask policies: which predictions to commit this step. Plain callables over tensors; they know no model.

A policy is asked with what may be committed and how sure the denoiser is; the loop adds the one commitment a step that
it owes, so a policy may well choose nothing.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor


class Scores(NamedTuple):
    """How sure the denoiser is at every position: confidence [B, L], the probability of its prediction, and entropy
    [B, L] of all it might be, in nats, computed when it is asked for."""

    confidence: Tensor
    entropy: Callable[[], Tensor]


UnmaskPolicy = Callable[[Scores, Tensor], Tensor]
"""(scores, eligible bool [B, L]) → positions to commit, bool [B, L]."""


def one(scores: Scores, eligible: Tensor) -> Tensor:
    """The surest position alone."""
    return top_k(1)(scores, eligible)


def top_k(k: int) -> UnmaskPolicy:
    """The k surest positions. Raises ValueError for k < 1."""
    if k < 1:
        raise ValueError(f"k must be at least 1, not {k}")

    def policy(scores: Scores, eligible: Tensor) -> Tensor:
        confidence = scores.confidence.masked_fill(~eligible, -1.0)
        chosen = confidence.topk(min(k, confidence.shape[-1]), dim=-1).indices
        return torch.zeros_like(eligible).scatter(-1, chosen, True) & eligible

    return policy


def threshold(confidence_min: float) -> UnmaskPolicy:
    """Every position at least this sure (Fast-dLLM, Wu et al. 2025). Raises ValueError outside (0, 1]."""
    if not 0 < confidence_min <= 1:
        raise ValueError(f"confidence_min must lie in (0, 1], not {confidence_min}")

    def policy(scores: Scores, eligible: Tensor) -> Tensor:
        return eligible & (scores.confidence >= confidence_min)

    return policy


def entropy_budget(nats: float) -> UnmaskPolicy:
    """As many of the positions with the least entropy as have at most nats together, the last one not counted.

    The entropy of all but the last bounds what is lost by committing them at once, as if they did not depend on one
    another (Ben-Hamu et al. 2025, "EB-Sampler"). Always at least one. Raises ValueError for less than 0.
    """
    if not nats >= 0:
        raise ValueError(f"nats must be at least 0, not {nats}")

    def policy(scores: Scores, eligible: Tensor) -> Tensor:
        entropy = scores.entropy().masked_fill(~eligible, float("inf"))
        ordered = entropy.sort(dim=-1, stable=True)
        before = ordered.values.cumsum(dim=-1) - ordered.values
        before = torch.where(ordered.values.isinf(), float("inf"), before)
        return torch.zeros_like(eligible).scatter(-1, ordered.indices, before <= nats) & eligible

    return policy


def everything(scores: Scores, eligible: Tensor) -> Tensor:
    """All positions at once."""
    return eligible
