"""Unmask policies: which predictions to commit this step. Plain callables over tensors; they know no model.

A policy is asked with what may be committed and how sure the denoiser is; the loop adds the one commitment a step that
it owes, so a policy may well choose nothing.
"""

from collections.abc import Callable

import torch
from torch import Tensor

UnmaskPolicy = Callable[[Tensor, Tensor], Tensor]
"""(confidence [B, L] in [0, 1], eligible bool [B, L]) → positions to commit, bool [B, L]."""


def one(confidence: Tensor, eligible: Tensor) -> Tensor:
    """The surest position alone."""
    return top_k(1)(confidence, eligible)


def top_k(k: int) -> UnmaskPolicy:
    """The k surest positions. Raises ValueError for k < 1."""
    if k < 1:
        raise ValueError(f"k must be at least 1, not {k}")

    def policy(confidence: Tensor, eligible: Tensor) -> Tensor:
        scores = confidence.masked_fill(~eligible, -1.0)
        chosen = scores.topk(min(k, scores.shape[-1]), dim=-1).indices
        return torch.zeros_like(eligible).scatter(-1, chosen, True) & eligible

    return policy


def threshold(confidence_min: float) -> UnmaskPolicy:
    """Every position at least this sure (Fast-dLLM, Wu et al. 2025). Raises ValueError outside (0, 1]."""
    if not 0 < confidence_min <= 1:
        raise ValueError(f"confidence_min must lie in (0, 1], not {confidence_min}")

    def policy(confidence: Tensor, eligible: Tensor) -> Tensor:
        return eligible & (confidence >= confidence_min)

    return policy


def everything(confidence: Tensor, eligible: Tensor) -> Tensor:
    """All positions at once."""
    return eligible
