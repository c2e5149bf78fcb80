"""What is settled while an answer is written is never taken back, the trace shows what may still change, and the tokens
of an answer spell it."""

import itertools
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from quicksilver.fim.types import AnswerProgress, Completion, CompletionRequest, Hole, Offer, Sampling
from quicksilver.model.checkpoint import checkpoint
from quicksilver.model.completion.infiller import DenoisingInfiller
from quicksilver.model.decoding.partial_answer import PartialAnswer
from quicksilver.model.load_infiller import infiller_of, load_infiller
from tiny import TEXTS, tiny_denoiser, tiny_tokenizer
from tiny_body import save_body, tiny_body

pytestmark = pytest.mark.slow

KINDS = ("body", "flat body", "canvases", "flat canvases")
PLACES = {
    "a line": ("def add(a, b):\n    return ", "\n"),
    "inside a word": ("def add(a, b):\n    ret", "\n"),
    "inside a line": ("x = add(", ")\n"),
    "lines": ("def add(a, b):\n    ", "\n"),
    "lines before code": ("def add(a, b):\n    ", " + 1\nx = 2\n"),
    "the beginning of a line": ("def add(a, b):\n    return a + b\n", "\n    x = 1\n"),
    "not ASCII": ("y = 'é", "'\n"),
}
ENDS = {
    "by itself": {},
    "short": {"max_tokens": 3},
    "long": {"max_tokens": 90, "max_evaluations": 200},
    "stops": {"stop": ("e", "\n\n", " i"), "max_tokens": 60},
    "few forwards": {"max_evaluations": 3, "max_tokens": 40},
    "one by one": {"policy": "one", "max_tokens": 12},
    "verified": {"policy": "verified", "max_tokens": 12},
    "sampled": {"sampling": Sampling(temperature=1.2, seed=3), "max_tokens": 50},
    "doubtful": {"min_probability": 0.9, "max_tokens": 30},
}  # fmt: skip


