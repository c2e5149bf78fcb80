"""The workspace as the server sees it: told what the editor does, asked for snippets, indexed in the background.

Owns the current snippets of each open document and when to choose anew. indexer.py and fim choose them; idle_thread.py
says when the background may work.
"""

from __future__ import annotations

import time
from collections import OrderedDict, deque
from collections.abc import Callable, Collection, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

from ...fim.text import Document
from ...fim.types import Hole, Offer
from ...fim.workspace.snippet_policy import Basis, SnippetPolicy
from .idle_thread import BackgroundThread, Unit

if TYPE_CHECKING:
    from ...fim.workspace.snippets import Selection
    from .cross_file_drafts import DraftsElsewhere
    from .indexer import Indexer

SETTLING_S = 0.1  # between two checks of documents whose snippets may be due for a new choice
RESCAN_S = 300.0  # between two walks, if the editor does not report changed files
_COUNTS = ("n_files", "n_chunks", "n_text_bytes", "n_index_bytes", "n_roots")
N_RELATED_MAX = 4  # documents whose related texts are kept, of 1 MB at most each


class Watched:
    """One open document: its text and the cursor, and the rule for its snippets."""

    def __init__(self, document: Document) -> None:
        self.place = (document, 0)  # one object: two threads read it
        self.policy = SnippetPolicy()
        self.off: frozenset[str] = frozenset()
        self.was_visited = self.has_cursor = False
        self.imports: tuple[Document | None, tuple[object, ...]] = (None, ())

    def see(self, document: Document, offset: int | None, *, edited: bool) -> None:
        """The cursor is at this offset of the document; None: where it was."""
        self.has_cursor = True
        offset = min(self.place[1] if offset is None else offset, len(document.text))
        self.place = (document, offset)
        self.policy.see(document.line_of(offset), time.monotonic(), edited=edited)
        self.was_visited = self.was_visited or edited or self.policy.has_jumped


