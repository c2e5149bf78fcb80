"""Imported models compute what transformers' own classes compute with the same weights."""

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from quicksilver.model.checkpoint.checkpoint import Checkpoint, load
from quicksilver.model.config import DenoiserConfig
from quicksilver.model.gguf.body import read_body
from quicksilver.model.gguf.convert import import_gguf
from quicksilver.model.gguf.file import read_gguf
from tiny_gguf import TinyGguf
from torch import Tensor
from transformers import LlamaConfig, LlamaForCausalLM, Qwen2Config, Qwen2ForCausalLM, Qwen3Config, Qwen3ForCausalLM

CLASSES: dict[str, tuple[Any, Any]] = {
    "llama": (LlamaConfig, LlamaForCausalLM),
    "qwen2": (Qwen2Config, Qwen2ForCausalLM),
    "qwen3": (Qwen3Config, Qwen3ForCausalLM),
}
RTOL = 1e-5  # of the greatest logit, in float32; found: 6e-7
CODER = os.environ.get("QUICKSILVER_CODER_GGUF")
SOURCE = {"file": "m.gguf", "sha256": "0" * 64, "licence": "Apache-2.0"}


def reference(architecture: str, config: DenoiserConfig, weights: dict[str, Tensor]) -> torch.nn.Module:
    """transformers' class with weights that have our names."""
    config_class, model_class = CLASSES[architecture]
    made = config_class(
        vocab_size=config.vocab_size, hidden_size=config.width, intermediate_size=config.ffn_width,
        num_hidden_layers=config.n_layers, num_attention_heads=config.n_heads,
        num_key_value_heads=config.n_kv_heads, head_dim=config.head_size, rms_norm_eps=config.norm_eps,
        max_position_embeddings=config.n_context, tie_word_embeddings=config.tied,
        rope_parameters={"rope_type": "default", "rope_theta": config.rope_theta}, attn_implementation="eager",
    )  # fmt: skip
    with torch.device("meta"):
        model = model_class(made)
    q, kv = config.n_heads * config.head_size, config.n_kv_heads * config.head_size
    state = {
        "model.embed_tokens.weight": weights["embedding.weight"], "model.norm.weight": weights["norm.weight"],
        "lm_head.weight": weights["embedding.weight" if config.tied else "head.weight"],
    }  # fmt: skip
    for i in range(config.n_layers):
        ours, theirs = f"blocks.{i}.", f"model.layers.{i}."
        for kind in ("weight", "bias"):
            if f"{ours}attention.qkv.{kind}" in weights:
                for x, part in zip("qkv", weights[f"{ours}attention.qkv.{kind}"].split([q, kv, kv]), strict=True):
                    state[f"{theirs}self_attn.{x}_proj.{kind}"] = part
        for x in ("q_norm", "k_norm"):
            if f"{ours}attention.{x}.weight" in weights:
                state[f"{theirs}self_attn.{x}.weight"] = weights[f"{ours}attention.{x}.weight"]
        gate, up = weights[f"{ours}ffn.gate_up.weight"].chunk(2)
        state |= {
            f"{theirs}input_layernorm.weight": weights[f"{ours}attention_norm.weight"],
            f"{theirs}post_attention_layernorm.weight": weights[f"{ours}ffn_norm.weight"],
            f"{theirs}self_attn.o_proj.weight": weights[f"{ours}attention.out.weight"],
            f"{theirs}mlp.gate_proj.weight": gate, f"{theirs}mlp.up_proj.weight": up,
            f"{theirs}mlp.down_proj.weight": weights[f"{ours}ffn.down.weight"],
        }  # fmt: skip
    model.load_state_dict(state, assign=True)
    model.model.rotary_emb = type(model.model.rotary_emb)(made)  # its frequencies are no weights, and were on meta
    return model.eval()


def theirs_of(architecture: str, checkpoint: Checkpoint, tokens: Tensor) -> Tensor:
    model = reference(architecture, checkpoint.config, dict(checkpoint.model.state_dict()))
    with torch.inference_mode():
        return model(input_ids=tokens).logits


def ours_of(checkpoint: Checkpoint, tokens: Tensor, lengths: list[int]) -> Tensor:
    """Logits of tokens [B, T], read in pieces of these lengths."""
    states, found = None, []
    with torch.inference_mode():
        for part in tokens.split(lengths, dim=1):
            hidden, states = checkpoint.model.context(part, states)
            found.append(checkpoint.model.vocabulary_logits(hidden))
    return torch.cat(found, dim=1)


