import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from quicksilver.model.policies import everything, one, threshold, top_k

CANVAS = st.lists(st.tuples(st.floats(0, 1, width=32), st.booleans()), min_size=1, max_size=12)


def tensors(cells):
    return torch.tensor([[c for c, _ in cells]]), torch.tensor([[e for _, e in cells]])


@given(CANVAS, st.integers(1, 5), st.floats(0.1, 1))
def test_only_eligible_positions_are_chosen(cells, k, least):
    confidence, eligible = tensors(cells)
    for policy in (one, top_k(k), threshold(least), everything):
        assert not (policy(confidence, eligible) & ~eligible).any()


@given(CANVAS, st.integers(1, 5))
def test_top_k_takes_the_surest(cells, k):
    confidence, eligible = tensors(cells)
    chosen = top_k(k)(confidence, eligible)
    assert int(chosen.sum()) == min(k, int(eligible.sum()))
    left = eligible & ~chosen
    if chosen.any() and left.any():
        assert confidence[chosen].min() >= confidence[left].max()


def test_threshold_and_everything():
    confidence, eligible = torch.tensor([[0.9, 0.5, 0.95]]), torch.tensor([[True, True, False]])
    assert threshold(0.8)(confidence, eligible).tolist() == [[True, False, False]]
    assert everything(confidence, eligible).tolist() == [[True, True, False]]


@pytest.mark.parametrize("bad", [0, -1])
def test_top_k_needs_a_number(bad):
    with pytest.raises(ValueError):
        top_k(bad)


@pytest.mark.parametrize("bad", [0.0, 1.5, float("nan")])
def test_threshold_needs_a_probability(bad):
    with pytest.raises(ValueError):
        threshold(bad)