class Workspace:
    """Snippets for open documents. Methods are for the server's thread, and return at once."""

    def __init__(self) -> None:
        self._on_change: Callable[[Document, int], None] | None = None
        self._background: BackgroundThread | None = None
        self._open: dict[str, Watched] = {}
        self._due: dict[str, None] = {}
        self._latest = ""
        self._tasks: deque[Callable[[Indexer], object]] = deque()
        self._selections: OrderedDict[str, Selection] = OrderedDict()
        self._elsewhere: DraftsElsewhere | None = None
        self._facts: dict[str, Any] = dict.fromkeys(_COUNTS, 0) | {"is_ready": False}
        self._is_told_of_files = self._is_choosing = False
        self._n_closed = 0
        self._walked_s = time.monotonic()

    def start(
        self,
        folders: Sequence[str],
        exclude: Sequence[str] = (),
        max_files: int = 20_000,
        on_change: Callable[[Document, int], None] | None = None,
    ) -> None:
        """Begin to index these folders, in the background; without folders, only open documents give snippets.

        on_change is called, in the background thread, with a document that has new snippets, and its cursor.
        """
        self._on_change = on_change
        indexers: list[Indexer] = []

        def begin() -> Unit:
            from .cross_file_drafts import DraftsElsewhere  # late: what they need takes 0.2 s to import
            from .indexer import Indexer, IndexerOptions

            self._elsewhere = DraftsElsewhere()
            options = IndexerOptions(folders=tuple(folders), exclude=tuple(exclude), max_files=max_files)
            indexers.append(Indexer(options))
            return lambda: self._unit(indexers[0])

        def finish() -> None:
            for indexer in indexers:
                indexer.close()

        self._background = BackgroundThread(begin, finish)
        self._background.start()

    def close(self) -> None:
        """End the background work."""
        if self._background is not None:
            self._background.close()

    def snippets_for(self, document: Document, offset: int, off: Collection[str] = ()) -> tuple[str, ...]:
        """The current snippets of an open document, most useful last, without those of sources named in off.

        They may have been chosen for an earlier text; a better choice comes in the background. A question also tells
        the cursor's place.
        """
        watched = self._open.get(document.uri)
        if watched is None:
            return ()
        if watched.off != frozenset(off):
            watched.off, watched.policy = frozenset(off), SnippetPolicy()
        self._see(document, offset, edited=False)
        selection = self._selections.get(document.uri)
        snippets = () if selection is None else selection.snippets
        return tuple(snippet.text for snippet in snippets if snippet.source not in off)

    def related_texts(self, document: Document) -> Sequence[tuple[str, str]]:
        """The files of the workspace most related to a document, the most first: (path, text), at most 1 MB in all.

        As of the last choice of snippets: the same object until the next one. Excludes files open in the editor.
        """
        selection = self._selections.get(document.uri)
        return () if selection is None else selection.related

    def offers_for(self, hole: Hole, document: Document) -> tuple[Offer, ...]:
        """Drafts for a hole in an open document from the other open ones and from related files."""
        return () if self._elsewhere is None else self._elsewhere.find(hole, document.uri)

    def opened(self, document: Document) -> None:
        """The editor opened a document."""
        if self._background is not None:
            self._open[document.uri] = Watched(document)
            self._look_at_soon(document.uri)

    def changed(self, document: Document, offset: int | None) -> None:
        """A document was edited; the edit ended at offset, None if that is unknown."""
        if self._background is not None:
            self._background.touch()
        self._see(document, offset, edited=True)

    def closed(self, uri: str) -> None:
        """The editor closed a document: its text there is no longer used, saved or not, and may be secret by now."""
        self._open.pop(uri, None)
        self._selections.pop(uri, None)
        self._n_closed += 1
        if self._elsewhere is not None:
            self._elsewhere.drop(uri)
        for other, selection in list(self._selections.items()):
            self._selections[other] = selection.without(uri)

    def files_changed(self, paths: Sequence[str]) -> None:
        """Files were saved, created or deleted."""
        self._post(lambda indexer: [indexer.report(path) for path in paths])

    def folders_changed(self, folders: Sequence[str]) -> None:
        """The workspace has these folders now."""
        self._post(lambda indexer: indexer.set_folders(folders))

    def stop_rescanning(self) -> None:
        """The editor reports changed files: no need to walk again now and then."""
        self._is_told_of_files = True

    def question(self) -> AbstractContextManager[None]:
        """A context in which a person waits for an answer, and the background rests."""
        return nullcontext() if self._background is None else self._background.question()

    @property
    def is_on(self) -> bool:
        """Whether it was started and has not failed."""
        return self._background is not None and self._background.is_alive

    def describe(self) -> dict[str, Any]:
        """The state of the workspace as JSON values: counts, and whether indexing is complete."""
        waiting = len(self._tasks) + len(self._due) + int(self._is_choosing) + int(self._has_stale_drafts())
        return {"is_on": self.is_on, **self._facts, "open": len(self._open), "waiting": waiting}

    def _has_stale_drafts(self) -> bool:
        return self._elsewhere is not None and self._elsewhere.is_stale

    def _see(self, document: Document, offset: int | None, *, edited: bool) -> None:
        watched = self._open.get(document.uri)
        if watched is not None and self._background is not None:
            watched.see(document, offset, edited=edited)
            self._look_at_soon(document.uri)

    def _look_at_soon(self, uri: str) -> None:
        assert self._background is not None
        self._latest = uri
        self._due[uri] = None
        self._background.wake()

    def _post(self, task: Callable[[Indexer], object]) -> None:
        if self._background is not None:
            self._tasks.append(task)
            self._background.wake()

    # All below runs in the background thread.

    def _unit(self, indexer: Indexer) -> float | None:
        """Do one unit of work; returns in how many seconds to call it again."""
        n_changes, has_worked = indexer.n_changes, True
        if self._tasks:
            self._tasks.popleft()(indexer)
        elif not self._choose_some(indexer):
            has_worked = self._index_some(indexer)
            self._is_choosing = False  # last: until then `describe` counts this as waiting
        if indexer.n_changes != n_changes and self._latest:
            self._due[self._latest] = None
        self._facts = {**asdict(indexer.size), "n_roots": indexer.n_roots, "is_ready": indexer.is_ready}
        return 0.0 if has_worked else self._pause(indexer)

    def _index_some(self, indexer: Indexer) -> bool:
        """Index texts for drafts first, since they are near what is typed; then the workspace."""
        return (self._elsewhere is not None and self._elsewhere.step(self._latest)) or indexer.step()

    def _pause(self, indexer: Indexer) -> float | None:
        if self._due:
            return SETTLING_S
        if self._is_told_of_files or not indexer.n_roots:
            return None
        left_s = self._walked_s + RESCAN_S - time.monotonic()
        if left_s <= 0:
            self._walked_s = time.monotonic()
            indexer.rescan()
        return max(left_s, 0.0)

    def _choose_some(self, indexer: Indexer) -> bool:
        """Choose for documents whose cursor was seen; returns whether there was anything to do."""
        for uri in list(self._due):
            watched = self._open.get(uri)
            if watched is None:
                self._due.pop(uri, None)
            elif watched.policy.is_urgent or watched.policy.has_paused(time.monotonic()):
                self._look_at(watched, indexer)
                return True
        return False

    def _look_at(self, watched: Watched, indexer: Indexer) -> None:
        has_paused = watched.policy.has_paused(time.monotonic())
        document, offset = watched.place
        self._is_choosing = True
        if has_paused:
            self._due.pop(document.uri, None)
            if watched.was_visited:
                watched.was_visited = False
                indexer.visit(document, offset)
            if self._elsewhere is not None:
                shown = [other.place[0] for other in list(self._open.values())]
                self._elsewhere.keep_open(other for other in shown if indexer.may_be_shown(other))
                for other in shown:
                    if other.uri not in self._open:  # closed meanwhile
                        self._elsewhere.drop(other.uri)
        basis = self._basis(watched, indexer)
        if watched.policy.wants(basis, time.monotonic()):
            others = {uri: other.place[0] for uri, other in list(self._open.items())}
            watched.policy.chose(basis)  # first, so that a failure is not retried at once
            selection = indexer.choose(document, offset, others, watched.off)
            if self._elsewhere is not None:
                self._elsewhere.keep_related(selection.related)
            has_changed = self._keep(document.uri, selection)
            if has_changed and watched.has_cursor and self._on_change is not None:
                self._on_change(document, offset)

    def _basis(self, watched: Watched, indexer: Indexer) -> Basis:
        document, offset = watched.place
        if watched.imports[0] is not document:
            watched.imports = (document, indexer.imports_of(document))
        return Basis(
            line=document.line_of(offset),
            imports=watched.imports[1],
            n_other_visits=indexer.recent.n_other_visits(document.uri),
            n_workspace_changes=indexer.n_changes + self._n_closed,
        )

    def _keep(self, uri: str, selection: Selection) -> bool:
        """Store a choice; returns whether the snippets have changed."""
        before = self._selections.pop(uri, None)
        if uri not in self._open:
            return False
        for other in selection.documents - self._open.keys():  # closed meanwhile
            selection = selection.without(other)
        self._selections[uri] = selection
        for older in list(self._selections)[:-N_RELATED_MAX]:
            self._selections[older] = replace(self._selections[older], related=())
        return (() if before is None else before.texts) != selection.texts
