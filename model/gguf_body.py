"""The transformer in a GGUF file: its shape, and where each of our weights stands in the file.

Architectures llama, qwen2 and qwen3. It reads no numbers but for a comparison of embedding and head.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from .gguf_file import GgufFile, GgufTensor

ARCHITECTURES = ("llama", "qwen2", "qwen3")
EMBEDDING, HEAD = "token_embd.weight", "output.weight"
MAX_LAYERS = 1_000
N_CANVAS = 32
N_COMPARED = 1_024  # rows
SAME_MATRIX = 0.2  # relative: of Qwen2.5-Coder's two copies, Q5_0 and Q8_0, .044; unrelated matrices differ by 1.4


@dataclass(frozen=True)
class Part:
    """Some rows of a weight of ours: a tensor of the file, and which of its rows stands where (None: as they are)."""

    tensor: GgufTensor
    order: np.ndarray | None = None


@dataclass(frozen=True)
class Body:
    """The denoiser's fields of config.json, and for each weight the parts that stand one below the other."""

    shape: Mapping[str, Any]
    weights: Mapping[str, tuple[Part, ...]]

    @cached_property
    def shapes(self) -> Mapping[str, tuple[int, ...]]:
        """The shapes of the weights."""
        found: dict[str, tuple[int, ...]] = {}
        for name, parts in self.weights.items():
            first = parts[0].tensor.shape
            found[name] = (sum(part.tensor.shape[0] for part in parts), *first[1:])
        return found


def read_body(file: GgufFile) -> Body:
    """Shape and weights. Raises CheckpointError with one line where we cannot compute what the file describes."""
    architecture = file.field("general.architecture", str)
    if architecture not in ARCHITECTURES:
        known = ", ".join(ARCHITECTURES)
        raise file.refused(f"its architecture is {architecture!r}: take a model of one of {known}")
    _refuse_rope(file, architecture)
    shape = _shape(file, architecture)
    weights = _weights(file, architecture, shape)
    used = {id(part.tensor) for parts in weights.values() for part in parts}
    rest = [name for name, each in file.tensors.items() if id(each) not in used and name not in (EMBEDDING, HEAD)]
    if rest:
        raise file.refused(f"it has the tensor {rest[0]!r}, which no model of ours has: take another file")
    return Body(shape, weights)


def _refuse_rope(file: GgufFile, architecture: str) -> None:
    """Raises CheckpointError for rotary embeddings that are scaled: we do not compute them."""
    scaling = file.field(f"{architecture}.rope.scaling.type", str, "none")
    if scaling != "none" or "rope_freqs.weight" in file.tensors:
        kind = scaling if scaling != "none" else "llama3"
        raise file.refused(f"it scales its rotary embeddings ({kind}): take a model without that")


