"""Drafts from other files: which texts the draft pool holds, and when it is updated.

Callers pass in only texts that the model may see. Imported late: it imports NumPy.
"""

from collections.abc import Iterable, Sequence

from ...fim.drafts.pool import DraftPool
from ...fim.drafts.search import drafts_from_offers
from ...fim.text import Document
from ...fim.types import Hole, Offer

N_CHARS_UNIT = 20_000  # indexed at a time: 2 ms
N_OFFERS = 6
_RELATED = "related:"  # before a path, so that it differs from any open document's uri


class DraftsElsewhere:
    """The other open documents and the files most related to the typed one. `find` and `drop` are thread-safe."""

    def __init__(self) -> None:
        self._pool = DraftPool()
        self._open: dict[str, Document] = {}
        self._related: Sequence[tuple[str, str]] = ()
        self._typed = ""  # the document whose index can wait
        self.is_stale = False  # whether there is something to index

    def find(self, hole: Hole, uri: str) -> tuple[Offer, ...]:
        """What follows the text left of hole in files other than the document of that uri."""
        return drafts_from_offers(self._pool.find(hole, N_OFFERS, skip=uri))

    def keep_open(self, documents: Iterable[Document]) -> None:
        """These documents, and no others, are open and may be shown."""
        now = {document.uri: document for document in documents}
        for uri in self._open.keys() - now.keys():
            self._pool.drop(uri)
        for uri, document in now.items():
            if self._open.get(uri) is not document:
                self._pool.put(uri, document.text, "open file")
                self.is_stale = True
        self._open = now

    def drop(self, uri: str) -> None:
        """This document is closed: from now on nothing of it is found. Thread-safe."""
        self._pool.drop(uri)

    def keep_related(self, related: Sequence[tuple[str, str]]) -> None:
        """These files (path, text) are related to what is typed now."""
        if related is self._related:
            return
        now = dict(related)
        for path, _ in self._related:
            if path not in now:
                self._pool.drop(_RELATED + path)
        for path, text in now.items():
            self._pool.put(_RELATED + path, text, "workspace")
        self._related, self.is_stale = related, True

    def step(self, typed: str) -> bool:
        """Index a few changes; typed is the document that is typed. False if there was nothing to do.

        Once another document is typed, the previous one can be searched, so its index is due.
        """
        if typed != self._typed:
            self._typed, self.is_stale = typed, True
        if not self.is_stale:
            return False
        self.is_stale = not self._pool.refresh(N_CHARS_UNIT, skip=typed)
        return True
