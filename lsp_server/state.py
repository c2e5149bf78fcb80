"""The state of a running language server: settings, open documents, the engine, the latest answers, observers.

Every feature works on this one object.
"""

import asyncio
import logging
import traceback
from collections.abc import Coroutine, Mapping
from typing import Any

from ..fim.errors import CheckpointError, EngineUnavailable
from ..fim.text import Document, PositionEncoding
from ..fim.text.printable import printable
from .answering.answers import Answers
from .answering.question import Surroundings
from .answering.settling import SettleClock
from .engine_backoff import EngineCare, ManagedEngine
from .events import Events
from .languages import KnownLanguages, LanguageNotes, about_language
from .notebooks import Notebooks
from .outcomes import Outcomes
from .protocol.endpoint import StrictServer, types
from .protocol.progress import EngineProgress
from .sessions import Session, Sessions
from .settings import Settings
from .status import Status
from .workspace import Workspace

log = logging.getLogger(__name__)

STATUS = "quicksilver/status"


class ServerState(StrictServer):
    """The server without its handlers."""

    def __init__(self, engine: ManagedEngine, version: str) -> None:
        super().__init__("quicksilver", version)
        self.care = EngineCare(engine)
        self.settings = self.configured = Settings()
        self.options: object = None  # as the client gave them when it started
        self.switched: bool | None = None  # on or off by a command; None: no command came
        self.complaints: set[str] = set()  # about settings, already shown
        self.encoding: PositionEncoding = "utf-16"
        self.clock = SettleClock()
        self.sessions = Sessions()
        self.notebooks = Notebooks()
        self.answers = Answers()
        self.events = Events()
        self.outcomes = Outcomes()
        self.status = Status(
            self.tell_status, lambda s, call: asyncio.get_running_loop().call_later(s, call), self.outcomes.counts
        )
        self.shows_progress = self.shows_status = False
        self.language_notes = LanguageNotes()
        self._looked_at: Document | None = None  # the document that was opened or asked about last
        self.has_begun = False
        self.folders: list[str] = []  # of the workspace, as uris
        self.project = Workspace()  # pygls's own `workspace` is not used
        self._tasks: set[asyncio.Task[None]] = set()

    def look_at(self, document: Document) -> None:
        """Show in the status if the model does not know this document's language."""
        self._looked_at = document
        about = about_language(document.language, self.known_languages)
        self.status.document(document.language, about, self.care.languages)

    def look_again(self) -> None:
        """The same for the last document again: the engine may have named its languages by now."""
        if self._looked_at is not None:
            self.look_at(self._looked_at)

    @property
    def known_languages(self) -> KnownLanguages:
        """The languages of the model and of the settings."""
        return KnownLanguages(self.care.languages, self.settings.languages)

    def surroundings(self, session: Session, offset: int) -> Surroundings:
        """What is known around the cursor in an open document."""
        without = self.settings.without
        return Surroundings(
            syntax=None if "syntax" in without or not self.settings.enabled else session.syntax(offset),
            rhythm=session.rhythm,
            last=session.shown,
            held=None if session.held is None else session.held.text,
            remembered=session.remembered,
            snippets=self.project.snippets_for(session.document, offset, off=without),
            offers=lambda hole: () if "offers" in without else self.project.offers_for(hole, session.document),
            model_languages=self.care.learn_languages,
        )

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Run work in the background until the server ends."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._forget)

    def _forget(self, task: asyncio.Task[None]) -> None:
        """Log a bug by its kind and place: its message may hold source text."""
        self._tasks.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is not None:
            log.error("failed (%s)\n%s", type(error).__name__, "".join(traceback.format_tb(error.__traceback__)))

    def close(self) -> None:
        """Stop everything in flight; the engine stays for other editors."""
        self.project.close()
        self.sessions.close_all()
        for task in list(self._tasks):
            task.cancel()

    def tell(self, kind: types.MessageType, message: str) -> None:
        """Show the person one line."""
        self.window_show_message(types.ShowMessageParams(type=kind, message=f"Quicksilver: {printable(message)}"))

    def engine_failed(self, reason: str) -> None:
        """Log a failure of the engine; show it once per series of failures."""
        log.error("no completion: %s", reason)
        self.status.engine("failed", reason)
        if self.care.should_tell():
            self.tell(types.MessageType.Warning, reason)

    def start_engine_if_wanted(self) -> None:
        """Start the engine in the background, if the settings say so."""
        if self.settings.start_engine and self.settings.enabled:
            self.spawn(self.start_engine())

    async def start_engine(self) -> None:
        """Start the engine, with progress if the client shows it; a failure is shown, not raised."""
        bar = EngineProgress(self.work_done_progress) if self.shows_progress else None

        def report(message: str) -> None:
            self.status.engine("starting", message)
            if bar is not None:
                bar.report(message)

        self.status.engine("starting")
        try:
            if bar is not None:
                await bar.begin()
            choice = await self.care.start(report)
        except (EngineUnavailable, CheckpointError) as error:
            self.engine_failed(str(error))
            if bar is not None:
                bar.end("the engine could not be started")
        else:
            log.info("the engine is ready%s", f", it serves {choice}" if choice else "")
            self.look_again()
            self.status.serves(choice)
            if bar is not None:
                bar.end("ready")

    def tell_status(self, described: Mapping[str, Any]) -> None:
        """Send the status to a client that wants it, once the handshake is over."""
        if self.shows_status and self.has_begun and not self.strict.shut_down:
            self.protocol.notify(STATUS, described)
