"""Published folders that somebody made to do harm. Each is refused with one line, before it costs anything."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from bad_files import KINDS, refusal, replaced
from quicksilver.fim.errors import EngineError
from quicksilver.fim.types import CompletionRequest, Hole
from quicksilver.model.published.folder import Published, load
from quicksilver.model.published.infiller import PublishedInfiller, load_published
from quicksilver.model.published.tokens import QWEN_PIECES, read_tokenizer
from quicksilver.model.requests import never
from quicksilver.model.tokenizers.split_patterns import check_pattern
from safetensors.torch import load_file, save_file
from tiny_checkpoints import write

ESCAPE = "\x1b]0;pwned\x07\u202e"
CONFIG, WEIGHTS, INDEX, TOKENIZER = "config.json", "model.safetensors", "model.safetensors.index.json", "tokenizer.json"
OTHERS = (INDEX, "generation_config.json", "tokenizer_config.json", "added_tokens.json")


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models") / "dream"
    write(folder, "dream")
    return folder


@pytest.fixture
def folder(original: Path, tmp_path: Path) -> Path:
    shutil.copytree(original, tmp_path / "dream")
    return tmp_path / "dream"


def change(path: Path, how: Callable[[dict[str, Any]], object]) -> None:
    value = json.loads(path.read_text()) if path.exists() else {}
    how(value)
    path.write_text(json.dumps(value))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("file", [CONFIG, TOKENIZER, WEIGHTS, *OTHERS])
def test_what_is_no_file_is_refused(folder: Path, file: str, kind: str):
    replaced(folder / file, kind)
    assert str(folder) in refusal(lambda: load(folder))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("file", ["vocab.json", "merges.txt", "model-00001-of-00002.safetensors"])
def test_what_is_no_file_is_refused_in_other_layouts(folder: Path, file: str, kind: str):
    whole = json.loads((folder / TOKENIZER).read_text())
    (folder / TOKENIZER).unlink()
    (folder / "vocab.json").write_text(json.dumps(whole["model"]["vocab"]))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    change(folder / INDEX, lambda index: index.update(weight_map={"x": "model-00001-of-00002.safetensors"}))
    replaced(folder / file, kind)
    assert str(folder) in refusal(lambda: load(folder))


CONFIGS: dict[str, dict[str, object]] = {
    "ten million layers": {"num_hidden_layers": 10_000_000},
    "1,001 layers": {"num_hidden_layers": 1_001},
    "true layers": {"num_hidden_layers": True},
    "a huge width": {"hidden_size": 10**400},
    "a huge width that fits": {"hidden_size": 10_000_000, "vocab_size": 10_000_000},
    "true heads": {"num_key_value_heads": True},
    "no heads": {"num_attention_heads": 0},
    "an endless base": {"rope_theta": float("inf")},
    "a true base": {"rope_theta": True},
    "a list of scalings": {"rope_scaling": [1]},
    "a word of parameters": {"rope_parameters": "x"},
    "an unknown rope": {"rope_scaling": {"type": ESCAPE}},
    "an unknown activation": {"hidden_act": ESCAPE * 1000},
    "an unknown type": {"model_type": ESCAPE * 1000},
    "a true mask": {"mask_token_id": True},
    "a huge mask": {"mask_token_id": 10**30},
    "a small vocabulary": {"vocab_size": 100},
    "a megabyte": {"more": "x" * 2**20},
}


@pytest.mark.parametrize("changes", CONFIGS.values(), ids=CONFIGS)
def test_a_hostile_config_is_refused(folder: Path, changes: dict[str, object]):
    change(folder / CONFIG, lambda config: config.update(changes))
    refusal(lambda: load(folder))


def test_what_is_no_id_of_an_end_or_opening_is_passed_over(folder: Path):
    before = load(folder).specials
    change(
        folder / CONFIG,
        lambda config: config.update(eos_token_id=[True, -1, 10**30, {}, before.ends[0]], bos_token_id=True),
    )
    assert (load(folder).specials.ends, load(folder).specials.opening) == (before.ends, before.ends[0])


INDEXES: dict[str, object] = {
    "many shards": {str(i): f"{i}.safetensors" for i in range(1_001)},
    "a name that writes": {"x": ESCAPE},
    "a name that no file has": {"x": "a\0b"},
    "half a character": {"x": "\ud800"},
    "the folder above": {"x": ".."},
    "a number": {"x": 1},
}


@pytest.mark.parametrize("weight_map", INDEXES.values(), ids=INDEXES)
def test_a_hostile_index_is_refused(folder: Path, weight_map: object):
    change(folder / INDEX, lambda index: index.update(weight_map=weight_map))
    refusal(lambda: load(folder))


@pytest.mark.parametrize("kind", ["pipe", "empty", "terabytes", "link to nothing"])
def test_a_shard_whose_name_writes_is_refused(folder: Path, kind: str):
    change(folder / INDEX, lambda index: index.update(weight_map={"x": ESCAPE}))
    replaced(folder / ESCAPE, kind)
    refusal(lambda: load(folder))


@pytest.mark.parametrize("name", [ESCAPE, "x" * 100_000, f"model.layers.{'1' * 5_000}.input_layernorm.weight"])
def test_a_hostile_name_of_a_tensor_is_refused(folder: Path, name: str):
    save_file(load_file(folder / WEIGHTS) | {name: torch.zeros(3)}, folder / WEIGHTS)
    assert "which Dream" in refusal(lambda: load(folder))


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_weights_that_are_no_numbers_are_refused(folder: Path, value: float, dtype: torch.dtype):
    tensors = {name: tensor.to(dtype) for name, tensor in load_file(folder / WEIGHTS).items()}
    tensors["model.layers.1.mlp.up_proj.weight"][-1, -1] = value
    save_file(tensors, folder / WEIGHTS)
    assert "no numbers" in refusal(lambda: load(folder))


def test_weights_are_refused_without_the_memory_for_them(folder: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("psutil.virtual_memory", lambda: type("Memory", (), {"available": 100_000}))
    assert "GB are free" in refusal(lambda: load(folder))


def test_no_memory_while_loading_is_one_line(folder: Path, monkeypatch: pytest.MonkeyPatch):
    def fails(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr("quicksilver.model.published.folder.Backbone", fails)
    assert "does not fit in memory" in refusal(lambda: load_published(folder))


def test_a_model_that_computes_no_numbers_is_an_error_and_no_sure_token(folder: Path):
    published: Published = load(folder)
    hole = Hole(prefix="x = ", suffix="\n", language="python", replaced=(4, 4), multiline=False)
    infiller = PublishedInfiller(published)
    for broken in (float("nan"), float("inf")):
        published.model.norm.weight.fill_(broken)
        for max_tokens in (None, 4):
            request = CompletionRequest(hole=hole, budget_ms=None, drafts=0, max_tokens=max_tokens)
            with pytest.raises(EngineError, match="NaN"):
                infiller.complete(request, never)


def step(kind: str, **fields: object) -> dict[str, object]:
    return {"type": kind, **fields}


TOKENIZERS: dict[str, dict[str, object]] = {
    "an endless pattern": {
        "pre_tokenizer": step("Split", pattern={"Regex": "(([a-z]+)+)+!"}, behavior="Isolated", invert=False)
    },
    "an endless pattern in a sequence": {
        "pre_tokenizer": step(
            "Sequence",
            pretokenizers=[step("Split", pattern={"Regex": r"\s*\s*x"}, behavior="Isolated", invert=False)],
        )
    },
    "many steps": {"pre_tokenizer": step("Sequence", pretokenizers=[step("Digits", individual_digits=True)] * 17)},
    "nested sequences": {"normalizer": step("Sequence", normalizers=[step("Sequence", normalizers=[])])},
    "growing text": {"normalizer": step("Replace", pattern={"String": "a"}, content="a" * 100)},
    "growing from nothing": {"normalizer": step("Replace", pattern={"String": ""}, content="")},
    "a pattern in a normalizer": {"normalizer": step("Replace", pattern={"Regex": "(a+)+$"}, content="")},
    "a long beginning": {"normalizer": step("Prepend", prepend="x" * 10**6)},
    "a table": {"normalizer": step("Precompiled", precompiled_charsmap="AAAA")},
    "an unknown step": {"normalizer": step(ESCAPE)},
    "a growing answer": {"decoder": step("Replace", pattern={"String": "a"}, content="a" * 100)},
    "an unknown decoder": {"decoder": step("CTC", pad_token="x", word_delimiter_token="y", cleanup=True)},
    "another model": {"model": step("Unigram", unk_id=0, vocab=[["a", 0.0]])},
    "a model of nothing": {"model": ESCAPE},
    "a huge id": {"added_tokens": [{"id": 10**30, "content": "x"}]},
    "a true id": {"added_tokens": [{"id": True, "content": "x"}]},
    "a negative id": {"added_tokens": [{"id": -1, "content": "x"}]},
    "an added number": {"added_tokens": [7]},
}  # fmt: skip


@pytest.mark.parametrize("changes", TOKENIZERS.values(), ids=TOKENIZERS)
def test_a_hostile_tokenizer_is_refused(folder: Path, changes: dict[str, object]):
    change(folder / TOKENIZER, lambda whole: whole.update(changes))
    assert "the tokenizer" in refusal(lambda: load(folder))


BPE: dict[str, Callable[[dict[str, Any]], object]] = {
    "prefixes": lambda bpe: bpe.update(continuing_subword_prefix="##"),
    "a long token": lambda bpe: bpe["vocab"].update({"x" * 2_000: 299}),
    "a huge id": lambda bpe: bpe["vocab"].update(zzz=10**30),
    "a true id": lambda bpe: bpe["vocab"].update(zzz=True),
    "merges of nothing": lambda bpe: bpe.update(merges=[["q", "qq"]]),
    "an id that the model has not": lambda bpe: bpe["vocab"].update(zzz=5_000),
}


@pytest.mark.parametrize("how", BPE.values(), ids=BPE)
def test_a_hostile_vocabulary_is_refused(folder: Path, how: Callable[[dict[str, Any]], object]):
    change(folder / TOKENIZER, lambda whole: how(whole["model"]))
    assert str(folder) in refusal(lambda: load(folder))


def test_padding_truncation_and_dropout_are_left_out(folder: Path):
    text = "def area(width, height):\n    return width\n" * 5
    before = load(folder).tokenizer.encode(text)
    padding = {
        "strategy": {"Fixed": 10**9}, "direction": "Right", "pad_to_multiple_of": None, "pad_id": 0, "pad_type_id": 0,
        "pad_token": "x",
    }  # fmt: skip
    truncation = {"direction": "Right", "max_length": 1, "strategy": "LongestFirst", "stride": 9}
    change(folder / TOKENIZER, lambda whole: whole.update(padding=padding, truncation=truncation))
    change(folder / TOKENIZER, lambda whole: whole["model"].update(dropout=0.9))
    assert load(folder).tokenizer.encode(text) == before


def test_an_id_without_a_text_is_never_predicted(folder: Path):
    def move(whole: dict[str, Any]) -> None:
        bpe, n = whole["model"], len(whole["model"]["vocab"])
        text = next(text for text, i in bpe["vocab"].items() if i == 270)
        bpe["vocab"][text] = n + len(whole["added_tokens"])

    change(folder / TOKENIZER, move)
    infiller = PublishedInfiller(load(folder))
    hole = Hole(prefix="", suffix="", language="", replaced=(0, 0), multiline=True)
    assert infiller.tokens_for(hole).forbidden[270] and not infiller.tokens_for(hole).forbidden[269]


def test_a_panic_of_the_library_is_an_error(folder: Path, monkeypatch: pytest.MonkeyPatch):
    class PanicException(BaseException):  # as pyo3 names it
        pass

    def panics(*_: object) -> None:
        raise PanicException("slice index out of range")

    monkeypatch.setattr("quicksilver.model.tokenizers.rules.harmless", panics)
    assert "slice index" in refusal(lambda: read_tokenizer(folder))


def test_a_cache_of_links_is_read(folder: Path, tmp_path: Path):
    """As Hugging Face keeps a model: a snapshot of links, the files under their hashes."""
    (tmp_path / "hub" / "blobs").mkdir(parents=True)
    snapshot = tmp_path / "hub" / "snapshots" / "0123"
    snapshot.mkdir(parents=True)
    for i, file in enumerate(sorted(folder.iterdir())):
        shutil.copy(file, tmp_path / "hub" / "blobs" / str(i))
        (snapshot / file.name).symlink_to(f"../../blobs/{i}")
    (tmp_path / "mine").symlink_to(snapshot)
    assert load(tmp_path / "mine").sha256 == load(folder).sha256


PATTERNS = {
    "Qwen": QWEN_PIECES,
    "GPT-2": r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+",
    "Llama 3": QWEN_PIECES.replace(r"\p{N}| ", r"\p{N}{1,3}| "),
    "Seed-Coder": "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1}| ?[^\\s\\p{L}\\p{N}\r\n]+|"
    "\\s*[\r\n]+|\\s+(?!\\S)|\\s+",
    "o200k": r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+"
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+",
    "DeepSeek": r"[!\"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+"
    r"| ?[\p{P}\p{S}]+[\r\n]*",
    "Ling": r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]++[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+",
    "Falcon": r"[\p{P}\$\+<=>\^~\|`]+",
    "BLOOM": r" ?[^(\s|.,!?…。，、।۔،)]+",
}  # fmt: skip


@pytest.mark.parametrize("pattern", PATTERNS.values(), ids=PATTERNS)
def test_patterns_of_code_models_are_taken(pattern: str):
    check_pattern(pattern)


@pytest.mark.parametrize(
    "pattern",
    [
        "", "x" * 5_000, "(([a-z]+)+)+!", "(a|a)*b", "(?:a){2}", "[a-z]*[b-z]+x", r"\s*\s*x", r"a{5,900}b{5,900}c",
        "a?" * 30 + "a" * 30, "(?:a|aa)" * 20 + "b", r"(?:\s+|x)(?:\s+|y)z", r"(?=\s*\s*x)a", r"(a)\1", r"\k<a>",
        r"\g<0>", "(?<=a)b", "(?<a>b)", "(?>a)", "(?(1)a)", "(?i)a", "a{1,3}+", "a**", "(" * 10 + "a" + ")" * 10,
        "[[:alpha:]]", "[a&&[b]]", "[]", "[", "[a", "(", "a)", "*", "\\", "[\\", "\\q",
    ],
)  # fmt: skip
def test_patterns_that_may_be_slow_or_are_not_understood_are_refused(pattern: str):
    with pytest.raises(ValueError, match="pattern"):
        check_pattern(pattern)
