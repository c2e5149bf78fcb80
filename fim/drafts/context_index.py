"""A text's places, sorted by the text left of each: finds where the characters before a cursor occur again, the longest
match first, in the time of a binary search.

The index is built once and never changed. Imports NumPy: import it late if a fast start matters.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

N_NEAR, N_FAR = 8, 4  # a place is sorted by so many symbols left of it, the nearer ones first
N_CHARS_QUERY = 256  # characters left of a cursor that are compared
BLANK, RUN = 32, 128  # several blanks in a row become one symbol, which tells their number
LONGEST_RUN = 127
NO_TEXT, NO_QUERY = 128, 129  # before the beginning of each: different, so that two beginnings do not match


class Query(NamedTuple):
    """The symbols left of a cursor: the near ones, and the far ones left of these; the last is the most significant."""

    near: int
    far: int


class Match(NamedTuple):
    """A place and how many symbols before it agree with a query's, at most N_NEAR + N_FAR."""

    n_symbols: int
    place: int


def query_of(prefix: str) -> Query:
    """The query for the end of prefix, a text with LF as its only line break."""
    near, far, _ = _sortable(prefix[-N_CHARS_QUERY:], NO_QUERY)
    return Query(int(near[-1]), int(far[-1])) if len(near) else Query(0, 0)


@dataclass(frozen=True)
class PrecedingTextIndex:
    """Places (offsets into text) in the order of the symbols before them; near and far hold these symbols, packed."""

    text: str
    places: NDArray[np.int32]  # [N]
    near: NDArray[np.uint64]  # [N], ascending
    far: NDArray[np.uint32]  # [N], ascending where near is equal

    @classmethod
    def of(cls, text: str) -> "PrecedingTextIndex":
        """The index of a text with LF as its only line break."""
        near, far, places = _sortable(text, NO_TEXT)
        order = np.argsort(far, kind="stable")
        order = order[np.argsort(near[order], kind="stable")]
        return cls(text, places[order], near[order], far[order])

    def rank_of(self, query: Query) -> tuple[int, int]:
        """How many symbols of query agree at the best place, and the rank of query among the places."""
        rank = int(self.near.searchsorted(np.uint64(query.near)))
        if rank < len(self.near) and self.near.item(rank) == query.near:
            end = int(self.near.searchsorted(np.uint64(query.near), "right"))
            rank += int(self.far[rank:end].searchsorted(np.uint32(query.far)))
        beside = range(max(0, rank - 1), min(rank + 1, len(self.near)))
        return max((_n_symbols(query, self.near.item(i), self.far.item(i)) for i in beside), default=0), rank

    def around(self, rank: int, query: Query, n_side: int) -> list[Match]:
        """The places at most n_side ranks above or below; the best matches are next to query's own rank."""
        window = slice(max(0, rank - n_side), rank + n_side)
        rows = zip(self.near[window].tolist(), self.far[window].tolist(), self.places[window].tolist(), strict=True)
        return [Match(_n_symbols(query, near, far), place) for near, far, place in rows]


def _n_symbols(query: Query, near: int, far: int) -> int:
    if near != query.near:
        return N_NEAR - ((near ^ query.near).bit_length() + 7) // 8
    return N_NEAR + N_FAR - ((far ^ query.far).bit_length() + 7) // 8


def _sortable(text: str, before: int) -> tuple[NDArray[np.uint64], NDArray[np.uint32], NDArray[np.int32]]:
    """Packed symbols and offsets of all places in text except its start and those inside a row of blanks.

    before is the symbol assumed before text.
    """
    symbols, places = _symbols(text)
    padded = np.concatenate((np.full(N_NEAR + N_FAR, before, np.uint8), symbols))
    n = len(symbols)
    far = _pack(padded, 1, n, N_FAR).view("<u4").ravel().astype(np.uint32, copy=False)
    near = _pack(padded, 1 + N_FAR, n, N_NEAR).view("<u8").ravel().astype(np.uint64, copy=False)
    return near, far, places


def _pack(padded: NDArray[np.uint8], start: int, n: int, size: int) -> NDArray[np.uint8]:
    """The n windows of size bytes that begin at start and at each place after it: [n, size]."""
    return np.ascontiguousarray(np.lib.stride_tricks.sliding_window_view(padded, size)[start : start + n])


def _symbols(text: str) -> tuple[NDArray[np.uint8], NDArray[np.int32]]:
    """One byte for each character or row of blanks, and the offset after it. Some characters share a byte."""
    points = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)
    folded = ((points ^ (points >> 7)) & 0x7F).astype(np.uint8)
    blank = points == BLANK
    goes_on = np.zeros(len(points), bool)
    goes_on[:-1] = blank[:-1] & blank[1:]
    last = np.flatnonzero(~goes_on)
    n_chars = np.diff(last, prepend=-1)
    symbols = np.where(n_chars > 1, RUN + np.minimum(n_chars, LONGEST_RUN), folded[last]).astype(np.uint8)
    return symbols, (last + 1).astype(np.int32)
