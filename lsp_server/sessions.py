"""The open documents, each with what is running for it.

Owns newest-wins: one question per document at a time, the newer one stops the older. It does not know LSP messages,
positions in a client's units, or the engine. A file that the editor has not opened does not exist here: nothing is ever
read from disk.
"""

import asyncio
import time
from collections.abc import Coroutine, Hashable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

from ..fim.reuse import Remembered
from ..fim.syntax import Syntax, parse
from ..fim.text import Document
from ..fim.typing_rhythm import Rhythm
from .answering.answers import Answer, LastShown
from .answering.settling import Held

T = TypeVar("T")
REFUSED_S = 10.0  # after a text that could not be parsed, before the next is tried
REFUSED_TIMES = 30  # at least so many times as long as that took


@dataclass
class _Flight:
    """Work in progress: what it is about, and how many wait for it. warms: nobody does."""

    task: asyncio.Task[Any]
    about: Hashable
    warms: bool
    n_waiting: int = 0

    @property
    def is_ending(self) -> bool:
        """Whether it has a result, or was told to stop and will have none."""
        return self.task.done() or self.task.cancelling() > 0


class Session:
    """One open document: its current text and the question in flight."""

    def __init__(self, document: Document) -> None:
        self.document = document
        self.asked: Document | None = None  # the last text that a question or a warming was about
        self.shown: LastShown | None = None  # what the latest question was answered with
        self.held: Held | None = None  # a text that is held back for a moment
        self.remembered: Remembered[Answer] = Remembered()
        self.rhythm = Rhythm()
        self._syntax: Syntax | None = None
        self._parses_from_s = float("-inf")
        self._flight: _Flight | None = None

    def change(self, document: Document, n_inserted: int, n_deleted: int) -> None:
        """Take over the next version of the document; what runs for the older one is stopped."""
        self.stop()
        self.document = document
        self.rhythm = self.rhythm.after(n_inserted, n_deleted, time.monotonic())

    def forget_answers(self) -> None:
        """What was answered under other settings is not answered again."""
        self.shown, self.held, self.remembered = None, None, Remembered()

    def syntax(self, offset: int) -> Syntax | None:
        """The document's tree, at least around offset; None where there is none, and for REFUSED_S after that."""
        known = self._syntax
        if known is not None and known.text is self.document.text and known.window is None:
            return known
        if time.monotonic() < self._parses_from_s:
            return None
        started_s = time.monotonic()
        self._syntax = parse(self.document.text, self.document.language, known, near=offset)
        if self._syntax is None:
            now_s = time.monotonic()
            self._parses_from_s = now_s + max(REFUSED_S, REFUSED_TIMES * (now_s - started_s))
        return self._syntax

    async def run_newest(
        self, work: Coroutine[Any, Any, T], *, about: Hashable = None, warms: bool = False
    ) -> T | None:
        """Run work, stopping what ran before; None when a newer call stopped this one.

        What is about the same as the work in progress (not None) shares its result instead of stopping it. warms:
        nobody waits for it. Work is cancelled when all who await it are.
        """
        flight = self._flight
        if flight is not None and about is not None and flight.about == about and not flight.is_ending:
            work.close()
        else:
            self.stop()
            flight = self._flight = _Flight(asyncio.ensure_future(work), about, warms)
        return await self._landed(flight)

    async def _landed(self, flight: _Flight) -> Any:  # noqa: ANN401 (what the work returns)
        flight.n_waiting += 1
        try:
            return await asyncio.shield(flight.task)
        except asyncio.CancelledError:
            current = asyncio.current_task()
            if not flight.task.cancelled() or (current is not None and current.cancelling()):
                if flight.n_waiting == 1:
                    flight.task.cancel()
                raise
            return None
        finally:
            flight.n_waiting -= 1
            if self._flight is flight and flight.task.done():
                self._flight = None

    @property
    def is_asking(self) -> bool:
        """Whether a question is in flight."""
        return self._flight is not None and not self._flight.warms

    def stop(self) -> None:
        """Cancel the question in flight, if there is one."""
        if self._flight is not None:
            self._flight.task.cancel()
            self._flight = None


class Sessions:
    """The sessions of all open documents, by uri."""

    def __init__(self) -> None:
        self._by_uri: dict[str, Session] = {}

    def __iter__(self) -> Iterator[Session]:
        return iter(list(self._by_uri.values()))

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

    def forget_answers(self) -> None:
        """What was answered under other settings is not answered again, in no document."""
        for session in self._by_uri.values():
            session.forget_answers()

    def close_all(self) -> None:
        """End every session."""
        for uri in list(self._by_uri):
            self.close(uri)
