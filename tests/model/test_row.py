import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from quicksilver.fim.types import FinishReason
from quicksilver.model.decoding.partial_answer import PartialAnswer

PROBABILITIES = st.floats(0.01, 0.99)
PLACES = st.lists(st.tuples(PROBABILITIES, PROBABILITIES, st.booleans()), max_size=8)


def row(places, by_lines=False):
    made = PartialAnswer("median" if by_lines else "likeliest")
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
def test_inside_a_line_the_end_has_the_highest_probability_of_text_and_end(places):
    whole = math.prod(token for token, _, _ in places)
    expected = scores(places)
    end = row(places).end()
    if max(expected.values(), default=0.0) > whole * (1 + 1e-9):
        assert end is not None
        assert expected[end[0]] == pytest.approx(max(expected.values()))
        assert math.exp(end[1]) == pytest.approx(expected[end[0]])
    else:
        assert end is None or expected[end[0]] == pytest.approx(whole)


@given(PLACES, st.lists(st.tuples(PROBABILITIES, PROBABILITIES, st.just(True)), max_size=4), st.booleans())
def test_once_there_is_an_end_nothing_that_follows_changes_it(places, more, by_lines):
    before, after = row(places, by_lines), row([*places, *more], by_lines)
    if before.end() is not None:
        assert after.end() == before.end()


@given(PLACES)
def test_whole_lines_end_where_it_has_ended_more_likely_than_not(places):
    end = row(places, by_lines=True).end()
    n_last = len(places) if end is None else end[0]
    goes_on = [1 - e for n, (_, e, may) in enumerate(places) if may and 0 < n <= n_last]
    assert (math.prod(goes_on) < 0.5) == (end is not None)
    assert end is None or math.prod(goes_on[:-1]) >= 0.5


@given(PLACES)
def test_a_cut_drops_what_follows_the_end(places):
    made = row(places)
    end = made.end()
    made.cut()
    expected = (len(places), pytest.approx(sum(math.log(token) for token, _, _ in places))) if end is None else end
    assert (len(made.tokens), made.log_prob) == expected


def test_a_cut_keeps_why_the_budget_ended_it():
    cases: dict[FinishReason, FinishReason] = {"length": "stop", "stop": "stop", "budget": "budget"}
    for reason, expected in cases.items():
        made = row([(0.9, 0.1, True), (0.1, 0.9, True)])
        made.finish_reason = reason
        made.cut()
        assert (made.tokens, made.finish_reason) == ([0], expected)


def test_adding_in_parts_is_adding_at_once():
    places = [(0.5, 0.1, True), (0.7, 0.2, False), (0.9, 0.6, True)]
    at_once = row(places)
    tokens, ends, may = zip(*places, strict=True)
    parts = PartialAnswer()
    for start, stop in itertools.pairwise((0, 1, 3)):
        cut = slice(start, stop)
        parts.add(
            list(range(3))[cut], [math.log(t) for t in tokens[cut]], [math.log(e) for e in ends[cut]], list(may[cut])
        )
    assert parts.log_prob == pytest.approx(at_once.log_prob)
    parts.log_prob = at_once.log_prob
    assert parts == at_once


@given(st.lists(PLACES, max_size=5), st.sampled_from(["likeliest", "median", "itself"]), PROBABILITIES)
def test_what_is_settled_stays_whatever_follows(parts, end_rule, end):
    """Rows grow by one or several tokens until they end, by their rule or by an end token."""
    made, settled = PartialAnswer(end_rule), [0]
    for part in parts:
        for token, ends, may in part:
            made.add([len(made.tokens)], [math.log(token)], [math.log(ends)], [may])
        settled.append(made.n_settled)
        if made.end() is not None:
            break
    made.log_prob += math.log(end)  # that of an end token, perhaps
    made.cut()
    assert settled == sorted(settled)
    assert settled[-1] <= len(made.tokens)
    assert made.n_settled == len(made.tokens) or end_rule == "likeliest"
