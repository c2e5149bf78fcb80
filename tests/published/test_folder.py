"""Folders as people have them: in shards, with gaps, of the wrong kind. Each error is one line that says what to do."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from quicksilver.fim.errors import CheckpointError
from quicksilver.fim.types import CompletionRequest, Hole
from quicksilver.model.load import kind_of
from quicksilver.model.published.folder import load
from quicksilver.model.published.infiller import PublishedInfiller
from quicksilver.model.requests import never
from safetensors.torch import load_file, save_file
from tiny_checkpoints import write

WEIGHTS = "model.safetensors"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write(tmp_path / "dream", "dream")
    return tmp_path / "dream"


def says(folder: Path, **changes: object) -> None:
    """Change config.json; None takes a key away."""
    path = folder / "config.json"
    config = json.loads(path.read_text()) | changes
    path.write_text(json.dumps({key: value for key, value in config.items() if value is not None}))


def refusal(folder: Path, **options: str) -> str:
    with pytest.raises(CheckpointError) as caught:
        load(folder, **options)  # type: ignore[arg-type]
    message = str(caught.value)
    assert "\n" not in message and len(message) < 600
    return message


def test_shards_are_one_model(tmp_path: Path, folder: Path):
    write(tmp_path / "sharded", "dream", n_shards=3)
    whole, sharded = load(folder), load(tmp_path / "sharded")
    for name, tensor in whole.model.state_dict().items():
        assert torch.equal(tensor, sharded.model.state_dict()[name])
    (tmp_path / "sharded" / "model-00002-of-00003.safetensors").unlink()
    assert "lacks model-00002-of-00003.safetensors of its 3 shards" in refusal(tmp_path / "sharded")


def test_an_index_reaches_for_nothing_outside(tmp_path: Path, folder: Path):
    shutil.move(folder / WEIGHTS, tmp_path / WEIGHTS)
    index = {"weight_map": {"model.norm.weight": f"../{WEIGHTS}"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    assert "outside its folder" in refusal(folder)


def pickled(folder: Path) -> None:
    (folder / WEIGHTS).rename(folder / "pytorch_model.bin")


def without_weights(folder: Path) -> None:
    (folder / WEIGHTS).unlink()


def cut_short(folder: Path) -> None:
    content = (folder / WEIGHTS).read_bytes()
    (folder / WEIGHTS).write_bytes(content[: len(content) // 2])


def of_integers(folder: Path) -> None:
    tensors = load_file(folder / WEIGHTS)
    tensors["model.norm.weight"] = tensors["model.norm.weight"].to(torch.int64)
    save_file(tensors, folder / WEIGHTS)


def with_a_stranger(folder: Path) -> None:
    tensors = load_file(folder / WEIGHTS) | {"model.layers.0.self_attn.rotator.weight": torch.zeros(3)}
    save_file(tensors, folder / WEIGHTS)


def with_a_gap(folder: Path) -> None:
    tensors = load_file(folder / WEIGHTS)
    del tensors["model.layers.1.mlp.up_proj.weight"]
    save_file(tensors, folder / WEIGHTS)


def without_mask(folder: Path) -> None:
    tokenizer = json.loads((folder / "tokenizer.json").read_text())
    tokenizer["added_tokens"] = [each for each in tokenizer["added_tokens"] if each["content"] != "<|mask|>"]
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer))
    says(folder, mask_token_id=None)


CASES: list[tuple[Callable[[Path], object], str]] = [
    (pickled, "convert it to safetensors"),
    (without_weights, "there are no weights"),
    (cut_short, "is damaged"),
    (of_integers, "is I64: convert it"),
    (with_a_stranger, "rotator"),
    (with_a_gap, "lacks weights for blocks.1.ffn.gate_up.up.weight"),
    (without_mask, "no mask token was found"),
    (lambda folder: (folder / "config.json").unlink(), "no model's folder"),
    (lambda folder: (folder / "config.json").write_text("[1]"), "holds no JSON object"),
    (lambda folder: (folder / "config.json").write_text("{" * 100_000), "cannot be read"),
    (lambda folder: (folder / "tokenizer.json").unlink(), "there is no tokenizer"),
    (lambda folder: (folder / "tokenizer.json").write_text("{}"), "cannot be used"),
    (lambda folder: says(folder, model_type="bert"), "say which it is with --family"),
    (lambda folder: says(folder, model_type="diffusion_gemma"), "renoises"),
    (lambda folder: says(folder, hidden_size="big"), "makes no model"),
    (lambda folder: says(folder, num_hidden_layers=10**12), "makes no model"),
    (lambda folder: says(folder, num_attention_heads=3), "makes no model"),
    (lambda folder: says(folder, intermediate_size=81), "config.json says"),
    (lambda folder: says(folder, rope_scaling={"rope_type": "yarn", "factor": 4}), "'yarn'"),
    (lambda folder: says(folder, hidden_act="gelu"), "'gelu'"),
    (lambda folder: says(folder, mask_token_id=10**7), "no mask token was found"),
]


@pytest.mark.parametrize(("break_it", "words"), CASES, ids=[words for _, words in CASES])
def test_what_is_wrong_is_said(folder: Path, break_it: Callable[[Path], object], words: str):
    load(folder)
    break_it(folder)
    assert words in refusal(folder)


def test_an_unknown_family_is_told_the_known_ones(folder: Path):
    assert "llada" in refusal(folder, family_name="chatgpt")


def test_a_family_can_be_said(folder: Path):
    """What config.json says is overruled; whether tensors fit is seen."""
    says(folder, model_type="mystery")
    assert load(folder, family_name="dream").family.name == "dream"
    assert "say which with --family" in refusal(folder, family_name="llada")


def test_vocabulary_and_merges_without_tokenizer_json(folder: Path):
    """As Dream is published: the same text comes back, and special tokens' texts stay text."""
    whole = json.loads((folder / "tokenizer.json").read_text())
    added = {each["content"]: each["id"] for each in whole["added_tokens"]}
    (folder / "vocab.json").write_text(json.dumps(whole["model"]["vocab"]))
    merges = [merge if isinstance(merge, str) else " ".join(merge) for merge in whole["model"]["merges"]]
    (folder / "merges.txt").write_text("#version: 0.2\n" + "\n".join(merges) + "\n")
    (folder / "added_tokens.json").write_text(json.dumps(added))
    (folder / "tokenizer.json").unlink()
    published = load(folder)
    assert published.specials.mask == added["<|mask|>"]
    text = "def f(x):\n\treturn '<|mask|>' + \"<|endoftext|>\"  # é 😀 \r\n"
    ids = published.tokenizer.encode(text)
    assert published.tokenizer.decode(ids) == text
    assert not set(ids) & set(added.values())
    published.tokenizer.encode("\ud800")


