"""`quicksilver lsp`: the handlers of the language server. Its life over stdio is in stdio.py.

Owns which message does what. It does not know how an answer is made (inline_completion.py), how messages are read
(protocol.py, params.py), or torch. Logs go to stderr and hold lengths and timings, never source text.
"""

import asyncio
import logging
import time
import traceback
import uuid
from collections.abc import Callable, Coroutine
from typing import Any

from ..fim.document import Document
from ..fim.errors import CheckpointError, EngineUnavailable, InputError
from ..fim.positions import PositionEncoding
from ..fim.types import Outcome
from . import params as read
from .answers import DID_ACCEPT, Answer, Answers, Ask
from .engine_care import EngineCare, ManagedEngine
from .inline_completion import Surroundings, complete_inline, nothing
from .on_show import last_shown
from .progress import EngineProgress
from .protocol import StrictServer, client_supports_progress, types
from .reading_ahead import cursor_moved, look_ahead, read_when_idle
from .sessions import Session, Sessions
from .settings import Settings, read_settings
from .workspace import Workspace
from .workspace_handlers import FEATURES, READERS, start_workspace

log = logging.getLogger(__name__)

EXPLAIN = "quicksilver/explain"
WARM = "quicksilver/warm"
_ENCODINGS: tuple[PositionEncoding, ...] = ("utf-8", "utf-16", "utf-32")


