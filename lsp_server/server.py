"""`quicksilver lsp`: the handlers of the language server. Its life over stdio is in stdio.py.

Owns which message does what. It does not know how an answer is made (completion.py), how messages are read
(endpoint.py, params.py), or torch. Logs go to stderr and hold lengths and timings, never source text.
"""

import logging
import time
import uuid
from collections.abc import Callable
from dataclasses import replace
from inspect import isawaitable
from typing import Any

from .answers import Answer, Question, SelectedItem
from .completion import Surroundings, complete_inline, nothing
from .engine_backoff import ManagedEngine
from .features import commands, configuration, documents
from .features.workspace import FEATURES, READERS
from .ghost_text import last_shown
from .prefetch import look_ahead
from .protocol import params as read
from .protocol.endpoint import types
from .selected_item import extend_item
from .sessions import Session
from .settings import Settings
from .settling import hold, settle
from .state import ServerState

log = logging.getLogger(__name__)

EXPLAIN = "quicksilver/explain"
WARM = "quicksilver/warm"


class CompletionServer(ServerState):
    """The language server: from each question to its answer."""

    def __init__(self, engine: ManagedEngine, version: str) -> None:
        super().__init__(engine, version)
        _register(self)

    def snapshot(self, params: object) -> Question:
        """A question with the document as it is at this moment. Raises InputError."""
        received_s = time.perf_counter()
        wanted = read.read_inline_completion(params)
        place = documents.find_place(self, wanted.uri, wanted.position)
        return Question(
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

    async def answer(self, ask: Question) -> Answer:
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

    async def _answer(self, ask: Question, session: Session) -> Answer:
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

    async def _settled(self, ask: Question, session: Session, settings: Settings, around: Surroundings) -> Answer:
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

    def _unwanted(self, ask: Question) -> Answer | None:
        """The empty answer if completions are off or snoozed, perhaps since the question came; None if they are on."""
        if not self.settings.enabled:
            return nothing(ask, "off", "completion is switched off in the settings")
        if self.status.is_snoozed and not ask.invoked:
            return nothing(ask, "snoozed", "completions are snoozed")
        return None

    def _too_late(self, ask: Question, session: Session | None) -> Answer:
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


async def inline_completion(ls: CompletionServer, ask: Question) -> dict[str, Any]:
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
