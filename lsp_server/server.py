"""`quicksilver lsp`: the handlers of the language server. Its life over stdio is in stdio.py.

Owns which message does what. It does not know how an answer is made (inline_completion.py), how messages are read
(protocol.py, params.py), or torch. Logs go to stderr and hold lengths and timings, never source text.
"""

import asyncio
import logging
import time
import traceback
import uuid
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import replace
from inspect import isawaitable
from typing import Any

from ..fim.document import Document
from ..fim.errors import CheckpointError, EngineUnavailable
from ..fim.positions import PositionEncoding
from ..fim.printable import printable
from . import commands, configuration, documents
from . import params as read
from .answers import Answer, Answers, Ask, SelectedItem
from .engine_care import EngineCare, ManagedEngine
from .inline_completion import Surroundings, complete_inline, nothing
from .languages import KnownLanguages, LanguageNotes, about_language
from .notebooks import Notebooks
from .on_show import last_shown
from .outcomes import Outcomes
from .progress import EngineProgress
from .protocol import StrictServer, types
from .reading_ahead import look_ahead
from .selected_item import extend_item
from .sessions import Session, Sessions
from .settings import Settings
from .settling import SettleClock, hold, settle
from .status import Status
from .workspace import Workspace
from .workspace_handlers import FEATURES, READERS

log = logging.getLogger(__name__)

EXPLAIN = "quicksilver/explain"
STATUS = "quicksilver/status"
WARM = "quicksilver/warm"