def _shape(file: GgufFile, architecture: str) -> dict[str, Any]:
    def number(key: str, default: int | None = None) -> int:
        value = file.field(f"{architecture}.{key}", int, default)
        if not 0 < value <= 10_000_000:
            raise file.refused(f"its {key} is {value:,}: it is damaged, copy or download it again")
        return value

    width, n_heads = number("embedding_length"), number("attention.head_count")
    n_kv_heads = number("attention.head_count_kv", n_heads)
    head_size = number("attention.key_length", max(width // n_heads, 1))
    if n_heads % n_kv_heads or head_size % 2:
        raise file.refused(f"{n_heads} query heads, {n_kv_heads} key heads of {head_size} numbers make no model of ours")
    for key in ("attention.value_length", "rope.dimension_count"):
        if number(key, head_size) != head_size:
            raise file.refused(f"its {key} is not the size of a head, {head_size}: take another model")
    n_layers = number("block_count")
    if n_layers > MAX_LAYERS or EMBEDDING not in file.tensors:
        raise file.refused("it has no embedding, or too many layers: it is damaged, copy or download it again")
    return {
        "vocab_size": file.tensors[EMBEDDING].n_rows,
        "n_layers": n_layers,
        "width": width,
        "n_heads": n_heads,
        "n_kv_heads": n_kv_heads,
        "head_size": head_size,
        "ffn_width": number("feed_forward_length"),
        "n_context": number("context_length"),
        "n_canvas": N_CANVAS,
        "rope_theta": _positive(file, f"{architecture}.rope.freq_base", 10_000.0),
        "norm_eps": _positive(file, f"{architecture}.attention.layer_norm_rms_epsilon", 1e-6),
        "qk_norm": architecture == "qwen3",
        "qkv_bias": architecture == "qwen2",
        "token_shift": False,
        "copies": False,
        "canvases": False,
        "tied": HEAD not in file.tensors or _is_same(file, file.tensors[EMBEDDING], file.tensors[HEAD]),
    }


def _positive(file: GgufFile, key: str, default: float) -> float:
    """A positive number with the digits of a float32: 1e-06, not 9.999999974752427e-07."""
    value = float(str(np.float32(file.field(key, float, default))))
    if not 0 < value <= 1e9:
        raise file.refused(f"its {key} is {value}: it is damaged, copy or download it again")
    return value


def _is_same(file: GgufFile, embedding: GgufTensor, head: GgufTensor) -> bool:
    """Whether the head is the embedding, quantised a second time (llama.cpp does so): some rows are compared."""
    if embedding.shape != head.shape:
        return False
    rows = np.arange(0, head.n_rows, max(1, head.n_rows // N_COMPARED))
    one, other = file.sample(embedding, rows), file.sample(head, rows)
    return bool(np.linalg.norm(one - other) <= SAME_MATRIX * np.linalg.norm(other))


def _weights(file: GgufFile, architecture: str, shape: Mapping[str, Any]) -> dict[str, tuple[Part, ...]]:
    width, ffn, head_size, vocab = shape["width"], shape["ffn_width"], shape["head_size"], shape["vocab_size"]
    q, kv = shape["n_heads"] * head_size, shape["n_kv_heads"] * head_size
    pairs = architecture == "llama"

    def part(name: str, *size: int, heads: int = 0) -> Part:
        tensor = file.tensors.get(name)
        if tensor is None or tensor.shape != size:
            found = "is missing" if tensor is None else f"has the shape {tensor.shape}, not {size}"
            raise file.refused(f"its tensor {name} {found}: copy or download it again")
        return Part(tensor, _unpaired(heads, head_size) if heads and pairs and len(size) == 2 else None)

    def block(i: int) -> Iterator[tuple[str, tuple[Part, ...]]]:
        at = f"blk.{i}."
        yield "attention_norm.weight", (part(f"{at}attn_norm.weight", width),)
        yield "attention.qkv.weight", (
            part(f"{at}attn_q.weight", q, width, heads=shape["n_heads"]),
            part(f"{at}attn_k.weight", kv, width, heads=shape["n_kv_heads"]),
            part(f"{at}attn_v.weight", kv, width),
        )
        if shape["qkv_bias"]:
            sizes = {"q": q, "k": kv, "v": kv}
            yield "attention.qkv.bias", tuple(part(f"{at}attn_{x}.bias", n) for x, n in sizes.items())
        if shape["qk_norm"]:
            for x in ("q", "k"):
                yield f"attention.{x}_norm.weight", (part(f"{at}attn_{x}_norm.weight", head_size),)
        yield "attention.out.weight", (part(f"{at}attn_output.weight", width, q),)
        yield "ffn_norm.weight", (part(f"{at}ffn_norm.weight", width),)
        yield "ffn.gate_up.weight", tuple(part(f"{at}ffn_{x}.weight", ffn, width) for x in ("gate", "up"))
        yield "ffn.down.weight", (part(f"{at}ffn_down.weight", width, ffn),)

    finest = EMBEDDING
    if shape["tied"] and HEAD in file.tensors and file.tensors[HEAD].row_bytes > file.tensors[EMBEDDING].row_bytes:
        finest = HEAD
    found = {"embedding.weight": (part(finest, vocab, width),), "norm.weight": (part("output_norm.weight", width),)}
    if not shape["tied"]:
        found["head.weight"] = (part(HEAD, vocab, width),)
    for i in range(shape["n_layers"]):
        found |= {f"blocks.{i}.{name}": parts for name, parts in block(i)}
    return found


def _unpaired(n_heads: int, head_size: int) -> np.ndarray:
    """llama.cpp's `llama` puts the two numbers that a rotary embedding turns side by side; here each half of a head has
    one of them. Which row of the file stands where."""
    rows = np.arange(n_heads * head_size).reshape(n_heads, head_size // 2, 2)
    return rows.swapaxes(1, 2).reshape(-1)
