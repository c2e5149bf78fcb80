"""Healing at the cursor and a body's own next tokens: what it wants to write is the answer, whatever was guessed."""

import copy
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from hypothesis import given, settings
from hypothesis import strategies as st
from quicksilver.fim.trimming.trim import trim
from quicksilver.fim.types import Completion, CompletionRequest, Hole, Offer
from quicksilver.model.cache.context_cache import ContextCache
from quicksilver.model.checkpoint.checkpoint import load
from quicksilver.model.completion import writing
from quicksilver.model.completion.infiller import DenoisingInfiller
from quicksilver.model.decoding.healing import healing_of
from quicksilver.model.decoding.partial_answer import PartialAnswer
from quicksilver.model.decoding.recent import Recent
from quicksilver.model.decoding.verification import verify
from quicksilver.model.decoding.verification import written as written_scores
from quicksilver.model.load_infiller import infiller_of
from quicksilver.model.network.denoiser import Denoiser
from quicksilver.model.requests import ForwardRequest
from quicksilver.model.runners.batching import ModelRunner
from quicksilver.model.runners.drive import drive
from quicksilver.model.tokenizers.body_tokenizer import BodyTokenizer
from tiny_body import Wanting, save_body, tiny_body

CURSORS = {  # what stands left of the cursor, and what is to come on the line and below
    "inside a word": ("def add(a, b):\n    ret", "urn a + b", "\n\nx = 1\n    y"),
    "after a blank": ("def add(a, b):\n    return ", "a + b", "\n"),
    "after two blanks": ("x =  ", "a", "\nb"),
    "after a bracket": ("x = add(", "a, b)", "\ny"),
    "in column 0": ("x = 1\n", "return x", "\ny = 2"),
    "a line that begins with blanks": ("x = 1\n", "    return x", "\ny = 2"),
    "after indentation": ("for i in x:\n    ", "return i", "\n    x\n"),
    "after indentation below a word": ("else\n    ", "return i", "\n    x\n"),
    "after two line breaks and blanks": ("x = 1\n\n    ", "return i", "\n"),
    "after a colon": ("for i in x:", " return", "\n"),
    "at the end of a line with a colon": ("for i in x:\n", "    return i", "\n    x"),
    "before a colon and line break": ("for i in range(10)", ":", "\n    return i\n"),
    "nothing on this line": ("for i in range(10):", "", "\n    return i\n"),
    "nothing behind a bracket": ("f(", "", "\n    x,\n)"),
    "nothing in column 0": ("x = 1\n", "", "\n\ny"),
    "in a string": ("x = 'it is", " don't'", "\n"),
    "empty prefix": ("", "def add(a, b):", "\n    return a"),
    "prefix of one piece": ("re", "turn x", "\n"),
    "prefix of one line break": ("\n", "return x", "\n"),
    "not ASCII": ("y = 'é", "😀 ñ'", "\n"),
    "inside a word that is not ASCII": ("x = ca", "fé中", "\n"),
    "an emoji before": ("x = '😀", "é😀'", "\n"),
    "a lone surrogate": ("x = '\ud800", "a'", "\n"),
    "a piece that is too long": ("x" * 60, " = y", "\n"),
    "indentation that is too long": ("x\n" + " " * 60, "return x", "\n"),
    "a mark as text": ("x = '<|fim_", "middle|>'", "\n"),
}
EVERY_CURSOR = pytest.mark.parametrize("cursor", CURSORS)


@pytest.fixture(scope="module")
def body_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[bool], DenoisingInfiller]:
    made: dict[bool, DenoisingInfiller] = {}

    def of(suffix_first: bool) -> DenoisingInfiller:
        if suffix_first not in made:
            folder: Path = tmp_path_factory.mktemp("body")
            made[suffix_first] = infiller_of(load(save_body(folder, tiny_body(), suffix_first=suffix_first)))
        return made[suffix_first]

    return of


def tokenizer_of(infiller: DenoisingInfiller) -> BodyTokenizer:
    assert isinstance(infiller.tokenizer, BodyTokenizer)
    return infiller.tokenizer


@pytest.fixture(scope="module")
def infiller(body_of: Callable[[bool], DenoisingInfiller]) -> DenoisingInfiller:
    return body_of(True)


def asked(
    prefix: str, *, multiline: bool = False, suffix: str = "\n", offers: Sequence[str] = (), **more
) -> CompletionRequest:
    hole = Hole(prefix=prefix, suffix=suffix, language="python", replaced=(0, 0), multiline=multiline)
    sent = tuple(Offer(text=text, source="workspace", n_before=9) for text in offers)
    return CompletionRequest(hole=hole, **{"budget_ms": None, "offers": sent, "drafts": len(sent), **more})


