"""The draft pool: texts of open files and of the workspace, searched for what stands left of the cursor.

Owns which texts are searched, their indexes and how much memory they may take. Whoever puts a text here has made sure
that it may be shown to the model: secret and ignored files never come this far. It does not know where files lie, nor
models. Imports NumPy, so whoever must start fast imports this late.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from threading import Lock
from typing import NamedTuple

from ..text.line_breaks import with_lf
from ..types import Hole, OfferSource
from .context_index import PrecedingTextIndex, Query, query_of
from .search import N_MATCH_MAX, Draft, best_of, draft_at

MAX_TEXT_CHARS = 200_000  # of one text: more are data; to index as many takes 23 ms (2-core AMD EPYC, 2026-11-22)
MAX_CHARS = 4_000_000  # of all texts; their indexes take 13 bytes a character
N_SYMBOLS_MIN = 4  # that agree before the cursor: fewer are found everywhere
N_TEXTS_MAX = 12  # texts whose places are looked at, those with the longest matches
N_SIDE = 6  # places looked at in each of them, on either side of where the cursor's own would stand
N_PLACES_MAX = 32  # places that are made drafts
N_SUFFIX_CHARS = 512  # right of the hole that drafts are compared with


@dataclass(frozen=True)
class _PoolEntry:
    text: str
    source: OfferSource
    tails: PrecedingTextIndex | None = None  # of text or of what it was when it was last indexed


class _Place(NamedTuple):
    n_symbols: int
    text: str
    offset: int
    source: OfferSource


class DraftPool:
    """Texts by key, the latest last. For any thread: `refresh` may run in one of its own."""

    def __init__(self, max_chars: int = MAX_CHARS) -> None:
        self._max_chars = max_chars
        self._entries: dict[str, _PoolEntry] = {}
        self._stale: dict[str, None] = {}  # keys whose text is not the one that is indexed, in order
        self._n_chars = 0
        self._lock = Lock()

    @property
    def n_chars(self) -> int:
        """The characters of all texts."""
        return self._n_chars

    def put(self, key: str, text: str, source: OfferSource) -> None:
        """Add a text, or change one; it is searched as it is from the next `refresh` on, and as it was until then.

        A text of more than MAX_TEXT_CHARS is taken for an empty one. Where there is too much, texts of the workspace
        that were put first go first, then open files.
        """
        text = text if len(text) <= MAX_TEXT_CHARS else ""
        with self._lock:
            old = self._removed(key)
            self._entries[key] = _PoolEntry(text, source, old.tails if old else None)
            self._n_chars += len(text)
            if old is None or old.text != text:
                self._stale[key] = None
            self._make_room(key)

    def drop(self, key: str) -> None:
        """Forget a text; nothing happens where there is none."""
        with self._lock:
            self._removed(key)
            self._stale.pop(key, None)

    def refresh(self, n_chars: int = MAX_CHARS, skip: str | None = None) -> bool:
        """Index texts that changed, until that was done for n_chars characters; whether none is left.

        One text at least, so that it gets done in the end: 0.1 ms for 1,000 characters, in pauses or in a thread of its
        own. skip is the document that is being typed, which nobody searches: its index can wait.
        """
        while n_chars > 0 and (stale := self._taken_stale(skip)) is not None:
            key, entry = stale
            tails = PrecedingTextIndex.of(with_lf(entry.text))
            with self._lock:
                if self._entries.get(key) is entry:  # else it has changed again meanwhile, or is gone
                    self._entries[key] = replace(entry, tails=tails)
            n_chars -= max(1, len(entry.text))
        with self._lock:
            return all(key == skip for key in self._stale)

    def find(self, hole: Hole, n_max: int = 6, skip: str | None = None) -> list[Draft]:
        """At most n_max different drafts for a hole in the document skip, from the other texts, the best first.

        Line breaks of any kind are taken for LF, in texts and hole.
        """
        prefix, suffix = hole.prefix[-4 * N_MATCH_MAX :], hole.suffix[:N_SUFFIX_CHARS]
        hole = replace(hole, prefix=with_lf(prefix), suffix=with_lf(suffix))
        with self._lock:
            searched = [e for k, e in reversed(self._entries.items()) if k != skip and e.tails is not None]
        drafts = [
            draft_at(hole, place.text, place.offset, place.source) for place in _places(searched, query_of(hole.prefix))
        ]
        return best_of(draft for draft in drafts if draft is not None and draft.n_before >= N_SYMBOLS_MIN)[:n_max]

    def _taken_stale(self, skip: str | None) -> tuple[str, _PoolEntry] | None:
        """The text that has waited longest for its index, which is the caller's to make now."""
        with self._lock:
            key = next((key for key in self._stale if key != skip), None)
            if key is None:
                return None
            del self._stale[key]
            return key, self._entries[key]

    def _removed(self, key: str) -> _PoolEntry | None:
        entry = self._entries.pop(key, None)
        self._n_chars -= len(entry.text) if entry else 0
        return entry

    def _make_room(self, kept: str) -> None:
        """Drop what was put first until the rest fits; never the text put last."""
        for source in ("workspace", "open file"):
            for key in [k for k, e in self._entries.items() if e.source == source and k != kept]:
                if self._n_chars <= self._max_chars:
                    return
                self._removed(key)
                self._stale.pop(key, None)


def _places(entries: Sequence[_PoolEntry], query: Query) -> list[_Place]:
    """The places that agree with query best, the best first; of equal ones those in open files and earlier entries."""
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
