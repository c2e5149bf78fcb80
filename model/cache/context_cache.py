"""The context of a request: what is cached of it is read from pages, the rest is asked for and stored.

Exact: what is reused is what a fresh pass would compute, because context is causal and never sees a canvas. Knows
token ids and states; knows no text.
"""

from collections.abc import Sequence

import numpy as np

from ..network.states import ContextStates, join_states
from ..requests import Context, Work
from .pages import PageStore

N_CHUNK = 256  # context tokens run at a time: how long others wait, and a cancelled request goes on
MAX_BYTES = 256 * 1024 * 1024


class ContextCache:
    """Context states under a hard cap on their bytes, shared by all requests. For one thread."""

    def __init__(self, max_bytes: int = MAX_BYTES, n_chunk: int = N_CHUNK) -> None:
        self.n_chunk = n_chunk
        self.store = PageStore(max_bytes)

    def states(self, tokens: Sequence[int]) -> Work[tuple[ContextStates, int]]:
        """States of the whole context, and how many of its tokens were cached. Asks only for the others.

        They are asked for in chunks, and what has been run is kept, so that a long context can be given up between two
        chunks and gone on with later. Raises ValueError for an empty context.
        """
        if not tokens:
            raise ValueError("a context needs at least one token")
        wanted = list(tokens)
        found = self.store.find(wanted)
        states, n_cached = self.store.read(found), found.n_tokens
        for start in range(n_cached, len(wanted), self.n_chunk):
            end = min(start + self.n_chunk, len(wanted))
            new = yield Context(np.array([wanted[start:end]]), states)
            assert isinstance(new, ContextStates)
            self.store.write(wanted[:end], start, new)
            states = join_states(states, new)
        assert states is not None
        return states, n_cached

    def clear(self) -> None:
        """Forget every context."""
        self.store.clear()
