"""Draws tokens instead of taking the likeliest.

One uniform number belongs to each place of an answer, and the token at a place is the one whose share of the
distribution it falls into. So a place is drawn once, however often, in whatever forward and behind whatever guess its
distribution is computed: the text of a seed depends on nothing else, and guesses are lossless.
"""

from collections.abc import Callable

import numpy as np

from ...fim.types import CompletionRequest, Sampling

Choose = Callable[[np.ndarray, int], np.ndarray]
"""(log-probabilities [..., N, V], the place in the answer of the first of the N) → tokens [..., N]."""
N_AHEAD = 256  # uniform numbers made at a time
N_SORTED = 1_024  # sorting 150,000 shares takes 10 ms, the largest of them almost always suffice


def likeliest(log_probs: np.ndarray, place: int) -> np.ndarray:
    """A `Choose` without chance."""
    return log_probs.argmax(axis=-1)


class Sampler:
    """The draws of one request. Not thread-safe."""

    def __init__(self, sampling: Sampling) -> None:
        self._sampling = sampling
        self._random = np.random.default_rng(sampling.seed)
        self._uniform = np.zeros(0)

    def draw(self, log_probs: np.ndarray, place: int) -> np.ndarray:
        """A `Choose`."""
        *rows, n, v = log_probs.shape
        while len(self._uniform) < place + n:
            self._uniform = np.concatenate((self._uniform, self._random.random(N_AHEAD)))
        uniform = self._uniform[place : place + n]
        flat = log_probs.reshape(-1, n, v)
        drawn = [[self._draw_one(each, u) for each, u in zip(row, uniform, strict=True)] for row in flat]
        return np.array(drawn, dtype=np.int64).reshape(*rows, n)

    def after(self, n: int) -> Choose:
        """The draws of places that are counted from the nth on."""
        return lambda log_probs, place: self.draw(log_probs, n + place)

    def _draw_one(self, log_probs: np.ndarray, uniform: float) -> int:
        """The token of log_probs [V] that uniform falls on, in the order of the vocabulary."""
        ids, shares = self._shares(log_probs)
        ends = shares.cumsum()
        at = int(np.searchsorted(ends, uniform * ends[-1], side="right"))
        at = min(at, int(shares.nonzero()[0][-1]))  # rounding may lead beyond the last
        return at if ids is None else int(ids[at])

    def _shares(self, log_probs: np.ndarray) -> tuple[np.ndarray | None, np.ndarray]:
        """The ids that may be drawn, ascending (None: all), and their shares, which need not sum to 1."""
        scaled = log_probs.astype(np.float64)
        scaled = (scaled - scaled.max()) / self._sampling.temperature
        ids, top_k, top_p = None, self._sampling.top_k, self._sampling.top_p
        if 0 < top_k < len(scaled):
            ids = np.sort(np.argpartition(-scaled, top_k - 1)[:top_k])
            scaled = scaled[ids]
        shares = np.exp(scaled)
        if top_p == 1:
            return ids, shares
        kept = np.sort(_nucleus(shares, top_p * shares.sum()))
        return kept if ids is None else ids[kept], shares[kept]


def sampler_of(request: CompletionRequest) -> Sampler | None:
    """The draws of a request; None if it takes the likeliest tokens."""
    return None if request.sampling is None else Sampler(request.sampling)


def _nucleus(shares: np.ndarray, wanted: float) -> np.ndarray:
    """The places of the fewest shares [V] that hold wanted together."""
    n = min(N_SORTED, len(shares))
    among = np.argpartition(-shares, n - 1)[:n]
    if shares[among].sum() < wanted:
        among = np.arange(len(shares))
    largest_first = among[np.argsort(-shares[among], kind="stable")]
    before = shares[largest_first].cumsum() - shares[largest_first]
    return largest_first[before < wanted]
