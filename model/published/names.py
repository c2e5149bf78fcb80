"""How published checkpoints call their tensors, and which of a `Backbone`'s weights each one is. Text only."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

_LLAMA_BLOCK = {
    "input_layernorm.weight": "attention_norm.weight",
    "post_attention_layernorm.weight": "ffn_norm.weight",
    **{f"self_attn.{x}_proj.{kind}": f"attention.qkv.{x}.{kind}" for x in "qkv" for kind in ("weight", "bias")},
    "self_attn.o_proj.weight": "attention.out.weight",
    **{f"self_attn.{x}_norm.weight": f"attention.{x}_norm.weight" for x in "qk"},
    **{f"mlp.{x}_proj.weight": f"ffn.gate_up.{x}.weight" for x in ("gate", "up")},
    "mlp.down_proj.weight": "ffn.down.weight",
}
_OLMO_BLOCK = {
    "attn_norm.weight": "attention_norm.weight",
    "ff_norm.weight": "ffn_norm.weight",
    **{f"{x}_proj.weight": f"attention.qkv.{x}.weight" for x in "qkv"},
    "attn_out.weight": "attention.out.weight",
    "ff_proj.weight": "ffn.gate_up.gate.weight",
    "up_proj.weight": "ffn.gate_up.up.weight",
    "ff_out.weight": "ffn.down.weight",
}


@dataclass(frozen=True, kw_only=True)
class TensorNames:
    """layer matches a layer's tensor: its number and the rest of its name; block and whole say what of ours that is.

    ignored are tensors that are computed here, not read.
    """

    layer: re.Pattern[str]
    block: Mapping[str, str]
    whole: Mapping[str, str]
    ignored: re.Pattern[str] = re.compile(r"rotary_emb\.|\.inv_freq$|masked_bias$")

    def ours(self, name: str) -> str | None:
        """What our module calls the tensor; None for one that is not read. Raises KeyError for an unknown one."""
        if name in self.whole:
            return self.whole[name]
        found = self.layer.fullmatch(name)
        if found and found.group(2) in self.block:
            return f"blocks.{int(found.group(1))}.{self.block[found.group(2)]}"
        if self.ignored.search(name):
            return None
        raise KeyError(name)


HUGGING_FACE = TensorNames(
    layer=re.compile(r"model\.layers\.(\d{1,6})\.(.+)"),
    block=_LLAMA_BLOCK,
    whole={
        "model.embed_tokens.weight": "embedding.weight",
        "model.norm.weight": "norm.weight",
        "lm_head.weight": "head.weight",
    },
)
LLADA = TensorNames(
    layer=re.compile(r"model\.transformer\.blocks\.(\d{1,6})\.(.+)"),
    block=_OLMO_BLOCK,
    whole={
        "model.transformer.wte.weight": "embedding.weight",
        "model.transformer.ln_f.weight": "norm.weight",
        "model.transformer.ff_out.weight": "head.weight",
    },
)
DIFFULLAMA = TensorNames(  # a wrapper around a Llama, or the Llama itself
    layer=re.compile(r"(?:denoise_model|model)\.layers\.(\d{1,6})\.(.+)"),
    block=_LLAMA_BLOCK,
    whole={
        **{f"{outer}embed_tokens.weight": "embedding.weight" for outer in ("", "denoise_model.", "model.")},
        **{f"{outer}norm.weight": "norm.weight" for outer in ("denoise_model.", "model.")},
        "lm_head.weight": "head.weight",
    },
)
