"""The shape of a denoising head, as plain numbers."""

from dataclasses import asdict, dataclass
from functools import cached_property

from ..config import DenoiserConfig, check_numbers

MAX_WINDOW = 4_096  # tokens; no weight's shape bounds it


@dataclass(frozen=True, kw_only=True)
class HeadConfig:
    """Shape of a denoising head. width is the body's; n_words how many tokens it can predict, n_canvas the longest
    canvas, n_window how many context tokens it sees."""

    width: int
    n_layers: int
    n_heads: int
    n_kv_heads: int
    head_size: int
    ffn_width: int
    n_words: int
    n_canvas: int = 6
    n_window: int = 64
    rope_theta: float = 10_000.0
    norm_eps: float = 1e-6

    def __post_init__(self) -> None:
        check_numbers(asdict(self), ())
        if self.n_window > MAX_WINDOW or self.n_canvas > MAX_WINDOW:
            raise ValueError(f"n_window and n_canvas must be at most {MAX_WINDOW:,}")
        if self.n_heads % self.n_kv_heads or self.head_size % 2:
            raise ValueError("query heads must share key heads evenly, and head_size must be even")

    @cached_property
    def layers(self) -> DenoiserConfig:
        """The shape of the head's layers."""
        return DenoiserConfig(
            vocab_size=self.n_words, n_layers=self.n_layers, width=self.width, n_heads=self.n_heads,
            n_kv_heads=self.n_kv_heads, head_size=self.head_size, ffn_width=self.ffn_width, n_context=self.n_window,
            n_canvas=self.n_canvas, rope_theta=self.rope_theta, norm_eps=self.norm_eps, token_shift=False, copies=False,
        )  # fmt: skip

    def weight_shapes(self) -> dict[str, tuple[int, ...]]:
        """The names and shapes of a head's weights, except its words."""
        width = self.width
        blocks = {key: shape for key, shape in self.layers.weight_shapes().items() if key.startswith("blocks.")}
        norms = dict.fromkeys(("feature_norm.weight", "token_norm.weight", "norm.weight", "mask"), (width,))
        squares = dict.fromkeys(("fuse.weight", "anchor.weight", "token.weight", "hint.weight"), (width, width))
        return {**norms, **squares, "log_sharpness": (), "places": (self.n_canvas, width), **blocks}
