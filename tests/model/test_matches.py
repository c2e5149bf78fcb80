"""Match lengths against a count by hand, one token at a time."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from quicksilver.model.config import MATCH_BOUNDS, N_MATCH_CLASSES, N_MATCH_GAPS
from quicksilver.model.network.matches import (
    N_MAX,
    canvas_matches,
    classes,
    context_matches,
    tree_matches,
)

SKIPPED, MASK = 7, 8

texts = st.lists(st.integers(0, 2), min_size=2, max_size=40)


def agreement(a: list[int], b: list[int]) -> int:
    """How many tokens at the ends of a and b are the same."""
    n = 0
    while n < min(len(a), len(b), N_MAX) and a[-1 - n] == b[-1 - n]:
        n += 1
    return n


@settings(deadline=None, max_examples=60)
@given(texts, st.data())
def test_context_lengths_are_those_counted_by_hand(text, data):
    n = data.draw(st.integers(1, len(text)))
    lengths = context_matches(torch.tensor([text]), n)[0]
    for i in range(n):
        here = len(text) - n + i
        for j in range(min(here, len(text) - 1)):
            assert lengths[i, j] == agreement(text[: here + 1], text[: j + 1])


@settings(deadline=None, max_examples=60)
@given(texts, st.data())
def test_a_skipped_token_is_as_if_it_were_not_there(text, data):
    at = data.draw(st.integers(1, len(text)))
    with_mark = [*text[:at], SKIPPED, *text[at:]]
    n = data.draw(st.integers(1, len(with_mark)))
    lengths = context_matches(torch.tensor([with_mark]), n, SKIPPED)[0]
    for i in range(n):
        here = len(with_mark) - n + i
        for j in range(min(here, len(with_mark) - 1)):
            before_i, before_j = ([t for t in with_mark[: k + 1] if t != SKIPPED] for k in (here, j))
            expected = 0 if with_mark[j + 1] == SKIPPED else agreement(before_i, before_j)
            if len(before_i) != len(before_j):
                assert lengths[i, j] == expected


def test_rows_of_a_batch_may_have_the_skipped_token_at_different_places():
    a, b = [1, 2, SKIPPED, 1, 2, 1], [SKIPPED, 0, 1, 0, 1, 0]
    together = context_matches(torch.tensor([a, b]), 4, SKIPPED)
    for row, text in zip(together, (a, b), strict=True):
        assert torch.equal(row, context_matches(torch.tensor([text]), 4, SKIPPED)[0])


@settings(deadline=None, max_examples=100)
@given(texts, st.booleans(), st.booleans(), st.data())
def test_tree_lengths_are_those_counted_by_hand(text, has_mark, in_context, data):
    n = data.draw(st.integers(1, 9))
    tokens = data.draw(st.lists(st.integers(0, 2), min_size=n, max_size=n))
    parents = [data.draw(st.integers(-1, i - 1)) for i in range(n)]
    if has_mark:
        tokens[0] = SKIPPED
    if in_context:
        text = [text[0], SKIPPED, *text[1:]] if has_mark else text
    before = torch.tensor(parents) + 1
    lengths = tree_matches(torch.tensor(text), torch.tensor(tokens), before, SKIPPED if has_mark else None)
    assert lengths.shape == (n, len(text) - 1 + n)

    def path(node: int) -> list[int]:
        whole = text if node < 0 else [*path(parents[node]), tokens[node]]
        return [t for t in whole if t != SKIPPED]

    for i in range(n):
        for j, follower in enumerate([*text[1:], *tokens]):
            end = path(parents[j - len(text) + 1]) if j >= len(text) - 1 else [t for t in text[: j + 1] if t != SKIPPED]
            assert lengths[i, j] == (0 if follower == SKIPPED else agreement(path(i), end))


@settings(deadline=None, max_examples=60)
@given(texts, st.lists(st.sampled_from([0, 1, 2, MASK]), min_size=1, max_size=9))
def test_canvas_lengths_are_those_counted_by_hand(text, canvas):
    tokens, row = torch.tensor([text]), torch.tensor([[canvas]])
    before = context_matches(tokens, 1)
    lengths, gaps = canvas_matches(row, row == MASK, tokens, before)
    assert lengths.shape == (1, 1, len(canvas), len(text) - 1)
    for p in range(len(canvas)):
        gap = 0
        while gap < p and canvas[p - 1 - gap] == MASK:
            gap += 1
        assert gaps[0, 0, p] == min(gap, N_MATCH_GAPS - 1)
        for j in range(len(text) - 1):
            if j < p:  # laid over the beginning of the context
                assert lengths[0, 0, p, j] == 0
                continue
            laid = j - p
            length = int(before[0, 0, laid])
            for q in range(p):
                if canvas[q] != MASK:
                    length = length + 1 if text[laid + 1 + q] == canvas[q] else 0
            assert lengths[0, 0, p, j] == min(length, N_MAX)


def test_canvases_of_one_batch_do_not_touch_each_other():
    tokens = torch.randint(0, 3, (2, 30), generator=torch.Generator().manual_seed(1))
    canvases = torch.randint(0, 4, (2, 3, 5), generator=torch.Generator().manual_seed(2))
    before = context_matches(tokens, 30)[:, [4, 20, 29]]
    lengths, gaps = canvas_matches(canvases, canvases == 3, tokens, before)
    for b in range(2):
        for m in range(3):
            one = canvases[b : b + 1, m : m + 1]
            alone, gap = canvas_matches(one, one == 3, tokens[b : b + 1], before[b : b + 1, m : m + 1])
            assert torch.equal(lengths[b, m], alone[0, 0])
            assert torch.equal(gaps[b, m], gap[0, 0])


def test_classes_begin_at_their_bounds():
    lengths = torch.arange(N_MAX + 1, dtype=torch.uint8)
    expected = [sum(length >= bound for bound in MATCH_BOUNDS) for length in range(N_MAX + 1)]
    assert classes(lengths).tolist() == expected
    assert expected[-1] == N_MATCH_CLASSES - 1
