"""GGUF files made into checkpoint folders: weights, tokenizers, marks, LoRAs, and what is refused."""

import errno
import json
from pathlib import Path

import numpy as np
import pytest
from bad_files import refusal
from gguf import GGMLQuantizationType
from gguf.quants import dequantize, quantize
from quicksilver.fim.errors import CheckpointError
from quicksilver.model.checkpoint.checkpoint_files import read
from quicksilver.model.config import DenoiserConfig
from quicksilver.model.gguf.convert import import_gguf
from quicksilver.model.gguf.tokenizer import PIECES
from quicksilver.model.storage.folder_files import sha256_of
from quicksilver.model.storage.safetensors_header import read_header
from quicksilver.model.tokenizers.rules import harmless
from safetensors.numpy import load_file, save_file
from tiny_gguf import SPECIALS, TinyGguf
from tokenizers import Tokenizer

SOURCE = {"file": "m.gguf", "sha256": "0" * 64, "licence": "Apache-2.0"}
DOWN = "blocks.0.ffn.down.weight"


def imported(tiny: TinyGguf, folder: Path, **how) -> Path:
    folder.mkdir(exist_ok=True)
    import_gguf(tiny.write(folder / "m.gguf"), folder / "made", name="tiny", source=SOURCE, **how)
    return folder / "made"


def config_of(folder: Path) -> dict:
    return json.loads((folder / "config.json").read_text())


def weights_of(folder: Path) -> dict[str, np.ndarray]:
    arrays = load_file(folder / "model.safetensors")
    return {
        name: array * arrays[f"{name}.scale"][:, None] if array.dtype == np.int8 else array
        for name, array in arrays.items()
        if not name.endswith(".scale")
    }


def assert_rounded(found: np.ndarray, wanted: np.ndarray) -> None:
    """Each row within half a step of its own scale; vectors exactly."""
    if wanted.ndim == 1:
        np.testing.assert_array_equal(found, wanted)
    else:
        assert (np.abs(found - wanted) <= np.abs(wanted).max(1, keepdims=True) / 127 * 0.51).all()


@pytest.mark.parametrize("quantisation", ["F32", "F16", "Q8_0", "Q4_K"])
@pytest.mark.parametrize("architecture", ["qwen2", "qwen3"])
def test_weights_stand_where_the_denoiser_wants_them(architecture, quantisation, tmp_path):
    tiny = TinyGguf(architecture=architecture, quantisation=quantisation, width=256, ffn_width=256)
    folder = imported(tiny, tmp_path)
    config = DenoiserConfig(**config_of(folder)["denoiser"])
    found = weights_of(folder)
    assert {name: array.shape for name, array in found.items()} == config.weight_shapes()
    assert (config.qkv_bias, config.qk_norm) == (architecture == "qwen2", architecture == "qwen3")
    if quantisation != "F32":
        return
    given = tiny.floats()
    assert_rounded(found["embedding.weight"], given["token_embd.weight"])
    for i in range(2):
        qkv = np.concatenate([given[f"blk.{i}.attn_{x}.weight"] for x in "qkv"])
        assert_rounded(found[f"blocks.{i}.attention.qkv.weight"], qkv)
        both = np.concatenate([given[f"blk.{i}.ffn_{x}.weight"] for x in ("gate", "up")])
        assert_rounded(found[f"blocks.{i}.ffn.gate_up.weight"], both)
        assert_rounded(found[f"blocks.{i}.ffn.down.weight"], given[f"blk.{i}.ffn_down.weight"])
        assert_rounded(found[f"blocks.{i}.ffn_norm.weight"], given[f"blk.{i}.ffn_norm.weight"])
    if architecture == "qwen2":
        bias = np.concatenate([given[f"blk.1.attn_{x}.bias"] for x in "qkv"])
        assert_rounded(found["blocks.1.attention.qkv.bias"], bias)