def test_text_that_spells_a_mask_is_text(folder: Path):
    published = load(folder)
    hole = Hole(prefix="x = '<|mask|>'\ny = ", suffix="\n", language="python", replaced=(19, 19), multiline=False)
    completion = PublishedInfiller(published).complete(
        CompletionRequest(hole=hole, budget_ms=None, drafts=0, max_tokens=4), never
    )
    assert completion.n_tokens <= 4
    assert published.specials.mask not in published.tokenizer.encode(hole.prefix)


def test_head_and_embedding_are_one_where_the_files_say_so(tmp_path: Path):
    """config.json may be silent (CoDA): a head in the files is a head of its own."""
    for name, tied in (("coda", False), ("open-dcoder", True)):
        write(tmp_path / name, name)
        says(tmp_path / name, tie_word_embeddings=None)
        assert load(tmp_path / name).shape.tied == tied


def test_whose_checkpoint_a_folder_holds(folder: Path, tmp_path: Path):
    assert kind_of(folder) == "masked"
    assert kind_of(tmp_path / "nothing") == "ours"
    (folder / "config.json").unlink()
    assert kind_of(folder) == "masked"


def test_an_empty_hole_and_a_huge_one(folder: Path):
    infiller = PublishedInfiller(load(folder))
    for prefix, suffix in (("", ""), ("x" * 50_000, "y\n" * 50_000), ("\n\n", "")):
        hole = Hole(prefix=prefix, suffix=suffix, language="", replaced=(len(prefix), len(prefix)), multiline=False)
        completion = infiller.complete(CompletionRequest(hole=hole, budget_ms=None, drafts=0, max_evaluations=3), never)
        assert completion.n_context <= 256
