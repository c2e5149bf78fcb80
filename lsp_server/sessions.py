"""The open documents, each with what is running for it.

Owns newest-wins: one question per document at a time, the newer one stops the older. It does not know LSP messages,
positions in a client's units, or the engine. A file that the editor has not opened does not exist here: nothing is ever
read from disk.
"""

import asyncio
import time
from collections.abc import Coroutine
from typing import Any, TypeVar

from ..fim.document import Document
from ..fim.syntax import Syntax, parsed
from ..fim.typing_rhythm import Rhythm
from .inline_completion import LastShown

T = TypeVar("T")


class Session:
    """One open document: its current text and the question in flight."""

    def __init__(self, document: Document) -> None:
        self.document = document
        self.asked: Document | None = None  # the last text that a question or a warming was about
        self.shown: LastShown | None = None  # what the latest question was answered with
        self.rhythm = Rhythm()
        self._syntax: Syntax | None = None
        self._running: asyncio.Task[Any] | None = None
        self._warms = False

    def change(self, document: Document, n_inserted: int, n_deleted: int) -> None:
        """Take over the next version of the document; what runs for the older one is stopped."""
        self.stop()
        self.document = document
        self.rhythm = self.rhythm.after(n_inserted, n_deleted, time.monotonic())

    def syntax(self) -> Syntax | None:
        """The document's tree; None where there is none."""
        if self._syntax is None or self._syntax.text is not self.document.text:
            self._syntax = parsed(self.document.text, self.document.language, self._syntax)
        return self._syntax

    async def run_newest(self, work: Coroutine[Any, Any, T], *, warms: bool = False) -> T | None:
        """Run work, stopping what ran before; None when a newer call stopped this one.

        warms: nobody waits for it. Cancelling the awaiting task cancels work too.
        """
        self.stop()
        task = asyncio.ensure_future(work)
        self._running, self._warms = task, warms
        try:
            return await task
        except asyncio.CancelledError:
            current = asyncio.current_task()
            if not task.cancelled() or (current is not None and current.cancelling()):
                task.cancel()
                raise
            return None
        finally:
            if self._running is task:
                self._running = None

    @property
    def is_asking(self) -> bool:
        """Whether a question is in flight."""
        return self._running is not None and not self._warms

    def stop(self) -> None:
        """Cancel the question in flight, if there is one."""
        if self._running is not None:
            self._running.cancel()
            self._running = None


class Sessions:
    """The sessions of all open documents, by uri."""

    def __init__(self) -> None:
        self._by_uri: dict[str, Session] = {}

    def open(self, document: Document) -> None:
        """Start (or restart) the session of a document."""
        self.close(document.uri)
        self._by_uri[document.uri] = Session(document)

    def find(self, uri: str) -> Session | None:
        """The session of a uri, or None when the document is not open."""
        return self._by_uri.get(uri)

    def close(self, uri: str) -> None:
        """End a session and what runs for it; unknown uris are fine."""
        session = self._by_uri.pop(uri, None)
        if session is not None:
            session.stop()

    def close_all(self) -> None:
        """End every session."""
        for uri in list(self._by_uri):
            self.close(uri)
