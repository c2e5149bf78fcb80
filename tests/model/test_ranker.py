import math
from dataclasses import replace

import numpy as np
import pytest
from quicksilver.fim.drafts.search import Draft
from quicksilver.model.decoding.verification import Verified
from quicksilver.model.ranking.candidates import Candidate, merge
from quicksilver.model.ranking.ranker import Ranker, features, judge


def verified(*log_probs: float, end: float = -0.5) -> Verified:
    n = len(log_probs)
    return Verified(list(range(n)), np.array(log_probs), np.full((n + 1,), end), np.zeros(n + 1, dtype=np.int64))


DRAFT = Candidate(text="abc", tokens=(1, 2), draft=Draft("abc", "file", 12, 3))
CANVAS = Candidate(text="xy", tokens=(4,), n_canvases=1, canvas_log_prob=-1.0)
NAMES = list(features([DRAFT], [verified(-1.0, -2.0)])[0])


def test_equal_texts_are_one_candidate_that_knows_all_its_origins():
    same = Candidate(text="abc", tokens=(1, 2), n_canvases=1, canvas_log_prob=-3.0)
    (one,) = merge([DRAFT, same, same])
    assert one.draft == DRAFT.draft
    assert (one.n_canvases, one.canvas_log_prob) == (2, -3.0)
    assert [c.text for c in merge([CANVAS, DRAFT, CANVAS])] == ["xy", "abc"]


def test_a_text_is_a_part_only_where_nothing_gave_it_whole():
    part = replace(DRAFT, is_cut=True)
    assert [c.is_cut for c in merge([part, part])] == [True]
    assert [c.is_cut for c in merge([part, DRAFT])] == [False]
    assert [f["cut"] for f in features([part, DRAFT], [verified(-1.0, -2.0)] * 2)] == [1.0, 0.0]


def test_without_a_ranker_the_causal_heads_probability_decides():
    judged = judge([DRAFT, CANVAS], [verified(-1.0, -2.0), verified(-0.1)], None)
    assert [j.candidate.text for j in judged] == ["xy", "abc"]
    assert judged[0].probability == pytest.approx(math.exp(-0.6))


def test_numbers_that_are_none_are_no_reason_to_be_sure():
    ranker = Ranker(dict.fromkeys(features([Candidate(text="", tokens=())], [Verified.nothing()])[0], 1.0))
    assert ranker.probability(dict.fromkeys(ranker.weights, math.nan)) == 0.0


def test_weights_move_the_probability_the_way_their_feature_says():
    flat = dict.fromkeys(NAMES, 0.0)
    both = [DRAFT, CANVAS], [verified(-1.0, -2.0), verified(-0.1)]
    assert {j.probability for j in judge(*both, Ranker(flat))} == {0.5}
    assert judge(*both, Ranker(flat | {"draft": 2.0}))[0].candidate is DRAFT
    assert judge(*both, Ranker(flat | {"canvas": 2.0}))[0].candidate is CANVAS
    assert judge(*both, Ranker(flat | {"log_before": 1.0}))[0].candidate is DRAFT


@pytest.mark.parametrize(
    "weights",
    [
        {},
        {"bias": 1.0},
        dict.fromkeys(NAMES, float("nan")),
        dict.fromkeys(NAMES, "1"),
        dict.fromkeys([*NAMES, "more"], 0),
    ],
)
def test_a_ranker_of_another_kind_is_refused(weights):
    with pytest.raises(ValueError, match="ranker"):
        Ranker(weights)
