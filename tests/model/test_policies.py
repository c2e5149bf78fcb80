import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from quicksilver.model.decoding.policies import Scores, entropy_budget, everything, left, one, threshold, top_k

CANVAS = st.lists(st.tuples(st.floats(0, 1, width=32), st.booleans()), min_size=1, max_size=12)


def scores(confidence):
    """Scores whose entropy is 1 - confidence."""
    return Scores(confidence, lambda: 1 - confidence)


def tensors(cells):
    return np.array([[c for c, _ in cells]]), np.array([[e for _, e in cells]])


@given(CANVAS, st.integers(1, 5), st.floats(0.1, 1))
def test_only_eligible_positions_are_chosen(cells, k, least):
    confidence, eligible = tensors(cells)
    for policy in (one, left, top_k(k), threshold(least), entropy_budget(least), everything):
        assert not (policy(scores(confidence), eligible) & ~eligible).any()


@given(CANVAS, st.integers(1, 5))
def test_top_k_takes_the_surest(cells, k):
    confidence, eligible = tensors(cells)
    chosen = top_k(k)(scores(confidence), eligible)
    assert int(chosen.sum()) == min(k, int(eligible.sum()))
    left = eligible & ~chosen
    if chosen.any() and left.any():
        assert confidence[chosen].min() >= confidence[left].max()


@given(CANVAS)
def test_left_takes_the_first_eligible_position_alone(cells):
    confidence, eligible = tensors(cells)
    chosen = left(scores(confidence), eligible)[0].tolist()
    first = next((i for i, is_eligible in enumerate(eligible[0].tolist()) if is_eligible), None)
    assert [i for i, is_chosen in enumerate(chosen) if is_chosen] == ([] if first is None else [first])


def test_threshold_and_everything():
    confidence, eligible = np.array([[0.9, 0.5, 0.95]]), np.array([[True, True, False]])
    assert threshold(0.8)(scores(confidence), eligible).tolist() == [[True, False, False]]
    assert everything(scores(confidence), eligible).tolist() == [[True, True, False]]


@pytest.mark.parametrize("bad", [0, -1])
def test_top_k_needs_a_number(bad):
    with pytest.raises(ValueError):
        top_k(bad)


@pytest.mark.parametrize("bad", [0.0, 1.5, float("nan")])
def test_threshold_needs_a_probability(bad):
    with pytest.raises(ValueError):
        threshold(bad)


@given(CANVAS, st.floats(0, 3))
def test_an_entropy_budget_takes_the_least_uncertain(cells, nats):
    confidence, eligible = tensors(cells)
    entropy = 1 - confidence
    chosen = entropy_budget(nats)(scores(confidence), eligible)
    assert bool(chosen.any()) == bool(eligible.any())
    left = eligible & ~chosen
    if chosen.any():
        assert float(entropy[chosen].sum() - entropy[chosen].max()) <= nats + 1e-5
    if chosen.any() and left.any():
        assert entropy[chosen].max() <= entropy[left].min()
        assert float(entropy[chosen].sum()) >= nats - 1e-5  # one more would be too many


def test_an_entropy_budget_counts_all_but_the_last():
    confidence = 1 - np.array([[0.3, 0.1, 0.25, 0.9], [0.3, 0.3, 0.3, 0.3]])
    eligible = np.ones((2, 4), np.bool_)
    chosen = entropy_budget(0.36)(scores(confidence), eligible)
    assert chosen.tolist() == [[True, True, True, False], [True, True, False, False]]
    assert entropy_budget(0.0)(scores(confidence), eligible).sum(-1).tolist() == [1, 1]


@pytest.mark.parametrize("bad", [-0.1, float("nan")])
def test_an_entropy_budget_is_not_negative(bad):
    with pytest.raises(ValueError):
        entropy_budget(bad)
