"""Reading ahead: the engine reads a document's context before anyone asks, so that the answer need not wait for it.

Owns when that happens: where typing stops, and when other snippets were chosen; and when the question is asked that
comes if what is shown is accepted. It does not know what a context holds.
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

SEEN_S = 0.2  # that a text has been on show before what follows it is asked for: nobody accepts one sooner
IDLE_S = 0.15  # without an edit or a question, before the context at the last edit is read ahead


async def read_ahead(ls: ServerState, session: Session, offset: int) -> None:
    """Have the context at offset read, unless a question about this text was asked or the document was closed.

    A newer reading takes the place of an older one; a question does so too.
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
    """Read the context at offset, the end of the last edit, ahead, where no other edit and no question comes."""
    await asyncio.sleep(IDLE_S)
    if session.document is document:
        await read_ahead(ls, session, offset)


def read_again(ls: ServerState, document: Document, offset: int) -> None:
    """The document has other snippets now: what was read of its context is of little use."""
    session = ls.sessions.find(document.uri)
    if session is not None and session.document is document and not session.is_asking:
        session.asked = None
        ls.spawn(read_ahead(ls, session, offset))


async def look_ahead(ls: ServerState, session: Session, ask: Question, answer: Answer) -> None:
    """Ask now what will be asked if this answer is accepted, as long as it is on show; what comes is remembered."""
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
