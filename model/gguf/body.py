"""The transformer in a GGUF file: its shape, and where each of our weights is in the file.

Architectures llama, qwen2 and qwen3. Weights are read only to compare embedding and head.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from ..config import DenoiserConfig
from .file import GgufFile, GgufTensor

ARCHITECTURES = ("llama", "qwen2", "qwen3")
EMBEDDING, HEAD = "token_embd.weight", "output.weight"
N_CANVAS = 32
N_COMPARED = 1_024  # rows
SAME_MATRIX = 0.2  # relative: of Qwen2.5-Coder's two copies, Q5_0 and Q8_0, .044; unrelated matrices differ by 1.4


@dataclass(frozen=True)
class TensorPart:
    """Some rows of a weight of ours: a tensor of the file, and the order of its rows (None: unchanged)."""

    tensor: GgufTensor
    order: np.ndarray | None = None


@dataclass(frozen=True)
class Body:
    """The denoiser's shape, and for each of its weights the parts that are stacked."""

    config: DenoiserConfig
    weights: Mapping[str, tuple[TensorPart, ...]]


def read_body(file: GgufFile) -> Body:
    """Shape and weights. Raises CheckpointError with one line if we cannot compute what the file describes."""
    architecture = file.field("general.architecture", str)
    if architecture not in ARCHITECTURES:
        known = ", ".join(ARCHITECTURES)
        raise file.refused(f"its architecture is {architecture!r}: take a model of one of {known}")
    _refuse_rope(file, architecture)
    config = _config(file, architecture)
    weights = _weights(file, architecture, config)
    used = {id(part.tensor) for parts in weights.values() for part in parts}
    rest = [name for name, each in file.tensors.items() if id(each) not in used and name not in (EMBEDDING, HEAD)]
    if rest:
        raise file.refused(f"it has the tensor {rest[0]!r}, which we cannot use: take another file")
    return Body(config, weights)


def _refuse_rope(file: GgufFile, architecture: str) -> None:
    """Raise CheckpointError for scaled rotary embeddings, which we do not compute."""
    scaling = file.field(f"{architecture}.rope.scaling.type", str, "none")
    if scaling != "none" or "rope_freqs.weight" in file.tensors:
        kind = scaling if scaling != "none" else "llama3"
        raise file.refused(f"it scales its rotary embeddings ({kind}): take a model without that")


