"""A denoising head beside its body: its file, both runtimes, and that its guesses change no text."""

import json
import logging
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from quicksilver.fim.errors import CheckpointError
from quicksilver.fim.types import Completion, CompletionRequest, Hole, Offer
from quicksilver.model.checkpoint.checkpoint import load
from quicksilver.model.checkpoint.checkpoint_files import Int8Matrix, as_float, quantise, read
from quicksilver.model.checkpoint.head_file import HEAD, WORDS, StoredHead, read_head, write_head
from quicksilver.model.completion.infiller import DenoisingInfiller
from quicksilver.model.decoding.recent import Recent
from quicksilver.model.load_infiller import infiller_of
from quicksilver.model.network.denoising_head import DenoisingHead
from quicksilver.model.network.head_config import HeadConfig
from quicksilver.model.openvino.head import OpenVinoHead
from quicksilver.model.runners.model_drafter import ModelDrafter
from quicksilver.model.tokenizers.body_tokenizer import BodyTokenizer
from safetensors.numpy import load_file, save_file
from tiny_body import Wanting, save_body, tiny_body

CONFIG = HeadConfig(
    width=48, n_layers=2, n_heads=4, n_kv_heads=2, head_size=12, ffn_width=32, n_words=90, n_canvas=6, n_window=16
)
OTHER_BODY = "0" * 64


def put_head(folder: Path, seed: int = 0, body: str | None = None) -> Path:
    """A random head in a body's folder."""
    torch.manual_seed(seed)
    words = torch.arange(CONFIG.n_words) * 4
    head = DenoisingHead(CONFIG, words)
    for parameter in head.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    weights = {key: weight.detach().numpy() for key, weight in head.state_dict().items() if key != WORDS}
    write_head(folder / HEAD, CONFIG, weights, words.numpy(), body or read(folder).sha256)
    return folder / HEAD


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return save_body(tmp_path / "body", tiny_body())


def test_a_head_comes_back_from_its_file(folder):
    path = put_head(folder)
    stored = read(folder)
    head = read_head(path, stored.shape, stored.sha256)
    assert head.config == CONFIG and head.words.tolist() == [4 * i for i in range(90)]
    assert isinstance(head.weights["blocks.1.ffn.down.weight"], Int8Matrix)
    assert isinstance(head.weights["places"], np.ndarray) and head.weights["places"].shape == (6, 48)
    assert not [*folder.glob("*.part")]


Change = Callable[[dict[str, np.ndarray], dict[str, str]], object]
DAMAGES: dict[str, tuple[Change, str]] = {
    "of another body": (lambda arrays, about: about.update(body_sha256=OTHER_BODY), "belongs to another body"),
    "another format": (lambda arrays, about: about.update(format="x"), "has format 'x'"),
    "no shape": (lambda arrays, about: about.pop("config"), "metadata cannot be read"),
    "a shape that cannot be": (
        lambda arrays, about: about.update(config=json.dumps(asdict(CONFIG) | {"n_heads": 0})), "metadata",
    ),
    "a width that is not the body's": (
        lambda arrays, about: about.update(config=json.dumps(asdict(CONFIG) | {"width": 96})), "another body",
    ),
    "a weight less": (lambda arrays, about: arrays.pop("mask"), "only in its shape"),
    "a weight more": (lambda arrays, about: arrays.update(x=np.zeros(1, np.float32)), "only in the file"),
    "another shape": (lambda arrays, about: arrays.update(places=np.zeros((5, 48), np.float32)), "places has another"),
    "scales of another number": (
        lambda arrays, about: arrays.update({"fuse.weight.scale": np.ones(5, np.float32)}), "fuse.weight has another",
    ),
    "no scales": (lambda arrays, about: arrays.pop("fuse.weight.scale"), "fuse.weight has another"),
    "no numbers": (lambda arrays, about: arrays.update(mask=np.full(48, np.nan, np.float32)), "mask has another shape"),
    "words that the body has not": (
        lambda arrays, about: arrays.update(words=np.full(90, 10_000, np.int32)), "90 ids of the body's",
    ),
    "too few words": (lambda arrays, about: arrays.update(words=np.zeros(89, np.int32)), "90 ids of the body's"),
    "an int8 vector": (
        lambda arrays, about: arrays.update({"mask": np.zeros(48, np.int8), "mask.scale": np.ones(48, np.float32)}),
        "mask has another shape",
    ),
    "words that are no ids": (
        lambda arrays, about: arrays.update(words=np.zeros(90, np.float32)), "90 ids of the body's",
    ),
    "a sharpness beyond all": (
        lambda arrays, about: arrays.update(log_sharpness=np.array(1000, np.float32)), "log_sharpness has another",
    ),
    "a shape of a hundred thousand brackets": (
        lambda arrays, about: about.update(config="[" * 100_000), "metadata cannot be read",
    ),
    "a window of millions": (
        lambda arrays, about: about.update(config=json.dumps(asdict(CONFIG) | {"n_window": 10_000_000})), "metadata",
    ),
    "another type": (lambda arrays, about: arrays.update(mask=np.zeros(48, np.float64)), "mask is F64"),
}  # fmt: skip


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_head_that_is_of_no_use_is_said_once_and_the_body_serves_alone(folder, caplog, damage: str):
    path, stored = put_head(folder), read(folder)
    arrays = load_file(path)
    about = {"format": "quicksilver-head-2", "config": json.dumps(asdict(CONFIG)), "body_sha256": stored.sha256}
    change, message = DAMAGES[damage]
    change(arrays, about)
    save_file(arrays, path, about)
    with pytest.raises(CheckpointError, match=message):
        read_head(path, stored.shape, stored.sha256)
    with caplog.at_level(logging.WARNING):
        checkpoint = load(folder)
    assert checkpoint.head is None
    assert [message in record.getMessage() for record in caplog.records] == [True]
    assert "\n" not in caplog.records[0].getMessage()
    assert infiller_of(checkpoint).complete(asked("x = "), lambda: False).finish_reason


