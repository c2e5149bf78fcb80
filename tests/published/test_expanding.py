"""Canvases that change their length, and how a length is chosen where they cannot."""

import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from quicksilver.model.published.expanding import expander
from quicksilver.model.published.lengths import best_row, likely_lengths, of_lengths
from quicksilver.model.tokenizers.canvas_tokens import CanvasTokens

MASK, END, EXPAND, V = 20, 21, 22, 23
NOTHING = np.zeros(V, dtype=np.bool_)
TOKENS = CanvasTokens(mask=MASK, end=END, forbidden=NOTHING, stops=np.arange(V) == END, may_end_before=NOTHING)


@given(st.lists(st.sampled_from([1, 2, MASK, EXPAND]), max_size=9), st.integers(0, 6))
def test_expanding(cells: list[int], n_free: int):
    """Text keeps its order and its scores; an expansion is two masks, or one where there is no room; none is left."""
    n = len(cells) + n_free
    if not n:
        return
    canvas = np.array([[*cells, *[END] * n_free]])
    scores = np.arange(n, dtype=np.float32)[None]
    new, log_probs, _ = expander(EXPAND, TOKENS)(canvas, scores, scores)
    assert new.shape == canvas.shape and not bool((new == EXPAND).any())
    old_text = [(token, float(i)) for i, token in enumerate(cells) if token not in (EXPAND, MASK)]
    got = new[0].tolist()
    new_text = [(token, float(log_probs[0, i])) for i, token in enumerate(got) if token not in (MASK, END)]
    assert new_text == old_text
    n_expand = cells.count(EXPAND)
    assert got.count(MASK) == cells.count(MASK) + n_expand + min(n_expand, n_free)
    assert got == sorted(got, key=lambda token: token == END)  # what is free stays behind


def test_likely_lengths():
    """The longest, then where ends are likely; parts of it where nothing is said."""
    log_probs = np.full((12, V), math.log(1e-4))
    log_probs[5, END], log_probs[8, END] = math.log(0.6), math.log(0.3)
    assert likely_lengths(log_probs, TOKENS, 3) == [12, 5, 8]
    assert likely_lengths(np.full((12, V), -30.0), TOKENS, 3) == [12, 3, 6]
    assert likely_lengths(np.full((1, V), -30.0), TOKENS, 3) == [1]


def test_canvases_of_lengths():
    assert of_lengths([3, 1], TOKENS).tolist() == [[MASK, MASK, MASK], [MASK, END, END]]


def test_the_best_row_is_the_likeliest_on_average():
    canvas = np.array([[1, 2, 3, 4], [1, 2, END, END], [END, END, END, END]])
    log_probs = np.array([[-1.0, -1.0, -1.0, -1.0], [-0.5, -0.9, 0.0, 0.0], [0.0, 0.0, 0.0, 0.0]])
    assert best_row(canvas, log_probs, TOKENS) == 1
