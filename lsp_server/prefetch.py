"""Reading ahead: the engine reads a document's context before a question comes, so that the answer comes sooner.

That happens where typing stops, and when other snippets were chosen. While a text is on show, the question that follows
if it is accepted is asked ahead.
"""

import asyncio
import time
from dataclasses import replace

from ..fim.text import Document
from .answering import Answer, Question
from .answering.completion import complete_inline, warm_context
from .answering.ghost_text import after_accepting
from .sessions import Session
from .state import ServerState

SEEN_S = 0.2  # that a text is on show before what follows it is requested: nobody accepts one sooner
IDLE_S = 0.15  # without an edit or a question, before the context at the last edit is read ahead


async def read_ahead(ls: ServerState, session: Session, offset: int) -> None:
    """Have the context at offset read, unless a question about this text was asked or the document was closed.

    A newer reading stops an older one; so does a question.
    """
    document = session.document
    if session.is_asking or session.asked is document or ls.sessions.find(document.uri) is not session:
        return
    session.asked = document
    ask = Question(
        id="", uri=document.uri, document=document, offset=offset, invoked=False, received_s=time.perf_counter(),
        settings=ls.settings, around=ls.surroundings(session, offset),
    )  # fmt: skip
    await session.run_newest(warm_context(ask, ls.care.warm), warms=True)


async def read_when_idle(ls: ServerState, session: Session, document: Document, offset: int) -> None:
    """Read the context at offset, the end of the last edit, ahead, if no other edit and no question comes."""
    await asyncio.sleep(IDLE_S)
    if session.document is document:
        await read_ahead(ls, session, offset)


def read_again(ls: ServerState, document: Document, offset: int) -> None:
    """Read the context again: the document has other snippets now."""
    session = ls.sessions.find(document.uri)
    if session is not None and session.document is document and not session.is_asking:
        session.asked = None
        ls.spawn(read_ahead(ls, session, offset))


async def look_ahead(ls: ServerState, session: Session, ask: Question, answer: Answer) -> None:
    """While this answer is on show, ask what will be asked if it is accepted; the answer is remembered."""
    shown = session.shown
    if shown is None or not ls.settings.prefetch or ask.invoked:
        return
    await asyncio.sleep(SEEN_S)
    is_on_show = session.shown is shown and session.document is ask.document
    if is_on_show and not session.is_asking and ls.sessions.find(session.document.uri) is session:
        now = replace(ask, settings=ls.settings, around=ls.surroundings(session, ask.offset))
        then = after_accepting(now, answer)
        if then is not None:
            await session.run_newest(complete_inline(then, ls.care), about=("ahead", answer.id), warms=True)
