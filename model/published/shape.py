"""The shape of a published backbone: a decoder-only transformer with RMSNorm, RoPE and a gated FFN. Numbers only."""

import math
from dataclasses import asdict, dataclass

from ..config import check_numbers


@dataclass(frozen=True, kw_only=True)
class BackboneShape:
    """n_context is the longest sequence the positions were trained for, in tokens.

    qkv_bias: queries, keys and values have biases (Qwen2). qk_norm: queries and keys are normalised per head (Qwen3).
    tied: the output head is the embedding. Raises ValueError for numbers that make no transformer.
    """

    vocab_size: int
    n_layers: int
    width: int
    n_heads: int
    n_kv_heads: int
    head_size: int
    ffn_width: int
    n_context: int
    rope_theta: float = 10_000.0
    norm_eps: float = 1e-6
    qkv_bias: bool = False
    qk_norm: bool = False
    tied: bool = False

    def __post_init__(self) -> None:
        check_numbers(asdict(self), ("qkv_bias", "qk_norm", "tied"))
        if self.n_heads % self.n_kv_heads:
            raise ValueError(f"{self.n_heads} query heads cannot share {self.n_kv_heads} key heads evenly")
        if self.head_size % 2:
            raise ValueError(f"rotary embeddings need an even head_size, not {self.head_size}")

    def weight_shapes(self) -> dict[str, tuple[int, ...]]:
        """The names and shapes of a `backbone.Backbone`'s weights."""
        q, kv, d, f = self.n_heads * self.head_size, self.n_kv_heads * self.head_size, self.width, self.ffn_width
        block: dict[str, tuple[int, ...]] = {
            "attention_norm.weight": (d,), "ffn_norm.weight": (d,),
            "q.weight": (q, d), "k.weight": (kv, d), "v.weight": (kv, d), "out.weight": (d, q),
            "gate.weight": (f, d), "up.weight": (f, d), "down.weight": (d, f),
        }  # fmt: skip
        if self.qkv_bias:
            block |= {"q.bias": (q,), "k.bias": (kv,), "v.bias": (kv,)}
        if self.qk_norm:
            block |= {"q_norm.weight": (self.head_size,), "k_norm.weight": (self.head_size,)}
        shapes = {f"blocks.{i}.{name}": shape for i in range(self.n_layers) for name, shape in block.items()}
        shapes |= {"embedding.weight": (self.vocab_size, d), "norm.weight": (d,)}
        return shapes if self.tied else shapes | {"head.weight": (self.vocab_size, d)}

    @property
    def n_parameters(self) -> int:
        """Numbers that were learnt."""
        return sum(map(math.prod, self.weight_shapes().values()))