class CompletionServer(StrictServer):
    """The language server: open documents, settings, the engine, the latest answers."""

    def __init__(self, engine: ManagedEngine, version: str) -> None:
        super().__init__("quicksilver", version)
        self.care = EngineCare(engine)
        self.settings = self.configured = Settings()
        self.options: object = None  # as the client gave them when it started
        self.switched: bool | None = None  # on or off by hand, None where nobody did
        self.complaints: set[str] = set()  # about settings, as told
        self.encoding: PositionEncoding = "utf-16"
        self.clock = SettleClock()
        self.sessions = Sessions()
        self.notebooks = Notebooks()
        self.answers = Answers()
        self.outcomes = Outcomes()
        self.status = Status(
            self.tell_status, lambda s, call: asyncio.get_running_loop().call_later(s, call), self.outcomes.counts
        )
        self.shows_progress = self.shows_status = False
        self.language_notes = LanguageNotes()
        self._looked_at: Document | None = None  # the document that was opened or asked about last
        self.has_begun = False
        self.folders: list[str] = []  # of the workspace, as uris
        self.project = Workspace()  # pygls has a `workspace` of its own, which we do not use
        self._tasks: set[asyncio.Task[None]] = set()
        _register(self)

    def snapshot(self, params: object) -> Ask:
        """A question with the document as it is at this moment. Raises InputError."""
        received_s = time.perf_counter()
        wanted = read.read_inline_completion(params)
        place = documents.find_place(self, wanted.uri, wanted.position)
        return Ask(
            id=uuid.uuid4().hex[:12],
            uri=wanted.uri,
            document=None if place is None else place.session.document,
            offset=0 if place is None else place.offset,
            first_line=0 if place is None else place.first_line,
            invoked=wanted.invoked,
            received_s=received_s,
            selected=self._selected(wanted),
            indent=wanted.indent,
        )

    def _selected(self, wanted: read.InlineCompletionParams) -> SelectedItem | None:
        if wanted.selected is None:
            return None
        *ends, text = wanted.selected
        start, end = (documents.find_place(self, wanted.uri, position) for position in ends)
        return None if start is None or end is None else SelectedItem(start=start.offset, end=end.offset, text=text)

    async def answer(self, ask: Ask) -> Answer:
        """The answer to a question; empty when a newer question or a newer text came meanwhile."""
        if ask.document is not None:
            self.look_at(ask.document)
        session = None if ask.document is None else self.sessions.find(ask.document.uri)
        if session is None or session.document is not ask.document:
            answer = self._too_late(ask, session)
        elif (answer := self._unwanted(ask)) is None:
            with self.status.question():
                answer = await self._answer(ask, session)
        answer = replace(answer, first_line=ask.first_line)
        self._note(answer)
        if (line := self.language_notes.note(ask, answer, self.known_languages)) is not None:
            self.tell(types.MessageType.Info, line)
        if self._looked_at is not None:
            self.look_at(self._looked_at)  # again: by now the engine may have said what it knows
        return answer

    def look_at(self, document: Document) -> None:
        """Have the status say so if the model does not know this document's language."""
        self._looked_at = document
        about = about_language(document.language, self.known_languages)
        self.status.document(document.language, about, self.care.languages)

    @property
    def known_languages(self) -> KnownLanguages:
        """The languages of the model and of the settings."""
        return KnownLanguages(self.care.languages, self.settings.languages)

    async def _answer(self, ask: Ask, session: Session) -> Answer:
        session.asked = ask.document
        if ask.invoked:
            self.care.wake()
        around, settings = self.surroundings(session, ask.offset), self.settings
        work = self._settled(ask, session, settings, around)
        about = (id(ask.document), ask.offset, ask.invoked, ask.selected, settings)
        with self.project.question():
            found = await session.run_newest(work, about=about)
        if found is None or session.document is not ask.document:
            return self._too_late(ask, session)
        if (unwanted := self._unwanted(ask)) is not None:
            return unwanted
        if self.settings is not settings or ask.selected is not None:
            return found  # not remembered: other settings or another selected item may give another one
        before = session.shown
        session.shown = last_shown(ask, found, before)
        if found.text and session.shown is not before and not self.outcomes.tells:
            self.outcomes.shown(found.shown_id)
        self.spawn(look_ahead(self, session, ask, found))
        return found

    async def _settled(self, ask: Ask, session: Session, settings: Settings, around: Surroundings) -> Answer:
        """The answer, once its text has been wanted long enough to appear."""
        asked_s = self.clock.now_s()
        complete = complete_inline if ask.selected is None else extend_item
        answer = await complete(ask, settings, self.care, self.encoding, around)
        if not settings.settle_ms or self.settings is not settings:
            return answer
        session.held = hold(ask, answer, session.shown, session.held, asked_s)
        if session.held is None:
            return answer
        settled = await settle(answer, session.held, settings.settle_ms, self.clock)
        session.held = None  # it appears now
        return settled

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
            stands_elsewhere=lambda word: self.project.has_word(word, session.document),
            model_languages=self.care.learn_languages,
        )

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Run work in the background until the server ends."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._forget)

    def _forget(self, task: asyncio.Task[None]) -> None:
        """Note a bug by its kind and place: its message may hold source text."""
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

    def _unwanted(self, ask: Ask) -> Answer | None:
        """The empty answer if completions are off or snoozed, perhaps since the question came; None if they are on."""
        if not self.settings.enabled:
            return nothing(ask, "off", "completion is switched off in the settings")
        if self.status.is_snoozed and not ask.invoked:
            return nothing(ask, "snoozed", "completions are snoozed")
        return None

    def _too_late(self, ask: Ask, session: Session | None) -> Answer:
        if ask.document is None or session is None:
            return nothing(ask, "closed", "the editor has not opened this document")
        if session.document is not ask.document:
            return nothing(ask, "stale", "the document changed before the answer came")
        return nothing(ask, "superseded", "a newer request for this document came")

    def _note(self, answer: Answer) -> None:
        self.answers.add(answer)
        ms = answer.timings_ms
        facts = (answer.id, answer.cause, len(answer.text), ms.get("total", 0.0), ms.get("engine", 0.0))
        log.info("answer %s: %s, %d characters, %.1f ms (engine %.1f ms)", *facts)
        if answer.reason is not None:
            log.debug("answer %s is empty: %s", answer.id, answer.reason)
        if answer.cause == "closed":
            log.warning("a completion was asked for a document that the editor has not opened: %s", answer.uri)
        if answer.cause in ("engine", "checkpoint") and answer.reason is not None:
            self.engine_failed(answer.reason)
        elif answer.text and answer.completion is not None and not answer.is_reused:
            took_ms = ms.get("total", 0.0) - ms.get("settle", 0.0)  # without the moment that the text was held back
            self.status.answered(took_ms, answer.completion.model, self.outcomes.counts)

    def engine_failed(self, reason: str) -> None:
        """Log a failure of the engine; show it once per series of failures."""
        log.error("no completion: %s", reason)
        self.status.engine("failed", reason)
        if self.care.should_tell():
            self.tell(types.MessageType.Warning, reason)

    def start_engine_if_wanted(self) -> None:
        """Start the engine in the background, where the settings say so."""
        if self.settings.start_engine and self.settings.enabled:
            self.spawn(self.start_engine())

    async def start_engine(self) -> None:
        """Start the engine, with progress where the client shows it; a failure is told, not raised."""
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
            if self._looked_at is not None:
                self.look_at(self._looked_at)
            self.status.serves(choice)
            if bar is not None:
                bar.end("ready")

    def tell_status(self, described: Mapping[str, Any]) -> None:
        """Send it to a client that wants it, once the handshake is over."""
        if self.shows_status and self.has_begun and not self.strict.shut_down:
            self.protocol.notify(STATUS, described)


