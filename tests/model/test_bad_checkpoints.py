"""Checkpoint folders of ours that somebody made to do harm. Each is refused with one line, before it costs anything."""

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bad_files import KINDS, refusal, replaced
from quicksilver.model.checkpoint import checkpoint
from quicksilver.model.load import kind_of
from safetensors.numpy import load_file, save_file
from tiny import tiny_denoiser, tiny_tokenizer

ESCAPE = "\x1b]0;pwned\x07\u202e"
FILES = (checkpoint.CONFIG, checkpoint.TOKENIZER, checkpoint.WEIGHTS)


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder, tokenizer = tmp_path_factory.mktemp("models") / "tiny", tiny_tokenizer()
    checkpoint.save(folder, "tiny", tiny_denoiser(tokenizer.vocab_size), tokenizer)
    return folder


@pytest.fixture
def folder(original: Path, tmp_path: Path) -> Path:
    shutil.copytree(original, tmp_path / "c")
    return tmp_path / "c"


def configure(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    path = folder / checkpoint.CONFIG
    config = json.loads(path.read_text())
    change(config)
    path.write_text(json.dumps(config))


def sign(folder: Path) -> None:
    """Hash the files anew, as whoever changes them on purpose does."""
    hashes = {file: hashlib.sha256((folder / file).read_bytes()).hexdigest() for file in FILES[1:]}
    configure(folder, lambda config: config.update(sha256=hashes))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("file", FILES)
def test_what_is_no_file_is_refused(folder: Path, file: str, kind: str):
    replaced(folder / file, kind)
    assert str(folder) in refusal(lambda: kind_of(folder) == "ours" and checkpoint.load(folder))


def denoiser(**changes: object) -> Callable[[dict[str, Any]], object]:
    return lambda config: config["denoiser"].update(changes)


def ranker(**changes: object) -> Callable[[dict[str, Any]], object]:
    return lambda config: config.update(changes)


CONFIGS: dict[str, Callable[[dict[str, Any]], object]] = {
    "ten million layers": denoiser(n_layers=10_000_000),
    "1,001 layers": denoiser(n_layers=1_001),
    "true layers": denoiser(n_layers=True),
    "a huge width": denoiser(width=10**400),
    "a width of tera": denoiser(width=10_000_000, vocab_size=10_000_000),
    "a broken width": denoiser(width=48.5),
    "a word as width": denoiser(width=ESCAPE),
    "a huge base": denoiser(rope_theta=10**400),
    "no base": denoiser(rope_theta=float("nan")),
    "an endless base": denoiser(rope_theta=float("inf")),
    "a number as flag": denoiser(marks_middle=1),
    "an unknown field": denoiser(**{ESCAPE: 1}),
    "no denoiser": lambda config: config.update(denoiser=[1]),
    "an unknown format": lambda config: config.update(format=ESCAPE * 1000),
    "a name that writes": lambda config: config.update(name=ESCAPE),
    "a long name": lambda config: config.update(name="x" * 100_000),
    "no name": lambda config: config.update(name=""),
    "numbers as hashes": lambda config: config.update(sha256=dict.fromkeys(FILES[1:], 1)),
    "a huge weight": ranker(ranker={"bias": 10**400}),
    "more than a megabyte": lambda config: config.update(more="x" * 2**20),
}


@pytest.mark.parametrize("change", CONFIGS.values(), ids=CONFIGS)
def test_a_hostile_config_is_refused(folder: Path, change: Callable[[dict[str, Any]], object]):
    configure(folder, change)
    refusal(lambda: checkpoint.load(folder))


@pytest.mark.parametrize("weight", [10**400, True, float("nan"), "1", None, 1e300])
@pytest.mark.parametrize("name", ["ranker", "prefix_ranker"])
def test_a_ranker_weight_that_is_no_number_is_refused(folder: Path, name: str, weight: object):
    real = json.loads((Path(checkpoint.__file__).parents[1] / "checkpoints/nano/config.json").read_text())[name]
    configure(folder, lambda config: config.update({name: real}))
    checkpoint.load(folder)
    for broken in (real | {"bias": weight}, list(real)):
        configure(folder, lambda config, broken=broken: config.update({name: broken}))
        assert name in refusal(lambda: checkpoint.load(folder))


def headed(folder: Path, header: object, n_bytes: int = 0) -> None:
    """Weights of a header and so many zeros."""
    raw = header if isinstance(header, bytes) else json.dumps(header).encode()
    (folder / checkpoint.WEIGHTS).write_bytes(len(raw).to_bytes(8, "little") + raw + bytes(n_bytes))


def tensor(dtype: object = "F32", shape: object = (2,), offsets: object = (0, 8)) -> dict[str, Any]:
    return {"x": {"dtype": dtype, "shape": shape, "data_offsets": offsets}}


HEADERS: dict[str, tuple[object, int]] = {
    "a long header": (b'{"' + b"x" * (9 * 2**20) + b'":1}', 0),
    "many tensors": ({str(i): {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]} for i in range(20_001)}, 0),
    "a list": ([1], 0),
    "deep brackets": (b"[" * 100_000, 0),
    "no dtype": (tensor(dtype=[1]), 8),
    "an unknown dtype": (tensor(dtype=ESCAPE), 8),
    "float64": (tensor(dtype="F64", offsets=(0, 16)), 16),
    "a true shape": (tensor(shape=[True, 2]), 8),
    "a negative shape": (tensor(shape=[-1, -2]), 8),
    "a huge shape": (tensor(shape=[10**400]), 8),
    "a word as shape": (tensor(shape="22"), 8),
    "nine dimensions": (tensor(shape=[1] * 8 + [2]), 8),
    "too few bytes": (tensor(shape=[3]), 8),
    "bytes behind": (tensor(), 9),
    "bytes missing": (tensor(), 7),
    "a gap": (tensor(offsets=(4, 12)), 12),
    "an overlap": (tensor() | {"y": tensor()["x"]}, 8),
    "one offset": (tensor(offsets=[8]), 8),
}