class Written:
    """An answer of a body that wants a text, and the numbers of tokens of the forwards that wrote it."""

    def __init__(self, completion: Completion, counts: list[int]) -> None:
        self.completion, self.counts = completion, counts


def written(
    infiller: DenoisingInfiller,
    request: CompletionRequest,
    wanted: str,
    below: str,
    end: int | None = None,
    recent: Recent | None = None,
) -> Written:
    """What comes of a request where the body wants to write wanted and, behind it, below and an end mark."""
    tokenizer, run = tokenizer_of(infiller), infiller.run
    clean, marks = request.hole.prefix.replace("\ud800", "\ufffd"), tokenizer.marks
    open_piece = healing_of(tokenizer, clean).text
    data = (clean if marks.suffix_first else open_piece) + wanted + below
    oracle = Wanting(run, tokenizer, data.encode(), marks.end if end is None else end)
    infiller.run, infiller.recent = oracle, recent or Recent()
    try:
        return Written(infiller.complete(request, lambda: False), oracle.counts)
    finally:
        infiller.run = run


@EVERY_CURSOR
@pytest.mark.parametrize("suffix_first", [True, False])
@pytest.mark.parametrize("ends", ["by the next line", "by its end", "by another end"])
def test_a_line_that_the_body_wants_is_the_answer(body_of, cursor: str, suffix_first: bool, ends: str):
    infiller, (prefix, wanted, below) = body_of(suffix_first), CURSORS[cursor]
    end = tokenizer_of(infiller).marks.ends[0] if ends == "by another end" else None
    found = written(infiller, asked(prefix), wanted, below if ends == "by the next line" else "", end).completion
    assert (found.text, found.finish_reason, found.source) == (wanted, "stop", "denoiser")