def error(found: Tensor, wanted: Tensor) -> float:
    return float((found - wanted).abs().max() / wanted.abs().max())


@pytest.mark.slow
@pytest.mark.parametrize("is_tied", [True, False])
@pytest.mark.parametrize("architecture", CLASSES)
def test_logits_equal_those_of_transformers(architecture, is_tied, tmp_path):
    """Whole, in pieces down to one token, batched and single."""
    tiny = TinyGguf(architecture=architecture, is_tied=is_tied, quantisation="Q8_0", pre="gpt-2")
    import_gguf(tiny.write(tmp_path / "m.gguf"), tmp_path / "made", name="tiny", source=SOURCE)
    checkpoint = load(tmp_path / "made")
    tokens = torch.randint(0, 256, (2, 24), generator=torch.Generator().manual_seed(0))
    wanted = theirs_of(architecture, checkpoint, tokens)
    for lengths in ([24], [1] * 24, [10, 1, 13]):
        assert error(ours_of(checkpoint, tokens, lengths), wanted) < RTOL
    assert error(ours_of(checkpoint, tokens[1:], [24]), wanted[1:]) < RTOL


@pytest.fixture(scope="module")
def coder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The published file's checkpoint folder."""
    if not CODER:
        pytest.skip("QUICKSILVER_CODER_GGUF is not set")
    folder = tmp_path_factory.mktemp("coder") / "coder"
    import_gguf(Path(CODER), folder, name="coder", source=SOURCE)
    return folder


CODE = (
    "def fibonacci(n: int) -> int:\n    if n < 2:\n        return n\n    return fibonacci(n - 1) + fibonacci(n - 2)\n"
)


@pytest.mark.coder
@pytest.mark.slow
def test_coder_equals_transformers_and_int8_rows_change_little(coder):
    """Parity in float32; and what rounding to int8 rows changes, compared with the file's own numbers."""
    checkpoint = load(coder)
    tokens = torch.tensor([checkpoint.tokenizer.encode(CODE)])
    n = tokens.shape[1]
    wanted = theirs_of("qwen2", checkpoint, tokens)
    for lengths in ([n], [n - 5, 1, 4]):
        found = ours_of(checkpoint, tokens, lengths)
        print(f"parity of coder, {lengths}: {error(found, wanted):.1e}")
        assert error(found, wanted) < RTOL

    file = read_gguf(Path(CODER or ""))
    exact: dict[str, Tensor] = {}
    squares = np.zeros(2)
    for name, parts in read_body(file).weights.items():
        whole = np.concatenate([rows.ravel() for part in parts for rows in file.read(part.tensor, part.order)])
        exact[name] = torch.from_numpy(whole.reshape(checkpoint.config.weight_shapes()[name]))
        change = checkpoint.model.state_dict()[name] - exact[name]
        squares += float(change.square().sum()), float(exact[name].square().sum())
    del checkpoint.__dict__["model"]
    model = reference("qwen2", checkpoint.config, exact)
    with torch.inference_mode():
        own = model(input_ids=tokens).logits
    agree = float((own.argmax(-1) == wanted.argmax(-1)).float().mean())
    divergence = float(
        torch.nn.functional.kl_div(wanted.log_softmax(-1), own.log_softmax(-1), log_target=True, reduction="sum") / n
    )
    print(f"int8 rows: weights change by {(squares[0] / squares[1]) ** 0.5:.2%}, KL {divergence:.4f} a token, "
          f"{agree:.1%} of the best tokens are the same")  # fmt: skip
    assert (squares[0] / squares[1]) ** 0.5 < 0.02
    assert agree > 0.9 and divergence < 0.05


@pytest.mark.coder
@pytest.mark.slow
def test_coder_cuts_text_as_transformers_does(coder):
    """transformers makes its tokenizer from the same file on its own."""
    from transformers import AutoTokenizer

    assert CODER is not None
    theirs = AutoTokenizer.from_pretrained(str(Path(CODER).parent), gguf_file=Path(CODER).name)
    ours = load(coder).tokenizer
    texts = [
        CODE,
        Path(__file__).read_text(),
        "x = 'é日本語'\r\n\t\tfor i in 1234:  \n\n\n  y",
        "I'LL don't\u00a0x \U0001f600",
    ]
    for text in texts:
        assert ours.encode(text) == theirs.encode(text, add_special_tokens=False)
        assert ours.decode(ours.encode(text)) == text
