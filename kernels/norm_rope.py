"""Between the projection and attention: token shift, RMSNorm of queries and keys, rotation; one reading, one writing.

    x = raw + shift · previous, cut into H + 2 K heads of E: queries, keys, values
    y = x / sqrt(mean of x² + eps) · weight       for queries and keys, each with its own weight
    (y1, y2) -> (y1 cos - y2 sin, y2 cos + y1 sin)     for the halves of each query and key

as `network.transformer.Attention.project` has it. Values are shifted only.

Shapes: raw and previous [B, N, W] with W = (H + 2 K) E, shift [W], weights [E], cos and sin [B or 1, N, E / 2];
q [B, H, N, E], k and v [B, K, N, E].

Bytes moved: 2 · N · W numbers in and N · W out a row, once; in plain PyTorch each of the five steps reads and writes
them. The kernel works in float32 and rounds once, the reference rounds to raw's dtype after each step.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from .arguments import FLOAT32, FLOATS, check
from .jit import Pointer, Scalar, block, constexpr, kernel, wants_kernel

tl: Any = None  # Triton's language, from the first launch on


class Heads(NamedTuple):
    """q [B, H, N, E], k and v [B, K, N, E], ready for attention."""

    q: Tensor
    k: Tensor
    v: Tensor


def norm_rope(
    raw: Tensor,
    previous: Tensor,
    shift: Tensor,
    q_weight: Tensor,
    k_weight: Tensor,
    cos: Tensor,
    sin: Tensor,
    *,
    n_heads: int,
    n_kv_heads: int,
    eps: float,
) -> Heads:
    """Queries, keys and values, contiguous and in raw's dtype, from raw and the previous tokens' raw.

    raw and previous: [B, N, W], float32, float16 or bfloat16, both the same. shift [W], q_weight and k_weight [E]:
    the parameters, each in any of these dtypes. cos and sin: float32 [B or 1, N, E / 2], as made by
    `network.transformer.rotary`. E is q_weight's length and must be even. Raises ValueError for a wrong shape,
    dtype, device or stride.
    """
    check("raw", raw, (None, None, None), FLOATS, raw.device)
    b, n, width = raw.shape
    check("q_weight", q_weight, (None,), FLOATS, raw.device)
    head_size = q_weight.shape[0]
    if n_heads < 1 or n_kv_heads < 1 or head_size < 2 or head_size % 2:
        raise ValueError(f"cannot rotate {n_heads} and {n_kv_heads} heads of {head_size}: at least one each, even size")
    if width != (n_heads + 2 * n_kv_heads) * head_size:
        raise ValueError(
            f"raw's width {width} is not that of {n_heads} + 2 · {n_kv_heads} heads of {head_size}, q_weight's length"
        )
    check("previous", previous, (b, n, width), (raw.dtype,), raw.device)
    check("shift", shift, (width,), FLOATS, raw.device)
    check("k_weight", k_weight, (head_size,), FLOATS, raw.device)
    check("cos", cos, (1 if len(cos) == 1 else b, n, head_size // 2), FLOAT32, raw.device)
    check("sin", sin, cos.shape, FLOAT32, raw.device)
    compute = launch if wants_kernel(raw) else reference
    return compute(raw, previous, shift, q_weight, k_weight, cos, sin, n_heads, n_kv_heads, eps)


def reference(
    raw: Tensor,
    previous: Tensor,
    shift: Tensor,
    q_weight: Tensor,
    k_weight: Tensor,
    cos: Tensor,
    sin: Tensor,
    n_heads: int,
    n_kv_heads: int,
    eps: float,
) -> Heads:
    """What `norm_rope` computes, in plain PyTorch."""
    b, n, _ = raw.shape
    head_size = q_weight.shape[0]
    mixed = raw + shift.to(raw.dtype) * previous
    heads = mixed.view(b, n, -1, head_size).transpose(1, 2)
    q, k, v = heads.split((n_heads, n_kv_heads, n_kv_heads), dim=1)

    def normed_and_rotated(x: Tensor, weight: Tensor) -> Tensor:
        x1, x2 = F.rms_norm(x, (head_size,), weight.to(x.dtype), eps).chunk(2, dim=-1)
        c, s = cos.unsqueeze(1).to(x.dtype), sin.unsqueeze(1).to(x.dtype)
        return torch.cat((x1 * c - x2 * s, x2 * c + x1 * s), dim=-1)

    return Heads(normed_and_rotated(q, q_weight), normed_and_rotated(k, k_weight), v.contiguous())


@kernel
def _shifted(raw: Scalar, previous: Scalar, shift: Scalar, at: Scalar, there: Scalar) -> Scalar:
    x = tl.load(raw + at, mask=there, other=0.0).to(tl.float32)
    before = tl.load(previous + at, mask=there, other=0.0).to(tl.float32)
    return x + tl.load(shift + at, mask=there, other=0.0).to(tl.float32) * before


@kernel
def _norm_rope(
    raw: Pointer, previous: Pointer, shift: Pointer, q_weight: Pointer, k_weight: Pointer, cos: Pointer, sin: Pointer,
    q: Pointer, k: Pointer, v: Pointer,
    raw_batch: Scalar, raw_token: Scalar, previous_batch: Scalar, previous_token: Scalar,
    cos_batch: Scalar, cos_token: Scalar, sin_batch: Scalar, sin_token: Scalar, n_tokens: Scalar, eps: Scalar,
    n_heads: constexpr, n_kv_heads: constexpr, half: constexpr,
    block_heads: constexpr, block_half: constexpr,
) -> None:  # fmt: skip
    """All heads of one token; each head as its two halves."""
    token = tl.program_id(0).to(tl.int64)
    b, n = token // n_tokens, token % n_tokens
    heads, e = tl.arange(0, block_heads), tl.arange(0, block_half)
    is_e = e < half
    is_query, is_key = heads < n_heads, (heads >= n_heads) & (heads < n_heads + n_kv_heads)
    is_value = (heads >= n_heads + n_kv_heads) & (heads < n_heads + 2 * n_kv_heads)
    there = (is_query | is_key | is_value)[:, None] & is_e[None, :]
    at = heads[:, None] * (2 * half) + e[None, :]
    raw += b * raw_batch + n * raw_token
    previous += b * previous_batch + n * previous_token
    x1 = _shifted(raw, previous, shift, at, there)
    x2 = _shifted(raw, previous, shift, at + half, there)

    mean_square = (tl.sum(x1 * x1, axis=1) + tl.sum(x2 * x2, axis=1)) / (2 * half)
    scale = (1.0 / tl.sqrt(mean_square + eps))[:, None]
    q1, q2 = tl.load(q_weight + e, mask=is_e, other=0.0), tl.load(q_weight + half + e, mask=is_e, other=0.0)
    k1, k2 = tl.load(k_weight + e, mask=is_e, other=0.0), tl.load(k_weight + half + e, mask=is_e, other=0.0)
    y1 = x1 * scale * tl.where(is_query[:, None], q1.to(tl.float32)[None, :], k1.to(tl.float32)[None, :])
    y2 = x2 * scale * tl.where(is_query[:, None], q2.to(tl.float32)[None, :], k2.to(tl.float32)[None, :])
    c = tl.load(cos + b * cos_batch + n * cos_token + e, mask=is_e, other=0.0)[None, :]
    s = tl.load(sin + b * sin_batch + n * sin_token + e, mask=is_e, other=0.0)[None, :]
    z1, z2 = y1 * c - y2 * s, y2 * c + y1 * s

    to_q = ((b * n_heads + heads) * n_tokens + n)[:, None] * (2 * half) + e[None, :]
    to_k = ((b * n_kv_heads + heads - n_heads) * n_tokens + n)[:, None] * (2 * half) + e[None, :]
    to_v = ((b * n_kv_heads + heads - n_heads - n_kv_heads) * n_tokens + n)[:, None] * (2 * half) + e[None, :]
    tl.store(q + to_q, z1, mask=is_query[:, None] & is_e[None, :])
    tl.store(q + to_q + half, z2, mask=is_query[:, None] & is_e[None, :])
    tl.store(k + to_k, z1, mask=is_key[:, None] & is_e[None, :])
    tl.store(k + to_k + half, z2, mask=is_key[:, None] & is_e[None, :])
    tl.store(v + to_v, x1, mask=is_value[:, None] & is_e[None, :])
    tl.store(v + to_v + half, x2, mask=is_value[:, None] & is_e[None, :])


def launch(
    raw: Tensor,
    previous: Tensor,
    shift: Tensor,
    q_weight: Tensor,
    k_weight: Tensor,
    cos: Tensor,
    sin: Tensor,
    n_heads: int,
    n_kv_heads: int,
    eps: float,
) -> Heads:
    """`norm_rope` by the kernel, whatever the device."""
    b, n, _ = raw.shape
    half = q_weight.shape[0] // 2
    q, k, v = (
        torch.empty((b, heads, n, 2 * half), dtype=raw.dtype, device=raw.device)
        for heads in (n_heads, n_kv_heads, n_kv_heads)
    )
    cos, sin = cos.expand(b, -1, -1), sin.expand(b, -1, -1)
    _norm_rope[(b * n,)](
        raw, previous, shift, q_weight, k_weight, cos, sin, q, k, v,
        *raw.stride()[:2], *previous.stride()[:2], *cos.stride()[:2], *sin.stride()[:2], n, eps,
        n_heads, n_kv_heads, half, block(n_heads + 2 * n_kv_heads), block(half), num_warps=4,
    )  # fmt: skip
    return Heads(q, k, v)