def test_a_head_that_is_cut_off_leaves_the_body_alone(folder, caplog):
    path = put_head(folder)
    for n in (0, 5, 400, path.stat().st_size - 1):
        path.write_bytes(path.read_bytes()[:n])
        assert load(folder).head is None
    assert len(caplog.records) == 4


def asked(prefix: str, **more: object) -> CompletionRequest:
    hole = Hole(prefix=prefix, suffix="\n", language="python", replaced=(0, 0), multiline=bool(more.pop("lines", 0)))
    return replace(CompletionRequest(hole=hole, path="", budget_ms=None), **more)  # type: ignore[arg-type]


def stored_head(seed: int = 0) -> tuple[StoredHead, Int8Matrix]:
    rng = np.random.default_rng(seed)
    weights = {
        name: rng.standard_normal(shape).astype(np.float32) * 0.3 for name, shape in CONFIG.weight_shapes().items()
    }
    rounded = {
        name: quantise(weight) if weight.ndim == 2 and name != "places" else weight for name, weight in weights.items()
    }
    embedding = quantise(rng.standard_normal((380, 48)).astype(np.float32))
    return StoredHead(CONFIG, rounded, np.arange(90) * 4), embedding


@pytest.mark.parametrize("n_context", [1, 7, 16, 40])
@pytest.mark.parametrize("known", [(3,), (5, 0, 17), (1, 2, 3, 4, 5)])
@pytest.mark.parametrize("hints", [(), (4,), (9, 8, 7, 6, 5)])
def test_openvino_drafts_what_the_module_drafts(n_context: int, known: tuple[int, ...], hints: tuple[int, ...]):
    head, embedding = stored_head()
    compiled = OpenVinoHead(head, embedding, "f32", 1)
    plain = ModelDrafter(head, torch.from_numpy(as_float(embedding)))
    assert compiled.n_most == plain.n_most == 5
    features = torch.randn(n_context, 48, generator=torch.Generator().manual_seed(n_context))
    found, wanted = compiled(known, hints, features.numpy()), plain(known, hints, features)
    assert len(found.tokens) == len(found.probabilities) == 6 - len(known)
    assert found.probabilities == pytest.approx(wanted.probabilities, abs=0.05)
    for a, b, sure in zip(found.tokens, wanted.tokens, wanted.probabilities, strict=True):
        assert a == b or sure < 0.3  # numbers are rounded


def completions(infiller: DenoisingInfiller, requests: Sequence[CompletionRequest]) -> list[Completion]:
    found = []
    for request in requests:
        infiller.recent = Recent()
        found.append(infiller.complete(request, lambda: False))
    return found