class CompletionServer(StrictServer):
    """The language server: open documents, settings, the engine, the latest answers."""

    def __init__(self, engine: ManagedEngine, version: str) -> None:
        super().__init__("quicksilver", version)
        self.care = EngineCare(engine)
        self.settings = Settings()
        self.encoding: PositionEncoding = "utf-16"
        self.sessions = Sessions()
        self.answers = Answers()
        self.shows_progress = False
        self.folders: list[str] = []  # of the workspace, as uris
        self.project = Workspace()  # pygls has a `workspace` of its own, which we do not use
        self._tasks: set[asyncio.Task[None]] = set()
        _register(self)

    def snapshot(self, params: object) -> Ask:
        """A question with the document as it is at this moment. Raises InputError."""
        received_s = time.perf_counter()
        wanted = read.read_inline_completion(params)
        session = self.sessions.find(wanted.uri)
        document = None if session is None else session.document
        offset = 0 if document is None else document.offset_at(wanted.position, self.encoding)
        return Ask(
            id=uuid.uuid4().hex[:12],
            uri=wanted.uri,
            document=document,
            offset=offset,
            invoked=wanted.invoked,
            received_s=received_s,
        )

    async def answer(self, ask: Ask) -> Answer:
        """The answer to a question; empty when a newer question or a newer text came meanwhile."""
        session = self.sessions.find(ask.uri)
        if session is None or session.document is not ask.document:
            answer = self._too_late(ask, session)
        else:
            session.asked = ask.document
            if ask.invoked:
                self.care.wake()
            around = self.surroundings(session, ask.offset)
            work = complete_inline(ask, self.settings, self.care, self.encoding, around)
            about = (id(ask.document), ask.offset, ask.invoked)
            with self.project.question():
                found = await session.run_newest(work, about=about)
            current = session.document is ask.document
            answer = found if found is not None and current else self._too_late(ask, session)
            if found is not None and current:
                session.shown = last_shown(ask, found, session.shown)
                self.spawn(look_ahead(self, session, ask, found))
        self._note(answer)
        return answer

    def surroundings(self, session: Session, offset: int) -> Surroundings:
        """What is known around the cursor in an open document."""
        without = self.settings.without
        return Surroundings(
            syntax=None if "syntax" in without or not self.settings.enabled else session.syntax(offset),
            rhythm=session.rhythm,
            last=session.shown,
            remembered=session.remembered,
            snippets=self.project.snippets_for(session.document, offset, off=without),
            offers=lambda hole: () if "offers" in without else self.project.offers_for(hole, session.document),
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
        self.window_show_message(types.ShowMessageParams(type=kind, message=f"Quicksilver: {message}"))

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

    def engine_failed(self, reason: str) -> None:
        """Log a failure of the engine; show it once per series of failures."""
        log.error("no completion: %s", reason)
        if self.care.should_tell():
            self.tell(types.MessageType.Warning, reason)


def initialize(ls: CompletionServer, params: types.InitializeParams) -> None:
    """Take encoding, progress support and settings over."""
    capabilities = params.capabilities
    ls.encoding = _first_known(capabilities)
    ls.shows_progress = client_supports_progress(capabilities)
    ls.settings, complaints = read_settings(params.initialization_options)
    if ls.settings.log_level is not None:
        logging.getLogger("quicksilver").setLevel(ls.settings.log_level.upper())
    log.info("initialized: %s, process %s", ls.encoding, params.process_id)
    for complaint in complaints:
        log.warning("%s", complaint)
        ls.tell(types.MessageType.Warning, complaint)


def _first_known(capabilities: types.ClientCapabilities) -> PositionEncoding:
    offered = (capabilities.general.position_encodings if capabilities.general else None) or []
    names = [encoding.value if isinstance(encoding, types.PositionEncodingKind) else encoding for encoding in offered]
    known: list[PositionEncoding] = [encoding for name in names for encoding in _ENCODINGS if encoding == name]
    return known[0] if known else "utf-16"


def initialized(ls: CompletionServer, _: types.InitializedParams) -> None:
    """Start the engine, and the look at the workspace, in the background."""
    start_workspace(ls)
    if ls.settings.start_engine and ls.settings.enabled:
        ls.spawn(start_engine(ls))


async def start_engine(ls: CompletionServer) -> None:
    """Start the engine, with progress where the client shows it; a failure is told, not raised."""
    progress = EngineProgress(ls.work_done_progress) if ls.shows_progress else None
    try:
        if progress is not None:
            await progress.begin()
        await ls.care.start(None if progress is None else progress.report)
    except (EngineUnavailable, CheckpointError) as error:
        ls.engine_failed(str(error))
        if progress is not None:
            progress.end("the engine could not be started")
    else:
        log.info("the engine is ready")
        if progress is not None:
            progress.end("ready")


def did_open(ls: CompletionServer, document: Document) -> None:
    """Keep a document."""
    ls.sessions.open(document)
    ls.project.opened(document)


def did_change(ls: CompletionServer, change: read.DidChangeParams) -> None:
    """Take edits over and stop what runs for the older text."""
    session = ls.sessions.find(change.uri)
    if session is None:
        log.warning("a change came for a document that the editor has not opened: %s", change.uri)
        return
    version = session.document.version + 1 if change.version is None else change.version
    try:
        document = session.document.with_changes(change.changes, version, ls.encoding)
    except InputError as error:
        log.warning("a change could not be applied (%s); %s counts as closed until it is reopened", error, change.uri)
        did_close(ls, change.uri)
        return
    n_inserted = sum(len(each.text) for each in change.changes)
    session.change(document, n_inserted, len(session.document.text) + n_inserted - len(document.text))
    offset = _edited_at(document, change, ls.encoding)
    ls.project.changed(document, offset)
    if offset is not None:
        ls.spawn(read_when_idle(ls, session, document, offset))


def _edited_at(document: Document, change: read.DidChangeParams, encoding: PositionEncoding) -> int | None:
    """The offset at the end of the last edit; None where that was the whole text."""
    last = change.changes[-1] if change.changes else None
    if last is None or last.start is None:
        return None
    return min(document.offset_at(last.start, encoding) + len(last.text), len(document.text))


def did_close(ls: CompletionServer, uri: str) -> None:
    """Forget a document."""
    ls.sessions.close(uri)
    ls.project.closed(uri)


async def inline_completion(ls: CompletionServer, ask: Ask) -> dict[str, Any]:
    """Answer `textDocument/inlineCompletion`: a list with one item or none."""
    return {"items": (await ls.answer(ask)).items()}


def explain(ls: CompletionServer, answer_id: str | None) -> dict[str, Any] | None:
    """Answer `quicksilver/explain`: all about an answer, null when it is not known (any more)."""
    answer = ls.answers.find(answer_id)
    return None if answer is None else answer.explain()


def did_accept(ls: CompletionServer, *arguments: object) -> None:
    """`quicksilver.didAccept`: the editor inserted an answer."""
    first = arguments[0] if arguments else None
    answer = ls.answers.find(str(first.get("id"))) if isinstance(first, dict) else None
    if answer is None:
        log.warning("an unknown completion was accepted")
        return
    outcome = Outcome(completion_id=answer.id, kind="accepted", n_chars=len(answer.text))
    log.info("outcome %s: %s, %d characters", outcome.completion_id, outcome.kind, outcome.n_chars)


def _register(server: CompletionServer) -> None:
    features: dict[str, Callable[..., Any]] = {
        types.INITIALIZE: initialize,
        types.INITIALIZED: initialized,
        types.TEXT_DOCUMENT_DID_OPEN: did_open,
        types.TEXT_DOCUMENT_DID_CHANGE: did_change,
        types.TEXT_DOCUMENT_DID_CLOSE: did_close,
        types.TEXT_DOCUMENT_INLINE_COMPLETION: inline_completion,
        EXPLAIN: explain,
        WARM: cursor_moved,
        **FEATURES,
    }
    for name, handler in features.items():
        options = (
            types.InlineCompletionOptions(work_done_progress=False)
            if name == types.TEXT_DOCUMENT_INLINE_COMPLETION
            else None
        )
        server.feature(name, options)(handler)
    server.command(DID_ACCEPT)(did_accept)
    server.strict.readers.update(
        {
            types.TEXT_DOCUMENT_DID_OPEN: read.read_did_open,
            types.TEXT_DOCUMENT_DID_CHANGE: read.read_did_change,
            types.TEXT_DOCUMENT_DID_CLOSE: read.read_did_close,
            types.TEXT_DOCUMENT_INLINE_COMPLETION: server.snapshot,
            EXPLAIN: read.read_explain,
            WARM: read.read_warm,
            **READERS,
        }
    )