def test_the_rows_that_llama_cpp_pairs_come_apart_again(tmp_path):
    tiny = TinyGguf(architecture="llama", pre="smollm")
    given = tiny.floats()

    def paired(matrix: np.ndarray, n_heads: int) -> np.ndarray:  # as convert_hf_to_gguf.py has it
        return matrix.reshape(n_heads, 2, matrix.shape[0] // n_heads // 2, -1).swapaxes(1, 2).reshape(matrix.shape)

    tiny.tensors = {
        f"blk.{i}.attn_{x}.weight": paired(given[f"blk.{i}.attn_{x}.weight"], n)
        for i in range(2)
        for x, n in (("q", 4), ("k", 2))
    }
    found = weights_of(imported(tiny, tmp_path))
    for i in range(2):
        qkv = np.concatenate([given[f"blk.{i}.attn_{x}.weight"] for x in "qkv"])
        assert_rounded(found[f"blocks.{i}.attention.qkv.weight"], qkv)


def test_a_head_that_is_the_embedding_once_more_is_tied_and_the_finer_one_is_taken(tmp_path):
    tiny = TinyGguf(quantisation="Q4_0", head_quantisation="Q8_0")
    folder = imported(tiny, tmp_path)
    assert config_of(folder)["denoiser"]["tied"] is True
    kind = GGMLQuantizationType.Q8_0
    fine = dequantize(quantize(tiny.floats()["token_embd.weight"], kind), kind)
    assert_rounded(weights_of(folder)["embedding.weight"], fine)


def test_another_head_is_kept(tmp_path):
    tiny = TinyGguf(is_tied=False)
    folder = imported(tiny, tmp_path)
    assert config_of(folder)["denoiser"]["tied"] is False
    assert_rounded(weights_of(folder)["head.weight"], tiny.floats()["output.weight"])


def test_the_folder_says_what_it_is(tmp_path):
    config = config_of(imported(TinyGguf(), tmp_path))
    assert (config["format"], config["name"], config["source"]) == ("quicksilver-denoiser-2", "tiny", SOURCE)
    assert config["denoiser"]["norm_eps"] == 1e-6 and config["denoiser"]["rope_theta"] == 1e6
    for file in ("model.safetensors", "tokenizer.json"):
        assert config["sha256"][file] == sha256_of(tmp_path / "made" / file)
    header = read_header(tmp_path / "made" / "model.safetensors")
    assert {tensor.dtype for tensor in header.values()} == {"I8", "F32"}


def test_the_folder_can_be_read(tmp_path):
    tiny = TinyGguf(is_tied=False)
    stored = read(imported(tiny, tmp_path))
    text = "def f(x):\n    return x # <|fim_prefix|>\n"
    assert stored.tokenizer.decode(stored.tokenizer.encode(text)) == text
    assert len(stored.tokenizer.text_ids) == len(tiny.tokens) - len(SPECIALS)
    assert stored.shape.n_context == 512


def test_marks_and_specials(tmp_path):
    tiny = TinyGguf()
    marks, ids = config_of(imported(tiny, tmp_path))["marks"], {text: i for i, text in enumerate(tiny.tokens)}
    assert [marks[name] for name in ("prefix", "suffix", "middle", "end", "file", "repository")] == [
        ids[text]
        for text in (
            "<|fim_prefix|>",
            "<|fim_suffix|>",
            "<|fim_middle|>",
            "<|endoftext|>",
            "<|file_sep|>",
            "<|repo_name|>",
        )
    ]
    assert marks["ends"] == sorted(ids[text] for text in ("<|im_end|>", "<|fim_pad|>", "<|repo_name|>", "<|file_sep|>"))
    assert marks["specials"] == [ids[text] for text in SPECIALS]


def test_marks_may_be_named_by_fields(tmp_path):
    specials = ["<END>", "<A>", "<B>", "<C>"]
    at = len(TinyGguf().tokens) - len(SPECIALS)
    names = {"eos": at, "fim_pre": at + 1, "fim_suf": at + 2, "fim_mid": at + 3}
    tiny = TinyGguf(specials=specials, fields={f"tokenizer.ggml.{name}_token_id": i for name, i in names.items()})
    marks = config_of(imported(tiny, tmp_path))["marks"]
    assert [marks[name] for name in ("end", "prefix", "suffix", "middle")] == [at, at + 1, at + 2, at + 3]
    assert (marks["ends"], marks["file"], marks["repository"]) == ([], None, None)


@pytest.mark.parametrize("pre", PIECES)
def test_text_becomes_ordinary_tokens_and_comes_back(pre, tmp_path):
    folder = imported(TinyGguf(architecture="llama", pre=pre), tmp_path)
    whole = json.loads((folder / "tokenizer.json").read_text())
    assert harmless(whole) == whole
    tokenizer = Tokenizer.from_str(json.dumps(whole))
    text = "def f(x):\n    return x # <|fim_prefix|>\r\n\t'é' 日本 1234"
    ids = tokenizer.encode(text, add_special_tokens=False).ids
    assert tokenizer.decode(ids) == text
    assert not set(ids) & set(config_of(folder)["marks"]["specials"])
    assert tokenizer.token_to_id("def") in ids


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"architecture": "gemma"}, "its architecture is 'gemma': take a model of one of llama, qwen2, qwen3"),
        ({"specials": ["<|endoftext|>"]}, "no marks for infilling"),
        ({"specials": SPECIALS[2:], "fields": {"tokenizer.ggml.eos_token_id": None}}, "no token that ends a text"),
        ({"pre": "poro-chat"}, "cuts text as 'poro-chat' does"),
        ({"fields": {"tokenizer.ggml.model": "llama"}}, "of the kind 'llama'"),
        ({"fields": {"tokenizer.ggml.token_type": [1, 2]}}, "its list of tokens is damaged"),
        ({"fields": {"tokenizer.ggml.tokens": None}}, "tokenizer.ggml.tokens should be"),
        ({"fields": {"tokenizer.ggml.merges": ["d zz"]}}, "merge 'd zz' names unknown tokens"),
        ({"merges": [("x", "y" * 2000)]}, "a token of 2,001 characters"),
        ({"merges": [("x", "日")]}, "is not made of bytes"),
        ({"merges": [("d", "e"), ("d", "e")]}, "two of its tokens are the same"),
        ({"tensors": {"token_embd.weight": np.zeros((99, 64), np.float32)}}, "272 tokens, and its embedding 99"),
        ({"tensors": {"token_embd.weight": None}}, "no embedding"),
        ({"tensors": {"blk.1.ffn_up.weight": None}}, "blk.1.ffn_up.weight is missing"),
        ({"tensors": {"blk.1.ffn_up.weight": np.zeros((3, 64), np.float32)}}, "has the shape (3, 64), not (96, 64)"),
        ({"tensors": {"blk.0.attn_output.bias": np.zeros(64, np.float32)}}, "'blk.0.attn_output.bias', which we"),
        ({"architecture": "llama", "tensors": {"rope_freqs.weight": np.ones(8, np.float32)}}, "(llama3)"),
        ({"fields": {"qwen2.rope.scaling.type": "yarn"}}, "(yarn): take a model without that"),
        ({"fields": {"qwen2.rope.dimension_count": 8}}, "rope.dimension_count is not the size of a head"),
        ({"fields": {"qwen2.attention.head_count_kv": 3}}, "describe no model that we can run"),
        ({"fields": {"qwen2.attention.head_count_kv": [2, 2]}}, "should be of the kind int"),
        ({"fields": {"qwen2.attention.head_count": 0}}, "describe no model that we can run"),
        ({"fields": {"qwen2.block_count": 4_000_000_000}}, "describe no model that we can run"),
        ({"fields": {"qwen2.block_count": 3}}, "blk.2.attn_norm.weight is missing"),
        ({"fields": {"qwen2.rope.freq_base": float("nan")}}, "describe no model that we can run"),
        ({"tensors": {"blk.0.ffn_up.weight": np.full((96, 64), np.nan, np.float32)}}, "values that are not numbers"),
        ({"tensors": {"output_norm.weight": np.full(64, np.inf, np.float32)}}, "values that are not numbers"),
    ],
)  # fmt: skip
def test_what_we_cannot_run_is_refused_in_one_line_and_leaves_nothing(changes, reason, tmp_path):
    path = TinyGguf(**changes).write(tmp_path / "m.gguf")
    models = tmp_path / "models"
    message = refusal(lambda: import_gguf(path, models / "made", name="tiny", source=SOURCE))
    assert reason in message and "m.gguf" in message
    assert not models.exists() or [each.name for each in models.iterdir()] == [".made.lock"]


