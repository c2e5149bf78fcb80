import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from quicksilver.model.cache.context_cache import ContextCache
from quicksilver.model.cache.pages import N_PAGE
from quicksilver.model.requests import Context
from quicksilver.model.runners.batching import ModelRunner
from quicksilver.model.runners.drive import drive, drive_all
from tiny import assert_near, tiny_denoiser

MODEL = tiny_denoiser()


class Counting(ModelRunner):
    """Counts the context tokens that are run, and in how many parts."""

    def __init__(self):
        super().__init__(MODEL)
        self.parts = []

    def __call__(self, asks):
        self.parts += [ask.tokens.shape[1] for ask in asks if isinstance(ask, Context)]
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


def test_what_two_contexts_share_is_run_once():
    counting, cache = Counting(), ContextCache()
    shared = list(range(100, 100 + 3 * N_PAGE))
    read(cache, [*shared, 1, 2, 3], counting)
    assert read(cache, [*shared, 4, 5], counting)[1] == 96
    assert read(cache, [*shared, 1, 2, 3, 6], counting)[1] == 99
    assert counting.parts == [99, 2, 1]


def test_two_requests_that_read_the_same_context_at_the_same_time():
    cache, run = ContextCache(n_chunk=8), ModelRunner(MODEL)
    text = list(range(50, 90))
    (one, _), (other, _) = drive_all(run, [cache.states(text), cache.states([*text, 7])])
    _, fresh = MODEL.context(torch.tensor([text]))
    assert_near(one.layers[2].keys, fresh.layers[2].keys)
    assert_near(other.layers[2].keys[:, :, :40], fresh.layers[2].keys)
    assert read(cache, [*text, 7])[1] == 41


def test_a_context_evicted_while_it_is_read():
    """The second part finds that the first is gone: it is not stored, and the states are right all the same."""
    cache, run = ContextCache(n_chunk=40), ModelRunner(MODEL)
    text = list(range(100, 180))
    work = cache.states(text)
    reply = run([next(work)])[0]
    ask = work.send(reply)
    cache.clear()
    with pytest.raises(StopIteration) as end:
        work.send(run([ask])[0])
    states, n_cached = end.value.value
    _, fresh = MODEL.context(torch.tensor([text]))
    assert_near(states.layers[2].keys, fresh.layers[2].keys)
    assert n_cached == 0
    assert read(cache, text)[1] == 0


def test_without_any_memory_it_still_works():
    cache = ContextCache(max_bytes=1)
    assert read(cache, [1, 2, 3])[0].n_tokens == 3
    assert read(cache, [1, 2, 3])[1] == 0
    assert cache.store.n_bytes == 0


def test_an_empty_context_is_refused():
    with pytest.raises(ValueError):
        read(ContextCache(), [])
