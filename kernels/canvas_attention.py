"""Attention of canvas tokens over a paged context and over the canvas itself, in one pass.

    out[b, h, i] = sum over j of softmax_j(q[b, h, i] · key[b, h // G, j] / sqrt(E)) value[b, h // G, j]

with j over the context_lengths[b] cached tokens and the canvas_lengths[b] tokens of the canvas: every canvas token sees
all of both. G = H / K query heads share a key head.

Shapes: q [B, H, L, E]; pages [P, K, S, E] of S tokens each; page_table [B, N]; canvas keys and values [B, K, L, E].

Bytes moved: keys and values of the context once, 2 · T · K · E numbers a row, as all G · L queries of a key head are
packed into one block (128 queries a block; more than that read them again from the L2 cache). q and out are small. A
short canvas gives too few programs to fill a GPU, so the context is split among several (Dao et al. 2023,
"Flash-Decoding"); each writes E + 1 float32 a query, and a second kernel adds them up.

There is no mask within the context, and no gradient.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from .arguments import FLOATS, INT32, check, check_same_strides
from .jit import Pointer, Scalar, block, constexpr, kernel, n_blocks, n_processors, wants_kernel

tl: Any = None  # Triton's language, from the first launch on

BLOCK_KEYS_BYTES = 128  # 64 keys in half precision at a time; like all numbers here not yet measured on a GPU
MOST_ROWS = 128  # packed queries of one program; half of it in float32
MIN_SPLIT = 128  # context tokens that are worth a program of their own
MOST_SPLITS = 64


def canvas_attention(
    q: Tensor,
    k_pages: Tensor,
    v_pages: Tensor,
    page_table: Tensor,
    context_lengths: Tensor,
    k: Tensor,
    v: Tensor,
    canvas_lengths: Tensor,
) -> Tensor:
    """Attention output [B, H, L, E] in q's dtype; zero for queries at and beyond their row's canvas length.

    q [B, H, L, E], k and v [B, K, L, E], k_pages and v_pages [P, K, S, E]: float32, float16 or bfloat16, all the same.
    page_table [B, N], context_lengths [B] (tokens, 0 allowed, at most N · S), canvas_lengths [B]: int32. Token t of a
    row lies in page page_table[b, t // S] at t % S; table entries and slots beyond the length may hold anything.
    Raises ValueError for a wrong shape, dtype, device or stride. Lengths and page numbers are not checked.
    """
    _check(q, k_pages, v_pages, page_table, context_lengths, k, v, canvas_lengths)
    compute = launch if wants_kernel(q) else reference
    return compute(q, k_pages, v_pages, page_table, context_lengths, k, v, canvas_lengths)


def reference(
    q: Tensor,
    k_pages: Tensor,
    v_pages: Tensor,
    page_table: Tensor,
    context_lengths: Tensor,
    k: Tensor,
    v: Tensor,
    canvas_lengths: Tensor,
) -> Tensor:
    """What `canvas_attention` computes, in plain PyTorch: the context is gathered, then one softmax over all keys."""
    n_heads, n_slots, head_size = q.shape[1:]
    n_kv_heads, page_size = k_pages.shape[1:3]
    t = torch.arange(page_table.shape[1] * page_size, device=q.device)
    slots = torch.arange(n_slots, device=q.device)
    in_context = t < context_lengths.unsqueeze(1)  # [B, T]
    in_canvas = slots < canvas_lengths.unsqueeze(1)  # [B, L]
    pages = page_table[:, t // page_size].long().masked_fill(~in_context, 0)  # [B, T]

    def with_context(paged: Tensor, own: Tensor) -> Tensor:
        context = paged[pages, :, t % page_size].transpose(1, 2)  # [B, K, T, E]
        both = torch.cat((context, own), dim=2)
        return both.masked_fill(~sees[:, None, :, None], 0).repeat_interleave(n_heads // n_kv_heads, dim=1)

    sees = torch.cat((in_context, in_canvas), dim=1)  # [B, T + L]
    scores = q @ with_context(k_pages, k).transpose(2, 3) / math.sqrt(head_size)  # [B, H, L, T + L]
    weights = scores.float().masked_fill(~sees[:, None, None], float("-inf")).softmax(dim=-1).to(q.dtype)
    return (weights @ with_context(v_pages, v)).masked_fill(~in_canvas[:, None, :, None], 0)


@kernel
def _see(
    q_rows: Scalar,
    keys: Scalar,
    values: Scalar,
    seen: Scalar,
    scale: Scalar,
    peak: Scalar,
    total: Scalar,
    mixed: Scalar,
) -> Scalar:
    """One step of the online softmax, in powers of two; at least one key of the block is seen."""
    scores = tl.dot(q_rows, keys, input_precision="ieee") * scale
    scores = tl.where(seen[None, :], scores, float("-inf"))
    higher = tl.maximum(peak, tl.max(scores, axis=1))
    shrink = tl.exp2(peak - higher)
    weights = tl.exp2(scores - higher[:, None])
    total = total * shrink + tl.sum(weights, axis=1)
    mixed = mixed * shrink[:, None] + tl.dot(weights.to(values.dtype), values, input_precision="ieee")
    return higher, total, mixed


@kernel
def _attend(
    q: Pointer, k_pages: Pointer, v_pages: Pointer, page_table: Pointer, context_lengths: Pointer,
    k: Pointer, v: Pointer, canvas_lengths: Pointer, out: Pointer, mixed_parts: Pointer, log_parts: Pointer,
    q_batch: Scalar, q_head: Scalar, q_slot: Scalar, page_page: Scalar, page_head: Scalar, page_slot: Scalar,
    k_batch: Scalar, k_head: Scalar, k_slot: Scalar, table_batch: Scalar,
    n_pairs: Scalar, n_kv_heads: Scalar, n_slots: Scalar, scale: Scalar,
    groups: constexpr, head_size: constexpr, page_size: constexpr, n_splits: constexpr,
    block_rows: constexpr, block_keys: constexpr, block_size: constexpr,
) -> None:  # fmt: skip
    """One split of the context for the packed queries of one row and key head; split 0 sees the canvas too."""
    pair, split = tl.program_id(0).to(tl.int64), tl.program_id(1)
    b, head = pair // n_kv_heads, pair % n_kv_heads
    n_context, n_canvas = tl.load(context_lengths + b), tl.load(canvas_lengths + b)
    rows = (tl.program_id(2) * block_rows + tl.arange(0, block_rows)).to(tl.int64)
    is_row = rows < groups * n_slots
    slots = rows % n_slots
    e, steps = tl.arange(0, block_size), tl.arange(0, block_keys)
    is_e = e < head_size
    q_offsets = b * q_batch + (head * groups + rows // n_slots) * q_head + slots * q_slot
    q_rows = tl.load(q + q_offsets[:, None] + e[None, :], mask=is_row[:, None] & is_e[None, :], other=0.0)
    peak = tl.full([block_rows], float("-inf"), tl.float32)
    total = tl.zeros([block_rows], tl.float32)
    mixed = tl.zeros([block_rows, block_size], tl.float32)

    per_split = tl.cdiv(tl.cdiv(n_context, block_keys), n_splits) * block_keys
    first = split * per_split
    last = tl.minimum(first + per_split, n_context)
    for start in range(first, last, block_keys):
        t = start + steps
        seen = t < last
        page = tl.load(page_table + b * table_batch + t // page_size, mask=seen, other=0).to(tl.int64)
        offsets = page * page_page + head * page_head + (t % page_size).to(tl.int64) * page_slot
        keys = tl.load(k_pages + offsets[None, :] + e[:, None], mask=seen[None, :] & is_e[:, None], other=0.0)
        values = tl.load(v_pages + offsets[:, None] + e[None, :], mask=seen[:, None] & is_e[None, :], other=0.0)
        peak, total, mixed = _see(q_rows, keys, values, seen, scale, peak, total, mixed)
    n_own = tl.where(split == 0, n_canvas, 0)
    for start in range(0, n_own, block_keys):
        j = start + steps
        seen = j < n_own
        offsets = b * k_batch + head * k_head + j.to(tl.int64) * k_slot
        keys = tl.load(k + offsets[None, :] + e[:, None], mask=seen[None, :] & is_e[:, None], other=0.0)
        values = tl.load(v + offsets[:, None] + e[None, :], mask=seen[:, None] & is_e[None, :], other=0.0)
        peak, total, mixed = _see(q_rows, keys, values, seen, scale, peak, total, mixed)

    any_seen = total > 0
    mixed = mixed / tl.where(any_seen, total, 1.0)[:, None]
    at = pair * groups * n_slots + rows  # of out [B, H, L] flattened, as heads of one key head lie together
    if n_splits == 1:
        mixed = tl.where((slots < n_canvas)[:, None], mixed, 0.0)
        tl.store(out + at[:, None] * head_size + e[None, :], mixed, mask=is_row[:, None] & is_e[None, :])
    else:
        at += split.to(tl.int64) * n_pairs * groups * n_slots
        tl.store(log_parts + at, peak + tl.log2(total), mask=is_row)
        stored = (is_row & any_seen)[:, None] & is_e[None, :]
        tl.store(mixed_parts + at[:, None] * head_size + e[None, :], mixed, mask=stored)


@kernel
def _combine(
    mixed_parts: Pointer, log_parts: Pointer, canvas_lengths: Pointer, out: Pointer, n_rows: Scalar, n_slots: Scalar,
    n_heads: Scalar, n_splits: Scalar, head_size: constexpr, block_rows: constexpr, block_size: constexpr,
) -> None:  # fmt: skip
    """Add up the splits of a block of rows of out [B, H, L] flattened."""
    rows = tl.program_id(0).to(tl.int64) * block_rows + tl.arange(0, block_rows)
    e = tl.arange(0, block_size)
    is_row, is_e = rows < n_rows, e < head_size
    n_canvas = tl.load(canvas_lengths + rows // (n_slots * n_heads), mask=is_row, other=0)
    wanted = is_row & (rows % n_slots < n_canvas)
    peak = tl.full([block_rows], float("-inf"), tl.float32)
    total = tl.zeros([block_rows], tl.float32)
    mixed = tl.zeros([block_rows, block_size], tl.float32)
    at = rows
    for _ in range(0, n_splits):
        log_part = tl.load(log_parts + at, mask=wanted, other=float("-inf"))
        any_seen = log_part > float("-inf")
        part = tl.load(
            mixed_parts + at[:, None] * head_size + e[None, :], mask=any_seen[:, None] & is_e[None, :], other=0.0
        )
        higher = tl.maximum(peak, log_part)
        shrink = tl.where(peak > float("-inf"), tl.exp2(peak - higher), 0.0)
        weight = tl.where(any_seen, tl.exp2(log_part - higher), 0.0)
        total = total * shrink + weight
        mixed = mixed * shrink[:, None] + weight[:, None] * part
        peak = higher
        at += n_rows
    mixed = mixed / tl.where(total > 0, total, 1.0)[:, None]
    tl.store(out + rows[:, None] * head_size + e[None, :], mixed, mask=is_row[:, None] & is_e[None, :])


def launch(
    q: Tensor,
    k_pages: Tensor,
    v_pages: Tensor,
    page_table: Tensor,
    context_lengths: Tensor,
    k: Tensor,
    v: Tensor,
    canvas_lengths: Tensor,
    n_splits: int | None = None,
) -> Tensor:
    """`canvas_attention` by the kernels, whatever the device; n_splits parts of the context, by default as fits it."""
    b, n_heads, n_slots, head_size = q.shape
    n_kv_heads, page_size = k_pages.shape[1:3]
    groups, n_bytes = n_heads // n_kv_heads, q.element_size()
    block_rows = block(groups * n_slots, least=16, most=2 * MOST_ROWS // n_bytes)
    block_size = block(head_size, least=16)
    grid_rows = n_blocks(groups * n_slots, block_rows)
    if n_splits is None:
        n_splits = _n_splits(q.device, b * n_kv_heads * grid_rows, page_table.shape[1] * page_size)
    out = torch.empty((b, n_heads, n_slots, head_size), dtype=q.dtype, device=q.device)
    n_parts = n_splits if n_splits > 1 else 0
    mixed_parts = torch.empty((n_parts, b * n_heads * n_slots, head_size), dtype=torch.float32, device=q.device)
    log_parts = torch.empty((n_parts, b * n_heads * n_slots), dtype=torch.float32, device=q.device)
    _attend[(b * n_kv_heads, n_splits, grid_rows)](
        q, k_pages, v_pages, page_table, context_lengths, k, v, canvas_lengths, out, mixed_parts, log_parts,
        *q.stride()[:3], *k_pages.stride()[:3], *k.stride()[:3], page_table.stride(0),
        b * n_kv_heads, n_kv_heads, n_slots, math.log2(math.e) / math.sqrt(head_size),
        groups, head_size, page_size, n_splits, block_rows, BLOCK_KEYS_BYTES // n_bytes, block_size,
        num_warps=8 if block_rows * block_size * n_bytes > 8192 else 4,
        num_stages=3 if block_size * n_bytes <= 128 else 2,  # three would take 128 KB of shared memory, not all have it
    )  # fmt: skip
    if n_parts:
        n_rows = b * n_heads * n_slots
        _combine[(n_blocks(n_rows, 16),)](
            mixed_parts, log_parts, canvas_lengths, out, n_rows, n_slots, n_heads, n_splits, head_size, 16, block_size
        )
    return out


def _n_splits(device: torch.device, n_programs: int, n_tokens: int) -> int:
    """So many parts of a context that may hold n_tokens that two programs fall to a processor.

    It must not depend on the lengths themselves, for those are on the device; the kernel shares out what there is.
    """
    wanted = 2 * n_processors(device) // max(1, n_programs)
    return max(1, min(wanted, n_blocks(n_tokens, MIN_SPLIT), MOST_SPLITS))


def _check(
    q: Tensor,
    k_pages: Tensor,
    v_pages: Tensor,
    page_table: Tensor,
    context_lengths: Tensor,
    k: Tensor,
    v: Tensor,
    canvas_lengths: Tensor,
) -> None:
    check("q", q, (None, None, None, None), FLOATS, q.device)
    b, n_heads, n_slots, head_size = q.shape
    dtypes = (q.dtype,)
    check("k_pages", k_pages, (None, None, None, head_size), dtypes, q.device)
    n_kv_heads = k_pages.shape[1]
    if not n_kv_heads or n_heads % n_kv_heads:
        raise ValueError(f"q's {n_heads} heads cannot share the {n_kv_heads} key heads of k_pages evenly")
    check("v_pages", v_pages, k_pages.shape, dtypes, q.device)
    check("page_table", page_table, (b, None), INT32, q.device)
    check("context_lengths", context_lengths, (b,), INT32, q.device)
    check("k", k, (b, n_kv_heads, n_slots, head_size), dtypes, q.device)
    check("v", v, k.shape, dtypes, q.device)
    check("canvas_lengths", canvas_lengths, (b,), INT32, q.device)
    check_same_strides("v_pages", v_pages, "k_pages", k_pages)
    check_same_strides("v", v, "k", k)