def lora_file(path: Path, arrays: dict[str, np.ndarray], scale="2.0", **metadata: str) -> Path:
    save_file(arrays, path, metadata={"scale": scale, **metadata})
    return path


def thin(out: int, columns: int, rank: int = 3) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(out)
    return random.normal(0, 0.1, (rank, columns)).astype(np.float16), random.normal(0, 0.1, (out, rank)).astype(
        np.float16
    )


def test_a_lora_is_added_before_rounding(tmp_path):
    name, tiny = "blocks.1.attention.qkv.weight", TinyGguf()
    a, b = thin(128, 64)
    path = lora_file(tmp_path / "lora.safetensors", {f"{name}.a": a, f"{name}.b": b})
    folder = imported(tiny, tmp_path, lora=path)
    given = np.concatenate([tiny.floats()[f"blk.1.attn_{x}.weight"] for x in "qkv"])
    assert_rounded(weights_of(folder)[name], given + 2.0 * b.astype(np.float32) @ a.astype(np.float32))
    assert config_of(folder)["source"] == SOURCE | {"lora_sha256": sha256_of(path)}
    assert config_of(folder)["marks"]["suffix_first"] is False
    lora_file(path, {f"{name}.a": a, f"{name}.b": b}, suffix_first="true")
    assert config_of(imported(tiny, tmp_path, lora=path))["marks"]["suffix_first"] is True


