"""The commit of one denoise step, for all rows at once and without waiting for the device.

For each row of a canvas, in the words of `decoding.denoise` (`choose` with `policies.threshold`, then `commit`):

    ends      = masked positions that predict the end; nothing right of the first is eligible, nor it behind a mask
    committed = eligible positions at least `threshold` sure, else the surest eligible one
    canvas    = the prediction at committed positions; the end at masks right of a committed stop
    log_probs = log max(confidence, 1e-20) where committed, 0 right of a committed stop, else as before

Of equally sure positions the first counts as the surest; `torch.topk`, which the loop uses, guarantees no order there.

Shapes: everything [B, L], stops [V]. Bytes moved: 25 in and 13 out per position. One program per row, L at most 1024.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor

from .arguments import BOOL, FLOAT32, INT64, check
from .jit import Pointer, Scalar, block, constexpr, kernel, wants_kernel

tl: Any = None  # Triton's language, from the first launch on

MOST_SLOTS = 1024


class Committed(NamedTuple):
    """New canvas (int64) and log_probs (float32), what was committed (bool), all [B, L]; masks left (int32 [B]).

    committed includes chosen positions that a stop left of them then turned into an end.
    """

    canvas: Tensor
    log_probs: Tensor
    committed: Tensor
    n_open: Tensor


def commit(
    canvas: Tensor,
    log_probs: Tensor,
    predicted: Tensor,
    confidence: Tensor,
    stops: Tensor,
    *,
    mask: int,
    end: int,
    threshold: float,
) -> Committed:
    """Commit positions that are at least threshold sure, and at least one in every row that has an eligible mask.

    canvas and predicted: int64 [B, L]; log_probs and confidence (probabilities): float32 [B, L]; stops: bool [V], the
    ids that end the text. mask and end are ids; threshold lies in (0, 1]. Nothing is changed in place. Raises
    ValueError for a wrong threshold, shape, dtype, device or stride. Ids are not checked.
    """
    if not 0 < threshold <= 1:
        raise ValueError(f"threshold must lie in (0, 1], not {threshold}")
    check("canvas", canvas, (None, None), INT64, canvas.device)
    if not 0 < canvas.shape[1] <= MOST_SLOTS:
        raise ValueError(f"canvas must have 1 to {MOST_SLOTS} positions a row, not {canvas.shape[1]}")
    check("predicted", predicted, canvas.shape, INT64, canvas.device)
    check("log_probs", log_probs, canvas.shape, FLOAT32, canvas.device)
    check("confidence", confidence, canvas.shape, FLOAT32, canvas.device)
    check("stops", stops, (None,), BOOL, canvas.device)
    compute = launch if wants_kernel(canvas) else reference
    return compute(canvas, log_probs, predicted, confidence, stops, mask, end, threshold)


def reference(
    canvas: Tensor,
    log_probs: Tensor,
    predicted: Tensor,
    confidence: Tensor,
    stops: Tensor,
    mask: int,
    end: int,
    threshold: float,
) -> Committed:
    """`commit` in plain PyTorch."""
    masked = canvas == mask
    ends = masked & (predicted == end)
    eligible = masked & (ends.cumsum(dim=-1) - ends.long() == 0) & ~(ends & (masked.cumsum(dim=-1) > 1))
    sure = eligible & (confidence >= threshold)
    surest = confidence.masked_fill(~eligible, -1.0).max(dim=-1, keepdim=True).indices
    is_surest = torch.arange(canvas.shape[1], device=canvas.device) == surest
    committed = torch.where(sure.any(dim=-1, keepdim=True), sure, is_surest & eligible)
    filled = torch.where(committed, predicted, canvas)
    is_stop = (stops[filled] & committed).long()
    after = (is_stop.cumsum(dim=-1) - is_stop > 0) & masked
    filled = torch.where(after, end, filled)
    log_probs = torch.where(committed, confidence.clamp_min(1e-20).log(), log_probs).masked_fill(after, 0.0)
    return Committed(filled, log_probs, committed, (filled == mask).sum(dim=-1, dtype=torch.int32))


@kernel
def _commit(
    canvas: Pointer, log_probs: Pointer, predicted: Pointer, confidence: Pointer, stops: Pointer,
    new_canvas: Pointer, new_log_probs: Pointer, committed_out: Pointer, n_open: Pointer,
    canvas_row: Scalar, log_probs_row: Scalar, predicted_row: Scalar, confidence_row: Scalar, n_slots: Scalar,
    mask: Scalar, end: Scalar, threshold: Scalar, block_slots: constexpr,
) -> None:  # fmt: skip
    """One row."""
    row = tl.program_id(0).to(tl.int64)
    slots = tl.arange(0, block_slots)
    is_slot = slots < n_slots
    old = tl.load(canvas + row * canvas_row + slots, mask=is_slot, other=0)
    token = tl.load(predicted + row * predicted_row + slots, mask=is_slot, other=0)
    sureness = tl.load(confidence + row * confidence_row + slots, mask=is_slot, other=0.0)
    masked = is_slot & (old == mask)
    ends = (masked & (token == end)).to(tl.int32)
    is_first = tl.cumsum(masked.to(tl.int32), axis=0) == 1
    eligible = masked & (tl.cumsum(ends, axis=0) - ends == 0) & ((ends == 0) | is_first)
    sure = eligible & (sureness >= threshold)
    surest = tl.argmax(tl.where(eligible, sureness, -1.0), axis=0)  # of equal ones the first
    n_sure = tl.sum(sure.to(tl.int32), axis=0)
    committed = tl.where(n_sure > 0, sure, eligible & (slots == surest))
    filled = tl.where(committed, token, old)
    is_stop = tl.load(stops + filled, mask=committed, other=0).to(tl.int32)
    after = masked & (tl.cumsum(is_stop, axis=0) - is_stop > 0)
    filled = tl.where(after, end, filled)
    log_prob = tl.load(log_probs + row * log_probs_row + slots, mask=is_slot, other=0.0)
    log_prob = tl.where(committed, tl.log(tl.maximum(sureness, 1e-20)), log_prob)
    at = row * n_slots + slots
    tl.store(new_canvas + at, filled, mask=is_slot)
    tl.store(new_log_probs + at, tl.where(after, 0.0, log_prob), mask=is_slot)
    tl.store(committed_out + at, committed.to(tl.uint8), mask=is_slot)
    tl.store(n_open + row, tl.sum((is_slot & (filled == mask)).to(tl.int32), axis=0))


def launch(
    canvas: Tensor,
    log_probs: Tensor,
    predicted: Tensor,
    confidence: Tensor,
    stops: Tensor,
    mask: int,
    end: int,
    threshold: float,
) -> Committed:
    """`commit` by the kernel, on any device."""
    b, n_slots = canvas.shape
    new_canvas = torch.empty((b, n_slots), dtype=torch.int64, device=canvas.device)
    new_log_probs = torch.empty((b, n_slots), dtype=torch.float32, device=canvas.device)
    committed = torch.empty((b, n_slots), dtype=torch.uint8, device=canvas.device)
    n_open = torch.empty(b, dtype=torch.int32, device=canvas.device)
    _commit[(b,)](
        canvas, log_probs, predicted, confidence, stops.view(torch.uint8),
        new_canvas, new_log_probs, committed, n_open,
        canvas.stride(0), log_probs.stride(0), predicted.stride(0), confidence.stride(0), n_slots,
        mask, end, threshold, block(n_slots), num_warps=1,
    )  # fmt: skip
    return Committed(new_canvas, new_log_probs, committed.view(torch.bool), n_open)
