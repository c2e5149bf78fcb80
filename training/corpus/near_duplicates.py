"""Near copies: documents whose sets of five-word runs overlap by 80 % or more.

MinHash signatures and their index come from rensa (MIT, written in Rust, no dependencies). The first of two copies
stays: add the held-out documents before the ones for training.
"""

from typing import Protocol

import numpy as np

from ...fim.errors import InputError
from .word_hashes import ngram_hashes

N_WORDS = 5
THRESHOLD = 0.8  # Jaccard similarity of the sets of runs
N_HASHES, SEED = 128, 42
# 32 bands of 4 find a pair of similarity 0.8 with probability 1 - (1 - 0.8^4)^32 > 0.999; the signatures of what was
# found are then compared. rensa's own choice for this threshold misses half of the pairs at 0.85 (2026-11-21).
N_BANDS = 32


class Sketch(Protocol):
    """A MinHash, which can be pickled."""

    def jaccard(self, other: "Sketch", /) -> float:
        """The estimated similarity of two sets of runs."""
        ...


def signature(words: np.ndarray) -> Sketch | None:
    """The MinHash of a document's words (uint64 [words]), or None when it has too few for one run."""
    from rensa import RMinHash  # pyright: ignore[reportAttributeAccessIssue]

    runs = ngram_hashes(words, N_WORDS)
    if not len(runs):
        return None
    sketch = RMinHash(num_perm=N_HASHES, seed=SEED)
    sketch.update(runs.view("S8").tolist())
    return sketch


class NearDuplicates:
    """The signatures of all documents that were kept so far."""

    def __init__(self) -> None:
        try:
            from rensa import RMinHashDeduplicator  # pyright: ignore[reportAttributeAccessIssue]
        except ImportError:
            raise InputError("a corpus needs rensa: pip install 'quicksilver-lsp[train]'") from None
        self._index = RMinHashDeduplicator(THRESHOLD, N_HASHES, True, num_bands=N_BANDS, seed=SEED)

    def is_new(self, sketch: Sketch | None) -> bool:
        """Whether no kept document is nearly this one; does not keep it."""
        return sketch is None or not self._index.is_duplicate("", sketch)

    def keep(self, key: str, sketch: Sketch | None) -> None:
        """Remember a kept document by a key of its own."""
        if sketch is not None:
            self._index.add(key, sketch)
