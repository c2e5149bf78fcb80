"""Pages: whatever is stored, shared and evicted, what is read back is what a fresh pass computes."""

import weakref

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from quicksilver.model.cache import pages as pages_module
from quicksilver.model.cache.pages import N_PAGE, PageStore
from quicksilver.model.common_prefix import common_prefix
from quicksilver.model.network.states import ContextStates, LayerStates, newest, truncate
from tiny import assert_near, tiny_denoiser

MODEL = tiny_denoiser()


def fresh(tokens: list[int]) -> ContextStates:
    with torch.inference_mode():
        return MODEL.context(torch.tensor([tokens]))[1]


def bytes_per_page() -> int:
    store = PageStore(10**7)
    store.write([1], 0, fresh([1]))
    return store.n_bytes


BYTES = bytes_per_page()


def store(store: PageStore, tokens: list[int]) -> int:
    """Store tokens as a request would; how many were there already."""
    n = store.find(tokens).n_tokens
    if n < len(tokens):
        states = fresh(tokens)
        layers = [type(s)(s.keys[:, :, n:], s.values[:, :, n:], s.raw[:, n:]) for s in states.layers]
        store.write(tokens, n, ContextStates(layers, states.copy_keys[:, n:], states.tokens[:, n:]))
    return n


def check(store: PageStore, tokens: list[int]) -> None:
    found = store.find(tokens)
    states = store.read(found)
    if states is None:
        assert found.n_tokens == 0
        return
    n = found.n_tokens
    expected = fresh(tokens[:n])
    assert states.tokens.tolist() == [tokens[:n]]
    assert_near(states.copy_keys, expected.copy_keys)
    for ours, theirs in zip(states.layers, expected.layers, strict=True):
        assert_near(ours.keys, theirs.keys)
        assert_near(ours.values, theirs.values)
        assert_near(ours.raw, theirs.raw[:, -2:])


def check_tree(store: PageStore) -> None:
    pages = list(store.pages())
    assert len({page.index for page in pages}) == len(pages)
    assert store.n_bytes <= store.max_bytes
    for page in pages:
        assert 0 < len(page.tokens) <= N_PAGE
        assert not page.children or len(page.tokens) == N_PAGE


TEXTS = st.lists(
    st.tuples(st.integers(0, 3), st.integers(1, 90), st.lists(st.integers(0, 2), max_size=3)), min_size=1, max_size=12
)


@settings(deadline=None, max_examples=40)
@given(TEXTS, st.sampled_from([0, 1, 3, 5, 40]))
def test_any_contexts_in_any_memory(texts, n_pages):
    pages = PageStore(n_pages * BYTES)
    every = []
    for first, n, end in texts:
        tokens = [first, *range(100, 100 + n), *end]
        store(pages, tokens)
        every.append(tokens)
        check_tree(pages)
        check(pages, tokens)
    for tokens in every:
        check(pages, tokens)


def test_shared_text_is_stored_once():
    pages = PageStore(100 * BYTES)
    shared = list(range(100, 100 + 2 * N_PAGE))
    assert store(pages, [*shared, 1, 2]) == 0
    assert store(pages, [*shared, 3]) == 2 * N_PAGE
    assert pages.n_bytes == 4 * BYTES  # two shared, one each


def test_typing_goes_on_in_the_same_page():
    pages = PageStore(100 * BYTES)
    for n in range(1, N_PAGE + 2):
        assert store(pages, list(range(n))) == n - 1
    assert pages.n_bytes == 2 * BYTES


def test_a_token_that_changes_while_it_is_typed_takes_no_new_page():
    pages = PageStore(100 * BYTES)
    for word in range(200, 220):  # "i", "im", "imp" …: the last token is another one after every key
        store(pages, [*range(20), word])
    assert pages.n_bytes == BYTES


def test_the_least_recently_used_goes_first():
    pages = PageStore(3 * BYTES)
    for first in (1, 2, 3):
        store(pages, [first, 50])
    pages.find([1, 50])
    store(pages, [4, 50])
    assert [pages.find([first, 50]).n_tokens for first in (1, 2, 3, 4)] == [2, 0, 2, 2]


def test_a_context_longer_than_the_memory_keeps_its_beginning():
    pages = PageStore(2 * BYTES)
    tokens = list(range(100, 100 + 5 * N_PAGE))
    store(pages, tokens)
    assert pages.find(tokens).n_tokens == 2 * N_PAGE
    check(pages, tokens)


def test_clear():
    pages = PageStore(4 * BYTES)
    store(pages, list(range(100)))
    pages.clear()
    assert (pages.n_bytes, pages.find(list(range(100))).n_tokens) == (0, 0)
    for first in range(4):
        store(pages, [first, 5])
    assert pages.n_bytes == 4 * BYTES


@given(st.lists(st.integers(0, 3)), st.lists(st.integers(0, 3)))
def test_common_prefix(a, b):
    n = common_prefix(a, b)
    assert a[:n] == b[:n]
    assert n == min(len(a), len(b)) or a[n] != b[n]


def test_states_that_hold_too_little_cannot_be_cut():
    pages = PageStore(10 * BYTES)
    store(pages, list(range(10)))
    states = pages.read(pages.find(list(range(10))))
    assert states is not None
    assert_near(truncate(states, 9).layers[0].raw, fresh(list(range(9))).layers[0].raw[:, -1:])
    with pytest.raises(ValueError, match="cannot be cut to 8"):
        truncate(states, 8)


def test_memory_that_cannot_be_had_is_halved(monkeypatch, caplog):
    real = pages_module._Memory

    def scarce(like, max_bytes):
        if max_bytes > 4 * BYTES:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory")
        return real(like, max_bytes)

    monkeypatch.setattr(pages_module, "_Memory", scarce)
    pages = PageStore(16 * BYTES)
    for first in range(6):
        store(pages, [first, 5])
    assert pages.n_bytes == 4 * BYTES
    assert caplog.text.count("no memory for that many") == 2


def test_clearing_gives_the_memory_back():
    pages = PageStore(4 * BYTES)
    store(pages, [1, 2])
    assert pages._memory is not None
    held = weakref.ref(pages._memory.keys)
    pages.clear()
    assert held() is None


def test_pages_of_arrays_without_pytorch():
    """As OpenVINO has them: bfloat16 in unsigned integers."""
    rng = np.random.default_rng(0)
    layers = [
        LayerStates(*(rng.integers(0, 2**16, shape, np.uint16) for shape in ((1, 2, 40, 4), (1, 2, 40, 4), (1, 40, 8))))
        for _ in range(3)
    ]
    states = ContextStates(layers, rng.random((1, 40, 5), np.float32), np.arange(40)[None])
    pages = PageStore(10**6)
    pages.write(list(range(40)), 0, states)
    pages.write([*range(35), 77], 35, truncate(newest(states, 2), 1))
    found = pages.read(pages.find(list(range(40))))
    assert found is not None and found.layers[0].keys.dtype == np.uint16
    assert np.array_equal(found.tokens, states.tokens) and np.array_equal(found.copy_keys, states.copy_keys)
    for ours, theirs in zip(found.layers, states.layers, strict=True):
        assert np.array_equal(ours.keys, theirs.keys) and np.array_equal(ours.values, theirs.values)
        assert np.array_equal(ours.raw, theirs.raw[:, -2:])
    assert pages.find([*range(35), 77]).n_tokens == 36
