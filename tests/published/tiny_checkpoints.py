"""Checkpoints of random weights in the layout of every published family, and a plain reference for their logits.

The reference is the stock class of `transformers` that the family was made from, given the family's mask by hand, and
logits shifted by hand where the family shifts them. Nothing of ours computes in it. `transformers` is imported late: it
imports Triton, which tests/kernels must be the first to do.
"""

import importlib
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from torch import Tensor

N_TEXT = 300
WIDTH, N_LAYERS, N_HEADS, N_KV, FFN = 48, 3, 4, 2, 80
NOTHING: dict[str, str] = {}
GEMMA_SPECIALS = ("<bos>", "<pad>", "<eos>", "<|turn>", "<turn|>", "<|image|>", "<|image>", "<image|>")
SPECIALS = ("<|endoftext|>", "<|im_end|>", "<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>")


def hugging_face(name: str) -> str:
    """Names as they are."""
    return name


def olmo(name: str) -> str:
    """Llama's names as LLaDA has them."""
    pairs = (
        ("model.layers.", "model.transformer.blocks."), ("model.embed_tokens", "model.transformer.wte"),
        ("model.norm", "model.transformer.ln_f"), ("lm_head", "model.transformer.ff_out"),
        ("input_layernorm", "attn_norm"), ("post_attention_layernorm", "ff_norm"), ("self_attn.o_proj", "attn_out"),
        ("self_attn.", ""), ("mlp.gate_proj", "ff_proj"), ("mlp.up_proj", "up_proj"), ("mlp.down_proj", "ff_out"),
    )  # fmt: skip
    for theirs, ours in pairs:
        name = name.replace(theirs, ours)
    return name


def wrapped(name: str) -> str:
    """Llama's names in DiffuLLaMA's wrapper."""
    return name.replace("model.embed_tokens", "embed_tokens").replace("model.", "denoise_model.")


@dataclass(frozen=True, kw_only=True)
class Layout:
    """How a family is published: the backbone as `transformers` calls it, what config.json says, the mask token."""

    backbone: str
    mask: str
    says: dict[str, Any]
    rename: Callable[[str], str] = hugging_face
    tied: bool = False
    is_shifted: bool = False
    block: int | None = None
    more_tokens: tuple[str, ...] = ()
    settings: dict[str, Any] = field(default_factory=dict)


QWEN2: dict[str, Any] = {"backbone": "Qwen2"}
QWEN3: dict[str, Any] = {"backbone": "Qwen3", "settings": {"head_dim": 16}}
LLAMA: dict[str, Any] = {"backbone": "Llama"}
LAYOUTS: dict[str, Layout] = {
    "dreamon": Layout(
        **QWEN2, mask="<|mask|>", is_shifted=True, more_tokens=("<|expand|>",), says={"model_type": "Dream"}
    ),
    "dream": Layout(**QWEN2, mask="<|mask|>", is_shifted=True, says={"model_type": "Dream"}),
    "open-dcoder": Layout(**QWEN2, mask="<M>", is_shifted=True, tied=True, says={"model_type": "qwen2"}),
    "a2d-qwen2-mdlm": Layout(**QWEN2, mask="<|mask|>", tied=True, says={"model_type": "a2d-qwen2"}),
    "a2d-qwen2-bd3lm": Layout(
        **QWEN2, mask="<|mask|>", tied=True, block=8, says={"model_type": "a2d-qwen2", "block_size": 8}
    ),
    "a2d-qwen3-mdlm": Layout(**QWEN3, mask="<|mask|>", tied=True, says={"model_type": "a2d-qwen3"}),
    "a2d-qwen3-bd3lm": Layout(
        **QWEN3, mask="<|mask|>", tied=True, block=8, says={"model_type": "a2d-qwen3", "block_size": 8}
    ),
    "coda": Layout(**QWEN3, mask="<|mask|>", is_shifted=True, says={"model_type": "CoDA"}),
    "sdar": Layout(**QWEN3, mask="<|MASK|>", block=4, says={"model_type": "sdar", "block_size": 4}),
    "fast-dllm-v2": Layout(
        **QWEN2, mask="|<MASK>|", is_shifted=True, block=8, says={"model_type": "Fast_dLLM_Qwen", "bd_size": 8}
    ),
    "llada": Layout(
        **LLAMA, mask="<|mdm_mask|>", rename=olmo,
        says={"model_type": "llada", "d_model": WIDTH, "n_layers": N_LAYERS, "n_heads": N_HEADS, "n_kv_heads": N_KV,
              "mlp_hidden_size": FFN, "max_sequence_length": 256, "activation_type": "silu", "weight_tying": False},
    ),
    "diffullama": Layout(**LLAMA, mask="<mask>", is_shifted=True, rename=wrapped, says={"model_type": "diffullama"}),
    "stable-diffcoder": Layout(**LLAMA, mask="<[MASK_TOKEN]>", block=4, says={"model_type": "llama"}),
}  # fmt: skip


