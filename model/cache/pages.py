"""Context states in pages: fixed pieces of memory that every context whose text begins alike shares.

A tree of pages. The path from the root to a page spells a context's tokens, up to N_PAGE of them a page; what one
context has in common with another is stored, and was computed, once (after Zheng et al. 2024, "SGLang", whose tree
this follows, and Kwon et al. 2023, "PagedAttention"). Leaves that were not used for longest go first when memory is
short. Knows token ids and states; does not know who asks for them.
"""

import logging
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from array_api_compat import array_namespace, device

from ..common_prefix import common_prefix
from ..network.states import N_RAW, Array, ContextStates, concat, room_for, states_of, zeros_like
from ..out_of_memory import is_out_of_memory

logger = logging.getLogger(__name__)

N_PAGE = 32  # tokens


@dataclass(eq=False)
class Page:
    """Some tokens of one or more contexts, after those of parent; index is its place in memory."""

    index: int
    parent: "Page | None"
    tokens: list[int] = field(default_factory=list)
    children: list["Page"] = field(default_factory=list)
    used: int = 0


@dataclass(frozen=True)
class Found:
    """The pages that hold the beginning of a context, and how many tokens of each belong to it."""

    path: tuple[tuple[Page, int], ...]

    @property
    def n_tokens(self) -> int:
        """How long that beginning is."""
        return sum(n for _, n in self.path)


class PageStore:
    """At most max_bytes of pages. For one thread, and for contexts of one model."""

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self._root = Page(index=-1, parent=None)
        self._memory: _Memory | None = None
        self._free: list[int] = []
        self._clock = 0

    def find(self, tokens: Sequence[int]) -> Found:
        """The longest stored beginning of tokens."""
        page, at = self._root, 0
        path: list[tuple[Page, int]] = []
        while at < len(tokens):
            best, n_best = None, 0
            for child in page.children:
                n = common_prefix(child.tokens, tokens[at : at + N_PAGE])
                if n > n_best:
                    best, n_best = child, n
            if best is None:
                break
            path.append((best, n_best))
            at += n_best
            if n_best < N_PAGE:
                break
            page = best
        self._clock += 1
        for each, _ in path:
            each.used = self._clock
        return Found(tuple(path))

    def read(self, found: Found) -> ContextStates | None:
        """A copy of what was found; None for nothing. Call it before anything else is written."""
        if self._memory is None or not found.path:
            return None
        tokens = [token for page, n in found.path for token in page.tokens[:n]]
        return self._memory.read([(page.index, n) for page, n in found.path], tokens)

    def write(self, tokens: Sequence[int], n_before: int, new: ContextStates) -> None:
        """Store the states of tokens from n_before on, of which those before are stored.

        Does as much as it can: nothing where what comes before was evicted in the meantime or all memory is taken.
        """
        found = self.find(tokens)
        if found.n_tokens < n_before:
            return
        if self._memory is None:
            self._memory = _allocated(new, self.max_bytes)
            self._free = list(range(self._memory.n_pages))
        page, n_kept = found.path[-1] if found.path else (self._root, N_PAGE)
        at = found.n_tokens
        if at == len(tokens):
            return
        if n_kept < N_PAGE:
            page = self._opened(page, n_kept)
            if page is None:
                return
        while at < len(tokens):
            if page is self._root or len(page.tokens) == N_PAGE:
                page = self._page(page)
                if page is None:
                    return
            n = min(N_PAGE - len(page.tokens), len(tokens) - at)
            self._memory.write(page.index, len(page.tokens), new, at - n_before, n)
            page.tokens += tokens[at : at + n]
            at += n

    def clear(self) -> None:
        """Forget every context, and give the memory back."""
        self._memory, self._free = None, []
        self._root.children.clear()

    def pages(self) -> Iterator[Page]:
        """All pages in use."""
        waiting = list(self._root.children)
        while waiting:
            page = waiting.pop()
            yield page
            waiting += page.children

    @property
    def n_bytes(self) -> int:
        """Bytes of the pages in use."""
        return 0 if self._memory is None else self._memory.bytes_per_page * sum(1 for _ in self.pages())

    def _opened(self, page: Page, n: int) -> Page | None:
        """A page with the first n tokens of this one, to go on in; None without memory.

        The page itself where nothing else goes on from it and it shares most of its tokens: the same text some
        keystrokes ago.
        """
        if n == len(page.tokens):
            return page
        if not page.children and 2 * n >= len(page.tokens):
            del page.tokens[n:]
            return page
        assert page.parent is not None and self._memory is not None
        other = self._page(page.parent)
        if other is not None:
            self._memory.copy(page.index, other.index, n)
            other.tokens = page.tokens[:n]
        return other

    def _page(self, parent: Page) -> Page | None:
        """A new page after parent, in free memory or in that of the leaf not used for longest; None without any."""
        if not self._free:
            leaves = [page for page in self.pages() if not page.children and page.used < self._clock]
            if not leaves:
                return None
            oldest = min(leaves, key=lambda page: page.used)
            assert oldest.parent is not None
            oldest.parent.children.remove(oldest)
            self._free.append(oldest.index)
        page = Page(self._free.pop(), parent, used=self._clock)
        parent.children.append(page)
        return page