@EVERY_CURSOR
@pytest.mark.parametrize("kind", ["right", "half right", "wrong", "empty"])
def test_drafts_do_not_change_what_the_body_wants(infiller: DenoisingInfiller, cursor: str, kind: str):
    prefix, wanted, below = CURSORS[cursor]
    offers = {
        "right": [wanted], "half right": [wanted[: len(wanted) // 2 + 1] + "zz"], "wrong": ["zz(y)", "q"],
        "empty": [" ", wanted + wanted],
    }[kind]  # fmt: skip
    found = written(infiller, asked(prefix, offers=offers), wanted, below)
    assert (found.completion.text, found.completion.finish_reason) == (wanted, "stop")


@EVERY_CURSOR
@pytest.mark.parametrize("ends", ["end", "other end"])
@pytest.mark.parametrize("offers", [[], ["zz\n"], ["wanted"]])
def test_lines_that_the_body_wants_are_the_answer(
    infiller: DenoisingInfiller, cursor: str, ends: str, offers: list[str]
):
    prefix, wanted, below = CURSORS[cursor]
    wanted = wanted + below
    offers = [wanted if offer == "wanted" else offer for offer in offers]
    end = tokenizer_of(infiller).marks.ends[0] if ends == "other end" else None
    request = asked(prefix, offers=offers, multiline=True)
    found = written(infiller, request, wanted, "", end).completion
    assert found.finish_reason == "stop"
    assert wanted.startswith(found.text) and trim(request.hole, found.text) == trim(request.hole, wanted)


@pytest.mark.parametrize(
    ("cursor", "n_forwards"),
    [
        # The opening is one forward where the healed text is cut as its likely tokens say; each token then is one.
        ("after indentation", 3),  # "   " " return", " i", "\n"
        ("after indentation below a word", 3),
        ("nothing on this line", 1),  # ":\n" in the opening
        ("before a colon and line break", 1),
        ("empty prefix", 6),  # "def" " add" "(a" "," " b" "):\n"
    ],
)
def test_a_forward_a_token_and_one_for_what_is_healed(infiller: DenoisingInfiller, cursor: str, n_forwards: int):
    prefix, wanted, below = CURSORS[cursor]
    found = written(infiller, asked(prefix), wanted, below)
    assert (found.completion.text, len(found.counts), found.completion.steps) == (wanted, n_forwards, n_forwards)


def test_a_right_draft_is_read_at_once(infiller: DenoisingInfiller):
    """One forward for what is healed and one for the draft, where a forward a token would be six."""
    wanted = "urn add(a, b) + i"
    found = written(infiller, asked("def f(a):\n    ret", offers=[wanted]), wanted, "\nx")
    assert found.completion.text == wanted
    assert len(found.counts) == 2 < len(infiller.tokenizer.encode(wanted)) - 2
    half = written(infiller, asked("def f(a):\n    ret", offers=["urn add(a, x"]), wanted, "\nx")
    alone = written(infiller, asked("def f(a):\n    ret"), wanted, "\nx")
    assert half.completion.text == alone.completion.text == wanted
    assert len(found.counts) < len(half.counts) < len(alone.counts)


def test_what_was_written_lately_is_guessed(infiller: DenoisingInfiller):
    """While a person types it, one forward for what is healed and one for the rest tell that it still holds."""
    recent = Recent()
    first = written(infiller, asked("x\n    "), LONG, "\ny", recent=recent)
    again = written(infiller, asked("x\n    "), LONG, "\ny", recent=recent)
    typed = written(infiller, asked("x\n    return add("), LONG.removeprefix("return add("), "\ny", recent=recent)
    assert again.completion.text == LONG == "return add(" + typed.completion.text
    assert len(again.counts) == len(typed.counts) == 2 < len(first.counts)
    other = written(infiller, asked("x\n    "), "return x", "\ny", recent=recent)
    assert (other.completion.text, other.completion.finish_reason) == ("return x", "stop")


TEXT = st.lists(
    st.sampled_from(
        ["x", "ret", "urn", " a", "(", "):\n", "\n", "    ", "\n    ", "é", "😀", "'", ":", "1", ", ", "def "]
    ),
    max_size=8,
).map("".join)
BODIES = [tiny_body(seed=seed, std=std) for seed, std in ((1, 0.2), (2, 0.4))]


@pytest.fixture(scope="module")
def bodies(infiller: DenoisingInfiller) -> list[DenoisingInfiller]:
    """The same with other random weights; the text ends at no place that is not a likely end."""
    made = []
    for body in BODIES:
        other = copy.copy(infiller)
        other.run, other.cache = ModelRunner(body), ContextCache(n_chunk=16)
        other._tokens = {
            at: replace(tokens, may_end_before=np.zeros_like(tokens.may_end_before))
            for at, tokens in infiller._tokens.items()
        }
        made.append(other)
    return made


def greedy(body: Denoiser, infiller: DenoisingInfiller, request: CompletionRequest) -> tuple[str, str]:
    """What the plain model writes token by token, each time from the beginning, and why it ends."""
    tokens, healing = infiller.tokens_for(request.hole), healing_of(infiller.tokenizer, request.hole.prefix)
    context, written, data = infiller.context_of(request), [], b""
    n_most = request.max_tokens or 0
    while True:
        if len(data) >= len(healing.data) and n_most == 0:
            return healing.own(data).decode("utf-8", "replace"), "length"
        hidden, _ = body.context(torch.tensor([[*context, *written]]))
        log_probs = tokens.allowed(F.log_softmax(body.vocabulary_logits(hidden[0, -1]), dim=-1).numpy())
        rest = healing.rest(data)
        token = int(log_probs.argmax())
        if rest:
            agreeing = tokenizer_of(infiller).agreeing_with(rest)
            token = max(agreeing, key=lambda i: float(log_probs[i]))
        text = infiller.tokenizer.bytes_of(token)
        own = text[len(rest) :]
        if token in (tokens.end, *tokens.other_ends) or (b"\n" in own and not request.hole.multiline):
            before = own.partition(b"\n")[0] if own.strip() and not own.lstrip(b" \t\r").startswith(b"\n") else b""
            return healing.own(data + text[: len(rest)] + before).decode("utf-8", "replace"), "stop"
        written.append(token)
        data += text
        n_most -= bool(healing.own(data))


@settings(max_examples=40, deadline=None)
@given(
    prefix=TEXT,
    suffix=TEXT,
    multiline=st.booleans(),
    which=st.sampled_from([0, 1]),
    n=st.integers(1, 7),
    drafts=st.lists(TEXT, max_size=3),
)
def test_the_body_writes_what_the_plain_model_would_whatever_is_guessed(
    bodies, prefix: str, suffix: str, multiline: bool, which: int, n: int, drafts: list[str]
):
    infiller, body = bodies[which], BODIES[which]
    with torch.inference_mode():
        request = asked(prefix, suffix="\n" + suffix, multiline=multiline, max_tokens=n)
        wanted = greedy(body, infiller, request)
        offers = [*drafts, wanted[0], wanted[0] + "x", wanted[0][: len(wanted[0]) // 2] + "é"]
        found = []
        for guessed in ([], offers):
            row, text = free_row(
                infiller, asked(prefix, suffix="\n" + suffix, multiline=multiline, max_tokens=n, offers=guessed)
            )
            found.append((text, row.finish_reason))
        assert found[0] == found[1]
        if found[0] != wanted:  # a block is over where trimming would cut it
            assert multiline and wanted[0].startswith(found[0][0])
            assert trim(request.hole, found[0][0]) == trim(request.hole, wanted[0])


@EVERY_CURSOR
@pytest.mark.parametrize("ends", ["by the next line", "by its end", "by the budget"])
def test_what_the_body_wrote_has_the_scores_that_verifying_gives(infiller: DenoisingInfiller, cursor: str, ends: str):
    prefix, wanted, below = CURSORS[cursor]
    request = asked(prefix, max_tokens=2 if ends == "by the budget" else None)
    filling = infiller.filling(request, lambda: False)
    tokenizer = tokenizer_of(infiller)
    data = prefix.replace("\ud800", "\ufffd") + wanted + ("" if ends == "by its end" else below)
    run = Wanting(infiller.run, tokenizer, data.encode(), tokenizer.marks.end)
    states, _ = drive(run, filling.cache.states(filling.context))
    _, row = drive(run, filling.write_with_drafts(states))
    kept = filling.kept(row)
    found = written_scores(row, kept, filling.tokens)
    (verified,) = drive(run, verify(states, [kept], filling.tokens, filling.healing))
    n = len(kept)
    assert (found.tokens, len(found.log_probs), len(found.end_log_probs), len(found.best)) == (kept, n, n + 1, n + 1)
    if not filling.text_of(row).strip():  # what is healed and a line break as one token is for rows alone
        return
    assert np.allclose(np.exp(found.log_probs), np.exp(verified.log_probs), atol=0.02)
    if row.finish_reason == "stop":
        assert found.log_prob == pytest.approx(verified.log_prob, abs=0.1)


def free_row(infiller: DenoisingInfiller, request: CompletionRequest) -> tuple[PartialAnswer, str]:
    """What the body itself writes, and its text, also where trimming would cut it, and with a line cut short."""
    filling = infiller.filling(request, lambda: False)
    setattr(filling.writing, "_n_whole", lambda row: len(row.tokens))  # noqa: B010 (a method)
    states, _ = drive(infiller.run, filling.cache.states(filling.context))
    with patch.object(writing.BodyEnd, "_is_over", lambda end, written: False):
        _, row = drive(infiller.run, filling.write_with_drafts(states))
    return row, filling.text_of(row)


LONG = "return add(a, b) + x * 10"


@pytest.mark.parametrize("n", [1, 2, 3, 5])
@pytest.mark.parametrize("multiline", [False, True])
def test_a_spent_budget_gives_the_text_so_far(infiller: DenoisingInfiller, n: int, multiline: bool):
    request = asked("x\n    ", max_evaluations=n, multiline=multiline)
    found = written(infiller, request, LONG, "\ny").completion
    assert (found.steps, found.finish_reason) == (n, "budget")
    assert found.text and LONG.startswith(found.text)
    assert found.n_tokens >= n


@pytest.mark.parametrize(("prefix", "more"), [("for i in x:", "\n    a"), ("else\n    ", "return x\n    y")])
@pytest.mark.parametrize("cap", ["max_evaluations", "max_tokens"])
def test_lines_that_are_cut_short_end_with_a_whole_line(infiller: DenoisingInfiller, prefix: str, more: str, cap: str):
    """Where a line is whole; without one the beginning of the first is better than nothing."""
    wanted = f"{more} = 10\n    return a + b * 10"
    texts = []
    for n in range(1, 16):
        request = replace(asked(prefix, multiline=True), **{cap: n})
        found = written(infiller, request, wanted, "\n").completion
        if found.finish_reason == "stop":
            break
        texts.append(found.text)
    first = wanted[: wanted.index("\n", 1)]
    longer = [text for text in texts if len(text) > len(first)]
    assert longer and any(len(text) < len(first) for text in texts)
    assert all(text.endswith("\n") and text.startswith(first) for text in longer)


def test_a_budget_that_is_just_enough_is_not_spent(infiller: DenoisingInfiller):
    n = written(infiller, asked("x\n    "), LONG, "\ny").completion.steps
    found = written(infiller, asked("x\n    ", max_evaluations=n), LONG, "\ny").completion
    assert (found.text, found.finish_reason, found.steps) == (LONG, "stop", n)


@pytest.mark.parametrize("n_asks", range(1, 4))
def test_cancelling_ends_the_work_within_a_forward(infiller: DenoisingInfiller, n_asks: int):
    """Also while the healed text is not covered yet, which may take several forwards."""
    asks: list[ForwardRequest] = []
    prefix = "x = '😀中é😀中é😀"  # healed in many tokens
    job = infiller.begin(asked(prefix, offers=["zz"]), lambda: len(asks) >= n_asks)
    while job.completion is None:
        infiller.advance([job])
        asks += [job.ask] if job.ask is not None and job.completion is None else []
        assert job.error is None
    assert job.completion.finish_reason == "cancelled"
    assert len(asks) == n_asks


def test_the_trace_spells_the_answer(infiller: DenoisingInfiller):
    for prefix, wanted, below in CURSORS.values():
        found = written(infiller, asked(prefix, trace=True, offers=["zz"]), wanted, below).completion
        shown = ["".join(c.text for c in frame.cells if c.state != "refused") for frame in found.trace]
        assert shown[-1:] == [wanted]
        assert [frame.step for frame in found.trace] == sorted(frame.step for frame in found.trace)
        assert all((wanted + below).startswith(text.rstrip("\ufffd\n")) for text in shown)


def test_an_unverified_answer_is_traced_too(infiller: DenoisingInfiller):
    """Its last token says the line break, too, which is none of the answer."""
    found = written(infiller, asked("for i in x", trace=True), ":", "\n    y").completion
    assert ["".join(cell.text for cell in frame.cells) for frame in found.trace][-1:] == [":"]


@EVERY_CURSOR
def test_prefixes_count_characters_of_the_answer(infiller: DenoisingInfiller, cursor: str):
    prefix, wanted, below = CURSORS[cursor]
    healing = healing_of(infiller.tokenizer, prefix)
    tokens = healing.encode(wanted)
    starts = [healing.text_of(tokens[:n]) for n in range(1, len(tokens))]
    starts = [text for text in starts if text.strip() and not text.endswith("\ufffd")]
    request = asked(prefix, offers=[*starts[-4:], "zz y"], n_alternatives=4)
    found = written(infiller, request, wanted, below).completion
    texts = {each.text for each in found.alternatives}
    assert found.text not in texts and texts <= set(starts)
    assert texts or len(starts) < 2
    for each in (found, *found.alternatives):
        ends = [n for n, _ in each.prefixes]
        assert ends == sorted(set(ends)) and all(0 < n <= len(each.text) for n in ends)
        assert ends[-1:] == ([len(each.text)] if each.text.strip() else [])
        assert all(0 <= p <= 1 for _, p in each.prefixes)
    if wanted.strip():
        assert found.prefixes[-1][1] >= 0.9 ** (len(found.prefixes) + 8)


def test_warming_reads_what_the_answer_needs(infiller: DenoisingInfiller):
    prefix = "def add(a, b):\n    x = a + b\n    ret"
    infiller.cache.clear()
    warmed = infiller.complete(asked(prefix, warms=True), lambda: False)
    assert (warmed.text, warmed.n_cached) == ("", 0)
    found = infiller.complete(asked(prefix, max_tokens=2), lambda: False)
    assert found.n_cached == found.n_context == warmed.n_context
    typed = infiller.complete(asked(prefix + "urn a + ", max_tokens=2), lambda: False)
    assert found.n_context - 1 <= typed.n_cached < typed.n_context


def test_a_body_that_was_not_taught_suffix_first_reads_the_suffix_anew(body_of):
    infiller = body_of(False)
    infiller.complete(asked("x = a", warms=True), lambda: False)
    found = infiller.complete(asked("x = a + b", max_tokens=2), lambda: False)
    assert 0 < found.n_cached < found.n_context - 2


def test_a_load_does_not_end_the_text_inside_a_word(infiller: DenoisingInfiller):
    """It caps the steps of canvases, which are full after each; a body's text would only be cut."""
    request, run = asked("x\n    "), infiller.run
    tokenizer = tokenizer_of(infiller)
    infiller.run = Wanting(run, tokenizer, ("x\n    " + LONG + "\ny").encode(), tokenizer.marks.end)
    try:
        job = infiller.begin(request, lambda: False)
        while job.completion is None:
            infiller.advance([job], n_waiting=60)
            assert job.error is None
    finally:
        infiller.run = run
    assert (job.completion.text, job.completion.finish_reason) == (LONG, "stop")