REQUESTS = [
    asked(prefix, lines=lines, max_tokens=n)
    for prefix in ("x = ", "def add(a, b):\n    ret", "for i in", "class P:\n    def", "", "y = 'é")
    for lines in (False, True)
    for n in (3, 12)
]


@pytest.mark.parametrize("runtime", ["torch", "openvino"])
def test_the_text_is_the_bodys_own_whatever_a_head_guesses(folder, runtime):
    alone = infiller_of(load(folder), runtime=runtime)
    wanted = [(each.text, each.finish_reason) for each in completions(alone, REQUESTS)]
    for seed in (0, 1):
        put_head(folder, seed)
        with_head = infiller_of(load(folder), runtime=runtime)
        assert with_head.checkpoint.head is not None
        assert [(each.text, each.finish_reason) for each in completions(with_head, REQUESTS)] == wanted


@pytest.mark.parametrize(
    ("guessed", "policy", "n_forwards"),
    [("all", None, 3), ("every second one", None, 7), ("none", None, 14), ("all", "left", 14)],
)
def test_right_guesses_save_forwards_and_wrong_ones_change_nothing(folder, guessed: str, policy, n_forwards: int):
    """A line of 14 tokens, its line break among them. A guess behind a wrong one counts for nothing, and the policy
    "left" guesses nothing."""
    put_head(folder)
    infiller = infiller_of(load(folder))
    tokenizer, prefix, wanted = infiller.tokenizer, "x =", " add(a, b) + i * 10"
    assert isinstance(tokenizer, BodyTokenizer)
    knowing = Wanting(infiller.run, tokenizer, f"{prefix}{wanted}\ny".encode(), tokenizer.marks.end)
    knowing.drafted = {
        "all": lambda tokens: tokens,
        "every second one": lambda tokens: (*tokens[:1], 7, *tokens[2:]),
        "none": lambda tokens: (7,) * len(tokens),
    }[guessed]
    infiller.run = knowing
    found = infiller.complete(asked(prefix, policy=policy), lambda: False)
    assert (found.text, found.finish_reason, found.source) == (wanted, "stop", "denoiser")
    assert (found.steps, len(knowing.counts)) == (n_forwards, n_forwards)


def test_a_trace_shows_what_the_body_refused(folder):
    put_head(folder)
    infiller = infiller_of(load(folder))
    tokenizer = infiller.tokenizer
    assert isinstance(tokenizer, BodyTokenizer)
    knowing = Wanting(infiller.run, tokenizer, b"x = add(a, b) + i\ny", tokenizer.marks.end)
    (wrong,) = tokenizer.encode(" return")
    knowing.drafted = lambda tokens: (*tokens[:2], wrong, wrong)
    infiller.run = knowing
    found = infiller.complete(asked("x =", trace=True), lambda: False)
    assert found.text == " add(a, b) + i"
    texts = [
        {state: "".join(c.text for c in frame.cells if c.state == state) for state in ("new", "refused")}
        for frame in found.trace
    ]
    assert any(each["refused"] == " return return" and each["new"] for each in texts)
    frame = next(frame for frame in found.trace if any(cell.state == "refused" for cell in frame.cells))
    shown = [cell.state for cell in frame.cells if cell.state != "masked"]
    assert shown[-1] == "new" and shown[-2] == "refused"  # crossed out, then what is right
    assert not any(cell.state == "refused" for cell in found.trace[-1].cells)


def test_a_guess_from_the_file_goes_before_that_of_the_head(folder):
    put_head(folder)
    infiller = infiller_of(load(folder))
    tokenizer = infiller.tokenizer
    assert isinstance(tokenizer, BodyTokenizer)
    knowing = Wanting(infiller.run, tokenizer, b"x = add(a, b) + i\ny", tokenizer.marks.end)
    n_asked = []

    def drafted(tokens: tuple[int, ...]) -> tuple[int, ...]:
        n_asked.append(len(tokens))
        return tokens

    knowing.drafted, infiller.run = drafted, knowing
    offers = (Offer(text=" add(a, b) + i", source="workspace", n_before=9),)
    found = infiller.complete(asked("x =", offers=offers, drafts=1), lambda: False)
    assert found.text == " add(a, b) + i" and len(n_asked) <= 1  # for the line break at most