async def inline_completion(ls: CompletionServer, ask: Ask) -> dict[str, Any]:
    """Answer `textDocument/inlineCompletion`: a list with one item or none."""
    return {"items": (await ls.answer(ask)).items()}


def explain(ls: CompletionServer, answer_id: str | None) -> dict[str, Any] | None:
    """Answer `quicksilver/explain`: all about an answer, null when it is not known (any more)."""
    answer = ls.answers.find(answer_id)
    return None if answer is None else answer.explain()


def _command(handler: Callable[..., Any]) -> Callable[..., Any]:
    """A handler as pygls wants one: it looks up what annotations mean, which ours only say to type checkers."""

    async def run(ls: Any, *arguments: Any) -> Any:  # noqa: ANN401 (JSON values)
        result = handler(ls, *arguments)
        return await result if isawaitable(result) else result

    return run


def _register(server: CompletionServer) -> None:
    features: dict[str, Callable[..., Any]] = {
        types.INITIALIZE: configuration.initialize,
        types.INITIALIZED: configuration.initialized,
        types.WORKSPACE_DID_CHANGE_CONFIGURATION: configuration.did_change_configuration,
        types.TEXT_DOCUMENT_DID_OPEN: documents.did_open,
        types.TEXT_DOCUMENT_DID_CHANGE: documents.did_change,
        types.TEXT_DOCUMENT_DID_CLOSE: documents.did_close,
        types.NOTEBOOK_DOCUMENT_DID_OPEN: documents.did_open_notebook,
        types.NOTEBOOK_DOCUMENT_DID_CHANGE: documents.did_change_notebook,
        types.NOTEBOOK_DOCUMENT_DID_SAVE: documents.did_save_notebook,
        types.NOTEBOOK_DOCUMENT_DID_CLOSE: documents.did_close_notebook,
        types.TEXT_DOCUMENT_INLINE_COMPLETION: inline_completion,
        commands.DID_SHOW: commands.did_show,
        commands.DID_PARTIALLY_ACCEPT: commands.did_partially_accept,
        EXPLAIN: explain,
        WARM: documents.cursor_moved,
        **FEATURES,
    }
    for name, handler in features.items():
        options = (
            types.InlineCompletionOptions(work_done_progress=False)
            if name == types.TEXT_DOCUMENT_INLINE_COMPLETION
            else None
        )
        server.feature(name, options)(handler)
    for name, handler in commands.COMMANDS.items():
        server.command(name)(_command(handler))
    server.strict.readers.update(
        {
            types.WORKSPACE_DID_CHANGE_CONFIGURATION: read.read_configuration,
            types.TEXT_DOCUMENT_DID_OPEN: read.read_did_open,
            types.TEXT_DOCUMENT_DID_CHANGE: read.read_did_change,
            types.TEXT_DOCUMENT_DID_CLOSE: read.read_did_close,
            types.NOTEBOOK_DOCUMENT_DID_OPEN: read.read_did_open_notebook,
            types.NOTEBOOK_DOCUMENT_DID_CHANGE: read.read_did_change_notebook,
            types.NOTEBOOK_DOCUMENT_DID_SAVE: read.read_notebook,
            types.NOTEBOOK_DOCUMENT_DID_CLOSE: read.read_notebook,
            types.TEXT_DOCUMENT_INLINE_COMPLETION: server.snapshot,
            commands.DID_SHOW: read.read_item_report,
            commands.DID_PARTIALLY_ACCEPT: read.read_item_report,
            EXPLAIN: read.read_explain,
            WARM: read.read_warm,
            **READERS,
        }
    )
