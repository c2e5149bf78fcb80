"""What follows from what happens, beside the answer itself.

Each function adds its callables to the server's events: the log, the counts of outcomes, the workspace, reading ahead,
the status, and what a person is told. None of them changes an answer, so a reader who follows a question may skip them.
"""

import logging

from ..fim.reuse import n_typed
from ..fim.text import Document
from .answering import Question
from .answering.answers import Answer, LastShown
from .events import Edit, Reply
from .prefetch import look_ahead, read_when_idle
from .protocol.endpoint import types
from .sessions import Session
from .state import ServerState

log = logging.getLogger(__name__)
N_TAKEN_LEAST = 2  # characters of a shown text that arrive in one edit: less is a key


def observe(ls: ServerState) -> None:
    """Have all of them told. The log comes first, and messages to a person last, when the status says why."""
    for add in (_log_answers, _count_outcomes, _follow_workspace, _read_ahead, _show_status, _mention_languages):
        add(ls)


def _follow_workspace(ls: ServerState) -> None:
    """The workspace knows what is open and where people work, and rests while they wait. ls.project may be replaced."""
    ls.events.opened.append(lambda document: ls.project.opened(document))
    ls.events.edited.append(lambda edit: ls.project.changed(edit.session.document, edit.offset))
    ls.events.closed.append(lambda session: ls.project.closed(session.document.uri))
    ls.events.during.append(lambda: ls.project.question())


def _count_outcomes(ls: ServerState) -> None:
    """What becomes of a text on show is read off the edits, unless the editor tells."""

    def edited(edit: Edit) -> None:
        if edit.session.shown is not None:
            _note_outcome(ls, edit.session.shown, edit.before, edit.session.document)

    def closed(session: Session) -> None:
        if session.shown is not None:
            _note_outcome(ls, session.shown, session.document, None)

    def replied(reply: Reply) -> None:
        if reply.answer.text and reply.is_new and not ls.outcomes.tells:
            ls.outcomes.shown(reply.answer.shown_id)

    ls.events.edited.append(edited)
    ls.events.closed.append(closed)
    ls.events.replied.append(replied)


def _note_outcome(ls: ServerState, shown: LastShown, before: Document, after: Document | None) -> None:
    """What became of a shown text by an edit: more of it stands there now, or something else (after None: nothing)."""
    had, has = n_typed(shown.shown, before), None if after is None else n_typed(shown.shown, after)
    length, answer = len(shown.shown.text), shown.answer
    if had is None or not ls.outcomes.may_infer(answer.shown_id):
        return
    if has is None:
        ls.outcomes.rejected(answer.shown_id)
    elif has - had >= N_TAKEN_LEAST and not ls.outcomes.tells:
        if has == length:
            ls.outcomes.accepted(answer.shown_id, length - had)
        else:
            ls.outcomes.took(answer.shown_id, has - had)
    ls.status.counted(ls.outcomes.counts)


def _read_ahead(ls: ServerState) -> None:
    """Contexts are read before anyone asks: where typing stops, and behind what is on show."""

    def edited(edit: Edit) -> None:
        if edit.offset is not None:
            ls.spawn(read_when_idle(ls, edit.session, edit.session.document, edit.offset))

    ls.events.edited.append(edited)
    ls.events.replied.append(lambda reply: ls.spawn(look_ahead(ls, reply.session, reply.question, reply.answer)))


def _log_answers(ls: ServerState) -> None:
    """The log has lengths, timings and reasons, never a text."""

    def answered(_: Question, answer: Answer) -> None:
        ms = answer.timings_ms
        facts = (answer.id, answer.cause, len(answer.text), ms.get("total", 0.0), ms.get("engine", 0.0))
        log.info("answer %s: %s, %d characters, %.1f ms (engine %.1f ms)", *facts)
        if answer.reason is not None:
            log.debug("answer %s is empty: %s", answer.id, answer.reason)
        if answer.cause == "closed":
            log.warning("a completion was asked for a document that the editor has not opened: %s", answer.uri)

    ls.events.answered.append(answered)


def _show_status(ls: ServerState) -> None:
    """The status says what the server does, how the engine is and what the model knows of the document at hand."""

    def asked(ask: Question) -> None:
        if ask.is_open:
            ls.look_at(ask.document)

    def answered(_: Question, answer: Answer) -> None:
        if answer.cause in ("engine", "checkpoint") and answer.reason is not None:
            ls.engine_failed(answer.reason)
        elif answer.text and answer.completion is not None and not answer.is_reused:
            ms = answer.timings_ms
            took_ms = ms.get("total", 0.0) - ms.get("settle", 0.0)  # without the moment that the text was held back
            ls.status.answered(took_ms, answer.completion.model, ls.outcomes.counts)
        ls.look_again()  # by now the engine may have said what it knows

    ls.events.opened.append(ls.look_at)
    ls.events.asked.append(asked)
    ls.events.during.append(ls.status.question)
    ls.events.answered.append(answered)


def _mention_languages(ls: ServerState) -> None:
    """A person is told once of a language that the model was not taught."""

    def answered(ask: Question, answer: Answer) -> None:
        if (line := ls.language_notes.note(ask, answer, ls.known_languages)) is not None:
            ls.tell(types.MessageType.Info, line)

    ls.events.answered.append(answered)