@pytest.mark.parametrize(
    ("arrays", "scale", "reason"),
    [
        ({}, "1", "changes nothing"),
        ({"norm.weight.a": thin(64, 64)[0], "norm.weight.b": thin(64, 64)[1]}, "1", "norm.weight is not a matrix"),
        ({f"{DOWN}.a": thin(64, 96)[0]}, "1", "lacks .a or .b"),
        ({f"{DOWN}.a": thin(64, 96)[0], f"{DOWN}.b": thin(65, 96)[1]}, "1", "(64, 96)"),
        ({f"{DOWN}.a": thin(64, 96)[0], f"{DOWN}.b": thin(64, 96)[1]}, "x", "its metadata cannot be read"),
        ({"a": np.ones((2, 2), np.int32)}, "1", "a is I32, not one of F32, F16"),
    ],
)  # fmt: skip
def test_a_lora_that_does_not_fit_is_refused(arrays, scale, reason, tmp_path):
    path = lora_file(tmp_path / "lora.safetensors", arrays, scale)
    assert reason in refusal(lambda: imported(TinyGguf(), tmp_path, lora=path))


def test_progress_goes_from_nothing_to_all(tmp_path):
    shares: list[float] = []
    imported(TinyGguf(), tmp_path, tell=shares.append)
    assert shares == sorted(shares) and shares[-1] == 1.0 and len(shares) > 10


def fails_at(share: float, error: BaseException):
    def tell(done: float) -> None:
        if done >= share:
            raise error

    return tell


@pytest.mark.parametrize(
    ("error", "raised"),
    [(OSError(errno.ENOSPC, "No space left"), CheckpointError), (KeyboardInterrupt(), KeyboardInterrupt)],
)
def test_what_ends_in_the_middle_leaves_what_there_was(error, raised, tmp_path):
    folder = imported(TinyGguf(seed=1), tmp_path)
    before = config_of(folder)["sha256"]
    with pytest.raises(raised, match="the disk is full: free" if raised is CheckpointError else None):
        imported(TinyGguf(), tmp_path, tell=fails_at(0.5, error))
    assert config_of(folder)["sha256"] == before
    assert sorted(each.name for each in tmp_path.iterdir()) == [".made.lock", "m.gguf", "made"]


def test_a_new_one_replaces_the_old_and_what_a_killed_process_left(tmp_path):
    (tmp_path / ".made-killed").mkdir()
    (tmp_path / ".made-killed" / "model.safetensors").write_bytes(b"half")
    before = config_of(imported(TinyGguf(seed=1), tmp_path))["sha256"]
    assert config_of(imported(TinyGguf(), tmp_path))["sha256"] != before
    assert sorted(each.name for each in tmp_path.iterdir()) == [".made.lock", "m.gguf", "made"]


def test_a_folder_that_cannot_be_made_is_one_line(tmp_path):
    (tmp_path / "file").touch()
    path = TinyGguf().write(tmp_path / "m.gguf")
    with pytest.raises(CheckpointError, match="cannot be written to"):
        import_gguf(path, tmp_path / "file" / "made", name="tiny", source=SOURCE)
