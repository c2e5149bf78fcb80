"""The best token of the vocabulary's distribution and the copy head's together, and its log-probability.

    p[n, v] = (1 - g[n]) softmax(hidden[n] · table)[v] + g[n] m[n, v]
    m[n, v] = sum of weights[n, t] over the t whose follower followers[b, t] is v,   g = sigmoid(gate), b = n // (N / B)

Why few tokens need comparing: let v* be the best allowed token by softmax alone, the lowest id among equals. For an
allowed v that is not a follower m[n, v] = 0, so p[n, v] = (1 - g) softmax[v] <= (1 - g) softmax[v*] <= p[n, v*], and
if all of that is equal v* has the lower id. So the best token is v* or an allowed follower: the greatest p among T + 1
candidates is the greatest of all V, ties included. v*'s own copies count when it is tried as a follower.

Forbidden ids as in `head_stats`: full members of softmax and m, never the best. Ties go to the lowest id.

Shapes: hidden [N, D], table [V, D], forbidden [V], weights [N, T], followers [B, T], gate [N].

Bytes moved: those of `head_stats`; 8 · N · V to zero m, 12 · N · T to read weights and followers, and N · T atomic
additions of 8; then T · D numbers of the table for each row of followers, because logits of followers are computed
again rather than kept from the head's pass. m is summed in 64-bit integers of 2^-52: the sum is the same in any order,
so that the result is deterministic despite the atomics.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from . import head_stats
from .arguments import BOOL, FLOAT32, FLOATS, INT64, check
from .jit import Pointer, Scalar, block, constexpr, kernel, n_blocks, wants_kernel

tl: Any = None  # Triton's language, from the first launch on

UNIT = 2.0**52  # one over the unit of m; leaves room for sums up to 2^11
BLOCK_WEIGHTS = 1024  # like all numbers here not yet measured on a GPU
BLOCK_FOLLOWERS = 32
BLOCK_WIDTH_BYTES = 128
MOST_ROWS = 64


class Best(NamedTuple):
    """Per row [N]: the best allowed token (int64), its log-probability in nats, and the logsumexp of the vocabulary's
    logits, before mixing (both float32)."""

    tokens: Tensor
    log_probs: Tensor
    lse: Tensor


def mixture_head(
    hidden: Tensor, table: Tensor, forbidden: Tensor, weights: Tensor, followers: Tensor, gate: Tensor
) -> Best:
    """The best tokens [N] of the mixed distributions; without followers (T = 0) of the vocabulary's alone, ungated.

    hidden [N, D] and table [V, D]: float32, float16 or bfloat16, both the same. forbidden: bool [V]. weights: float32
    [N, T], not negative, each row sums to 1 (or 0: nothing to copy). followers: int64 [B, T], ids below V; rows of
    hidden belong to them in order, N / B each. gate: float32 [N], the log-odds of copying. Raises ValueError for a
    wrong shape, dtype, device or stride; the kernel ignores followers outside the vocabulary, which are a mistake.
    """
    check("hidden", hidden, (None, None), FLOATS, hidden.device)
    check("table", table, (None, hidden.shape[1]), (hidden.dtype,), hidden.device)
    check("forbidden", forbidden, (table.shape[0],), BOOL, hidden.device)
    check("weights", weights, (hidden.shape[0], None), FLOAT32, hidden.device)
    check("followers", followers, (None, weights.shape[1]), INT64, hidden.device)
    check("gate", gate, (hidden.shape[0],), FLOAT32, hidden.device)
    if not table.shape[0]:
        raise ValueError("table must have at least one row")
    if not followers.shape[0] or hidden.shape[0] % followers.shape[0]:
        raise ValueError(f"hidden's {hidden.shape[0]} rows cannot be shared by followers' {followers.shape[0]} evenly")
    compute = launch if wants_kernel(hidden) else reference
    return compute(hidden, table, forbidden, weights, followers, gate)


def reference(
    hidden: Tensor, table: Tensor, forbidden: Tensor, weights: Tensor, followers: Tensor, gate: Tensor
) -> Best:
    """`mixture_head` in plain PyTorch, over the whole vocabulary, as `Denoiser.mixed_log_probs` does."""
    logits = F.linear(hidden, table).float()  # [N, V]
    lse = logits.logsumexp(dim=-1)
    log_probs = logits - lse.unsqueeze(-1)
    if followers.shape[1]:
        rows = followers.repeat_interleave(len(hidden) // len(followers), dim=0)  # [N, T]
        copied = torch.zeros_like(log_probs).scatter_add_(-1, rows, weights)
        gate = gate.unsqueeze(-1)
        copied_log_probs = copied.clamp_min(1e-20).log() + F.logsigmoid(gate)
        log_probs = torch.logaddexp(log_probs + F.logsigmoid(-gate), copied_log_probs)
    best = log_probs.masked_fill(forbidden, float("-inf")).max(dim=-1)
    return Best(best.indices, best.values, lse)


@kernel
def _log_sigmoid(x: Scalar) -> Scalar:
    return tl.minimum(x, 0.0) - tl.log(1.0 + tl.exp(-tl.abs(x)))


@kernel
def _add_masses(
    weights: Pointer, followers: Pointer, masses: Pointer,
    weights_row: Scalar, followers_row: Scalar, n_followers: Scalar, rows_each: Scalar, n_ids: Scalar, unit: Scalar,
    block_weights: constexpr,
) -> None:  # fmt: skip
    """Add one row's weights to masses [N, V], in whole units."""
    row = tl.program_id(0).to(tl.int64)
    t = tl.program_id(1).to(tl.int64) * block_weights + tl.arange(0, block_weights)
    is_t = t < n_followers
    weight = tl.load(weights + row * weights_row + t, mask=is_t, other=0.0)
    v = tl.load(followers + row // rows_each * followers_row + t, mask=is_t, other=-1)
    counts = is_t & (weight > 0) & (v >= 0) & (v < n_ids)
    tl.atomic_add(masses + row * n_ids + v, (weight * unit).to(tl.int64), mask=counts, sem="relaxed")


@kernel
def _best_follower(
    hidden: Pointer, table: Pointer, forbidden: Pointer, followers: Pointer, masses: Pointer, gate: Pointer,
    lses: Pointer, tops: Pointer, ids: Pointer,
    n_rows: Scalar, rows_each: Scalar, n_followers: Scalar, n_ids: Scalar, width: Scalar, unit: Scalar,
    hidden_row: Scalar, table_row: Scalar, followers_row: Scalar, n_row_blocks: Scalar,
    block_rows: constexpr, block_followers: constexpr, block_width: constexpr,
) -> None:  # fmt: skip
    """The best of a block of followers for a block of one batch row's rows: log of the mixture, and the id."""
    b, row_block = tl.program_id(0).to(tl.int64) // n_row_blocks, tl.program_id(0).to(tl.int64) % n_row_blocks
    in_batch = row_block * block_rows + tl.arange(0, block_rows)
    is_row = in_batch < rows_each
    rows = b * rows_each + in_batch
    t = tl.program_id(1).to(tl.int64) * block_followers + tl.arange(0, block_followers)
    v = tl.load(followers + b * followers_row + t, mask=t < n_followers, other=-1)
    is_id = (v >= 0) & (v < n_ids)
    logits = tl.zeros([block_followers, block_rows], tl.float32)
    for d_start in range(0, width, block_width):
        d = d_start + tl.arange(0, block_width)
        is_d = d < width
        part = tl.load(table + v[:, None] * table_row + d[None, :], mask=is_id[:, None] & is_d[None, :], other=0.0)
        x = tl.load(hidden + rows[None, :] * hidden_row + d[:, None], mask=is_row[None, :] & is_d[:, None], other=0.0)
        logits = tl.dot(part, x, logits, input_precision="ieee")
    both = is_id[:, None] & is_row[None, :]
    mass = tl.load(masses + rows[None, :] * n_ids + v[:, None], mask=both, other=0).to(tl.float32) / unit
    odds = tl.load(gate + rows, mask=is_row, other=0.0)
    plain = logits - tl.load(lses + rows, mask=is_row, other=0.0)[None, :] + _log_sigmoid(-odds)[None, :]
    copied = tl.log(mass) + _log_sigmoid(odds)[None, :]  # -inf where nothing is copied
    mixed = tl.maximum(plain, copied) + tl.log(1.0 + tl.exp(-tl.abs(plain - copied)))
    is_allowed = is_id & (tl.load(forbidden + v, mask=is_id, other=1) == 0)
    mixed = tl.where(is_allowed[:, None], mixed, float("-inf"))
    top = tl.max(mixed, axis=0)
    top_id = tl.min(tl.where((mixed == top[None, :]) & is_allowed[:, None], v[:, None], 0x7FFFFFFF), axis=0)
    at = tl.program_id(1).to(tl.int64) * n_rows + rows
    tl.store(tops + at, top, mask=is_row)
    tl.store(ids + at, top_id, mask=is_row)


@kernel
def _best_of_all(
    tops: Pointer, ids: Pointer, plain_tokens: Pointer, plain_log_probs: Pointer, gate: Pointer,
    tokens: Pointer, log_probs: Pointer, n_rows: Scalar, n_parts: Scalar, block_parts: constexpr,
) -> None:  # fmt: skip
    """One row: the best of all blocks of followers and of the plain best."""
    row = tl.program_id(0).to(tl.int64)
    part = tl.arange(0, block_parts)
    is_part = part < n_parts
    at = part.to(tl.int64) * n_rows + row
    top = tl.load(tops + at, mask=is_part, other=float("-inf"))
    plain_token = tl.load(plain_tokens + row)
    plain = tl.load(plain_log_probs + row) + _log_sigmoid(-tl.load(gate + row))
    best = tl.maximum(tl.max(top, axis=0), plain)
    top_id = tl.load(ids + at, mask=is_part & (top == best), other=0x7FFFFFFF)
    token = tl.min(top_id, axis=0)
    tl.store(tokens + row, tl.where(plain == best, tl.minimum(token, plain_token), token))
    tl.store(log_probs + row, best)


def launch(hidden: Tensor, table: Tensor, forbidden: Tensor, weights: Tensor, followers: Tensor, gate: Tensor) -> Best:
    """`mixture_head` by the kernels, on any device."""
    plain = head_stats.launch(hidden, table, forbidden)
    n_batch, n_followers = followers.shape
    if not n_followers:
        return Best(plain.tokens, plain.log_probs, plain.lse)
    (n_rows, width), n_ids, device = hidden.shape, table.shape[0], hidden.device
    rows_each = n_rows // n_batch
    masses = torch.zeros((n_rows, n_ids), dtype=torch.int64, device=device)
    _add_masses[(n_rows, n_blocks(n_followers, BLOCK_WEIGHTS))](
        weights, followers, masses, weights.stride(0), followers.stride(0), n_followers, rows_each, n_ids, UNIT,
        BLOCK_WEIGHTS, num_warps=4,
    )  # fmt: skip
    block_rows = block(rows_each, least=16, most=MOST_ROWS)
    n_row_blocks = n_blocks(rows_each, block_rows)
    n_parts = n_blocks(n_followers, BLOCK_FOLLOWERS)
    tops = torch.empty((n_parts, n_rows), dtype=torch.float32, device=device)
    ids = torch.empty((n_parts, n_rows), dtype=torch.int64, device=device)
    _best_follower[(n_batch * n_row_blocks, n_parts)](
        hidden, table, forbidden.view(torch.uint8), followers, masses, gate, plain.lse, tops, ids,
        n_rows, rows_each, n_followers, n_ids, width, UNIT,
        hidden.stride(0), table.stride(0), followers.stride(0), n_row_blocks,
        block_rows, BLOCK_FOLLOWERS, BLOCK_WIDTH_BYTES // hidden.element_size(), num_warps=4,
    )  # fmt: skip
    tokens = torch.empty(n_rows, dtype=torch.int64, device=device)
    log_probs = torch.empty(n_rows, dtype=torch.float32, device=device)
    _best_of_all[(n_rows,)](
        tops, ids, plain.tokens, plain.log_probs, gate, tokens, log_probs, n_rows, n_parts, block(n_parts), num_warps=1
    )
    return Best(tokens, log_probs, plain.lse)
