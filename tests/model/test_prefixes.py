"""Beginnings of candidates: where they end, what is known of them, and how likely they are right."""

import math

import numpy as np
import pytest
from quicksilver.fim.drafts.search import Draft
from quicksilver.fim.types import CompletionRequest, Hole
from quicksilver.model.checkpoint import checkpoint
from quicksilver.model.decoding.healing import Healing
from quicksilver.model.decoding.verification import Verified
from quicksilver.model.load_infiller import load_infiller
from quicksilver.model.ranking.candidates import Candidate
from quicksilver.model.ranking.prefix_confidence import (
    FEATURES,
    CursorFacts,
    PrefixRanker,
    features,
    places,
    with_prefixes,
)
from quicksilver.model.ranking.ranker import Judged
from tiny import tiny_denoiser, tiny_tokenizer

TOKENIZER = tiny_tokenizer()


def judged(text: str, probability: float = 0.5, log_prob: float = -0.5, draft: Draft | None = None) -> Judged:
    tokens = TOKENIZER.encode(text)
    n = len(tokens)
    verified = Verified(tokens, np.full((n,), log_prob), np.zeros(n + 1), np.zeros(n + 1, dtype=np.int64))
    return Judged(Candidate(text=text, tokens=tuple(tokens), draft=draft), verified, probability)


@pytest.mark.parametrize("text", ["width * height", "self.a(b)\n    x", "é😀 = 1", " ", "a", "  b"])
def test_places_are_where_words_end(text):
    found = places(judged(text), Healing(TOKENIZER))
    ends = [place.n_chars for place in found]
    assert ends == sorted(set(ends))
    assert bool(text.strip()) == bool(found) and (not found or ends[-1] == len(text))
    for place in found:
        left, right = text[place.n_chars - 1], text[place.n_chars : place.n_chars + 1]
        assert not (left.isalnum() and right.isalnum())
        assert TOKENIZER.decode(list(judged(text).candidate.tokens[: place.n_tokens])).startswith(text[: place.n_chars])


def test_what_is_agreed_on_is_counted():
    one, two, other = judged("width * 2", 0.4), judged("width * 3", 0.3), judged("height", 0.1)
    rivals = [one, two, other]
    by_end = {
        place.n_chars: features(one, place, rivals, CursorFacts("x = ")) for place in places(one, Healing(TOKENIZER))
    }
    assert by_end[5]["agreeing"] == pytest.approx(0.7) and by_end[9]["agreeing"] == pytest.approx(0.4)
    assert by_end[5]["agreeing_count"] == pytest.approx(2 / 3)
    assert (by_end[5]["whole"], by_end[9]["whole"], by_end[5]["in_word"]) == (0, 1, 0)
    assert features(one, places(one, Healing(TOKENIZER))[0], rivals, CursorFacts("x = wi"))["in_word"] == 1
    assert all(set(each) == set(FEATURES) for each in by_end.values())


def test_what_is_known_of_the_cursor():
    hole = Hole(
        prefix="a = 1\nx = wi", suffix=" \n", language="python", replaced=(12, 12), multiline=False, in_prose=True
    )
    assert CursorFacts.of(hole) == CursorFacts("x = wi", in_prose=True, nothing_below=True)
    one = judged("width")
    found = features(one, places(one, Healing(TOKENIZER))[0], [one], CursorFacts.of(hole))
    names = ("prose", "prose_word", "nothing_below", "draft_nothing_below")
    assert [found[name] for name in names] == [1, 1, 1, float(one.candidate.draft is not None)]
    assert not any(features(one, places(one, Healing(TOKENIZER))[0], [one], CursorFacts("x"))[name] for name in names)


def test_a_longer_beginning_is_never_likelier():
    upwards = PrefixRanker(dict.fromkeys(FEATURES, 0.0) | {"log_length": 2.0})  # would say so
    [found] = with_prefixes([judged("width * height + 1")], upwards, Healing(TOKENIZER), CursorFacts(""))
    sure = [p for _, p in found.prefixes]
    assert len(sure) > 2 and sure == sorted(sure, reverse=True)


def test_without_a_ranker_the_causal_heads_probability_counts():
    one = judged("width * 2", log_prob=-0.25)
    [found] = with_prefixes([one], None, Healing(TOKENIZER), CursorFacts(""))
    ends = {place.n_chars: place.n_tokens for place in places(one, Healing(TOKENIZER))}
    for n_chars, probability in found.prefixes:
        assert probability == pytest.approx(math.exp(-0.25 * ends[n_chars]), abs=1e-4)


@pytest.mark.parametrize("weights", [{}, {"bias": 1.0}, dict.fromkeys(FEATURES, math.nan), {"nonsense": 1.0}])
def test_a_ranker_of_another_kind_is_refused(weights):
    with pytest.raises(ValueError, match="prefix ranker"):
        PrefixRanker(weights)


def test_numbers_that_are_none_are_no_reason_to_be_sure():
    broken = judged("width", log_prob=math.nan)
    [found] = with_prefixes([broken], PrefixRanker(dict.fromkeys(FEATURES, 1.0)), Healing(TOKENIZER), CursorFacts(""))
    assert all(p == 0.0 for _, p in found.prefixes)


def test_an_answer_says_how_sure_its_beginnings_are_and_so_do_its_alternatives(tmp_path):
    checkpoint.save(tmp_path, "tiny", tiny_denoiser(TOKENIZER.vocab_size), TOKENIZER)
    infiller = load_infiller(tmp_path)
    prefix = "alpha = beta + gamma\nalpha = beta + delta\nalpha = be"
    hole = Hole(prefix=prefix, suffix="\n", language="python", replaced=(len(prefix), len(prefix)), multiline=False)
    answer = infiller.complete(CompletionRequest(hole=hole, budget_ms=None, n_alternatives=8), lambda: False)
    assert answer.alternatives
    for each in (answer, *answer.alternatives):
        if each.text.strip():
            assert each.prefixes and each.prefixes[-1][0] == len(each.text)
            assert all(0 <= p <= 1 for _, p in each.prefixes)


def test_a_broken_character_counts_as_the_one_that_is_shown():
    """A model may write bytes that are no character; the text shows one for them."""
    broken = next(i for i in TOKENIZER.text_ids if TOKENIZER.bytes_of(i) == b"\xff")
    tokens = [broken, *TOKENIZER.encode("ab + cd")]
    text = TOKENIZER.decode(tokens)
    n = len(tokens)
    verified = Verified(tokens, np.zeros(n), np.zeros(n + 1), np.zeros(n + 1, dtype=np.int64))
    found = places(Judged(Candidate(text=text, tokens=tuple(tokens)), verified, 0.5), Healing(TOKENIZER))
    shown = [TOKENIZER.decode(tokens[: place.n_tokens]) for place in found]
    assert [text[: place.n_chars] for place in found] == shown
    assert "\ufffdab +" in shown
