"""The denoiser's shape. Plain numbers; knows no weights."""

import math
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass

from .special_tokens import N_SPECIAL, Special

MATCH_BOUNDS = (1, 2, 3, 4, 5, 7, 9, 12)  # a match of class c is at least MATCH_BOUNDS[c - 1] long; class 0: none
N_MATCH_CLASSES = len(MATCH_BOUNDS) + 1
N_MATCH_GAPS = 8  # masked tokens between a match and the position asked; more count as one less than this
MAX_SIZE = 10_000_000  # beyond any dimension or rope base in use: a damaged config must not ask for all memory
MAX_LAYERS = 1_000
REALS = frozenset({"rope_theta", "norm_eps", "rope_scale"})
FLAGS = ("marks_middle", "copies_matches", "qk_norm", "qkv_bias", "token_shift", "copies", "canvases", "tied")


def check_numbers(shape: Mapping[str, object], flags: Collection[str]) -> None:
    """Raises ValueError unless every field is a positive number within bounds (whole but for REALS) or a flag."""
    for name, value in shape.items():
        if name in flags:
            if not isinstance(value, bool):
                raise ValueError(f"{name} must be true or false, not {repr(value)[:40]}")
            continue
        kinds, most = (int | float if name in REALS else int), MAX_LAYERS if name == "n_layers" else MAX_SIZE
        if isinstance(value, bool) or not isinstance(value, kinds) or not 0 < value <= most:
            kind = "number" if name in REALS else "whole number"
            raise ValueError(f"{name} must be a positive {kind} of at most {most:,}, not {repr(value)[:40]}")


@dataclass(frozen=True, kw_only=True)
class DenoiserConfig:
    """Shape of one denoiser.

    n_context is the longest context trained on, in tokens; n_canvas the longest canvas trained on. copy_size is the
    width of the copy head's queries and keys. marks_middle: the causal head was taught that a hole's text begins with a
    MIDDLE token, which tells it that an end is to come; it stands in continuations only, never in the cached context.
    copies_matches: the copy head is told how far the text before each position it could copy matches the text at hand.

    Published models lack parts that our own have, and have others: qk_norm, queries and keys are normalised per head
    (Qwen3); qkv_bias, queries, keys and values have biases (Qwen2); token_shift, they take a share of the previous
    token's; copies, there is a copy head (else copy_size is 0); canvases, it was taught to fill our canvases, whose
    tokens carry a mark; tied, the output head is the embedding. rope_scale above 1 stretches rotary embeddings (YaRN):
    contexts may be that many times as long as n_context.
    """

    vocab_size: int
    n_layers: int
    width: int
    n_heads: int
    n_kv_heads: int
    head_size: int
    ffn_width: int
    copy_size: int = 0
    n_context: int
    n_canvas: int
    rope_theta: float = 10_000.0
    rope_scale: float = 1.0
    norm_eps: float = 1e-6
    marks_middle: bool = False
    copies_matches: bool = False
    qk_norm: bool = True
    qkv_bias: bool = False
    token_shift: bool = True
    copies: bool = True
    canvases: bool = True
    tied: bool = True

    def __post_init__(self) -> None:
        numbers = {name: value for name, value in asdict(self).items() if name != "copy_size" or self.copies}
        check_numbers(numbers, FLAGS)
        if not self.copies and (self.copy_size != 0 or self.copies_matches):
            raise ValueError("a model without a copy head has copy_size 0 and no copies_matches")
        if self.n_heads % self.n_kv_heads:
            raise ValueError(f"{self.n_heads} query heads cannot share {self.n_kv_heads} key heads evenly")
        if self.rope_scale < 1:
            raise ValueError(f"rope_scale must be at least 1, not {self.rope_scale}")
        if self.head_size % 2:
            raise ValueError(f"rotary embeddings need an even head_size, not {self.head_size}")

    @property
    def n_context_scaled(self) -> int:
        """The longest context that the model can read, in tokens."""
        return int(self.n_context * self.rope_scale)

    @property
    def qkv_width(self) -> int:
        """Width of one token's q, k and v together."""
        return (self.n_heads + 2 * self.n_kv_heads) * self.head_size

    def special(self, token: Special) -> int:
        """The id of a special token: they end the vocabulary."""
        return self.vocab_size - N_SPECIAL + int(token)

    @property
    def middle(self) -> int | None:
        """The id of the MIDDLE token, if one is used."""
        return self.special(Special.MIDDLE) if self.marks_middle else None

    @property
    def n_parameters(self) -> int:
        """Numbers that were learnt."""
        return sum(map(math.prod, self.weight_shapes().values()))

    def weight_shapes(self) -> dict[str, tuple[int, ...]]:
        """The names and shapes of a denoiser's weights."""
        heads, width, c = self.n_heads * self.head_size, self.width, self.copy_size
        block: dict[str, tuple[int, ...]] = {
            "attention_norm.weight": (width,),
            "attention.qkv.weight": (self.qkv_width, width),
            "attention.out.weight": (width, heads),
            "ffn_norm.weight": (width,),
            "ffn.gate_up.weight": (2 * self.ffn_width, width),
            "ffn.down.weight": (width, self.ffn_width),
        }
        if self.token_shift:
            block["attention.shift"] = (self.qkv_width,)
        if self.qkv_bias:
            block["attention.qkv.bias"] = (self.qkv_width,)
        if self.qk_norm:
            block |= dict.fromkeys(("attention.q_norm.weight", "attention.k_norm.weight"), (self.head_size,))
        shapes = {f"blocks.{i}.{name}": shape for i in range(self.n_layers) for name, shape in block.items()}
        shapes |= {"embedding.weight": (self.vocab_size, width), "norm.weight": (width,)}
        if self.canvases:
            shapes["canvas_mark"] = (width,)
        if not self.tied:
            shapes["head.weight"] = (self.vocab_size, width)
        if not self.copies:
            return shapes
        head = {"log_sharpness": (), "query.weight": (c, width), "key.weight": (c, width), "gate.weight": (1, width)}
        head |= {"gate.bias": (1,)}
        if self.copies_matches:
            head |= dict.fromkeys(("match_score", "match_gate"), (N_MATCH_CLASSES * N_MATCH_GAPS,))
        return shapes | {f"copy_head.{name}": shape for name, shape in head.items()}
