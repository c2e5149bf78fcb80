"""Checkpoints that people have published, with the sizes that their configs say: what memory each one takes.

Numbers for a guide (`quicksilver serve --list-models`, docs/published.md); loading reads the folder's own config.json.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from ..config import DenoiserConfig
from .families import FAMILIES

QWEN2_7B = DenoiserConfig(
    vocab_size=152_064, n_layers=28, width=3584, n_heads=28, n_kv_heads=4, head_size=128, ffn_width=18_944,
    n_context=2048, n_canvas=2048, rope_theta=1e6, qkv_bias=True, qk_norm=False, token_shift=False, copies=False,
    canvases=False, tied=False,
)  # fmt: skip
QWEN2_CODER_05B = replace(
    QWEN2_7B, vocab_size=151_936, n_layers=24, width=896, n_heads=14, n_kv_heads=2, head_size=64, ffn_width=4864,
    tied=True,
)  # fmt: skip
QWEN2_15B = replace(QWEN2_CODER_05B, n_layers=28, width=1536, n_heads=12, head_size=128, ffn_width=8960)
QWEN3_06B = replace(
    QWEN2_7B, vocab_size=151_936, width=1024, n_heads=16, n_kv_heads=8, ffn_width=3072, qkv_bias=False, qk_norm=True,
    tied=True,
)  # fmt: skip
QWEN3_17B = replace(QWEN3_06B, width=2048, ffn_width=6144)
QWEN3_4B = replace(QWEN3_06B, n_layers=36, width=2560, n_heads=32, ffn_width=9728)
QWEN3_8B = replace(QWEN3_4B, width=4096, ffn_width=12_288, tied=False)
LLADA_8B = replace(
    QWEN2_7B, vocab_size=126_464, n_layers=32, width=4096, n_heads=32, n_kv_heads=32, ffn_width=12_288, n_context=4096,
    n_canvas=4096, rope_theta=5e5, norm_eps=1e-5, qkv_bias=False,
)  # fmt: skip
SEED_8B = replace(LLADA_8B, vocab_size=155_136, n_kv_heads=8, ffn_width=14_336, n_context=8192)
LLAMA2_7B = replace(LLADA_8B, vocab_size=32_000, ffn_width=11_008, rope_theta=1e4, n_context=2048)


@dataclass(frozen=True, kw_only=True)
class Known:
    """A published checkpoint: where people get it, of which family it is, its shape, what it is good for here, and its
    licence where that is not its family's."""

    hub_id: str
    family: str
    shape: DenoiserConfig
    fills: str
    licence: str = ""


FILLS, CONTINUES = "fills holes", "continues; the suffix before the prefix"
KNOWN: tuple[Known, ...] = (
    Known(hub_id="fredzzp/open-dcoder-0.5B", family="open-dcoder", shape=QWEN2_CODER_05B, fills=FILLS),
    Known(hub_id="dllm-hub/Qwen2.5-Coder-0.5B-Instruct-diffusion-mdlm-v0.1", family="a2d-qwen2-mdlm",
          shape=QWEN2_CODER_05B, fills=FILLS),
    Known(hub_id="dllm-hub/Qwen2.5-Coder-0.5B-Instruct-diffusion-bd3lm-v0.1", family="a2d-qwen2-bd3lm",
          shape=QWEN2_CODER_05B, fills=CONTINUES),
    Known(hub_id="dllm-hub/Qwen3-0.6B-diffusion-mdlm-v0.1", family="a2d-qwen3-mdlm", shape=QWEN3_06B, fills=FILLS),
    Known(hub_id="Efficient-Large-Model/Fast_dLLM_v2_1.5B", family="fast-dllm-v2", shape=QWEN2_15B, fills=CONTINUES),
    Known(hub_id="Salesforce/CoDA-v0-Instruct", family="coda", shape=replace(QWEN3_17B, tied=False), fills=FILLS),
    Known(hub_id="JetLM/SDAR-1.7B-Chat", family="sdar", shape=QWEN3_17B, fills=CONTINUES),
    Known(hub_id="JetLM/SDAR-4B-Chat", family="sdar", shape=QWEN3_4B, fills=CONTINUES),
    Known(hub_id="diffusionfamily/diffullama", family="diffullama", shape=LLAMA2_7B, fills=FILLS),
    Known(hub_id="Dream-org/DreamOn-v0-7B", family="dreamon", shape=QWEN2_7B, fills=f"{FILLS}, finds their length"),
    Known(hub_id="Dream-org/Dream-Coder-v0-Base-7B", family="dream", shape=QWEN2_7B, fills=FILLS),
    Known(hub_id="apple/DiffuCoder-7B-Base", family="dream", shape=QWEN2_7B, fills=FILLS,
          licence="Apple's, for research"),
    Known(hub_id="GSAI-ML/LLaDA-8B-Base", family="llada", shape=LLADA_8B, fills=FILLS),
    Known(hub_id="JetLM/SDAR-8B-Chat", family="sdar", shape=QWEN3_8B, fills=CONTINUES),
    Known(hub_id="ByteDance-Seed/Stable-DiffCoder-8B-Base", family="stable-diffcoder", shape=SEED_8B, fills=CONTINUES),
)  # fmt: skip

# Run by transformers: we have no shape of it to count; the 26B are what its name says, two bytes each.
DIFFUSION_GEMMA = (
    "| google/diffusiongemma-26B-A4B-it | `diffusion-gemma` | 26B | 52.0 GB | not made | 80 GB / none "
    "| continues; is told the suffix | Apache-2.0 |"
)
GPU_GB = (4, 6, 8, 12, 16, 24, 32, 48, 80)  # sizes that people have
REST_GB = 1.5  # the runtime, activations of 2,048 tokens and logits


def memory_gb(shape: DenoiserConfig, bytes_a_number: int) -> float:
    """Weights in so many bytes a number of every matrix (the embedding stays in two), the rest in two, in GB."""
    whole = 2 * shape.n_parameters
    narrow = sum(
        size[0] * size[1]
        for name, size in shape.weight_shapes().items()
        if len(size) == 2 and name != "embedding.weight"
    )
    return (whole - (2 - bytes_a_number) * narrow) / 1e9


def smallest_gpu(gb: float) -> str:
    """The smallest usual GPU memory that holds so many GB of weights and what goes with them."""
    return next((f"{size} GB" for size in GPU_GB if size >= gb + REST_GB), "more than 80 GB")


def table(known: Sequence[Known] = KNOWN) -> Iterator[str]:
    """A Markdown table, line by line."""
    licences = {family.name: family.licence for family in FAMILIES}
    yield "| checkpoint | family | numbers | bfloat16 | int8 or fp8 | GPU, bfloat16 / one byte | for a hole | licence |"
    yield "|---|---|---:|---:|---:|---:|---|---|"
    for each in known:
        wide, narrow = memory_gb(each.shape, 2), memory_gb(each.shape, 1)
        yield (
            f"| {each.hub_id} | `{each.family}` | {each.shape.n_parameters / 1e9:.2f}B "
            f"| {wide:.1f} GB | {narrow:.1f} GB | {smallest_gpu(wide)} / {smallest_gpu(narrow)} | {each.fills} "
            f"| {each.licence or licences[each.family]} |"
        )
    yield DIFFUSION_GEMMA
