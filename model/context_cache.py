"""Context states kept between requests, found again by their longest common prefix.

Exact: what is reused is what a fresh pass would compute, because context is causal and never sees a canvas. Knows
token ids and states; knows no text.
"""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from .blocks import LayerStates
from .denoiser import ContextStates


class ContextRunner(Protocol):
    """What the cache needs of a model."""

    def context(self, tokens: Tensor, past: ContextStates | None = None) -> tuple[Tensor, ContextStates]:
        """Run new context tokens [1, N] after past."""
        ...


@dataclass(frozen=True)
class Entry:
    """One context: its token ids and their states."""

    tokens: tuple[int, ...]
    states: ContextStates


class ContextCache:
    """Least recently used contexts under a cap on their bytes. For one thread."""

    def __init__(self, model: ContextRunner, max_bytes: int = 256 * 1024 * 1024) -> None:
        self.model = model
        self.max_bytes = max_bytes
        self._entries: OrderedDict[int, Entry] = OrderedDict()
        self._n_made = 0

    @torch.inference_mode()
    def states(self, tokens: Sequence[int]) -> tuple[ContextStates, int]:
        """States of the whole context, and how many of its tokens were cached. Runs only the others.

        Raises ValueError for an empty context.
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
        _, states = self.model.context(torch.tensor([wanted[n_cached:]]), past)
        if key is not None and 2 * n_cached >= len(self._entries[key].tokens):
            del self._entries[key]  # the same text some keystrokes ago
        self._n_made += 1
        self._entries[self._n_made] = Entry(wanted, states)
        self._evict()
        return states, n_cached

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