@cache
def trained() -> str:
    """A byte-level BPE over some code, as JSON."""
    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=N_TEXT, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False
    )
    bpe.train_from_iterator(["def area(width, height):\n    return width * height\n"] * 4, trainer)
    return bpe.to_str()


def write(folder: Path, name: str, *, dtype: torch.dtype = torch.float32, n_shards: int = 1) -> torch.nn.Module:
    """A family's checkpoint in folder; gives the reference's model."""
    layout = LAYOUTS[name]
    specials = (*SPECIALS, layout.mask, *layout.more_tokens)
    n_text = _write_tokenizer(folder, specials)
    (folder / "tokenizer_config.json").write_text(
        json.dumps({"mask_token": layout.mask, "eos_token": SPECIALS[0]}), encoding="utf-8"
    )
    n_vocabulary = n_text + len(specials) + 6  # published embeddings have rows to spare
    settings = {
        "vocab_size": n_vocabulary, "hidden_size": WIDTH, "num_hidden_layers": N_LAYERS, "num_attention_heads": N_HEADS,
        "num_key_value_heads": N_KV, "intermediate_size": FFN, "max_position_embeddings": 256, "rms_norm_eps": 1e-5,
        "rope_parameters": {"rope_theta": 5e5, "rope_type": "default"}, "tie_word_embeddings": layout.tied,
        "attn_implementation": "eager", **layout.settings,
    }  # fmt: skip
    library = importlib.import_module("transformers")
    config = getattr(library, f"{layout.backbone}Config")(**settings)
    model = _randomised(getattr(library, f"{layout.backbone}ForCausalLM")(config), len(name)).to(dtype)
    says = {
        **{key: value for key, value in settings.items() if key not in ("rope_parameters", "attn_implementation")},
        "rope_theta": 5e5, "eos_token_id": n_text, "mask_token_id": n_text + len(SPECIALS), **layout.says,
    }  # fmt: skip
    (folder / "config.json").write_text(json.dumps(says), encoding="utf-8")
    tensors = {
        layout.rename(key): tensor.clone()
        for key, tensor in model.state_dict().items()
        if not (layout.tied and key == "lm_head.weight")
    }
    _save(folder, tensors, n_shards)
    return model


