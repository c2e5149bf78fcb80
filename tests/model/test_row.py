import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from quicksilver.model.row import Row

PROBABILITIES = st.floats(0.01, 0.99)
PLACES = st.lists(st.tuples(PROBABILITIES, PROBABILITIES, st.booleans()), max_size=8)


def row(places):
    made = Row()
    for i, (token, end, may) in enumerate(places):
        made.add([i], [math.log(token)], [math.log(end)], [may])
    return made


def scores(places):
    """The probability of every answer that ends before a token that may give way, multiplied out."""
    return {
        n: math.prod(token for token, _, _ in places[:n]) * end
        for n, (_, end, may) in enumerate(places)
        if may and n > 0
    }


@given(PLACES)
def test_the_best_end_has_the_highest_probability_of_text_and_end(places):
    n, score = row(places).best_end()
    expected = scores(places)
    if expected:
        assert expected[n] == pytest.approx(max(expected.values()))
        assert math.exp(score) == pytest.approx(expected[n])
    else:
        assert (n, score) == (0, float("-inf"))


@given(PLACES, st.lists(st.tuples(PROBABILITIES, PROBABILITIES, st.just(True)), max_size=4))
def test_once_settled_nothing_that_follows_wins(places, more):
    made = row(places)
    if made.is_settled():
        assert row([*places, *more]).best_end() == made.best_end()


@given(PLACES)
def test_a_cut_drops_what_is_less_likely_than_an_end_before_it(places):
    whole = math.prod(token for token, _, _ in places)
    made = row(places)
    made.cut()
    best = max(scores(places).values(), default=0.0)
    assert math.exp(made.log_prob) == pytest.approx(max(whole, best))
    assert len(made.tokens) == (len(places) if best <= whole else row(places).best_end()[0])


def test_a_cut_keeps_why_the_budget_ended_it():
    for reason, expected in {"length": "stop", "stop": "stop", "budget": "budget"}.items():
        made = row([(0.9, 0.1, True), (0.1, 0.9, True)])
        made.finish_reason = reason
        made.cut()
        assert (made.tokens, made.finish_reason) == ([0], expected)


def test_adding_in_parts_is_adding_at_once():
    places = [(0.5, 0.1, True), (0.7, 0.2, False), (0.9, 0.6, True)]
    at_once = row(places)
    tokens, ends, may = zip(*places, strict=True)
    parts = Row()
    for start, stop in itertools.pairwise((0, 1, 3)):
        cut = slice(start, stop)
        parts.add(
            list(range(3))[cut], [math.log(t) for t in tokens[cut]], [math.log(e) for e in ends[cut]], list(may[cut])
        )
    assert parts.log_prob == pytest.approx(at_once.log_prob)
    parts.log_prob = at_once.log_prob
    assert parts == at_once
