"""Counts what follows runs of tokens in a corpus, and keeps what helps most as guesses (`decoding.ngrams`)."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...model.decoding.ngrams import LENGTHS, NgramTable, keys_of

MIN_COUNT = 3  # of a run and the token behind it: rarer ones are chance
MIN_SHARE = 0.2  # of a token among those that followed, one unseen case added
ENTRIES = 500_000


@dataclass(frozen=True)
class _Runs:
    """Runs of one length [N]: keys, ascending, a place where each stands, the token that followed most often, how often
    that was, and its share."""

    keys: NDArray[np.int64]
    places: NDArray[np.int64]
    best: NDArray[np.int64]
    counts: NDArray[np.int64]
    shares: NDArray[np.float64]

    @property
    def worth(self) -> NDArray[np.float64]:
        """How often a guess would be right, roughly."""
        return self.counts * self.shares

    def where(self, kept: NDArray[np.bool_]) -> "_Runs":
        """Those that are kept."""
        return _Runs(self.keys[kept], self.places[kept], self.best[kept], self.counts[kept], self.shares[kept])

    def said(self, keys: NDArray[np.int64], otherwise: NDArray[np.int64]) -> NDArray[np.int64]:
        """What follows runs of these keys [M], as far as they are among these."""
        if not len(self.keys):
            return otherwise
        at = np.minimum(np.searchsorted(self.keys, keys), len(self.keys) - 1)
        return np.where(self.keys[at] == keys, self.best[at], otherwise)


def count(tokens: NDArray[np.int64], n_entries: int = ENTRIES) -> Mapping[int, NgramTable]:
    """Tables of what follows runs in tokens [N], n_entries at most, those that are right most often.

    A longer run is kept where it says something else than the shorter ones that end it.
    """
    found: dict[int, _Runs] = {}
    for n in sorted(LENGTHS):
        runs = _counted(tokens, n)
        runs = runs.where((runs.counts >= MIN_COUNT) & (runs.shares >= MIN_SHARE))
        said = np.full(len(runs.keys), -1)
        for m, shorter in found.items():
            said = shorter.said(keys_of([tokens[runs.places + i] for i in range(n - m, n)]), said)
        found[n] = runs.where(said != runs.best)
    worth = np.concatenate([runs.worth for runs in found.values()])
    kept = np.zeros(len(worth), dtype=bool)
    kept[np.argsort(-worth, kind="stable")[:n_entries]] = True
    ends = np.cumsum([len(runs.keys) for runs in found.values()])
    parts = np.split(kept, ends[:-1])
    return {n: _table(runs.where(part)) for (n, runs), part in zip(found.items(), parts, strict=True)}


def _table(runs: _Runs) -> NgramTable:
    return NgramTable(runs.keys, runs.best.astype(np.int32), np.round(runs.shares * 255).astype(np.uint8))


def _counted(tokens: NDArray[np.int64], n: int) -> _Runs:
    """Every run of n tokens. A share is among what followed, and one case that was not seen."""
    n_runs = max(0, len(tokens) - n)
    keys, following = keys_of([tokens[i : n_runs + i] for i in range(n)]), tokens[n : n + n_runs]
    order = np.lexsort((following, keys))
    keys, following = keys[order], following[order]
    starts = _changes(keys, following)
    counts = np.diff(np.r_[starts, n_runs])
    keys, following, places = keys[starts], following[starts], order[starts]
    runs = _changes(keys)
    which = np.repeat(np.arange(len(runs)), np.diff(np.r_[runs, len(keys)]))
    best = np.lexsort((-counts, which))[runs]
    all_counts = np.add.reduceat(counts, runs) if len(runs) else counts
    return _Runs(keys[runs], places[best], following[best], counts[best], counts[best] / (all_counts + 1))


def _changes(*columns: NDArray[np.int64]) -> NDArray[np.int64]:
    """The places at which one of some columns [N] is not what it was before; the first among them."""
    n = len(columns[0])
    changes = np.zeros(n, dtype=bool)
    changes[:1] = True
    for column in columns:
        changes[1:] |= column[1:] != column[:-1]
    return np.flatnonzero(changes)
