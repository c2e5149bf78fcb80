"""What is special about each published family, in one small description each; and which one a folder holds.

A family is data: names of tensors, who sees whom, whether logits are shifted, which tokens mask and end. Nothing here
runs a model. To add a family, add a `Family` to FAMILIES (docs/published.md).
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from ...fim.errors import CheckpointError
from ..config import MAX_SIZE, DenoiserConfig
from ..storage.folder_files import excerpt
from .names import DIFFULLAMA, HUGGING_FACE, LLADA, TensorNames

RENOISING = "diffusion_gemma"  # the model type of DiffusionGemma, which is no masked model (`diffusion_gemma`)
Sight = Literal["everything", "blocks"]
Config = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Family:
    """One family of checkpoints.

    names maps tensors onto `Backbone`. sight: every token sees all, or its own block and those before (block-causal).
    is_shifted: the logits for a place are those of the place before it. masks: texts of the mask token, the first that
    the tokenizer has; mask_id where no text is known. expands: text of the token that stands for two masks, if it has
    one. block: tokens of a block where config.json does not say. tied: whether head and embedding are one where
    config.json does not say. holds tells from config.json and the special tokens' texts whether a folder is of this
    family; the first of FAMILIES that says so is taken. licence is that of most of the published weights, for people.
    """

    name: str
    label: str
    holds: Callable[[Config, frozenset[str]], bool]
    is_shifted: bool
    masks: tuple[str, ...]
    licence: str
    names: TensorNames = HUGGING_FACE
    sight: Sight = "everything"
    mask_id: int | None = None
    expands: tuple[str, ...] = ()
    block: int = 1
    tied: bool = False
    qkv_bias: bool = False
    qk_norm: bool = False


def model_type(config: Config) -> str:
    """config.json's model_type, in small letters."""
    return str(config.get("model_type", "")).lower()


def _is_type(*names: str) -> Callable[[Config, frozenset[str]], bool]:
    return lambda config, specials: model_type(config) in names


def _is_dream_on(config: Config, specials: frozenset[str]) -> bool:
    has_expand = "expand_token_id" in config or bool(specials & {"<|expand|>", "<|expansion|>"})
    return model_type(config) == "dreamon" or (model_type(config) == "dream" and has_expand)


def _is_a2d(backbone: str, *, in_blocks: bool) -> Callable[[Config, frozenset[str]], bool]:
    """dLLM's checkpoints say nothing of blocks but in their names."""

    def holds(config: Config, specials: frozenset[str]) -> bool:
        says_blocks = "bd3lm" in str(config.get("_name_or_path", "")).lower() or "block_size" in config
        return model_type(config) == f"a2d-{backbone}" and says_blocks == in_blocks

    return holds


QWEN_MASK = ("<|mask|>", "<|MASK|>", "<mask>", "<M>")
DREAM_MASK = ("<|mask|>",)

FAMILIES: tuple[Family, ...] = (
    Family(
        name="dreamon", label="DreamOn", holds=_is_dream_on, is_shifted=True, masks=DREAM_MASK, mask_id=151_666,
        expands=("<|expand|>", "<|expansion|>"), qkv_bias=True, licence="Apache-2.0",
    ),
    Family(
        name="dream", label="Dream, Dream-Coder, DiffuCoder", holds=_is_type("dream"), is_shifted=True,
        masks=DREAM_MASK, mask_id=151_666, qkv_bias=True, licence="Apache-2.0",
    ),
    Family(
        name="open-dcoder", label="Open-dCoder", is_shifted=True, masks=("<M>",), mask_id=151_665, tied=True,
        holds=lambda config, specials: model_type(config) == "qwen2" and bool(specials & {"<M>"}),
        qkv_bias=True, licence="Apache-2.0",
    ),
    Family(
        name="a2d-qwen2-bd3lm", label="dLLM Qwen2.5, in blocks", holds=_is_a2d("qwen2", in_blocks=True),
        is_shifted=False, masks=QWEN_MASK, sight="blocks", block=32, tied=True, qkv_bias=True, licence="Apache-2.0",
    ),
    Family(
        name="a2d-qwen2-mdlm", label="dLLM Qwen2.5", holds=_is_a2d("qwen2", in_blocks=False), is_shifted=False,
        masks=QWEN_MASK, tied=True, qkv_bias=True, licence="Apache-2.0",
    ),
    Family(
        name="a2d-qwen3-bd3lm", label="dLLM Qwen3, in blocks", holds=_is_a2d("qwen3", in_blocks=True), is_shifted=False,
        masks=QWEN_MASK, sight="blocks", block=32, tied=True, qk_norm=True, licence="Apache-2.0",
    ),
    Family(
        name="a2d-qwen3-mdlm", label="dLLM Qwen3", holds=_is_a2d("qwen3", in_blocks=False), is_shifted=False,
        masks=QWEN_MASK, tied=True, qk_norm=True, licence="Apache-2.0",
    ),
    Family(
        name="coda", label="CoDA", holds=_is_type("coda"), is_shifted=True, masks=QWEN_MASK, mask_id=151_669,
        qk_norm=True, licence="CC-BY-NC-4.0",
    ),
    Family(
        name="sdar", label="SDAR", holds=_is_type("sdar"), is_shifted=False, masks=("<|MASK|>", "<|mask|>"),
        mask_id=151_669, sight="blocks", block=4, qk_norm=True, licence="Apache-2.0",
    ),
    Family(
        name="fast-dllm-v2", label="Fast-dLLM v2", holds=_is_type("fast_dllm_qwen"), is_shifted=True,
        masks=("|<MASK>|",), mask_id=151_665, sight="blocks", block=32, tied=True, qkv_bias=True, licence="Apache-2.0",
    ),
    Family(
        name="llada", label="LLaDA, LLaDA 1.5", holds=_is_type("llada"), is_shifted=False, masks=("<|mdm_mask|>",),
        mask_id=126_336, names=LLADA, licence="MIT",
    ),
    Family(
        name="diffullama", label="DiffuLLaMA", holds=lambda config, specials: model_type(config) == "diffullama",
        is_shifted=True, masks=("<mask>", "<|mask|>", "[MASK]"), names=DIFFULLAMA, licence="Apache-2.0 and Llama 2",
    ),
    Family(
        name="stable-diffcoder", label="Stable-DiffCoder", is_shifted=False, sight="blocks", block=4,
        holds=lambda config, specials: model_type(config) in ("llama", "stable_diffcoder") and has_mask(specials),
        masks=("<[MASK_TOKEN]>", "<|mask|>", "<mask>", "[MASK]"), licence="MIT",
    ),
)  # fmt: skip