def write_diffusion_gemma(folder: Path) -> Any:
    """A DiffusionGemma in folder, as `transformers` itself saves it; gives its model."""
    n_text = _write_tokenizer(folder, GEMMA_SPECIALS, {"\n": "Ċ", " ": "Ġ"})
    ends = [n_text + GEMMA_SPECIALS.index(text) for text in ("<eos>", "<turn|>")]
    text = {
        "vocab_size": n_text + len(GEMMA_SPECIALS) + 6, "hidden_size": 32, "intermediate_size": 48,
        "num_hidden_layers": 3, "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 8, "global_head_dim": 8,
        "layer_types": ["sliding_attention", "sliding_attention", "full_attention"], "sliding_window": 16,
        "num_experts": 4, "top_k_experts": 2, "moe_intermediate_size": 16, "max_position_embeddings": 512,
        "eos_token_id": ends, "bos_token_id": n_text, "pad_token_id": n_text + 1,
    }  # fmt: skip
    sight = {"model_type": "gemma4_vision", "hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1,
             "num_attention_heads": 2, "num_key_value_heads": 2, "head_dim": 8}  # fmt: skip
    library = importlib.import_module("transformers")
    config = library.DiffusionGemmaConfig(
        text_config=text, vision_config=sight, canvas_length=16,
        image_token_id=n_text + 5, boi_token_id=n_text + 6, eoi_token_id=n_text + 7,
    )  # fmt: skip
    model: Any = _randomised(library.DiffusionGemmaForBlockDiffusion(config), 3)
    model.save_pretrained(folder)
    return model


def _write_tokenizer(folder: Path, specials: tuple[str, ...], also_added: dict[str, str] = NOTHING) -> int:
    """A tokenizer.json; gives the number of tokens that are text, behind which the special ones come. also_added: texts
    of the vocabulary, and their tokens' names there, that are added tokens too."""
    folder.mkdir(parents=True, exist_ok=True)
    whole = json.loads(trained())
    n_text = len(whole["model"]["vocab"])
    whole["added_tokens"] = [
        {"id": n_text + i, "content": text, "special": True, "single_word": False, "lstrip": False, "rstrip": False,
         "normalized": False}
        for i, text in enumerate(specials)
    ]  # fmt: skip
    whole["added_tokens"] += [
        {"id": whole["model"]["vocab"][piece], "content": text, "special": False, "single_word": False, "lstrip": False,
         "rstrip": False, "normalized": False}
        for text, piece in also_added.items()
    ]  # fmt: skip
    (folder / "tokenizer.json").write_text(json.dumps(whole), encoding="utf-8")
    return n_text


def _randomised(model: torch.nn.Module, seed: int) -> torch.nn.Module:
    torch.manual_seed(seed)
    for parameter in model.parameters():  # biases and norms too: what is left out must show
        torch.nn.init.normal_(
            parameter, mean=1.0 if parameter.ndim == 1 else 0.0, std=0.3 if parameter.ndim == 1 else 0.1
        )
    return model.eval()


def _save(folder: Path, tensors: dict[str, Tensor], n_shards: int) -> None:
    if n_shards == 1:
        save_file(tensors, folder / "model.safetensors")
        return
    places: dict[str, str] = {}
    for i in range(n_shards):
        file = f"model-{i + 1:05}-of-{n_shards:05}.safetensors"
        part = dict(list(tensors.items())[i::n_shards])
        save_file(part, folder / file)
        places |= dict.fromkeys(part, file)
    index = {"metadata": {}, "weight_map": places}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index), encoding="utf-8")


@torch.no_grad()
def reference_logits(name: str, model: torch.nn.Module, tokens: Tensor, n_tokens: Tensor | None = None) -> Tensor:
    """Logits [B, T, V] for the token at each place of tokens [B, T], of which n_tokens [B] are no padding."""
    layout, (b, t) = LAYOUTS[name], tokens.shape
    lengths = torch.full((b,), t) if n_tokens is None else n_tokens
    key, query = torch.arange(t), torch.arange(t).unsqueeze(1)
    sees = (key < lengths.view(-1, 1, 1)).expand(b, t, t)
    if layout.block is not None:
        sees = sees & (key // layout.block <= query // layout.block)
    dtype = next(model.parameters()).dtype
    mask = torch.zeros(b, 1, t, t, dtype=dtype).masked_fill(~sees.unsqueeze(1), torch.finfo(dtype).min)
    logits = model(input_ids=tokens, attention_mask=mask).logits
    if layout.is_shifted:
        logits = torch.cat((logits[:, :1], logits[:, :-1]), dim=1)
    return logits
