"""The denoiser's shape. Plain numbers; knows no weights."""

from dataclasses import asdict, dataclass


@dataclass(frozen=True, kw_only=True)
class DenoiserConfig:
    """Shape of one denoiser.

    n_context is the longest context trained on, in tokens; n_canvas the longest canvas trained on. copy_size is the
    width of the copy head's queries and keys.
    """

    vocab_size: int
    n_layers: int
    width: int
    n_heads: int
    n_kv_heads: int
    head_size: int
    ffn_width: int
    copy_size: int
    n_context: int
    n_canvas: int
    rope_theta: float = 10_000.0
    norm_eps: float = 1e-6

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            if not value > 0:
                raise ValueError(f"{name} must be positive, not {value}")
        if self.n_heads % self.n_kv_heads:
            raise ValueError(f"{self.n_heads} query heads cannot share {self.n_kv_heads} key heads evenly")
        if self.head_size % 2:
            raise ValueError(f"rotary embeddings need an even head_size, not {self.head_size}")

    @property
    def qkv_width(self) -> int:
        """Width of one token's q, k and v together."""
        return (self.n_heads + 2 * self.n_kv_heads) * self.head_size
