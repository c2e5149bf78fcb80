"""The combined loss: next token on every context section, and masked diffusion on canvases.

Continuations of the context, run beside the canvases, count with its next tokens. Both passes share the weights and the
mixture of vocabulary and copy head. Exact log-probabilities of the targets are taken without building [.., V] mixtures.
Means by the samples' weights, no time weighting.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor
from torch.autograd.function import FunctionCtx

from ...model.network.copy_head import Matches
from ...model.network.denoiser import Denoiser
from ...model.network.matches import classes, context_matches
from ...model.network.states import ContextStates
from ...model.network.transformer import PLAIN, BlockPasses
from ..data.samples import IGNORE, Batch

N_ROWS = 1024  # rows of logits alive at a time, on a CPU
Z_LOSS = 1e-4
NOTHING = -1e30  # stands for log 0 where -inf would make gradients NaN


@dataclass(frozen=True)
class Losses:
    """Mean negative log-likelihoods in nats: of the next context token, of asked canvas tokens; total is trained."""

    next_token: Tensor
    canvas: Tensor
    total: Tensor


def copied_log_probs(
    model: Denoiser,
    hidden: Tensor,
    targets: Tensor,
    copy_keys: Tensor,
    tokens: Tensor,
    may_copy: Tensor,
    matches: Matches | None,
) -> tuple[Tensor, Tensor]:
    """Log-probability [B, N] that copying gives each target, and the log-odds [B, N] of copying at all."""
    weights, gate = model.copy_head(hidden, copy_keys[:, :-1], may_copy, matches)
    same = targets.unsqueeze(-1) == tokens[:, 1:].unsqueeze(1)  # [B, N, T - 1]
    return torch.logsumexp(weights.masked_fill(~same | ~may_copy, NOTHING), dim=-1), gate


def slice_scores(hidden: Tensor, table: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """Target logits and log-normalisers, both float32 [N], of hidden [N, D] against a table [V, D]."""
    logits = (hidden @ table.T).float()
    return logits.gather(-1, targets.unsqueeze(-1)).squeeze(-1), torch.logsumexp(logits, dim=-1)


def slice_gradients(
    hidden: Tensor, table: Tensor, targets: Tensor, normaliser: Tensor, grad_chosen: Tensor, grad_normaliser: Tensor
) -> tuple[Tensor, Tensor]:
    """Gradients of hidden [N, D] and, float32, of the table [V, D], from those of what `slice_scores` gave."""
    logits = (hidden @ table.T).float()
    grad = logits.sub_(normaliser.unsqueeze(-1)).exp_().mul_(grad_normaliser.unsqueeze(-1))
    grad.scatter_add_(-1, targets.unsqueeze(-1), grad_chosen.unsqueeze(-1))
    grad = grad.to(hidden.dtype)
    return grad @ table, (grad.T @ hidden).float()


@dataclass(frozen=True, kw_only=True)
class Passes:
    """How the loss is computed: as written here, or by compiled functions that compute the same. n_rows: see N_ROWS."""

    blocks: BlockPasses = PLAIN
    copied: Callable[..., tuple[Tensor, Tensor]] = copied_log_probs
    scores: Callable[..., tuple[Tensor, Tensor]] = slice_scores
    gradients: Callable[..., tuple[Tensor, Tensor]] = slice_gradients
    n_rows: int | None = None


AS_WRITTEN = Passes()


def combined_loss(
    model: Denoiser, batch: Batch, device: torch.device, canvas_share: float = 0.5, passes: Passes = AS_WRITTEN
) -> Losses:
    """Losses of one batch; canvas_share is the canvas loss's part of the total.

    Continuations count with the context's next tokens. They are scored as if they could not copy from themselves.
    """
    tokens, targets, target_weights, canvases, canvas_targets, weights, anchors, is_causal = (
        on_device(part, device)
        for part in (
            batch.tokens, batch.targets, batch.target_weights,
            batch.canvases, batch.canvas_targets, batch.weights, batch.anchors, batch.is_causal,
        )
    )  # fmt: skip
    hidden, states = model.context(tokens, passes=passes.blocks)
    n_context = tokens.shape[1]
    position = torch.arange(n_context, device=device)
    earlier = position[:-1] < position[1:].unsqueeze(1)  # [T - 1, T - 1]
    known = torch.where(is_causal.unsqueeze(-1), canvas_targets, canvases)  # what stands at and before each position
    next_matches, canvas_matches = batch_matches(model, tokens, known, anchors)
    context_log_probs, z = target_log_probs(
        model, hidden[:, 1:], targets[:, 1:].clamp_min(0), states, earlier, passes, next_matches
    )
    asked = (targets[:, 1:] != IGNORE).float()
    next_token = -(context_log_probs * asked).sum() / asked.sum()

    canvas_hidden = model.canvas(canvases, states, anchors, is_causal, passes.blocks)
    b, m, n, width = canvas_hidden.shape
    before = position[:-1] < anchors.unsqueeze(-1)  # [B, M, T - 1]
    before = before.unsqueeze(2).expand(b, m, n, n_context - 1).reshape(b, m * n, n_context - 1)
    canvas_log_probs, _ = target_log_probs(
        model,
        canvas_hidden.reshape(b, m * n, width),
        canvas_targets.reshape(b, m * n),
        states,
        before,
        passes,
        canvas_matches,
    )
    follows = weights * is_causal.unsqueeze(-1)
    canvas_log_probs = canvas_log_probs.view(b, m, n)
    canvas = -(canvas_log_probs * (weights - follows)).sum() / (weights - follows).sum()
    weighted = -(context_log_probs * target_weights[:, 1:]).sum() - (canvas_log_probs * follows).sum()
    weighted = weighted / (target_weights[:, 1:].sum() + follows.sum())
    total = (1 - canvas_share) * weighted + canvas_share * canvas + Z_LOSS * (z * asked).sum() / asked.sum()
    return Losses(next_token.detach(), canvas.detach(), total)


def batch_matches(
    model: Denoiser, tokens: Tensor, canvases: Tensor, anchors: Tensor
) -> tuple[Matches | None, Matches | None]:
    """Matches of every context position but the first, and of all canvas positions; of none where it is not told."""
    if not model.config.copies_matches:
        return None, None
    b, n_context = tokens.shape
    lengths = context_matches(tokens, n_context, model.config.middle)  # [B, T, T - 1]
    before = lengths[torch.arange(b, device=tokens.device).unsqueeze(1), anchors]
    return Matches(classes(lengths[:, 1:]), None), model.copy_head.matches_in(canvases, tokens, before)


def on_device(part: np.ndarray, device: torch.device) -> Tensor:
    """An array as a tensor there; to a GPU through pinned memory, so that nothing waits for the copy."""
    tensor = torch.from_numpy(part)
    return tensor.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else tensor.to(device)


def target_log_probs(
    model: Denoiser,
    hidden: Tensor,
    targets: Tensor,
    states: ContextStates,
    may_copy: Tensor,
    passes: Passes = AS_WRITTEN,
    matches: Matches | None = None,
) -> tuple[Tensor, Tensor]:
    """Log-probability [B, N] of each target under the mixture, and the squared log-normaliser [B, N] (z-loss)."""
    chosen, normaliser = vocabulary_scores(model, hidden, targets, passes)
    copied, gate = passes.copied(model, hidden, targets, states.copy_keys, states.tokens, may_copy, matches)
    mixed = torch.logaddexp(chosen - normaliser + F.logsigmoid(-gate), copied + F.logsigmoid(gate))
    return mixed, normaliser.square()


def vocabulary_scores(
    model: Denoiser, hidden: Tensor, targets: Tensor, passes: Passes = AS_WRITTEN
) -> tuple[Tensor, Tensor]:
    """Logit of each target and log-normaliser, both float32 [B, N], without keeping the logits."""
    dtype = torch.get_autocast_dtype(hidden.device.type) if torch.is_autocast_enabled(hidden.device.type) else None
    rows = hidden.flatten(0, 1)
    table = model.embedding.weight
    scores = VocabularyScores.apply(
        rows.to(dtype or rows.dtype), table.to(dtype or table.dtype), targets.flatten(), passes
    )
    assert isinstance(scores, tuple)
    return scores[0].view(targets.shape), scores[1].view(targets.shape)


class VocabularyScores(torch.autograd.Function):
    """Target logits and log-normalisers of hidden [N, D] against a table [V, D], a slice of rows at a time.

    The backward pass makes each slice of logits again instead of storing N x V numbers.
    """

    @staticmethod
    def forward(
        ctx: FunctionCtx, hidden: Tensor, table: Tensor, targets: Tensor, passes: Passes
    ) -> tuple[Tensor, Tensor]:
        chosen = torch.empty(len(hidden), dtype=torch.float32, device=hidden.device)
        normaliser = torch.empty_like(chosen)
        for rows in _slices(len(hidden), passes.n_rows or N_ROWS):
            chosen[rows], normaliser[rows] = passes.scores(hidden[rows], table, targets[rows])
        ctx.save_for_backward(hidden, table, targets, normaliser)
        ctx.passes = passes  # pyright: ignore[reportAttributeAccessIssue]
        return chosen, normaliser

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor, None, None]:  # noqa: ANN401
        hidden, table, targets, normaliser = ctx.saved_tensors
        grad_chosen, grad_normaliser = grads
        grad_hidden = torch.empty_like(hidden)
        grad_table = torch.zeros(table.shape, dtype=torch.float32, device=table.device)
        for rows in _slices(len(hidden), ctx.passes.n_rows or N_ROWS):
            grad_hidden[rows], part = ctx.passes.gradients(
                hidden[rows], table, targets[rows], normaliser[rows], grad_chosen[rows], grad_normaliser[rows]
            )
            grad_table += part
        return grad_hidden, grad_table.to(table.dtype), None, None


def _slices(n: int, n_rows: int) -> list[slice]:
    return [slice(start, start + n_rows) for start in range(0, n, n_rows)]
