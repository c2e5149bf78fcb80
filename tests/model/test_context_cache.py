import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from quicksilver.model.context_cache import ContextCache, common_prefix, n_bytes
from quicksilver.model.forwards import ModelRunner, drive
from tiny import assert_near, tiny_denoiser

MODEL = tiny_denoiser()


class Counting(ModelRunner):
    """Counts the context tokens that are run, and in how many parts."""

    def __init__(self):
        super().__init__(MODEL)
        self.parts = []

    def __call__(self, asks):
        self.parts += [ask.tokens.shape[1] for ask in asks]
        return super().__call__(asks)


def read(cache, tokens, run=None):
    return drive(run or ModelRunner(MODEL), cache.states(tokens))


EDITS = st.lists(st.tuples(st.integers(0, 12), st.lists(st.integers(0, 299), max_size=6)), min_size=1, max_size=8)


@settings(deadline=None, max_examples=30)
@given(EDITS)
def test_cached_equals_uncached_over_any_typing(edits):
    """Each edit deletes some tokens at the end and types others; canvases must come out as from a fresh context."""
    cache, text = ContextCache(n_chunk=4), [5, 6, 7]
    canvas = torch.randint(0, 300, (1, 1, 8), generator=torch.Generator().manual_seed(1))
    for n_deleted, typed in edits:
        text = (text[: max(1, len(text) - n_deleted)] + typed) or [5]
        states, _ = read(cache, text)
        with torch.inference_mode():
            _, fresh = MODEL.context(torch.tensor([text]))
            expected = MODEL.log_probs(MODEL.canvas(canvas, fresh).squeeze(1), fresh, canvas[0])
            got = MODEL.log_probs(MODEL.canvas(canvas, states).squeeze(1), states, canvas[0])
        assert_near(got, expected)


def test_only_new_tokens_are_run():
    counting, cache = Counting(), ContextCache()
    for n, n_cached in ((50, 0), (53, 50), (53, 53), (40, 40)):
        assert read(cache, list(range(n)), counting)[1] == n_cached
    assert counting.parts == [50, 3]


def test_long_contexts_are_run_in_parts_and_each_part_is_kept():
    counting, cache = Counting(), ContextCache(n_chunk=8)
    work = cache.states(list(range(20)))
    ask = next(work)
    ask = work.send(counting([ask])[0])
    work.close()  # given up after the first part
    assert read(cache, list(range(20)), counting)[1] == 8
    assert counting.parts == [8, 8, 4]
    assert len(cache) == 1


def test_typing_keeps_one_entry_and_other_files_their_own():
    cache = ContextCache()
    for n in range(20, 30):
        read(cache, list(range(n)))
        read(cache, [9, *range(n)])
    assert len(cache) == 2


def test_evicted_and_rebuilt_equals_fresh():
    _, states = MODEL.context(torch.tensor([list(range(20))]))
    cache = ContextCache(max_bytes=2 * n_bytes(states) + 1)
    kept, _ = read(cache, list(range(20)))
    for first in range(100, 105):
        read(cache, [first, *range(19)])
    assert cache.n_bytes <= cache.max_bytes
    again, n_cached = read(cache, list(range(20)))
    assert n_cached == 0
    assert_near(again.layers[0].keys, kept.layers[0].keys)


def test_one_context_beyond_the_cap_still_works():
    cache = ContextCache(max_bytes=1)
    assert read(cache, [1, 2, 3])[0].n_tokens == 3
    assert len(cache) == 1


def test_an_empty_context_is_refused():
    with pytest.raises(ValueError):
        read(ContextCache(), [])


@given(st.lists(st.integers(0, 3)), st.lists(st.integers(0, 3)))
def test_common_prefix(a, b):
    n = common_prefix(a, b)
    assert a[:n] == b[:n]
    assert n == min(len(a), len(b)) or a[n] != b[n]
