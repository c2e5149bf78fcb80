"""The draft pool: texts of open files and of the workspace, searched for the text left of the cursor.

Owns which texts are searched, their indexes and their memory. Callers put only texts here that the model may see: no
secret and no ignored files. Imports NumPy: import it late if a fast start matters.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from threading import Lock
from typing import NamedTuple

from ..text.line_breaks import with_lf
from ..types import Hole, OfferSource
from .context_index import PrecedingTextIndex, Query, query_of
from .search import N_MATCH_MAX, Draft, best_of, draft_at

MAX_TEXT_CHARS = 200_000  # of one text: longer ones are data; indexing takes 23 ms (2-core AMD EPYC, 2026-11-22)
MAX_CHARS = 4_000_000  # of all texts; their indexes take 13 bytes a character
N_SYMBOLS_MIN = 4  # that must agree before the cursor: fewer agree everywhere
N_TEXTS_MAX = 12  # texts whose places are tried, those with the longest matches
N_SIDE = 6  # places tried in each of them, on either side of the cursor's rank
N_PLACES_MAX = 32  # places that become drafts
N_SUFFIX_CHARS = 512  # right of the hole that drafts are compared with


@dataclass(frozen=True)
class _PoolEntry:
    text: str
    source: OfferSource
    tails: PrecedingTextIndex | None = None  # of text, or of an earlier version of it


class _Place(NamedTuple):
    n_symbols: int
    text: str
    offset: int
    source: OfferSource


class DraftPool:
    """Texts by key, the latest last. Thread-safe: `refresh` may run in a background thread."""

    def __init__(self, max_chars: int = MAX_CHARS) -> None:
        self._max_chars = max_chars
        self._entries: dict[str, _PoolEntry] = {}
        self._stale: dict[str, None] = {}  # keys whose text is not indexed yet, in order
        self._n_chars = 0
        self._lock = Lock()

    @property
    def n_chars(self) -> int:
        """The characters of all texts."""
        return self._n_chars

    def put(self, key: str, text: str, source: OfferSource) -> None:
        """Add or change a text. Until the next `refresh` its old version is searched.

        A text of more than MAX_TEXT_CHARS counts as empty. Beyond the limit, the oldest texts of the workspace are
        dropped first, then open files.
        """
        text = text if len(text) <= MAX_TEXT_CHARS else ""
        with self._lock:
            old = self._remove(key)
            self._entries[key] = _PoolEntry(text, source, old.tails if old else None)
            self._n_chars += len(text)
            if old is None or old.text != text:
                self._stale[key] = None
            self._make_room(key)

    def drop(self, key: str) -> None:
        """Forget a text, if it is here."""
        with self._lock:
            self._remove(key)
            self._stale.pop(key, None)

    def refresh(self, n_chars: int = MAX_CHARS, skip: str | None = None) -> bool:
        """Index changed texts, up to n_chars characters; returns whether none is left.

        At least one text, so that it finishes in the end. Takes 0.1 ms for 1,000 characters: call it in pauses or in a
        background thread. skip is the document that is being typed, which is not searched: its index can wait.
        """
        while n_chars > 0 and (stale := self._take_stale(skip)) is not None:
            key, entry = stale
            tails = PrecedingTextIndex.of(with_lf(entry.text))
            with self._lock:
                if self._entries.get(key) is entry:  # otherwise it has changed meanwhile, or is gone
                    self._entries[key] = replace(entry, tails=tails)
            n_chars -= max(1, len(entry.text))
        with self._lock:
            return all(key == skip for key in self._stale)

    def find(self, hole: Hole, n_max: int = 6, skip: str | None = None) -> list[Draft]:
        """At most n_max different drafts for a hole in the document skip, from the other texts, the best first.

        Line breaks of any kind count as LF, in texts and hole.
        """
        prefix, suffix = hole.prefix[-4 * N_MATCH_MAX :], hole.suffix[:N_SUFFIX_CHARS]
        hole = replace(hole, prefix=with_lf(prefix), suffix=with_lf(suffix))
        with self._lock:
            searched = [e for k, e in reversed(self._entries.items()) if k != skip and e.tails is not None]
        drafts = [
            draft_at(hole, place.text, place.offset, place.source) for place in _places(searched, query_of(hole.prefix))
        ]
        return best_of(draft for draft in drafts if draft is not None and draft.n_before >= N_SYMBOLS_MIN)[:n_max]

    def _take_stale(self, skip: str | None) -> tuple[str, _PoolEntry] | None:
        """Take the text that has waited longest for its index off the list; the caller must index it."""
        with self._lock:
            key = next((key for key in self._stale if key != skip), None)
            if key is None:
                return None
            del self._stale[key]
            return key, self._entries[key]

    def _remove(self, key: str) -> _PoolEntry | None:
        entry = self._entries.pop(key, None)
        self._n_chars -= len(entry.text) if entry else 0
        return entry

    def _make_room(self, kept: str) -> None:
        """Drop the oldest texts until the rest fits; never the newest one."""
        for source in ("workspace", "open file"):
            for key in [k for k, e in self._entries.items() if e.source == source and k != kept]:
                if self._n_chars <= self._max_chars:
                    return
                self._remove(key)
                self._stale.pop(key, None)


def _places(entries: Sequence[_PoolEntry], query: Query) -> list[_Place]:
    """The places that agree with query best, the best first; if equal, open files and earlier entries first."""
    ranked: list[tuple[int, int, PrecedingTextIndex, OfferSource]] = []
    for entry in entries:
        if entry.tails is not None:
            n_symbols, rank = entry.tails.rank_of(query)
            if n_symbols >= N_SYMBOLS_MIN:
                ranked.append((n_symbols, rank, entry.tails, entry.source))
    ranked.sort(key=lambda row: (-row[0], row[3] != "open file"))
    found = [
        _Place(match.n_symbols, tails.text, match.place, source)
        for _, rank, tails, source in ranked[:N_TEXTS_MAX]
        for match in tails.around(rank, query, N_SIDE)
        if match.n_symbols >= N_SYMBOLS_MIN
    ]
    return sorted(found, key=lambda place: -place.n_symbols)[:N_PLACES_MAX]
