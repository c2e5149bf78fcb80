"""A published backbone: token ids in, logits out, under whatever attention mask its family wants.

One module for Qwen2/2.5, Qwen3, Llama and OLMo-style checkpoints; `shape` says which parts it has. Keys and values of
earlier tokens can be given (`Past`), so that only later ones are computed. Weights are memory-mapped files' own tensors
(`folder`), or int8 and fp8 with a scale a row (`quantised`).

Letters: B batch, T new tokens, P tokens before them, D width, H heads, K key heads, E head size, V vocabulary.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from .shape import BackboneShape


class Past(NamedTuple):
    """Keys and values of earlier tokens, a pair [B, K, P, E] for each layer; keys are rotated."""

    layers: list[tuple[Tensor, Tensor]]

    @property
    def n_tokens(self) -> int:
        """P."""
        return self.layers[0][0].shape[2]


class PublishedNorm(nn.Module):
    """RMSNorm, computed in float32."""

    def __init__(self, width: int, eps: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        """x [..., D] at unit root mean square, scaled."""
        wide = x.float()
        wide = wide * torch.rsqrt(wide.square().mean(-1, keepdim=True) + self.eps)
        return wide.to(x.dtype) * self.weight


class PublishedBlock(nn.Module):
    """Attention and gated FFN, each with its norm before it."""

    def __init__(self, shape: BackboneShape) -> None:
        super().__init__()
        self.shape = shape
        q, kv, d = shape.n_heads * shape.head_size, shape.n_kv_heads * shape.head_size, shape.width
        self.attention_norm, self.ffn_norm = PublishedNorm(d, shape.norm_eps), PublishedNorm(d, shape.norm_eps)
        self.q, self.k, self.v = (nn.Linear(d, n, bias=shape.qkv_bias) for n in (q, kv, kv))
        self.out = nn.Linear(q, d, bias=False)
        self.gate, self.up = (nn.Linear(d, shape.ffn_width, bias=False) for _ in range(2))
        self.down = nn.Linear(shape.ffn_width, d, bias=False)
        if shape.qk_norm:
            self.q_norm, self.k_norm = (PublishedNorm(shape.head_size, shape.norm_eps) for _ in range(2))

    def forward(
        self, x: Tensor, turn: tuple[Tensor, Tensor], sees: Tensor | None, past: tuple[Tensor, Tensor] | None
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """x [B, T, D] and the keys and values of all tokens so far. sees: bool [B or 1, 1, T, P + T], None: all."""
        normed = self.attention_norm(x)
        q, k, v = (self._heads(matrix(normed)) for matrix in (self.q, self.k, self.v))  # [B, heads, T, E]
        if self.shape.qk_norm:
            q, k = self.q_norm(q), self.k_norm(k)
        q, k = rotate_heads(q, *turn), rotate_heads(k, *turn)
        if past is not None:
            k, v = torch.cat((past[0], k), dim=2), torch.cat((past[1], v), dim=2)
        mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=sees, enable_gqa=q.shape[1] != k.shape[1])
        x = x + self.out(mixed.transpose(1, 2).flatten(2))
        normed = self.ffn_norm(x)
        return x + self.down(F.silu(self.gate(normed)) * self.up(normed)), (k, v)

    def _heads(self, x: Tensor) -> Tensor:
        return x.unflatten(-1, (-1, self.shape.head_size)).transpose(1, 2)


class Backbone(nn.Module):
    """Embedding, blocks, norm and head."""

    def __init__(self, shape: BackboneShape) -> None:
        super().__init__()
        self.shape = shape
        self.embedding = nn.Embedding(shape.vocab_size, shape.width)
        self.blocks = nn.ModuleList(PublishedBlock(shape) for _ in range(shape.n_layers))
        self.norm = PublishedNorm(shape.width, shape.norm_eps)
        if not shape.tied:
            self.head = nn.Linear(shape.width, shape.vocab_size, bias=False)

    @property
    def device(self) -> torch.device:
        """Where it runs."""
        return self.norm.weight.device

    @property
    def dtype(self) -> torch.dtype:
        """What it computes in; quantised matrices are narrower."""
        return self.norm.weight.dtype

    def forward(
        self, tokens: Tensor, positions: Tensor, sees: Tensor | None = None, past: Past | None = None
    ) -> tuple[Tensor, Past]:
        """Hidden states [B, T, D] of tokens [B, T] at positions [B, T], and the keys and values of all so far.

        sees: who sees whom, bool [B or 1, 1, T, P + T]; None: everybody everybody.
        """
        x = self.embedding(tokens)
        turn = rotary(positions, self.shape.head_size, self.shape.rope_theta, x.dtype)
        layers = []
        for i, block in enumerate(self.blocks):
            x, states = block(x, turn, sees, None if past is None else past.layers[i])
            layers.append(states)
        return self.norm(x), Past(layers)

    def logits(self, hidden: Tensor) -> Tensor:
        """Logits [..., V] of hidden states [..., D], as the head gives them: not shifted."""
        return F.linear(hidden, self.embedding.weight) if self.shape.tied else self.head(hidden)


def rotary(positions: Tensor, head_size: int, theta: float, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Cosines and sines [B, 1, T, E] of positions [B, T], each half of E alike (Su et al. 2021; the halves after
    GPT-NeoX)."""
    places = torch.arange(0, head_size, 2, device=positions.device, dtype=torch.float32)
    angles = positions.float().unsqueeze(-1) * theta ** (-places / head_size)  # [B, T, E / 2]
    angles = torch.cat((angles, angles), dim=-1).unsqueeze(1)
    return angles.cos().to(dtype), angles.sin().to(dtype)


def rotate_heads(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """x [B, heads, T, E] turned by its position."""
    first, second = x.chunk(2, dim=-1)
    return x * cos + torch.cat((-second, first), dim=-1) * sin
