"""A published backbone: token ids in, logits out, under whatever attention mask its family wants.

It is the denoiser's transformer (`network.transformer`) without token shift, copies and canvas mark, for Qwen2/2.5,
Qwen3, Llama and OLMo-style checkpoints. Keys and values of earlier tokens can be given (`Past`), so that only later
ones are computed. Weights are memory-mapped files' own tensors (`folder`), or int8 and fp8 with a scale a row
(`quantised`); so matrices that are one in a denoiser stay apart here (`SideBySide`).

Letters: B batch, T new tokens, P tokens before them, D width, H heads, K key heads, E head size, V vocabulary.
"""

from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor, nn

from ..config import DenoiserConfig
from ..network.denoiser import Denoiser
from ..network.transformer import LayerStates, TransformerBlock, rotations


class Past(NamedTuple):
    """Keys and values of earlier tokens, a pair [B, K, P, E] for each layer; keys are rotated."""

    layers: list[tuple[Tensor, Tensor]]

    @property
    def n_tokens(self) -> int:
        """P."""
        return self.layers[0][0].shape[2]


class SideBySide(nn.ModuleDict):
    """Several matrices where a denoiser has one, by their names: their outputs one behind the other.

    To make one of them would copy two thirds of the weights, which then were mapped no more.
    """

    def __init__(self, n_in: int, sizes: Mapping[str, int], bias: bool) -> None:
        super().__init__({name: nn.Linear(n_in, n_out, bias=bias) for name, n_out in sizes.items()})

    def forward(self, x: Tensor) -> Tensor:
        """x [..., n_in] to [..., the sum of sizes]."""
        return torch.cat([matrix(x) for matrix in self.values()], dim=-1)


class Backbone(Denoiser):
    """A denoiser whose tokens see whom they are told to."""

    def __init__(self, config: DenoiserConfig) -> None:
        super().__init__(config)
        qkv, gate_up = _parts(config).values()
        for block in self.blocks:
            assert isinstance(block, TransformerBlock)
            block.attention.add_module("qkv", SideBySide(config.width, qkv, config.qkv_bias))
            block.ffn.add_module("gate_up", SideBySide(config.width, gate_up, bias=False))

    @property
    def device(self) -> torch.device:
        """Where it runs."""
        return self.embedding.weight.device

    @property
    def dtype(self) -> torch.dtype:
        """What it computes in; quantised matrices are narrower."""
        return self.embedding.weight.dtype

    def forward(
        self, tokens: Tensor, positions: Tensor, sees: Tensor | None = None, past: Past | None = None
    ) -> tuple[Tensor, Past]:
        """Hidden states [B, T, D] of tokens [B, T] at positions [B, T], and the keys and values of all so far.

        sees: who sees whom, bool [B or 1, 1, T, P + T]; None: everybody everybody.
        """
        x = self.embedding(tokens)
        cos, sin = rotations(positions.unsqueeze(1), self.config)
        layers = []
        for i, block in enumerate(self.blocks):
            assert isinstance(block, TransformerBlock)
            before = None if past is None else _states(*past.layers[i])
            x, states = block.context(x, cos, sin, sees, before, causal=False)
            layers.append((states.keys, states.values.contiguous()))  # not a view of queries and keys too
        return self.norm(x), Past(layers)

    def logits(self, hidden: Tensor) -> Tensor:
        """Logits [..., V] of hidden states [..., D], as the head gives them: not shifted."""
        return self.vocabulary_logits(hidden)


def _states(keys: Tensor, values: Tensor) -> LayerStates:
    b, _, n_tokens, _ = keys.shape
    return LayerStates(keys, values, keys.new_zeros(b, n_tokens, 0))


def _parts(config: DenoiserConfig) -> dict[str, dict[str, int]]:
    """What of a block's matrices stands apart in a backbone: the names and rows of the parts."""
    q, kv = config.n_heads * config.head_size, config.n_kv_heads * config.head_size
    return {
        "attention.qkv": {"q": q, "k": kv, "v": kv},
        "ffn.gate_up": {"gate": config.ffn_width, "up": config.ffn_width},
    }


def weight_shapes(config: DenoiserConfig) -> dict[str, tuple[int, ...]]:
    """The names and shapes of a backbone's weights."""
    parts = _parts(config)
    shapes: dict[str, tuple[int, ...]] = {}
    for name, shape in config.weight_shapes().items():
        whole, _, kind = name.rpartition(".")
        apart = next((rows for matrix, rows in parts.items() if whole.endswith(matrix)), None)
        if apart is None:
            shapes[name] = shape
        else:
            shapes |= {f"{whole}.{part}.{kind}": (n_rows, *shape[1:]) for part, n_rows in apart.items()}
    return shapes
