"""Unmask policies: which predictions to commit in a step. Plain callables over arrays.

A policy is given how sure the denoiser is and which positions may be committed. It may choose none: the loop then
commits the surest one.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np


class Scores(NamedTuple):
    """How sure the denoiser is at every position: confidence [B, L], the probability of its prediction, and entropy
    [B, L] of the distribution, in nats, computed on demand."""

    confidence: np.ndarray
    entropy: Callable[[], np.ndarray]


UnmaskPolicy = Callable[[Scores, np.ndarray], np.ndarray]
"""(scores, eligible bool [B, L]) → positions to commit, bool [B, L]."""


def one(scores: Scores, eligible: np.ndarray) -> np.ndarray:
    """The surest position alone."""
    return top_k(1)(scores, eligible)


def left(scores: Scores, eligible: np.ndarray) -> np.ndarray:
    """The leftmost position alone: the order of a model that writes token by token."""
    return eligible & (eligible.cumsum(axis=-1) == 1)


def top_k(k: int) -> UnmaskPolicy:
    """The k surest positions. Raises ValueError for k < 1."""
    if k < 1:
        raise ValueError(f"k must be at least 1, not {k}")

    def policy(scores: Scores, eligible: np.ndarray) -> np.ndarray:
        confidence = np.where(eligible, scores.confidence, -1)
        surest_first = np.argsort(-confidence, axis=-1, kind="stable")
        return _at(surest_first[..., :k], eligible) & eligible

    return policy


def threshold(confidence_min: float) -> UnmaskPolicy:
    """Every position at least this sure (Fast-dLLM, Wu et al. 2025). Raises ValueError outside (0, 1]."""
    if not 0 < confidence_min <= 1:
        raise ValueError(f"confidence_min must lie in (0, 1], not {confidence_min}")

    def policy(scores: Scores, eligible: np.ndarray) -> np.ndarray:
        return eligible & (scores.confidence >= confidence_min)

    return policy


def entropy_budget(nats: float) -> UnmaskPolicy:
    """As many of the positions with the least entropy as have at most nats together, the last one not counted.

    The entropy of all but the last bounds what is lost by committing them at once, as if they did not depend on one
    another (Ben-Hamu et al. 2025, "EB-Sampler"). Always at least one. Raises ValueError for less than 0.
    """
    if not nats >= 0:
        raise ValueError(f"nats must be at least 0, not {nats}")

    def policy(scores: Scores, eligible: np.ndarray) -> np.ndarray:
        entropy = np.where(eligible, scores.entropy(), np.inf)
        order = np.argsort(entropy, axis=-1, kind="stable")
        ordered = np.take_along_axis(entropy, order, axis=-1)
        is_open = np.isfinite(ordered)
        known = np.where(is_open, ordered, 0)
        is_chosen = is_open & (known.cumsum(axis=-1) - known <= nats)
        return _at(order, eligible, is_chosen) & eligible

    return policy


def everything(scores: Scores, eligible: np.ndarray) -> np.ndarray:
    """All positions at once."""
    return eligible


def _at(indices: np.ndarray, like: np.ndarray, values: np.ndarray | bool = True) -> np.ndarray:
    """Values at indices along the last axis, False elsewhere; in the shape of like."""
    found = np.zeros_like(like)
    np.put_along_axis(found, indices, values, axis=-1)
    return found
