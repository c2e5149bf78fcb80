"""The transformer's layers and who may look at whom: one `TransformerBlock` runs over context or over canvases.

RMSNorm, RoPE, grouped-query attention and SwiGLU, for our own models and all published ones. Our own have QK-norm and
*token shift* (q, k and v each plus a learnt multiple of the previous token's); published ones may have neither, and
biases of q, k and v instead (`DenoiserConfig`). Letters as in `denoiser`.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from ..config import DenoiserConfig
from .states import LayerStates

N_TURNS_KEPT, N_TURNS_SLOWED = 32, 1  # YaRN's own bounds, which Qwen's published settings keep
Attend = Callable[[Tensor, Tensor, Tensor], Tensor]  # q [B, H, N, E], k and v [B, K, S, E] -> [B, H, N, E]


def rotary(positions: Tensor, head_size: int, theta: float, stretch: "Stretch | None" = None) -> tuple[Tensor, Tensor]:
    """Cosines and sines [..., E/2] of rotary embeddings for integer positions [...] (Su et al. 2021)."""
    exponents = torch.arange(0, head_size, 2, device=positions.device, dtype=torch.float32) / head_size
    frequencies = theta**-exponents
    if stretch is None:
        angles = positions.float().unsqueeze(-1) * frequencies
        return angles.cos(), angles.sin()
    angles = positions.float().unsqueeze(-1) * (frequencies * stretch.shares(head_size, theta, positions.device))
    return angles.cos() * stretch.temperature, angles.sin() * stretch.temperature


@dataclass(frozen=True)
class Stretch:
    """Rotary embeddings for contexts scale times as long as the n_context tokens trained on (Peng et al. 2023, "YaRN").

    Pairs that turn often within n_context stay as they are, those that turn less than once are slowed down scale times.
    """

    scale: float
    n_context: int

    @property
    def temperature(self) -> float:
        """What queries and keys are multiplied by: attention over more tokens has to be as sharp as before."""
        return 0.1 * math.log(self.scale) + 1

    def shares(self, head_size: int, theta: float, device: torch.device) -> Tensor:
        """What share [E/2] of its frequency each pair keeps."""
        first = max(math.floor(self._pair(N_TURNS_KEPT, head_size, theta)), 0)
        last = min(math.ceil(self._pair(N_TURNS_SLOWED, head_size, theta)), head_size - 1)
        pairs = torch.arange(head_size // 2, device=device, dtype=torch.float32)
        slowed = ((pairs - first) / max(last - first, 0.001)).clamp(0, 1)
        return slowed / self.scale + (1 - slowed)

    def _pair(self, n_turns: float, head_size: int, theta: float) -> float:
        """The pair that turns n_turns times within n_context tokens, as a real number."""
        return head_size * math.log(self.n_context / (n_turns * 2 * math.pi)) / (2 * math.log(theta))


def rotations(positions: Tensor, config: DenoiserConfig) -> tuple[Tensor, Tensor]:
    """`rotary` as a model has it."""
    stretch = Stretch(config.rope_scale, config.n_context) if config.rope_scale > 1 else None
    return rotary(positions, config.head_size, config.rope_theta, stretch)


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotate x [B, H, N, E] by cos and sin [B or 1, 1, N, E/2]."""
    x1, x2 = x.chunk(2, dim=-1)
    cos, sin = cos.to(x.dtype), sin.to(x.dtype)
    return torch.cat((x1 * cos - x2 * sin, x2 * cos + x1 * sin), dim=-1)


class Norm(nn.RMSNorm):
    """RMSNorm in the input's own dtype, so that the fused kernel is taken under mixed precision."""

    def forward(self, x: Tensor) -> Tensor:
        assert self.weight is not None
        return F.rms_norm(x, self.normalized_shape, self.weight.to(x.dtype), self.eps)


@dataclass(frozen=True)
class BranchPlace:
    """Where branches of n tokens stand: rotations [B or 1, 1, M * n, E / 2] or [M * n, E / 2], who sees whom (None: all
    see all), and the context positions [B, M] that they follow."""

    cos: Tensor
    sin: Tensor
    mask: Tensor | Attend | None
    anchors: Tensor
    n: int


@dataclass(frozen=True)
class Tail:
    """Where tokens [S] stand that follow a whole context: rotations [S, E / 2], who sees whom (bool [S, T + S], None:
    all see all), and before [S]: 0 where the context's last token is the one before, 1 + i where token i is."""

    cos: Tensor
    sin: Tensor
    mask: Tensor | None
    before: Tensor


