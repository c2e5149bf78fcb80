"""The combined loss: next token on every context section, and masked diffusion on canvases.

Both passes share the weights and the mixture of vocabulary and copy head. Exact log-probabilities of the targets are
taken without building [.., V] mixtures. Plain means, no time weighting.
"""

from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor
from torch.autograd.function import FunctionCtx

from ..model.denoiser import ContextStates, Denoiser
from .samples import IGNORE, Batch

N_ROWS = 1024  # rows of logits alive at a time
Z_LOSS = 1e-4
NOTHING = -1e30  # stands for log 0 where -inf would make gradients NaN


@dataclass(frozen=True)
class Losses:
    """Mean negative log-likelihoods in nats: of the next context token, of asked canvas tokens; total is trained."""

    next_token: Tensor
    canvas: Tensor
    total: Tensor


def combined_loss(model: Denoiser, batch: Batch, device: torch.device, canvas_share: float = 0.5) -> Losses:
    """Losses of one batch; canvas_share is the canvas loss's part of the total."""
    tokens, targets, canvases, canvas_targets, weights, anchors = (
        torch.from_numpy(part).to(device)
        for part in (
            batch.tokens, batch.targets, batch.canvases, batch.canvas_targets, batch.weights, batch.anchors,
        )
    )  # fmt: skip
    hidden, states = model.context(tokens)
    n_context = tokens.shape[1]
    position = torch.arange(n_context, device=device)
    earlier = position[:-1] < position[1:].unsqueeze(1)  # [T - 1, T - 1]
    context_log_probs, z = target_log_probs(model, hidden[:, 1:], targets[:, 1:].clamp_min(0), states, earlier)
    asked = (targets[:, 1:] != IGNORE).float()
    next_token = -(context_log_probs * asked).sum() / asked.sum()

    canvas_hidden = model.canvas(canvases, states, anchors)
    b, m, n, width = canvas_hidden.shape
    before = position[:-1] < anchors.unsqueeze(-1)  # [B, M, T - 1]
    before = before.unsqueeze(2).expand(b, m, n, n_context - 1).reshape(b, m * n, n_context - 1)
    canvas_log_probs, _ = target_log_probs(
        model, canvas_hidden.reshape(b, m * n, width), canvas_targets.reshape(b, m * n), states, before
    )
    canvas = -(canvas_log_probs * weights.reshape(b, m * n)).sum() / weights.sum()
    total = (1 - canvas_share) * next_token + canvas_share * canvas + Z_LOSS * (z * asked).sum() / asked.sum()
    return Losses(next_token.detach(), canvas.detach(), total)


def target_log_probs(
    model: Denoiser, hidden: Tensor, targets: Tensor, states: ContextStates, may_copy: Tensor
) -> tuple[Tensor, Tensor]:
    """Log-probability [B, N] of each target under the mixture, and the squared log-normaliser [B, N] (z-loss)."""
    chosen, normaliser = vocabulary_scores(model, hidden, targets)
    weights, gate = model.copy_attention(hidden, states.copy_keys, may_copy)
    same = targets.unsqueeze(-1) == states.tokens[:, 1:].unsqueeze(1)  # [B, N, T - 1]
    copied = torch.logsumexp(weights.masked_fill(~same | ~may_copy, NOTHING), dim=-1)
    mixed = torch.logaddexp(chosen - normaliser + F.logsigmoid(-gate), copied + F.logsigmoid(gate))
    return mixed, normaliser.square()


def vocabulary_scores(model: Denoiser, hidden: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """Logit of each target and log-normaliser, both float32 [B, N], without keeping the logits."""
    dtype = torch.get_autocast_dtype(hidden.device.type) if torch.is_autocast_enabled(hidden.device.type) else None
    rows = hidden.flatten(0, 1)
    table = model.embedding.weight
    scores = VocabularyScores.apply(rows.to(dtype or rows.dtype), table.to(dtype or table.dtype), targets.flatten())
    assert isinstance(scores, tuple)
    return scores[0].view(targets.shape), scores[1].view(targets.shape)


class VocabularyScores(torch.autograd.Function):
    """Target logits and log-normalisers of hidden [N, D] against a table [V, D], a slice of rows at a time.

    The backward pass makes each slice of logits again instead of storing N x V numbers.
    """

    @staticmethod
    def forward(ctx: FunctionCtx, hidden: Tensor, table: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        chosen = torch.empty(len(hidden), dtype=torch.float32, device=hidden.device)
        normaliser = torch.empty_like(chosen)
        for rows in _slices(len(hidden)):
            logits = (hidden[rows] @ table.T).float()
            chosen[rows] = logits.gather(-1, targets[rows].unsqueeze(-1)).squeeze(-1)
            normaliser[rows] = torch.logsumexp(logits, dim=-1)
        ctx.save_for_backward(hidden, table, targets, normaliser)
        return chosen, normaliser

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor, None]:  # noqa: ANN401
        hidden, table, targets, normaliser = ctx.saved_tensors
        grad_chosen, grad_normaliser = grads
        grad_hidden = torch.empty_like(hidden)
        grad_table = torch.zeros(table.shape, dtype=torch.float32, device=table.device)
        for rows in _slices(len(hidden)):
            logits = (hidden[rows] @ table.T).float()
            grad = logits.sub_(normaliser[rows].unsqueeze(-1)).exp_().mul_(grad_normaliser[rows].unsqueeze(-1))
            grad.scatter_add_(-1, targets[rows].unsqueeze(-1), grad_chosen[rows].unsqueeze(-1))
            grad = grad.to(hidden.dtype)
            grad_hidden[rows] = grad @ table
            grad_table += (grad.T @ hidden[rows]).float()
        return grad_hidden, grad_table.to(table.dtype), None


def _slices(n: int) -> list[slice]:
    return [slice(start, start + N_ROWS) for start in range(0, n, N_ROWS)]