def has_mask(specials: frozenset[str]) -> bool:
    """Whether any special token's text is that of a mask."""
    return any(re.search("mask", text, re.IGNORECASE) for text in specials)


def family_of(config: Config, specials: frozenset[str], name: str | None = None) -> Family:
    """The family called name, or the one that config.json and special tokens speak of.

    Raises CheckpointError with what can be done where there is none.
    """
    if name is not None:
        for family in FAMILIES:
            if family.name == name:
                return family
        raise CheckpointError(f"there is no family {name!r}: choose one of {', '.join(f.name for f in FAMILIES)}")
    for family in FAMILIES:
        if family.holds(config, specials):
            return family
    kind = excerpt(repr(config.get("model_type") or config.get("architectures") or "nothing"))
    if model_type(config) == RENOISING:
        raise CheckpointError("DiffusionGemma renoises instead of masking: it is served and evaluated, but not by this")
    raise CheckpointError(
        f"this is no diffusion model that we know (config.json says {kind}, and no special token is its mask): "
        f"say which it is with --family, one of {', '.join(f.name for f in FAMILIES)}"
    )


def shape_of(family: Family, config: Config) -> DenoiserConfig:
    """The backbone's shape by config.json; a canvas may be as long as a context. Raises CheckpointError where something
    is missing or unknown to us."""

    def first(*names: str, default: Any = None) -> Any:  # noqa: ANN401 (JSON)
        return next((config[name] for name in names if config.get(name) is not None), default)

    scaling, rope = first("rope_scaling", default={}), first("rope_parameters", default={})
    if not isinstance(scaling, dict) or not isinstance(rope, dict):
        raise CheckpointError("config.json makes no model: rope_scaling and rope_parameters must be objects")
    kind = scaling.get("rope_type", scaling.get("type")) or rope.get("rope_type") or "default"
    if kind != "default":
        raise CheckpointError(
            f"config.json wants rotary embeddings of kind {excerpt(repr(kind))}: we do not compute them"
        )
    activation = str(first("hidden_act", "activation_type", default="silu"))
    if activation not in ("silu", "swiglu", "swish"):
        raise CheckpointError(f"config.json wants the activation {excerpt(repr(activation))}; we compute silu alone")
    width, n_heads = first("hidden_size", "d_model"), first("num_attention_heads", "n_heads")
    n_context = first("max_position_embeddings", "max_sequence_length")
    try:
        return DenoiserConfig(
            vocab_size=first("embedding_size", "vocab_size"),
            n_layers=first("num_hidden_layers", "n_layers"),
            width=width,
            n_heads=n_heads,
            n_kv_heads=first("num_key_value_heads", "n_kv_heads", default=n_heads),
            head_size=first("head_dim", default=width // n_heads if width and n_heads else None),
            ffn_width=first("intermediate_size", "mlp_hidden_size"),
            n_context=n_context,
            n_canvas=n_context,
            rope_theta=rope.get("rope_theta") or first("rope_theta", default=10_000.0),
            norm_eps=first("rms_norm_eps", "layer_norm_eps", default=1e-6),
            qkv_bias=bool(first("attention_bias", "include_qkv_bias", default=family.qkv_bias)),
            qk_norm=family.qk_norm,
            token_shift=False,
            copies=False,
            canvases=False,
            tied=bool(first("tie_word_embeddings", "weight_tying", default=family.tied)),
        )
    except (TypeError, ValueError, OverflowError) as error:
        raise CheckpointError(f"config.json makes no model: {excerpt(error)}") from error


def block_of(family: Family, config: Config, folder_name: str) -> int:
    """Tokens of a block: config.json's, else what a folder's name ends with (`-b8`), else the family's own."""
    for name in ("block_size", "bd_size", "block_length"):
        if type(config.get(name)) is int and 0 < config[name] <= MAX_SIZE:
            return int(config[name])
    told = re.search(r"-b([1-9]\d{0,3})$", folder_name)
    return int(told.group(1)) if told else family.block
