"""Context states kept between requests, found again by their longest common prefix.

Exact: what is reused is what a fresh pass would compute, because context is causal and never sees a canvas. Knows
token ids and states; knows no text.
"""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from .blocks import LayerStates
from .denoiser import ContextStates
from .forwards import Context, Work

N_CHUNK = 256  # context tokens run at a time: how long others wait, and a cancelled request goes on


@dataclass(frozen=True)
class Entry:
    """One context: its token ids and their states."""

    tokens: tuple[int, ...]
    states: ContextStates


class ContextCache:
    """Least recently used contexts under a cap on their bytes. For one thread."""

    def __init__(self, max_bytes: int = 256 * 1024 * 1024, n_chunk: int = N_CHUNK) -> None:
        self.n_chunk = n_chunk
        self.max_bytes = max_bytes
        self._entries: OrderedDict[int, Entry] = OrderedDict()
        self._n_made = 0

    def states(self, tokens: Sequence[int]) -> Work[tuple[ContextStates, int]]:
        """States of the whole context, and how many of its tokens were cached. Asks only for the others.

        They are asked for in chunks, and what has been run is kept, so that a long context can be given up between two
        chunks and gone on with later. Raises ValueError for an empty context.
        """
        if not tokens:
            raise ValueError("a context needs at least one token")
        wanted = tuple(tokens)
        key, n_cached = self._best(wanted)
        past = None
        if key is not None and n_cached:
            past = truncated(self._entries[key].states, n_cached)
        if n_cached == len(wanted):
            assert past is not None and key is not None
            self._entries.move_to_end(key)
            return past, n_cached
        states = past
        for start in range(n_cached, len(wanted), self.n_chunk):
            end = min(start + self.n_chunk, len(wanted))
            reply = yield Context(torch.tensor([wanted[start:end]]), states)
            assert isinstance(reply, ContextStates)
            states = reply
            key = self._keep(wanted[:end], states, key, start)
        assert states is not None
        return states, n_cached

    def _keep(self, tokens: tuple[int, ...], states: ContextStates, key: int | None, n_shared: int) -> int:
        """Add an entry; it takes the place of the one under key if that shares most of its tokens, n_shared."""
        if key in self._entries and 2 * n_shared >= len(self._entries[key].tokens):
            del self._entries[key]  # the same text some keystrokes ago
        self._n_made += 1
        self._entries[self._n_made] = Entry(tokens, states)
        self._evict()
        return self._n_made

    def clear(self) -> None:
        """Forget every context."""
        self._entries.clear()

    def _best(self, wanted: tuple[int, ...]) -> tuple[int | None, int]:
        best, n_best = None, 0
        for key, entry in self._entries.items():
            n = common_prefix(entry.tokens, wanted)
            if n > n_best:
                best, n_best = key, n
        return best, n_best

    def _evict(self) -> None:
        while len(self._entries) > 1 and self.n_bytes > self.max_bytes:
            self._entries.popitem(last=False)

    @property
    def n_bytes(self) -> int:
        """Bytes held by all entries."""
        return sum(n_bytes(entry.states) for entry in self._entries.values())

    def __len__(self) -> int:
        return len(self._entries)


def common_prefix(a: Sequence[int], b: Sequence[int]) -> int:
    """The number of leading items that two sequences share."""
    n = 0
    for x, y in zip(a, b, strict=False):
        if x != y:
            break
        n += 1
    return n


def truncated(states: ContextStates, n: int) -> ContextStates:
    """The first n tokens' states, as views."""
    if n == states.n_tokens:
        return states
    layers = [LayerStates(s.keys[:, :, :n], s.values[:, :, :n], s.raw[:, :n]) for s in states.layers]
    return ContextStates(layers, states.copy_keys[:, :n], states.tokens[:, :n])


def n_bytes(states: ContextStates) -> int:
    """Bytes of the tensors in states."""
    tensors = [t for layer in states.layers for t in (layer.keys, layer.values, layer.raw)]
    return sum(t.numel() * t.element_size() for t in [*tensors, states.copy_keys, states.tokens])
