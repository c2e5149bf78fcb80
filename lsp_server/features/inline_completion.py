"""`textDocument/inlineCompletion`: from each question to its answer, and `quicksilver/explain`, all about an answer.

Owns which questions are worked on at all, that the newest about a document wins, and when an answer may appear. It does
not know how an answer is made (answering/), or what else follows from it (observers.py).
"""

import time
import uuid
from dataclasses import replace
from typing import Any

from ...fim.text import Document
from ..answering import Answer, complete
from ..answering.ghost_text import last_shown
from ..answering.question import Question, SelectedItem
from ..answering.replies import nothing
from ..answering.settling import hold, settle
from ..events import Reply
from ..protocol.params import InlineCompletionParams, read_inline_completion
from ..sessions import Session
from ..state import ServerState
from .documents import find_place


def read_question(ls: ServerState, params: object) -> Question:
    """A question with the document as it is at this moment. Raises InputError."""
    received_s = time.perf_counter()
    wanted = read_inline_completion(params)
    place = find_place(ls, wanted.uri, wanted.position)
    ask = Question(
        id=uuid.uuid4().hex[:12],
        uri=wanted.uri,
        document=Document(wanted.uri, 0, "", ""),
        offset=0,
        is_open=False,
        invoked=wanted.invoked,
        received_s=received_s,
        selected=_selected(ls, wanted),
        indent=wanted.indent,
        encoding=ls.encoding,
    )
    if place is None:
        return ask
    document, offset, first_line = place.session.document, place.offset, place.first_line
    return replace(ask, document=document, offset=offset, first_line=first_line, is_open=True)


def _selected(ls: ServerState, wanted: InlineCompletionParams) -> SelectedItem | None:
    if wanted.selected is None:
        return None
    *ends, text = wanted.selected
    start, end = (find_place(ls, wanted.uri, position) for position in ends)
    return None if start is None or end is None else SelectedItem(start=start.offset, end=end.offset, text=text)


async def inline_completion(ls: ServerState, ask: Question) -> dict[str, Any]:
    """Answer `textDocument/inlineCompletion`: a list with one item or none."""
    return {"items": (await answer_question(ls, ask)).items()}


async def answer_question(ls: ServerState, ask: Question) -> Answer:
    """The answer to a question; empty when a newer question or a newer text came meanwhile."""
    for told in ls.events.asked:
        told(ask)
    session = ls.sessions.find(ask.document.uri)
    if session is None or session.document is not ask.document:
        answer = _too_late(ask, session)
    elif (answer := _unwanted(ls, ask)) is None:
        with ls.events.working():
            answer = await _answer_newest(ls, ask, session)
    answer = replace(answer, first_line=ask.first_line)
    ls.answers.add(answer)
    for told in ls.events.answered:
        told(ask, answer)
    return answer


async def _answer_newest(ls: ServerState, ask: Question, session: Session) -> Answer:
    """The answer, unless a newer question or another text comes meanwhile."""
    session.asked = ask.document
    if ask.invoked:
        ls.care.wake()
    ask = replace(ask, settings=ls.settings, around=ls.surroundings(session, ask.offset))
    about = (id(ask.document), ask.offset, ask.invoked, ask.selected, ask.settings)
    found = await session.run_newest(_settle(ls, ask, session), about=about)
    if found is None or session.document is not ask.document:
        return _too_late(ask, session)
    if (unwanted := _unwanted(ls, ask)) is not None:
        return unwanted
    if ls.settings is not ask.settings or ask.selected is not None:
        return found  # not remembered: other settings or another selected item may give another one
    before = session.shown
    session.shown = last_shown(ask, found, before)
    for told in ls.events.replied:
        told(Reply(session, ask, found, is_new=session.shown is not before))
    return found


async def _settle(ls: ServerState, ask: Question, session: Session) -> Answer:
    """The answer, once its text has been wanted long enough to appear."""
    asked_s = ls.clock.now_s()
    answer = await complete(ask, ls.care)
    if not ask.settings.settle_ms or ls.settings is not ask.settings:
        return answer
    session.held = hold(ask, answer, session.shown, session.held, asked_s)
    if session.held is None:
        return answer
    settled = await settle(answer, session.held, ask.settings.settle_ms, ls.clock)
    session.held = None  # it appears now
    return settled


def _unwanted(ls: ServerState, ask: Question) -> Answer | None:
    """The empty answer if completions are off or snoozed, perhaps since the question came; None if they are on."""
    if not ls.settings.enabled:
        return nothing(ask, "off", "completion is switched off in the settings")
    if ls.status.is_snoozed and not ask.invoked:
        return nothing(ask, "snoozed", "completions are snoozed")
    return None


def _too_late(ask: Question, session: Session | None) -> Answer:
    if session is None or not ask.is_open:
        return nothing(ask, "closed", "the editor has not opened this document")
    if session.document is not ask.document:
        return nothing(ask, "stale", "the document changed before the answer came")
    return nothing(ask, "superseded", "a newer request for this document came")


def explain(ls: ServerState, answer_id: str | None) -> dict[str, Any] | None:
    """Answer `quicksilver/explain`: all about an answer, null when it is not known (any more)."""
    answer = ls.answers.find(answer_id)
    return None if answer is None else answer.explain()
