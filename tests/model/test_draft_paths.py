"""Drafts beside what a body writes: what is guessed of it, and how likely each draft can be at most."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from quicksilver.fim.types import CompletionRequest, Hole
from quicksilver.model.checkpoint.checkpoint import load
from quicksilver.model.completion.infiller import DenoisingInfiller
from quicksilver.model.completion.job import UNLIKELY
from quicksilver.model.decoding.draft_paths import DraftPaths
from quicksilver.model.decoding.recent import Recent
from quicksilver.model.decoding.verification import verify
from quicksilver.model.load_infiller import infiller_of
from quicksilver.model.ranking.candidates import drafts_for
from quicksilver.model.runners.drive import drive
from quicksilver.model.tokenizers.canvas_tokens import canvas_tokens
from test_continuation import TEXT, asked, written
from tiny_body import save_body, tiny_body, tiny_body_tokenizer


def log_probs_of(probabilities: dict[int, float]) -> np.ndarray:
    found = np.full((tiny_body_tokenizer().vocab_size,), -math.inf)
    for token, probability in probabilities.items():
        found[token] = math.log(probability)
    return found


def test_the_first_draft_that_begins_so_is_guessed():
    paths = DraftPaths([[1, 2, 3], [1, 2], [1, 4, 5]], canvas_tokens(tiny_body_tokenizer(), multiline=False))
    assert [*paths.guess([])] == [1, 2, 3]
    assert [*paths.guess([1, 2])] == [3]
    assert [*paths.guess([1, 4])] == [5]
    assert not paths.guess([1, 2, 3]) and not paths.guess([7])


def test_a_draft_is_followed_as_far_as_it_agrees():
    paths = DraftPaths([[1, 2], [1, 3, 9], [4]], canvas_tokens(tiny_body_tokenizer(), multiline=False))
    paths.see([], log_probs_of({1: 0.5, 4: 0.25}), True)
    paths.see([1], log_probs_of({2: 0.5, 3: 0.125}), True)
    paths.see([1, 2], log_probs_of({9: 1.0}), True)
    assert [math.exp(paths.most(i)) for i in range(len(paths._drafts))] == pytest.approx([0.25, 0.0625, 0.25])


def test_a_token_that_says_the_rest_and_a_line_break_counts():
    tokenizer = tiny_body_tokenizer()
    tokens = canvas_tokens(tokenizer, multiline=False)
    colon, stops = next((said[0], stops) for said, stops in tokens.joined[tokenizer.encode(":")[0]] if len(said) == 1)
    paths = DraftPaths([[colon], [colon, colon]], tokens)
    paths.see([], log_probs_of({colon: 0.25, int(stops[0]): 0.5}), True)
    assert [math.exp(paths.most(i)) for i in range(len(paths._drafts))] == pytest.approx([0.75, 0.25])


@pytest.fixture(autouse=True)
def fresh_cache(infiller: DenoisingInfiller) -> None:
    """States of tests in inference mode are of no use outside of it."""
    infiller.cache.clear()


@pytest.fixture(scope="module")
def infiller(tmp_path_factory) -> DenoisingInfiller:
    return infiller_of(load(save_body(tmp_path_factory.mktemp("body"), tiny_body(std=0.3))))


@settings(max_examples=40, deadline=None)
@given(prefix=TEXT, drafts=st.lists(TEXT, min_size=1, max_size=4), multiline=st.booleans())
def test_no_draft_is_likelier_than_its_bound_and_none_that_may_be_likely_is_missing(
    infiller: DenoisingInfiller, prefix: str, drafts: list[str], multiline: bool
):
    with torch.inference_mode():
        filling = infiller.filling(asked(prefix, offers=drafts, multiline=multiline, max_tokens=6), lambda: False)
        states, _ = drive(infiller.run, filling.cache.states(filling.context))
        fitting = drafts_for(filling.request, filling.n_open, filling.healing)
        paths = DraftPaths([draft.tokens for draft in fitting], filling.tokens)
        drive(infiller.run, filling.writing.continued(filling.context, states, paths))
        judged, _ = drive(infiller.run, infiller.filling(filling.request, lambda: False).continued(states))
        if not fitting:
            return
        verified = drive(
            infiller.run, verify(states, [each.tokens for each in fitting], filling.tokens, filling.healing)
        )
    known = {each.candidate.text: each.verified for each in judged}
    for i, (draft, scores) in enumerate(zip(fitting, verified, strict=True)):
        most = paths.most(i)
        assert float(scores.log_probs.sum()) <= most + 0.01
        assert draft.text in known or math.exp(most) < UNLIKELY + 1e-3
        own = paths.scores(i)
        if own is not None:
            assert np.allclose(np.exp(own.log_probs), np.exp(scores.log_probs), atol=1e-3)
            assert np.allclose(np.exp(own.end_log_probs), np.exp(scores.end_log_probs), atol=1e-3)
            assert own.best.tolist() == scores.best.tolist()


@settings(max_examples=60, deadline=None)
@given(
    prefix=TEXT, drafts=st.lists(TEXT, max_size=2), cap=st.sampled_from([None, 1, 2]), least=st.sampled_from([0, 0.8])
)
def test_no_candidate_claims_more_than_verifying_its_text_gives(
    infiller: DenoisingInfiller, prefix: str, drafts: list[str], cap: int | None, least: float
):
    """Where a text is cut short its end is not known, and counts as even odds: only its tokens are compared."""
    with torch.inference_mode():
        request = asked(prefix, offers=drafts, max_tokens=cap, min_probability=least, n_alternatives=4)
        filling = infiller.filling(request, lambda: False)
        states, _ = drive(infiller.run, filling.cache.states(filling.context))
        judged, row = drive(infiller.run, filling.continued(states))
        everything = drive(infiller.run, filling._judge(states, judged, [row]))
        for each in everything:
            tokens = each.candidate.tokens
            if not each.candidate.text.strip():  # what is healed and a line break as one token is for rows alone
                continue
            assert filling.healing.text_of(tokens) == each.candidate.text
            (truth,) = drive(infiller.run, verify(states, [tokens], filling.tokens, filling.healing))
            assert np.exp(each.verified.log_probs.sum()) <= np.exp(truth.log_probs.sum()) + 0.01
            if each.candidate.draft is not None or row.finish_reason == "stop":
                assert math.exp(each.verified.log_prob) <= math.exp(truth.log_prob) + 0.01


def test_what_stands_above_is_guessed(infiller: DenoisingInfiller):
    line = "x = add(a, b) + add(b, a)"
    counts = []
    for above in (line, "y"):
        prefix = f"{above}\n\nx = add(a, "
        found = written(infiller, asked(prefix), line.removeprefix("x = add(a, "), "\ny", recent=Recent())
        assert found.completion.text == line.removeprefix("x = add(a, ")
        counts.append(len(found.counts))
    assert counts[0] <= counts[1] / 2


@pytest.mark.parametrize("wanted", ["add(a, b)", "add(a, x)"])
def test_a_spent_budget_keeps_what_a_guess_had_right(infiller: DenoisingInfiller, wanted: str):
    request = asked("x = 1\nreturn", offers=[" add(a, b)"], max_evaluations=1)
    found = written(infiller, request, " " + wanted, "\ny").completion
    assert found.steps == 1 and found.text.startswith(" add(a, ")


def test_a_text_that_has_become_too_unlikely_is_written_no_further(infiller: DenoisingInfiller):
    saved = 0
    for i in range(12):
        hole = Hole(prefix=f"x = {i}\nfor ", suffix="\n", language="python", replaced=(0, 0), multiline=False)
        whole, cut = (
            infiller.complete(
                CompletionRequest(hole=hole, budget_ms=None, drafts=0, min_probability=least), lambda: False
            )
            for least in (0.0, 0.9)
        )
        assert whole.text.startswith(cut.text)
        assert cut.text == whole.text or (cut.finish_reason, cut.confidence < 0.9) == ("length", True)
        saved += whole.steps - cut.steps
    assert saved > 12
