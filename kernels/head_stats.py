"""The vocabulary head with its statistics: best token, its log-probability, logsumexp, entropy; no logits in memory.

    logits[n, v] = hidden[n] · table[v]
    lse[n] = log sum_v exp(logits[n, v])
    tokens[n] = argmax over allowed v of logits[n, v];  log_probs[n] = logits[n, tokens[n]] - lse[n]
    entropy[n] = lse[n] - sum_v p[n, v] logits[n, v],  p = softmax(logits)

Forbidden ids, as in `decoding.denoise.predict`, take part in lse, p and entropy like all others, but cannot be the best
token. Of equal logits the lowest id is best, as with torch.max on a CPU.

Shapes: hidden [N, D], table [V, D] (the embedding, tied), forbidden [V].

Bytes moved: the table once, V · D numbers, as long as all rows fit into one block of 64 (further blocks of rows read it
again, mostly from the L2 cache), instead of also writing and reading [N, V] several times. Programs divide the
vocabulary; each writes five numbers per row, and a second kernel adds them up.

The kernel keeps logits in float32; the reference rounds them to hidden's dtype, as the model's own head does. With
half precision their best tokens may differ where the rounding makes two logits equal.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from .arguments import BOOL, FLOATS, check
from .jit import Pointer, Scalar, block, constexpr, kernel, n_blocks, n_processors, wants_kernel

tl: Any = None  # Triton's language, from the first launch on

BLOCK_VOCAB = 128  # ids at a time; like all numbers here not yet measured on a GPU
BLOCK_WIDTH_BYTES = 128
MOST_ROWS = 64


class HeadStats(NamedTuple):
    """Per row [N]: best allowed token (int64), its log-probability, logsumexp and entropy in nats (float32)."""

    tokens: Tensor
    log_probs: Tensor
    lse: Tensor
    entropy: Tensor


def head_stats(hidden: Tensor, table: Tensor, forbidden: Tensor) -> HeadStats:
    """Statistics [N] of the distributions given by hidden [N, D] and table [V, D]; forbidden is bool [V].

    hidden and table: float32, float16 or bfloat16, both the same. With every id forbidden the token is 0 and its
    log-probability -inf. Raises ValueError for a wrong shape, dtype, device or stride.
    """
    check("hidden", hidden, (None, None), FLOATS, hidden.device)
    check("table", table, (None, hidden.shape[1]), (hidden.dtype,), hidden.device)
    check("forbidden", forbidden, (table.shape[0],), BOOL, hidden.device)
    if not table.shape[0]:
        raise ValueError("table must have at least one row")
    compute = launch if wants_kernel(hidden) else reference
    return compute(hidden, table, forbidden)


def reference(hidden: Tensor, table: Tensor, forbidden: Tensor) -> HeadStats:
    """`head_stats` in plain PyTorch, with all logits."""
    logits = F.linear(hidden, table).float()  # [N, V]
    lse = logits.logsumexp(dim=-1)
    log_probs = logits - lse.unsqueeze(-1)
    best = log_probs.masked_fill(forbidden, float("-inf")).max(dim=-1)
    return HeadStats(best.indices, best.values, lse, -(log_probs.exp() * log_probs).sum(dim=-1))


@kernel
def _split_stats(
    hidden: Pointer, table: Pointer, forbidden: Pointer,
    peaks: Pointer, totals: Pointer, moments: Pointer, tops: Pointer, ids: Pointer,
    n_rows: Scalar, n_ids: Scalar, width: Scalar, hidden_row: Scalar, table_row: Scalar, per_split: Scalar,
    block_rows: constexpr, block_ids: constexpr, block_width: constexpr,
) -> None:  # fmt: skip
    """Of one part of the vocabulary: greatest logit, sums of w and w · gap, best allowed logit and its id.

    gap is a logit minus the greatest one, w its exponential: so entropy needs no difference of large numbers.
    """
    row_block, split = tl.program_id(0).to(tl.int64), tl.program_id(1).to(tl.int64)
    rows = row_block * block_rows + tl.arange(0, block_rows)
    is_row = rows < n_rows
    steps = tl.arange(0, block_width)
    peak = tl.full([block_rows], float("-inf"), tl.float32)
    total = tl.zeros([block_rows], tl.float32)
    moment = tl.zeros([block_rows], tl.float32)
    top = tl.full([block_rows], float("-inf"), tl.float32)
    top_id = tl.zeros([block_rows], tl.int64)
    first = split * per_split
    last = tl.minimum(first + per_split, n_ids)
    for start in range(first, last, block_ids):
        v = start + tl.arange(0, block_ids).to(tl.int64)
        is_id = v < last
        logits = tl.zeros([block_ids, block_rows], tl.float32)
        for d_start in range(0, width, block_width):
            d = d_start + steps
            is_d = d < width
            part = tl.load(table + v[:, None] * table_row + d[None, :], mask=is_id[:, None] & is_d[None, :], other=0.0)
            x = tl.load(
                hidden + rows[None, :] * hidden_row + d[:, None], mask=is_row[None, :] & is_d[:, None], other=0.0
            )
            logits = tl.dot(part, x, logits, input_precision="ieee")
        higher = tl.maximum(peak, tl.max(tl.where(is_id[:, None], logits, float("-inf")), axis=0))
        gap = logits - higher[None, :]
        w = tl.where(is_id[:, None], tl.exp(gap), 0.0)
        fall = tl.where(total > 0, peak - higher, 0.0)
        moment = tl.exp(fall) * (moment + total * fall) + tl.sum(w * gap, axis=0)
        total = tl.exp(fall) * total + tl.sum(w, axis=0)
        peak = higher
        is_allowed = is_id & (tl.load(forbidden + v, mask=is_id, other=1) == 0)
        allowed = tl.where(is_allowed[:, None], logits, float("-inf"))
        value, place = tl.max(allowed, axis=0, return_indices=True)  # of equal ones the first
        is_better = value > top
        top_id = tl.where(is_better, start + place, top_id)
        top = tl.where(is_better, value, top)
    at = split * n_rows + rows
    tl.store(peaks + at, peak, mask=is_row)
    tl.store(totals + at, total, mask=is_row)
    tl.store(moments + at, moment, mask=is_row)
    tl.store(tops + at, top, mask=is_row)
    tl.store(ids + at, top_id, mask=is_row)


@kernel
def _combine_stats(
    peaks: Pointer, totals: Pointer, moments: Pointer, tops: Pointer, ids: Pointer,
    tokens: Pointer, log_probs: Pointer, lses: Pointer, entropies: Pointer,
    n_rows: Scalar, n_splits: Scalar, block_splits: constexpr,
) -> None:  # fmt: skip
    """Add up the parts of one row."""
    row = tl.program_id(0).to(tl.int64)
    split = tl.arange(0, block_splits)
    is_split = split < n_splits
    at = split.to(tl.int64) * n_rows + row
    peak = tl.load(peaks + at, mask=is_split, other=float("-inf"))
    fall = tl.where(is_split, peak - tl.max(peak, axis=0), 0.0)
    total = tl.load(totals + at, mask=is_split, other=0.0)
    moment = tl.load(moments + at, mask=is_split, other=0.0)
    moment = tl.sum(tl.exp(fall) * (moment + total * fall), axis=0)
    total = tl.sum(tl.exp(fall) * total, axis=0)
    top = tl.load(tops + at, mask=is_split, other=float("-inf"))
    best = tl.max(top, axis=0)
    top_id = tl.load(ids + at, mask=is_split & (top == best), other=0x7FFFFFFF)
    lse = tl.max(peak, axis=0) + tl.log(total)
    tl.store(tokens + row, tl.min(top_id, axis=0))
    tl.store(log_probs + row, best - lse)
    tl.store(lses + row, lse)
    tl.store(entropies + row, tl.log(total) - moment / total)


def launch(hidden: Tensor, table: Tensor, forbidden: Tensor, n_splits: int | None = None) -> HeadStats:
    """`head_stats` by the kernels, on any device. n_splits parts of the vocabulary; None: as suits the device."""
    n_rows, width = hidden.shape
    n_ids = table.shape[0]
    block_rows = block(n_rows, least=16, most=MOST_ROWS)
    n_row_blocks = n_blocks(n_rows, block_rows)
    if n_splits is None:
        n_splits = max(1, 2 * n_processors(hidden.device) // max(1, n_row_blocks))
    per_split = n_blocks(n_blocks(n_ids, BLOCK_VOCAB), n_splits) * BLOCK_VOCAB
    n_splits = n_blocks(n_ids, per_split)
    device = hidden.device
    peaks, totals, moments, tops = (
        torch.empty((n_splits, n_rows), dtype=torch.float32, device=device) for _ in range(4)
    )
    ids = torch.empty((n_splits, n_rows), dtype=torch.int64, device=device)
    parts = (peaks, totals, moments, tops, ids)
    # Programs of one part of the vocabulary are adjacent, so that later blocks of rows find it in the L2 cache.
    _split_stats[(n_row_blocks, n_splits)](
        hidden, table, forbidden.view(torch.uint8), *parts,
        n_rows, n_ids, width, hidden.stride(0), table.stride(0), per_split,
        block_rows, BLOCK_VOCAB, BLOCK_WIDTH_BYTES // hidden.element_size(),
        num_warps=8 if block_rows == MOST_ROWS else 4,  # four would run out of registers
    )  # fmt: skip
    tokens = torch.empty(n_rows, dtype=torch.int64, device=device)
    log_probs, lse, entropy = (torch.empty(n_rows, dtype=torch.float32, device=device) for _ in range(3))
    _combine_stats[(n_rows,)](*parts, tokens, log_probs, lse, entropy, n_rows, n_splits, block(n_splits), num_warps=1)
    return HeadStats(tokens, log_probs, lse, entropy)