@pytest.fixture(scope="module", params=KINDS)
def infiller(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> DenoisingInfiller:
    folder: Path = tmp_path_factory.mktemp("model")
    std = 0.05 if "flat" in request.param else 0.3
    if "body" in request.param:
        return infiller_of(checkpoint.load(save_body(folder, tiny_body(std=std))))
    tokenizer = tiny_tokenizer()
    model = tiny_denoiser(tokenizer.vocab_size, seed=int(std * 100))
    checkpoint.save(folder / "c", "tiny", model, tokenizer)
    return load_infiller(folder / "c")


def asked(place: str, *, multiline: bool | None = None, **more) -> CompletionRequest:
    prefix, suffix = PLACES[place]
    is_multiline = place.startswith(("lines", "the")) if multiline is None else multiline
    hole = Hole(prefix=prefix, suffix=suffix, language="python", replaced=(0, 0), multiline=is_multiline)
    return CompletionRequest(hole=hole, **{"budget_ms": None, "streams": True, **more})


def watched(
    infiller: DenoisingInfiller, request: CompletionRequest, n_steps: int | None = None
) -> tuple[list[AnswerProgress], Completion]:
    """What was told of an answer, and the answer. n_steps: it is cancelled once so much was told."""
    told: list[AnswerProgress] = []
    job = infiller.begin(request, lambda: n_steps is not None and len(told) >= n_steps, told.append)
    while not job.has_ended:
        infiller.advance([job])
    assert job.error is None and job.completion is not None, job.error
    return told, job.completion


def assert_only_grows(told: list[AnswerProgress], completion: Completion) -> None:
    texts = [*(each.settled for each in told), completion.text]
    for before, after in itertools.pairwise(texts):
        assert after.startswith(before)
    steps = [each.steps for each in told]
    assert steps == sorted(steps)


def cut_at(text: str, stop: tuple[str, ...]) -> str:
    return text[: min((at for each in stop if (at := text.find(each)) >= 0), default=len(text))]


@pytest.mark.parametrize(
    ("place", "end"),
    [(place, end) for i, place in enumerate(PLACES) for j, end in enumerate(ENDS) if (i + j) % 3 == 0],
)
def test_what_is_settled_is_never_taken_back(infiller: DenoisingInfiller, place: str, end: str):
    request = asked(place, **ENDS[end])
    told, completion = watched(infiller, request)
    assert_only_grows(told, completion)
    assert told and told[-1].steps == completion.steps
    for n in range(1, min(len(told), 6)):
        assert_only_grows(*watched(infiller, request, n))
    offer = Offer(text=(completion.text or "a") + "x", source="workspace", n_before=9)
    competing = replace(request, drafts=4, lengths=3, mends=2, offers=(offer,))
    _, guessed = watched(infiller, competing)
    if "budget" not in (completion.finish_reason, guessed.finish_reason):  # guesses change how far a few forwards lead
        assert cut_at(guessed.text, request.stop) == cut_at(completion.text, request.stop)


@pytest.mark.parametrize("place", PLACES)
def test_a_watched_answer_is_the_same(infiller: DenoisingInfiller, place: str):
    request = asked(place, streams=False, drafts=0, multiline=False)
    _, seen = watched(infiller, request)
    unseen = infiller.complete(request, lambda: False)
    streamed = infiller.complete(replace(request, streams=True), lambda: False)
    assert seen.text == unseen.text == streamed.text
    assert seen.confidence == pytest.approx(unseen.confidence, rel=1e-4) == streamed.confidence


def test_a_text_is_told_before_its_end(infiller: DenoisingInfiller):
    told, completion = watched(infiller, asked("a line", policy="one", max_tokens=24, max_evaluations=100))
    assert len(completion.text) < 4 or len({each.settled for each in told}) > 2


@pytest.mark.parametrize("place", PLACES)
def test_a_trace_shows_what_is_settled_and_what_may_change(infiller: DenoisingInfiller, place: str):
    told, completion = watched(infiller, asked(place, trace=True, max_tokens=20, policy="one"))
    framed = [(each.settled, each.frame) for each in told if each.frame]  # the healed text comes before any canvas
    assert len(framed) >= len(told) - 1
    for settled, frame in framed:
        cells = [cell for cell in frame.cells if cell.state in ("new", "kept")]
        assert "".join(cell.text for cell in cells).startswith(settled)
        assert all(0 <= cell.confidence <= 1 for cell in frame.cells)
        assert all(cell.confidence > 0 for cell in cells)
        assert all(cell.text for cell in frame.cells if cell.state == "provisional")
        assert not any(cell.text for cell in frame.cells if cell.state == "masked")
    states = {cell.state for _, frame in framed for cell in frame.cells}
    if infiller.config.canvases:
        assert "provisional" in states or len(framed) == 1
    else:
        assert "provisional" not in states
    assert list(completion.trace)[: len(framed)] == [frame for _, frame in framed]


@pytest.mark.parametrize("stop", ["e", "\n", "re"])
def test_a_text_that_is_cut_at_ends_the_answer(infiller: DenoisingInfiller, stop: str):
    for place in PLACES:
        free = infiller.complete(asked(place, max_tokens=60), lambda: False)
        ended = infiller.complete(asked(place, max_tokens=60, stop=(stop,)), lambda: False)
        if stop not in free.text:
            assert ended.text == free.text
        else:
            assert ended.text.partition(stop)[0] == free.text.partition(stop)[0]
            assert ended.finish_reason == "stop" and len(ended.text) <= len(free.text)


@pytest.mark.parametrize(
    ("place", "more"),
    [
        (place, more)
        for i, place in enumerate(PLACES)
        for j, more in enumerate(({}, {"drafts": 4}, {"lengths": 3}, {"streams": True}))
        if (i + j) % 2 == 0
    ],
    ids=str,
)
def test_the_tokens_of_an_answer_spell_it(infiller: DenoisingInfiller, place: str, more: dict):
    for prefix in ("", TEXTS[0]):
        request = asked(place, **{"streams": False, "log_probs": True, "max_tokens": 30, **more})
        offers = (Offer(text="a é😀", source="workspace", n_before=90),) if more.get("drafts") else ()
        request = replace(request, hole=replace(request.hole, prefix=prefix + request.hole.prefix), offers=offers)
        completion = infiller.complete(request, lambda: False)
        assert "".join(token.text for token in completion.tokens) == completion.text
        assert all(token.log_prob <= 0 for token in completion.tokens)
        unasked = infiller.complete(replace(request, log_probs=False), lambda: False)
        assert unasked.tokens == () and unasked.text == completion.text


def test_the_log_probabilities_are_those_of_the_text(tmp_path: Path):
    """Each token's is what the body gives it after the tokens before."""
    infiller = infiller_of(checkpoint.load(save_body(tmp_path, tiny_body(std=0.3))))
    request = asked("a line", log_probs=True, max_tokens=8)
    tokens = infiller.complete(request, lambda: False).tokens
    for n in range(1, len(tokens)):
        alone = infiller.complete(replace(request, max_tokens=n), lambda: False).tokens
        np.testing.assert_allclose([t.log_prob for t in alone[:n]], [t.log_prob for t in tokens[:n]], atol=1e-4)


def test_an_end_that_may_still_be_chosen_holds_back_what_follows_it():
    row = PartialAnswer("likeliest")
    row.add([1, 2, 3], [-0.1, -0.1, -0.1], [-9.0, -1.0, -3.0], [True, True, True])
    assert row.end() is None and row.n_settled == 1
    row.add([4], [-0.1], [-0.5], [True])
    assert row.end() is None and row.n_settled == 3
    row.add([5], [-3.0], [-5.0], [True])
    assert row.end() == (3, pytest.approx(-0.8)) and row.n_settled == 3


def test_an_end_by_the_median_holds_nothing_back():
    row = PartialAnswer("median")
    row.add([1, 2], [-0.1, -0.1], [-9.0, -1.0], [True, True])
    assert row.end() is None and row.n_settled == 2
    row.add([3, 4], [-0.1, -0.1], [-0.5, -9.0], [True, True])
    assert row.end() is not None and row.n_settled == 2


@pytest.mark.parametrize(("n_tokens", "most"), [(24, 24), (96, 96), (150, 150), (300, 300), (5_000, None)])
def test_an_answer_may_be_as_long_as_the_model_can_hold(tmp_path: Path, n_tokens: int, most: int | None):
    """The context gives way to it, but keeps half of the window."""
    infiller = infiller_of(checkpoint.load(save_body(tmp_path, tiny_body(std=0.05))))
    full = infiller.config.n_context_scaled
    for n_lines in (1, 200):
        prefix = "x = add(a, b)\n" * n_lines + "y = "
        hole = Hole(prefix=prefix, suffix="", language="python", replaced=(0, 0), multiline=True)
        request = CompletionRequest(hole=hole, budget_ms=None, max_tokens=n_tokens, max_evaluations=9_999, streams=True)
        job = infiller.filling(request, lambda: False)
        n_context = len(job.context)
        assert n_context <= infiller.n_context_max
        assert n_lines == 1 or n_context >= min(infiller.n_window // 3, infiller.n_context_max)
        assert job.n_open == min(n_tokens, max(96, full - n_context))
        completion = infiller.complete(request, lambda: False)
        assert completion.finish_reason != "length" or completion.n_tokens >= job.n_open


def test_canvas_follows_canvas_up_to_the_trained_length(tmp_path: Path):
    tokenizer = tiny_tokenizer()
    checkpoint.save(tmp_path / "c", "tiny", tiny_denoiser(tokenizer.vocab_size), tokenizer)
    infiller = load_infiller(tmp_path / "c")
    infiller._tokens = {
        key: replace(tokens, forbidden=tokens.forbidden | tokens.stops, may_end_before=np.zeros_like(tokens.stops))
        for key, tokens in infiller._tokens.items()
    }
    request = asked("lines", max_tokens=500, max_evaluations=9_999)
    told, completion = watched(infiller, request)
    assert_only_grows(told, completion)
    assert completion.finish_reason == "length"
    n = infiller.config.n_context_scaled - completion.n_context
    assert n - infiller.config.n_canvas < completion.n_tokens <= n


def test_a_long_trace_keeps_its_newest_frames(infiller: DenoisingInfiller, monkeypatch: pytest.MonkeyPatch):
    request = asked("lines", trace=True, policy="one", max_tokens=24, max_evaluations=99)
    infiller.recent.clear()
    whole = infiller.complete(request, lambda: False).trace
    monkeypatch.setattr("quicksilver.model.decoding.tracing.MAX_CELLS", 60)
    infiller.recent.clear()  # a guess would save frames
    short = infiller.complete(request, lambda: False).trace
    texts = [[[cell.text for cell in frame.cells] for frame in frames] for frames in (whole, short)]
    assert 0 < len(short) <= len(whole) and texts[0][-len(short) :] == texts[1]
    assert len(short) == 1 or sum(len(frame.cells) for frame in short) <= 60