def _allocated(like: ContextStates, max_bytes: int) -> "_Memory":
    """Memory of max_bytes, or of as much as can be had: half, a quarter …, nothing."""
    while True:
        try:
            return _Memory(like, max_bytes)
        except (MemoryError, RuntimeError) as error:
            if not is_out_of_memory(error) or not max_bytes:
                raise
        max_bytes //= 2
        logger.warning("no memory for that many cached contexts: %d MiB are tried", max_bytes // 2**20)


class _Memory:
    """The arrays that pages lie in, made like the first states that are stored."""

    def __init__(self, like: ContextStates, max_bytes: int) -> None:
        layer = like.layers[0]
        n_layers, (_, n_heads, _, head_size), (_, _, raw_width) = len(like.layers), layer.keys.shape, layer.raw.shape
        shapes = (
            (layer.keys, (n_layers, n_heads, N_PAGE, head_size)),
            (layer.values, (n_layers, n_heads, N_PAGE, head_size)),
            (layer.raw, (n_layers, N_PAGE, raw_width)),
            (like.copy_keys, (N_PAGE, like.copy_keys.shape[2])),
        )
        self.bytes_per_page = sum(array.dtype.itemsize * math.prod(shape) for array, shape in shapes)
        self.n_pages = max_bytes // self.bytes_per_page
        self.keys, self.values, self.raws, self.copy_keys = (
            _empty_like(array, (self.n_pages, *shape)) for array, shape in shapes
        )
        self.tokens_like = like.tokens

    def read(self, parts: Sequence[tuple[int, int]], tokens: Sequence[int]) -> ContextStates:
        """States of the first n tokens of each page (index, n), one after the other."""
        n_layers, n_heads, _, head_size = self.keys.shape[1:]
        keys, values = (zeros_like(self.keys, (n_layers, n_heads, room_for(len(tokens)), head_size)) for _ in range(2))
        copy_keys = _empty_like(self.copy_keys, (1, len(tokens), self.copy_keys.shape[2]))
        at = 0
        for index, n in parts:
            keys[:, :, at : at + n] = self.keys[index, :, :, :n]
            values[:, :, at : at + n] = self.values[index, :, :, :n]
            copy_keys[0, at : at + n] = self.copy_keys[index, :n]
            at += n
        raws = concat([self.raws[index, :, :n] for index, n in parts[-N_RAW:]], axis=1)[:, -N_RAW:]
        like = self.tokens_like
        known = array_namespace(like).asarray([tokens], dtype=like.dtype, device=device(like))
        return states_of((keys, values), raws, copy_keys, known)

    def write(self, index: int, at: int, new: ContextStates, start: int, n: int) -> None:
        """Put n tokens' states, from start of new on, into a page from its slot at on."""
        end = start + n
        for i, layer in enumerate(new.layers):
            self.keys[index, i, :, at : at + n] = layer.keys[0, :, start:end]
            self.values[index, i, :, at : at + n] = layer.values[0, :, start:end]
            self.raws[index, i, at : at + n] = layer.raw[0, start:end]
        self.copy_keys[index, at : at + n] = new.copy_keys[0, start:end]

    def copy(self, source: int, target: int, n: int) -> None:
        """Copy the first n tokens of one page to another."""
        self.keys[target, :, :, :n] = self.keys[source, :, :, :n]
        self.values[target, :, :, :n] = self.values[source, :, :, :n]
        self.raws[target, :, :n] = self.raws[source, :, :n]
        self.copy_keys[target, :n] = self.copy_keys[source, :n]


def _empty_like(array: Array, shape: tuple[int, ...]) -> Array:
    """An array of another shape, in the type and on the device of array; what it holds is not set."""
    return array_namespace(array).empty(shape, dtype=array.dtype, device=device(array))
