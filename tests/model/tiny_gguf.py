"""GGUF files with a tiny random transformer and a tokenizer of bytes and a few merges. Shared by tests."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from gguf import GGMLQuantizationType, GGUFWriter
from gguf.constants import GGML_QUANT_SIZES
from gguf.quants import quantize
from quicksilver.model.tokenizers.code_tokenizer import byte_characters

MERGES = [("d", "e"), ("de", "f"), ("Ġ", "x"), ("r", "e"), ("re", "t"), ("Ċ", "Ġ"), ("<", "|")]
SPECIALS = [
    "<|endoftext|>", "<|im_end|>", "<|fim_prefix|>", "<|fim_middle|>", "<|fim_suffix|>", "<|fim_pad|>",
    "<|repo_name|>", "<|file_sep|>", "[PAD0]",
]  # fmt: skip
CONTROL, UNUSED = 3, 5
K_QUANTS = frozenset({"Q4_K", "Q5_K", "Q6_K"})  # the package can read these, not make them
_SCALE_BYTES = {"Q4_K": (0, 4), "Q5_K": (0, 4), "Q6_K": (208, 210)}  # where a block has its float16 scales


@dataclass
class TinyGguf:
    """A model to write. fields and tensors change what is written; None leaves one out."""

    architecture: str = "qwen2"
    n_layers: int = 2
    width: int = 64
    n_heads: int = 4
    n_kv_heads: int = 2
    ffn_width: int = 96
    is_tied: bool = True
    quantisation: str = "F32"
    head_quantisation: str | None = None
    pre: str = "qwen2"
    seed: int = 0
    fields: Mapping[str, Any] = field(default_factory=dict)
    tensors: Mapping[str, np.ndarray | None] = field(default_factory=dict)
    specials: list[str] = field(default_factory=lambda: [*SPECIALS])
    merges: list[tuple[str, str]] = field(default_factory=lambda: [*MERGES])

    @property
    def tokens(self) -> list[str]:
        return [*byte_characters().values(), *(left + right for left, right in self.merges), *self.specials]

    @property
    def head_size(self) -> int:
        return self.width // self.n_heads

    def floats(self) -> dict[str, np.ndarray]:
        """The tensors before they are quantised, by their names in the file."""
        random = np.random.default_rng(self.seed)
        kv = self.n_kv_heads * self.head_size
        shapes: dict[str, tuple[int, ...]] = {
            "token_embd.weight": (len(self.tokens), self.width), "output_norm.weight": (self.width,),
        }  # fmt: skip
        if not self.is_tied:
            shapes["output.weight"] = (len(self.tokens), self.width)
        block: dict[str, tuple[int, ...]] = {
            "attn_norm.weight": (self.width,), "ffn_norm.weight": (self.width,),
            "attn_q.weight": (self.width, self.width), "attn_k.weight": (kv, self.width),
            "attn_v.weight": (kv, self.width), "attn_output.weight": (self.width, self.width),
            "ffn_gate.weight": (self.ffn_width, self.width), "ffn_up.weight": (self.ffn_width, self.width),
            "ffn_down.weight": (self.width, self.ffn_width),
        }  # fmt: skip
        if self.architecture == "qwen2":
            block |= {"attn_q.bias": (self.width,), "attn_k.bias": (kv,), "attn_v.bias": (kv,)}
        if self.architecture == "qwen3":
            block |= {"attn_q_norm.weight": (self.head_size,), "attn_k_norm.weight": (self.head_size,)}
        shapes |= {f"blk.{i}.{name}": shape for i in range(self.n_layers) for name, shape in block.items()}
        made = {name: random.normal(0, 0.2, shape).astype(np.float32) for name, shape in shapes.items()}
        return {name: 1 + x if "norm" in name else x for name, x in made.items()}

    def write(self, path: Path) -> Path:
        """Write the file."""
        writer = GGUFWriter(path, self.architecture)
        for key, value in (self._fields() | dict(self.fields)).items():
            if value is not None:
                _add_field(writer, key, value)
        tensors = {**self.floats(), **self.tensors}
        if self.head_quantisation:
            tensors["output.weight"] = tensors["token_embd.weight"]
        for name, numbers in tensors.items():
            if numbers is not None:
                self._add_tensor(writer, name, numbers)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
        return path

    def _fields(self) -> dict[str, Any]:
        at, tokens = self.architecture, self.tokens
        n_text = len(tokens) - len(self.specials)
        types = [1] * n_text + [UNUSED if text.startswith("[PAD") else CONTROL for text in self.specials]
        return {
            f"{at}.block_count": self.n_layers, f"{at}.context_length": 512, f"{at}.embedding_length": self.width,
            f"{at}.feed_forward_length": self.ffn_width, f"{at}.attention.head_count": self.n_heads,
            f"{at}.attention.head_count_kv": self.n_kv_heads, f"{at}.rope.freq_base": 1e6,
            f"{at}.attention.layer_norm_rms_epsilon": 1e-6, "tokenizer.ggml.model": "gpt2",
            "tokenizer.ggml.pre": self.pre, "tokenizer.ggml.tokens": tokens, "tokenizer.ggml.token_type": types,
            "tokenizer.ggml.merges": [" ".join(pair) for pair in self.merges],
            "tokenizer.ggml.eos_token_id": n_text + 1,
        }  # fmt: skip

    def _add_tensor(self, writer: GGUFWriter, name: str, numbers: np.ndarray) -> None:
        quantisation = self.quantisation if numbers.ndim == 2 else "F32"
        if name == "output.weight" and self.head_quantisation:
            quantisation = self.head_quantisation
        raw = quantised_bytes(numbers, quantisation, self.seed)
        writer.add_tensor(name, raw, raw_dtype=GGMLQuantizationType[quantisation])


def quantised_bytes(numbers: np.ndarray, quantisation: str, seed: int = 0) -> np.ndarray:
    """numbers in a quantisation; in one that the package cannot make, random blocks of the same shape."""
    kind = GGMLQuantizationType[quantisation]
    if quantisation not in K_QUANTS:
        return quantize(numbers, kind)
    n_in_block, n_bytes = GGML_QUANT_SIZES[kind]
    random = np.random.default_rng(seed)
    blocks = random.integers(0, 256, (*numbers.shape[:-1], numbers.shape[-1] // n_in_block, n_bytes), dtype=np.uint8)
    first, end = _SCALE_BYTES[quantisation]
    scales = random.uniform(0.001, 0.01, (*blocks.shape[:-1], (end - first) // 2)).astype(np.float16)
    blocks[..., first:end] = scales.view(np.uint8)
    return blocks.reshape(*numbers.shape[:-1], -1)


def _add_field(writer: GGUFWriter, key: str, value: Any) -> None:
    if isinstance(value, bool):
        writer.add_bool(key, value)
    elif isinstance(value, int):
        writer.add_uint32(key, value)
    elif isinstance(value, float):
        writer.add_float32(key, value)
    elif isinstance(value, str):
        if key != "general.architecture":
            writer.add_string(key, value)
    else:
        writer.add_array(key, value)
