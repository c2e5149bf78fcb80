"""A folder with a published body answers through `load_infiller`, on both runtimes, with an answer of each kind."""

import json
from pathlib import Path

import pytest
from quicksilver.fim.errors import CheckpointError
from quicksilver.fim.types import CompletionRequest, Hole, Offer
from quicksilver.model.checkpoint.checkpoint_files import TOKENIZER
from quicksilver.model.completion.infiller import DenoisingInfiller
from quicksilver.model.load_infiller import load_infiller
from quicksilver.model.network.denoiser import Denoiser
from quicksilver.model.runners.select import Runtime
from quicksilver.model.tokenizers.body_tokenizer import BodyTokenizer
from tiny_body import SHAPES, Wanting, body_config, save_body, tiny_body

RUNTIMES: tuple[Runtime, ...] = ("torch", "openvino")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_body(tmp_path_factory.mktemp("body"), tiny_body(std=0.3))


@pytest.fixture(scope="module", params=RUNTIMES)
def infiller(request: pytest.FixtureRequest, folder: Path) -> DenoisingInfiller:
    return load_infiller(folder, runtime=request.param, n_threads=1, dtype="float32")


def asked(prefix: str, *, multiline: bool = False, offers: tuple[str, ...] = (), **more) -> CompletionRequest:
    hole = Hole(prefix=prefix, suffix="\nx = 1\n", language="python", replaced=(0, 0), multiline=multiline)
    sent = tuple(Offer(text=text, source="open file", n_before=9) for text in offers)
    return CompletionRequest(hole=hole, path="a/b.py", **{"budget_ms": None, "offers": sent, **more})


def test_an_answer_of_each_kind(infiller: DenoisingInfiller):
    """What it says of itself holds together, whatever random weights write."""
    requests = {
        "plain": asked("def add(a, b):\n    ret", drafts=0, max_tokens=6),
        "drafts": asked("x = add(a, b)\nx = add(", offers=("a, b)", "é😀"), n_alternatives=4),
        "lines": asked("def add(a, b):\n    ", multiline=True, max_tokens=20),
        "traced": asked("é = ", trace=True, max_tokens=5),
        "snippets": asked("x", snippets=("def f(x):\n    return x\n", "y = 2\n"), max_tokens=3),
        "mended": asked("x = add(a, b)\nx = add(", mends=2, lengths=3, policy="one", max_tokens=5),
        "nothing": asked("", max_tokens=2),
    }  # fmt: skip
    for kind, request in requests.items():
        found = infiller.complete(request, lambda: False)
        assert found.finish_reason in ("stop", "length"), kind
        assert found.steps >= 1 and 0 <= found.confidence <= 1, kind
        assert request.hole.multiline or "\n" not in found.text, kind
        if found.trace:
            assert "".join(cell.text for cell in found.trace[-1].cells) == found.text
        for each in (found, *found.alternatives):
            assert all(n <= len(each.text) for n, _ in each.prefixes)


def test_both_runtimes_write_what_the_body_wants(infiller: DenoisingInfiller):
    prefix, wanted = "for i in range(10):\n    ", "return add(a, b) + x"
    run, tokenizer = infiller.run, infiller.tokenizer
    assert isinstance(tokenizer, BodyTokenizer)
    infiller.run = Wanting(run, tokenizer, (prefix + wanted + "\n").encode(), tokenizer.marks.end)
    try:
        found = infiller.complete(asked(prefix, offers=("return add(x", "zz")), lambda: False)
    finally:
        infiller.run = run
    assert (found.text, found.finish_reason, found.source) == (wanted, "stop", "denoiser")


def test_the_same_text_on_both_runtimes_where_the_body_is_sure(folder: Path):
    """Random weights are seldom sure; these answers were, so rounding changes none of them."""
    made = [load_infiller(folder, runtime=runtime, n_threads=1, dtype="float32") for runtime in RUNTIMES]
    texts = [
        [
            each.complete(asked(prefix, drafts=0, max_tokens=1), lambda: False).text
            for prefix in ("x = ", "f(", "\n    ")
        ]
        for each in made
    ]
    assert texts[0] == texts[1]


def test_what_it_says_of_itself(infiller: DenoisingInfiller):
    facts = infiller.describe()
    assert (infiller.name, facts["runtime"]) == ("tiny-body", infiller.loaded.runtime)
    assert facts["parameters"] == sum(p.numel() for p in tiny_body().parameters())
    assert int(facts["context_tokens"]) < body_config().n_context
    infiller.rehearse()


@pytest.mark.parametrize("kind", SHAPES)
def test_weights_are_those_that_the_config_names(kind: str, tmp_path: Path):
    model = tiny_body(kind)
    assert {name: tuple(w.shape) for name, w in model.state_dict().items()} == model.config.weight_shapes()
    loaded = load_infiller(save_body(tmp_path, model), runtime="torch", device="cpu").checkpoint
    assert loaded.config == model.config
    for name, weight in Denoiser(loaded.config).state_dict().items():
        assert loaded.model.state_dict()[name].shape == weight.shape


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"marks": None}, "marks"), ({"marks": {"prefix": 1}}, "marks"), ({"marks": []}, "marks"),
        ({"denoiser": {"copies": False, "copy_size": 4}}, "copy"), ({"denoiser": {"tied": False}}, "head.weight"),
        ({"denoiser": {"qkv_bias": False}}, "bias"), ({"denoiser": {"qk_norm": 1}}, "qk_norm"),
        ({"denoiser": {"canvases": True}}, "canvas_mark"), ({"format": "quicksilver-denoiser-1"}, "tokenizer"),
    ],
)  # fmt: skip
def test_a_folder_that_does_not_hold_together_is_refused(tmp_path: Path, folder: Path, change: dict, said: str):
    for file in folder.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    for name, value in change.items():
        config[name] = {**config[name], **value} if name == "denoiser" else value
    (tmp_path / "config.json").write_text(json.dumps(config), encoding="utf-8")
    with pytest.raises(CheckpointError, match=said):
        load_infiller(tmp_path, runtime="torch")
    assert (tmp_path / TOKENIZER).exists()
