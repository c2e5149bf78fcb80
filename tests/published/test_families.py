"""Every family against its stock backbone: logits, batched = single = padded, caches, layouts token for token."""

from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from quicksilver.fim.types import CompletionRequest, Hole
from quicksilver.model.network.states import Array
from quicksilver.model.published.families import FAMILIES
from quicksilver.model.published.folder import Published, load
from quicksilver.model.published.infiller import PublishedInfiller
from quicksilver.model.published.layout import around
from quicksilver.model.published.prediction import Canvases, answer, canvas_log_probs
from quicksilver.model.requests import never
from tiny_checkpoints import LAYOUTS, reference_logits, write

NAMES = sorted(LAYOUTS)
RTOL = 2e-4  # of the greatest log-probability: float32 sums in another order
HOLE = Hole(prefix="def area(width, height):\n    ret", suffix=" * height\n", language="python", replaced=(32, 32),
            multiline=False)  # fmt: skip


@pytest.fixture(scope="module", params=NAMES)
def family(request, tmp_path_factory) -> tuple[str, torch.nn.Module, Published]:
    folder = tmp_path_factory.mktemp("published") / request.param
    model = write(folder, request.param)
    return request.param, model, load(folder, dtype=torch.float32)


def error(got: Array, wanted: Array) -> float:
    got, wanted = np.asarray(got), np.asarray(wanted)
    return float(np.abs(got - wanted).max() / np.abs(wanted).max())


def run(canvases: Canvases, canvas: np.ndarray, infiller: PublishedInfiller) -> np.ndarray:
    """Log-probabilities [B, L, V] of one step."""
    work = canvas_log_probs(canvases, canvas, infiller.tokens_for(HOLE))
    ask = next(work)
    while True:
        try:
            ask = work.send(answer(canvases.published.model, [ask])[0])
        except StopIteration as end:
            return end.value


def canvas_of(infiller: PublishedInfiller, lengths: list[int], seed: int = 0) -> np.ndarray:
    """Rows of their lengths, half of their cells filled."""
    tokens, rng = infiller.tokens_for(HOLE), np.random.default_rng(seed)
    canvas = np.full((len(lengths), max(lengths)), tokens.end)
    for row, n in zip(canvas, lengths, strict=True):
        given = rng.integers(20, 200, n)
        row[:n] = np.where(rng.random(n) < 0.5, given, tokens.mask)
    return canvas


def test_every_family_has_a_layout():
    assert {family.name for family in FAMILIES} == set(LAYOUTS)


def test_a_folder_is_of_its_family(family):
    name, _, published = family
    layout = LAYOUTS[name]
    assert published.family.name == name
    assert published.family.is_shifted == layout.is_shifted
    assert (published.block if published.family.sight == "blocks" else None) == layout.block
    assert published.tokenizer.added[layout.mask] == published.specials.mask
    assert (published.specials.expand is None) == (name != "dreamon")
    assert len(published.sha256) == 64


def test_parity_of_logits(family, record_property):
    """One sequence, and two of different lengths side by side, against transformers."""
    name, model, published = family
    rng = torch.Generator().manual_seed(3)
    tokens = torch.randint(0, 256, (2, 37), generator=rng)
    tokens[:, 11:15] = published.specials.mask
    lengths = torch.tensor([37, 23])
    wanted = F.log_softmax(reference_logits(name, model, tokens, lengths), dim=-1)
    infiller = PublishedInfiller(published)
    worst = 0.0
    for rows in ([0], [1], [0, 1]):  # single and batched, padded
        asks = [(tuple(tokens[row, : lengths[row]].tolist()), tuple(range(1, int(lengths[row])))) for row in rows]
        got = sequences_log_probs(infiller, asks)
        for each, row in zip(got, rows, strict=True):
            worst = max(worst, error(each, wanted[row, 1 : int(lengths[row])]))
    record_property("max_error", worst)
    print(f"parity {name}: {worst:.1e}")
    assert worst < RTOL


def sequences_log_probs(infiller: PublishedInfiller, asks: list) -> list[np.ndarray]:
    from quicksilver.model.published.prediction import Sequences, log_softmax

    published = infiller.published
    shift = 1 if published.family.is_shifted else 0
    block = published.block if published.family.sight == "blocks" else None
    ask = Sequences(
        tuple(tokens for tokens, _ in asks), tuple(tuple(i - shift for i in places) for _, places in asks), block
    )
    hidden, _ = answer(published.model, [ask])[0]
    ends = np.cumsum([len(places) for _, places in asks])[:-1]
    return np.split(log_softmax(published.model, hidden), ends)


def test_the_layout_token_for_token(family):
    """What the model reads for a hole."""
    name, _, published = family
    tokenizer, marks = published.tokenizer, published.specials
    laid = around(HOLE, published, 8)
    prefix, suffix = tokenizer.encode(HOLE.prefix), tokenizer.encode(HOLE.suffix)
    added = tokenizer.added
    if LAYOUTS[name].block is None:
        assert laid.left == (added["<|endoftext|>"], *prefix)
        assert laid.right == (*suffix, added["<|endoftext|>"])
    else:
        fim = (added["<|fim_prefix|>"], added["<|fim_suffix|>"], added["<|fim_middle|>"])
        assert laid.left == (fim[0], *prefix, fim[1], *suffix, fim[2])
        assert laid.right == ()
    assert marks.mask not in laid.left + laid.right