def _config(file: GgufFile, architecture: str) -> DenoiserConfig:
    def number(key: str, default: int | None = None) -> int:
        return file.field(f"{architecture}.{key}", int, default)

    if EMBEDDING not in file.tensors:
        raise file.refused("it has no embedding: take a file that holds a whole model")
    width, n_heads = number("embedding_length"), number("attention.head_count")
    head_size = number("attention.key_length", width // max(n_heads, 1))
    for key in ("attention.value_length", "rope.dimension_count"):
        if number(key, head_size) != head_size:
            raise file.refused(f"its {key} is not the size of a head, {head_size}: take another model")
    head = file.tensors.get(HEAD)
    try:
        return DenoiserConfig(
            vocab_size=file.tensors[EMBEDDING].n_rows,
            n_layers=number("block_count"),
            width=width,
            n_heads=n_heads,
            n_kv_heads=number("attention.head_count_kv", n_heads),
            head_size=head_size,
            ffn_width=number("feed_forward_length"),
            n_context=number("context_length"),
            n_canvas=N_CANVAS,
            rope_theta=_short(file.field(f"{architecture}.rope.freq_base", float, 10_000.0)),
            norm_eps=_short(file.field(f"{architecture}.attention.layer_norm_rms_epsilon", float, 1e-6)),
            qk_norm=architecture == "qwen3",
            qkv_bias=architecture == "qwen2",
            token_shift=False,
            copies=False,
            canvases=False,
            tied=head is None or _is_same(file, file.tensors[EMBEDDING], head),
        )
    except ValueError as error:
        raise file.refused(f"its fields describe no model that we can run ({error}): take another file") from error


def _short(number: float) -> float:
    """A float32 with no more digits than it needs: 1e-06, not 9.999999974752427e-07."""
    return float(str(np.float32(number)))


def _is_same(file: GgufFile, embedding: GgufTensor, head: GgufTensor) -> bool:
    """Whether the head is the embedding, quantised again, as llama.cpp does; some rows are compared."""
    if embedding.shape != head.shape:
        return False
    rows = np.arange(0, head.n_rows, max(1, head.n_rows // N_COMPARED))
    one, other = file.sample(embedding, rows), file.sample(head, rows)
    return bool(np.linalg.norm(one - other) <= SAME_MATRIX * np.linalg.norm(other))


def _weights(file: GgufFile, architecture: str, config: DenoiserConfig) -> dict[str, tuple[TensorPart, ...]]:
    """Where each weight is. Raises CheckpointError for a tensor that is missing or has another shape."""
    width, vocab = config.width, config.vocab_size
    is_paired = architecture == "llama"

    def part(name: str, *size: int, heads: int = 0) -> TensorPart:
        tensor = file.tensors.get(name)
        if tensor is None or tensor.shape != size:
            found = "is missing" if tensor is None else f"has the shape {tensor.shape}, not {size}"
            raise file.refused(f"its tensor {name} {found}: copy or download it again")
        return TensorPart(tensor, _unpair(heads, config.head_size) if heads and is_paired else None)

    same = [name for name in (EMBEDDING, HEAD) if name in file.tensors] if config.tied else [EMBEDDING]
    finest = max(same, key=lambda name: file.tensors[name].row_bytes)
    found = {"embedding.weight": (part(finest, vocab, width),), "norm.weight": (part("output_norm.weight", width),)}
    if not config.tied:
        found["head.weight"] = (part(HEAD, vocab, width),)
    for i in range(config.n_layers):
        found |= {f"blocks.{i}.{name}": parts for name, parts in _block(part, i, config)}
    return found


def _block(
    part: Callable[..., TensorPart], i: int, config: DenoiserConfig
) -> Iterator[tuple[str, tuple[TensorPart, ...]]]:
    """The names of one block's weights, and where they are."""
    width, ffn, head_size = config.width, config.ffn_width, config.head_size
    q, kv = config.n_heads * head_size, config.n_kv_heads * head_size
    at = f"blk.{i}."
    yield "attention_norm.weight", (part(f"{at}attn_norm.weight", width),)
    yield (
        "attention.qkv.weight",
        (
            part(f"{at}attn_q.weight", q, width, heads=config.n_heads),
            part(f"{at}attn_k.weight", kv, width, heads=config.n_kv_heads),
            part(f"{at}attn_v.weight", kv, width),
        ),
    )
    if config.qkv_bias:
        sizes = {"q": q, "k": kv, "v": kv}
        yield "attention.qkv.bias", tuple(part(f"{at}attn_{x}.bias", n) for x, n in sizes.items())
    if config.qk_norm:
        for x in ("q", "k"):
            yield f"attention.{x}_norm.weight", (part(f"{at}attn_{x}_norm.weight", head_size),)
    yield "attention.out.weight", (part(f"{at}attn_output.weight", width, q),)
    yield "ffn_norm.weight", (part(f"{at}ffn_norm.weight", width),)
    yield "ffn.gate_up.weight", tuple(part(f"{at}ffn_{x}.weight", ffn, width) for x in ("gate", "up"))
    yield "ffn.down.weight", (part(f"{at}ffn_down.weight", width, ffn),)


def _unpair(n_heads: int, head_size: int) -> np.ndarray:
    """The order of the file's rows. In llama.cpp's `llama` the two numbers that a rotary embedding turns are adjacent;
    here one is in each half of a head."""
    rows = np.arange(n_heads * head_size).reshape(n_heads, head_size // 2, 2)
    return rows.swapaxes(1, 2).reshape(-1)
