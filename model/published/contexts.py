"""States of contexts that requests have read, kept for the next one: a keystroke changes only a text's end.

Exact, for families that see in blocks alone: the states of a whole block depend on the blocks up to it and on nothing
else. Knows tokens and states; no model.
"""

from collections import OrderedDict

from ..common_prefix import common_prefix
from .backbone import Past

MOST_CONTEXTS = 4  # a few documents
MOST_BYTES = 1 << 30


class KeptContexts:
    """The states of the last contexts, by their tokens."""

    def __init__(self, block: int, most_bytes: int = MOST_BYTES) -> None:
        self.block, self.most_bytes = block, most_bytes
        self._kept: OrderedDict[tuple[int, ...], Past] = OrderedDict()

    def find(self, tokens: tuple[int, ...]) -> Past | None:
        """States of the longest whole blocks that tokens begin with and some context began with too."""
        best, n_best = None, 0
        for known in self._kept:
            n = common_prefix(known, tokens) // self.block * self.block
            if n > n_best:
                best, n_best = known, n
        if best is None:
            return None
        self._kept.move_to_end(best)
        return Past([(keys[:, :, :n_best], values[:, :, :n_best]) for keys, values in self._kept[best].layers])

    def keep(self, tokens: tuple[int, ...], past: Past) -> None:
        """Keep the states of tokens [n] of one sequence; contexts that they continue, and the oldest, are given up."""
        for known in [known for known in self._kept if tokens[: len(known)] == known]:
            del self._kept[known]
        self._kept[tokens] = past
        while len(self._kept) > MOST_CONTEXTS or (self._kept and self._n_bytes() > self.most_bytes):
            self._kept.popitem(last=False)

    def clear(self) -> None:
        """Keep nothing."""
        self._kept.clear()

    def _n_bytes(self) -> int:
        return sum(k.nbytes + v.nbytes for past in self._kept.values() for k, v in past.layers)