@pytest.mark.parametrize(("header", "n_bytes"), HEADERS.values(), ids=HEADERS)
def test_a_hostile_header_is_refused(folder: Path, header: object, n_bytes: int):
    headed(folder, header, n_bytes)
    sign(folder)
    assert checkpoint.WEIGHTS in refusal(lambda: checkpoint.load(folder))


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf"), 3e38])
@pytest.mark.parametrize("name", ["blocks.0.ffn.down.weight.scale", "blocks.1.attention_norm.weight"])
def test_weights_that_are_no_numbers_are_refused(folder: Path, name: str, value: float):
    """A scale of 3e38 is a number, but a hundred times that is none."""
    arrays = load_file(folder / checkpoint.WEIGHTS)
    arrays[name][0] = np.float32(value if name.endswith("scale") or not np.isfinite(value) else "inf")
    save_file(arrays, folder / checkpoint.WEIGHTS)
    sign(folder)
    assert "no numbers" in refusal(lambda: checkpoint.load(folder))


def test_weights_are_refused_without_the_memory_for_them(folder: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("psutil.virtual_memory", lambda: type("Memory", (), {"available": 100_000}))
    assert "GB are free" in refusal(lambda: checkpoint.load(folder))


def without_token_300(found: dict[str, Any]) -> None:
    text = next(text for text, i in found["model"]["vocab"].items() if i == 300)
    found["model"]["merges"] = []
    del found["model"]["vocab"][text]


TOKENIZERS: dict[str, Callable[[dict[str, Any]], object]] = {
    "padding": lambda t: t.update(
        padding={
            "strategy": {"Fixed": 10**9},
            "direction": "Right",
            "pad_to_multiple_of": None,
            "pad_id": 0,
            "pad_type_id": 0,
            "pad_token": "x",
        }
    ),
    "truncation": lambda t: t.update(
        truncation={"direction": "Right", "max_length": 1, "strategy": "LongestFirst", "stride": 9}
    ),
    "normalizer": lambda t: t.update(normalizer={"type": "Replace", "pattern": {"String": "a"}, "content": "a" * 1000}),
    "no rules at all": lambda t: t.update(normalizer={"type": "Precompiled", "precompiled_charsmap": "AAAA"}),
    "an endless pattern": lambda t: t["pre_tokenizer"]["pretokenizers"][0].update(pattern={"Regex": "(([a-z]+)+)+!"}),
    "another pattern": lambda t: t["pre_tokenizer"]["pretokenizers"][0].update(pattern={"Regex": "a"}),
    "no pre-tokenizer": lambda t: t.update(pre_tokenizer=None),
    "added tokens": lambda t: t.update(added_tokens=[{"id": 10**30, "content": "x"}]),
    "a gap": without_token_300,
    "a huge id": lambda t: t["model"]["vocab"].update(a=10**30),
    "a true id": lambda t: t["model"]["vocab"].update(a=True),
    "no bytes": lambda t: t["model"]["vocab"].update({"\u202e": len(t["model"]["vocab"])}),
    "one token more": lambda t: t["model"]["vocab"].update(aaaaaaa=len(t["model"]["vocab"])),
    "unknown merges": lambda t: t["model"].update(merges=["q q"]),
    "no model": lambda t: t.update(model=ESCAPE),
}


@pytest.mark.parametrize("change", TOKENIZERS.values(), ids=TOKENIZERS)
def test_a_hostile_tokenizer_is_refused(folder: Path, change: Callable[[dict[str, Any]], object]):
    path = folder / checkpoint.TOKENIZER
    found = json.loads(path.read_text())
    change(found)
    path.write_text(json.dumps(found))
    sign(folder)
    assert "tokenizer" in refusal(lambda: checkpoint.load(folder))


def test_a_checkpoint_may_be_linked_to(folder: Path, tmp_path: Path):
    (tmp_path / "files").mkdir()
    for file in FILES:
        shutil.move(folder / file, tmp_path / "files" / file)
        (folder / file).symlink_to(f"../files/{file}")
    (tmp_path / "link").symlink_to(folder)
    assert checkpoint.load(tmp_path / "link").name == "tiny"
