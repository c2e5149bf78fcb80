"""What an editor shows in a document, and what may come of it: it is typed, or accepted.

Owns which answers can be typed at all, and the question that follows an accepted one. It does not know how an answer is
made, sessions or LSP messages.
"""

from __future__ import annotations

import time
from dataclasses import replace

from ...fim.reuse import Shown, typed_through
from ...fim.text import Document, TextChange
from .answers import Answer, Item, LastShown, Range
from .question import Question


def last_shown(ask: Question, answer: Answer, before: LastShown | None) -> LastShown | None:
    """What is shown once a question has this answer, before which something else was; None where it is nothing that
    could be typed."""
    text = _typed(ask.document, ask.offset, answer.text, answer.range)
    if text is None:
        return None
    if before is not None and not ask.invoked and typed_through(before.shown, ask.document, ask.offset) == text:
        return before  # what is left of it
    return LastShown(Shown(ask.document, ask.offset, text), answer)


def left_of(last: LastShown | None, ask: Question) -> str | None:
    """What is left of a text at a question's place, now that its beginning may have been typed; None if it no longer
    fits."""
    return None if last is None else typed_through(last.shown, ask.document, ask.offset)


def other_shown(shown: LastShown, item: Item) -> LastShown | None:
    """What is on show once a person has chosen another item of the same answer; None where it cannot be typed."""
    text = _typed(shown.shown.document, shown.shown.offset, item.text, item.range)
    if text is None:
        return None
    answer = replace(shown.answer, text=item.text, range=item.range, showing=item.showing, others=())
    return LastShown(replace(shown.shown, text=text), answer)


def after_accepting(ask: Question, answer: Answer) -> Question | None:
    """The question that comes when an answer is accepted, at its end; None where it was none that could be typed."""
    document, typed = ask.document, _typed(ask.document, ask.offset, answer.text, answer.range)
    if typed is None:
        return None
    start, end = (document.position_at(ask.offset + n, "utf-32") for n in (0, len(answer.text) - len(typed)))
    then = document.with_changes([TextChange(start, end, answer.text)], document.version, "utf-32")
    return replace(ask.moved(then, ask.offset + len(answer.text)), received_s=time.perf_counter())


def _typed(document: Document, offset: int, text: str, where: Range | None) -> str | None:
    """What of a text could be typed at offset: all of it, or what stands left of the rest of the line where it takes
    the place of that and ends with it (`portable`); None where there is none, or it replaces something else."""
    if not text or where is None:
        return None
    start, end = where
    if start == end:
        return text
    right = document.text[offset : document.line_end(document.line_of(offset))]
    return text[: -len(right)] if start.line == end.line and right and text.endswith(right) else None