def test_a_canvas_of_several_lengths_is_each_by_itself(family):
    """Batched and padded = single, and both = the reference on the whole sequence."""
    name, model, published = family
    infiller = PublishedInfiller(published, "none")
    laid = around(HOLE, published, 9)
    canvas = canvas_of(infiller, [9, 4, 6])
    together = run(Canvases(published, laid, "none"), canvas, infiller)
    for i, n in enumerate((9, 4, 6)):
        alone = run(Canvases(published, laid, "none"), canvas[i : i + 1, :n], infiller)
        assert error(together[i, :n], alone[0]) < RTOL
        whole = torch.tensor([[*laid.left, *canvas[i, :n].tolist(), *laid.right]])
        wanted = F.log_softmax(reference_logits(name, model, whole), dim=-1)
        start = len(laid.left)
        assert error(together[i, :n], wanted[0, start : start + n]) < RTOL


def test_a_cache_is_exact_where_sight_is_in_blocks(family):
    _, _, published = family
    infiller = PublishedInfiller(published)
    laid = around(HOLE, published, 6)
    cached, plain = Canvases(published, laid, "exact"), Canvases(published, laid, "none")
    for seed in (1, 1, 2):  # the second time from the cache
        canvas = canvas_of(infiller, [6, 6], seed=seed)
        assert error(run(cached, canvas, infiller), run(plain, canvas, infiller)) < RTOL


@pytest.mark.parametrize("multiline", [False, True])
def test_an_answer(family, multiline: bool, monkeypatch: pytest.MonkeyPatch):
    """Something, the same again, also among others; no special token in it, one line where one was asked for."""
    _, _, published = family
    infiller = PublishedInfiller(published)
    monkeypatch.setattr("quicksilver.model.published.infiller.N_TOKENS_LINE", 10)
    monkeypatch.setattr("quicksilver.model.published.infiller.N_TOKENS_BLOCK", 20)
    request = CompletionRequest(
        hole=Hole(prefix=HOLE.prefix, suffix=HOLE.suffix, language="python", replaced=(32, 32), multiline=multiline),
        budget_ms=None, drafts=0, max_evaluations=200,
    )  # fmt: skip
    alone = infiller.complete(request, never)
    assert alone.finish_reason in ("stop", "length")
    assert alone.steps > 0 and alone.model == published.name
    assert multiline or "\n" not in alone.text
    assert not any(text in alone.text for text in published.tokenizer.added)
    monkeypatch.setattr(
        "quicksilver.model.published.infiller.step_ceiling", lambda n: None
    )  # as many steps among others
    jobs = [infiller.begin(request, never) for _ in range(3)]
    while any(job.completion is None for job in jobs):
        infiller.advance(jobs)
        assert [job.error for job in jobs] == [None] * 3
    for job in jobs:
        assert job.completion is not None and job.completion.text == alone.text
    cancelled = infiller.complete(request, lambda: True)
    assert (cancelled.text, cancelled.finish_reason) == ("", "cancelled")


@pytest.mark.parametrize("kind", ["int8", "fp8"])
def test_narrow_weights(tmp_path: Path, kind):
    """One byte a number: close to what was rounded, and exactly what the rounded numbers give."""
    model = write(tmp_path, "dream")
    wide, narrow = load(tmp_path, dtype=torch.float32), load(tmp_path, dtype=torch.float32, weights=kind)
    tokens = torch.randint(0, 256, (1, 20))
    wanted = F.log_softmax(reference_logits("dream", model, tokens), dim=-1)[0, 1:]
    asks = [(tuple(tokens[0].tolist()), tuple(range(1, 20)))]
    plain = sequences_log_probs(PublishedInfiller(wide), asks)[0]
    rounded = sequences_log_probs(PublishedInfiller(narrow), asks)[0]
    assert error(plain, wanted) < RTOL
    assert RTOL < error(rounded, wanted) < 0.2
    stored = {name: buffer.dtype for name, buffer in narrow.model.named_buffers() if name.endswith("values")}
    assert len(stored) == 3 * 7 + 1 and {dtype.itemsize for dtype in stored.values()} == {1}


def test_bfloat16_is_near(tmp_path: Path):
    model = write(tmp_path, "sdar", dtype=torch.bfloat16)
    published = load(tmp_path)
    tokens = torch.randint(0, 256, (1, 20))
    wanted = F.log_softmax(reference_logits("sdar", model, tokens).float(), dim=-1)[0, 1:]
    got = sequences_log_probs(PublishedInfiller(published), [(tuple(tokens[0].tolist()), tuple(range(1, 20)))])[0]
    assert published.model.dtype == torch.bfloat16
    assert error(got, wanted) < 0.05