class Attention(nn.Module):
    """Grouped-query attention, with token shift, QK-norm and biases where the config has them."""

    def __init__(self, config: DenoiserConfig) -> None:
        super().__init__()
        self.n_heads, self.n_kv_heads, self.head_size = config.n_heads, config.n_kv_heads, config.head_size
        self.qkv = nn.Linear(config.width, config.qkv_width, bias=config.qkv_bias)
        self.shift = nn.Parameter(torch.zeros(config.qkv_width)) if config.token_shift else None
        self.q_norm = Norm(config.head_size, eps=config.norm_eps) if config.qk_norm else nn.Identity()
        self.k_norm = Norm(config.head_size, eps=config.norm_eps) if config.qk_norm else nn.Identity()
        self.out = nn.Linear(config.n_heads * config.head_size, config.width, bias=False)

    def project(self, raw: Tensor, previous: Tensor | None, cos: Tensor, sin: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """q [B, H, N, E], k and v [B, K, N, E] from raw and the previous tokens' raw (None: unused), both [B, N, W]."""
        b, n, _ = raw.shape
        mixed = raw if self.shift is None or previous is None else raw + self.shift.to(raw.dtype) * previous
        heads = mixed.view(b, n, -1, self.head_size).transpose(1, 2)
        q, k, v = heads.split((self.n_heads, self.n_kv_heads, self.n_kv_heads), dim=1)
        return rotate(self.q_norm(q), cos, sin), rotate(self.k_norm(k), cos, sin), v

    def attend(self, q: Tensor, k: Tensor, v: Tensor, mask: Tensor | Attend | None, causal: bool) -> Tensor:
        """What the heads see [B, N, H * E]; mask (bool, True = may look) broadcasts to [B, H, N, S], or does it all."""
        if mask is not None and not isinstance(mask, Tensor):
            return mask(q.to(v.dtype), k.to(v.dtype), v).transpose(1, 2).flatten(2)
        groups = self.n_heads // self.n_kv_heads
        if groups > 1:
            k, v = k.repeat_interleave(groups, dim=1), v.repeat_interleave(groups, dim=1)
        mixed = F.scaled_dot_product_attention(q, k.to(q.dtype), v.to(q.dtype), attn_mask=mask, is_causal=causal)
        return mixed.transpose(1, 2).flatten(2)

    def branch(self, raw: Tensor, place: BranchPlace, states: LayerStates) -> Tensor:
        """What the heads of branches with raw [B, M * n, W] see, [B, M * n, H * E]."""
        if self.shift is None:
            q, k, v = self.project(raw, None, place.cos, place.sin)
            return self._attend_after(states, q, k, v, place.mask)
        b, m, w = raw.shape[0], place.anchors.shape[1], raw.shape[2]
        at = place.anchors - (states.keys.shape[2] - states.raw.shape[1])
        before = states.raw.gather(1, at.unsqueeze(-1).expand(b, m, w)).to(raw.dtype).unsqueeze(2)
        previous = torch.cat((before, raw.view(b, m, place.n, w)[:, :, :-1]), dim=2).view(raw.shape)
        q, k, v = self.project(raw, previous, place.cos, place.sin)
        return self._attend_after(states, q, k, v, place.mask)

    def tail(self, raw: Tensor, tail: Tail, states: LayerStates) -> Tensor:
        """What the heads of tokens with raw [1, S, W] see, [1, S, H * E]."""
        previous = None
        if self.shift is not None:
            previous = torch.cat((states.raw[:, -1:].to(raw.dtype), raw), dim=1).index_select(1, tail.before)
        q, k, v = self.project(raw, previous, tail.cos, tail.sin)
        return self._attend_after(states, q, k, v, tail.mask)

    def _attend_after(
        self, states: LayerStates, q: Tensor, k: Tensor, v: Tensor, mask: Tensor | Attend | None
    ) -> Tensor:
        keys = torch.cat((states.keys.to(k.dtype), k), dim=2)
        values = torch.cat((states.values.to(v.dtype), v), dim=2)
        return self.attend(q, keys, values, mask, causal=False)


class FeedForward(nn.Module):
    """SwiGLU."""

    def __init__(self, config: DenoiserConfig) -> None:
        super().__init__()
        self.gate_up = nn.Linear(config.width, 2 * config.ffn_width, bias=False)
        self.down = nn.Linear(config.ffn_width, config.width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        gate, up = self.gate_up(x).chunk(2, dim=-1)
        return self.down(F.silu(gate) * up)


class TransformerBlock(nn.Module):
    """One layer; it runs over context tokens or over canvas tokens."""

    def __init__(self, config: DenoiserConfig) -> None:
        super().__init__()
        self.attention_norm = Norm(config.width, eps=config.norm_eps)
        self.attention = Attention(config)
        self.ffn_norm = Norm(config.width, eps=config.norm_eps)
        self.ffn = FeedForward(config)

    def context(
        self,
        x: Tensor,
        cos: Tensor,
        sin: Tensor,
        mask: Tensor | Attend | None,
        past: LayerStates | None,
        causal: bool = True,
    ) -> tuple[Tensor, LayerStates]:
        """Run new context tokens x [B, N, D] after past; returns x and the states of past and new together.

        causal: without a past, a token sees those before it alone; else mask alone says who sees whom.
        """
        raw, previous = self.attention.qkv(self.attention_norm(x)), None
        if self.attention.shift is not None:
            first = torch.zeros_like(raw[:, :1]) if past is None else past.raw[:, -1:].to(raw.dtype)
            previous = torch.cat((first, raw[:, :-1]), dim=1)
        q, k, v = self.attention.project(raw, previous, cos, sin)
        raw = raw if self.attention.shift is not None else raw[..., :0]
        if past is not None:
            k, v = torch.cat((past.keys.to(k.dtype), k), dim=2), torch.cat((past.values.to(v.dtype), v), dim=2)
            raw = torch.cat((past.raw.to(raw.dtype), raw), dim=1)
        x = x + self.attention.out(self.attention.attend(q, k, v, mask, causal=causal and past is None))
        return x + self.ffn(self.ffn_norm(x)), LayerStates(k, v, raw)

    def branch(self, x: Tensor, place: BranchPlace, states: LayerStates) -> Tensor:
        """Run branches, laid end to end in x [B, M * n, D], after the context in states."""
        raw = self.attention.qkv(self.attention_norm(x))  # [B, M * n, W]
        x = x + self.attention.out(self.attention.branch(raw, place, states))
        return x + self.ffn(self.ffn_norm(x))

    def packed(self, x: Tensor, parts: Sequence[tuple[LayerStates, Tail]]) -> Tensor:
        """Run what follows several contexts (batch 1 each), laid end to end in x [1, S, D], part after part."""
        raw = self.attention.qkv(self.attention_norm(x))
        raws = raw.split([len(tail.before) for _, tail in parts], dim=1)
        seen = [self.attention.tail(raw, tail, states) for raw, (states, tail) in zip(raws, parts, strict=True)]
        x = x + self.attention.out(torch.cat(seen, dim=1))
        return x + self.ffn(self.ffn_norm(x))


def no_mask(n_context: int, device: torch.device) -> Tensor | Attend | None:
    """The context's mask where attention is causal by itself."""
    return None


def branch_mask(anchors: Tensor, is_causal: Tensor, n_context: int, n: int) -> Tensor | Attend:
    """Who may look at whom (bool [B, 1, M * n, n_context + M * n]): context up to the anchor, and one's own branch.

    A branch is a canvas, which sees all of itself, or, where is_causal (bool [B or 1, M]), a continuation.
    """
    b, m = anchors.shape
    device = anchors.device
    sees_context = torch.arange(n_context, device=device) <= anchors.unsqueeze(-1)  # [B, M, T]
    sees_context = sees_context.unsqueeze(2).expand(b, m, n, n_context).reshape(b, m * n, n_context)
    place = torch.arange(m * n, device=device)
    is_own = place.unsqueeze(1) // n == place // n
    is_earlier = place.unsqueeze(1) >= place
    sees_own = is_own & (is_earlier | ~is_causal.repeat_interleave(n, dim=1).unsqueeze(-1))  # [B or 1, M * n, M * n]
    return torch.cat((sees_context, sees_own.expand(b, m * n, m * n)), dim=-1).unsqueeze(1)


@dataclass(frozen=True, kw_only=True)
class BlockPasses:
    """How blocks are run and what masks them: as written here, or by compiled functions that compute the same."""

    context: Callable[..., tuple[Tensor, LayerStates]] = TransformerBlock.context
    branch: Callable[..., Tensor] = TransformerBlock.branch
    context_mask: Callable[[int, torch.device], Tensor | Attend | None] = no_mask
    branch_mask: Callable[[Tensor, Tensor, int, int], Tensor | Attend] = branch_mask


PLAIN = BlockPasses()
