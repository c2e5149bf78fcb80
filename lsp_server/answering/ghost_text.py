"""The text that an editor shows: what is left of it while it is typed, and the question after it is accepted."""

from __future__ import annotations

import time
from dataclasses import replace

from ...fim.reuse import Shown, typed_through
from ...fim.text import Document, TextChange
from .answers import Answer, Item, LastShown, Range
from .question import Question


def last_shown(ask: Question, answer: Answer, before: LastShown | None) -> LastShown | None:
    """What is shown after this answer; before is what was shown earlier. None if it cannot be typed."""
    text = _typable(ask.document, ask.offset, answer.text, answer.range)
    if text is None:
        return None
    if before is not None and not ask.invoked and typed_through(before.shown, ask.document, ask.offset) == text:
        return before  # the rest of before
    return LastShown(Shown(ask.document, ask.offset, text), answer)


def left_of(last: LastShown | None, ask: Question) -> str | None:
    """The rest of a text at a question's place, after its beginning may have been typed; None if it no longer fits."""
    return None if last is None else typed_through(last.shown, ask.document, ask.offset)


def other_shown(shown: LastShown, item: Item) -> LastShown | None:
    """What is on show after a person has chosen another item of the same answer; None if it cannot be typed."""
    text = _typable(shown.shown.document, shown.shown.offset, item.text, item.range)
    if text is None:
        return None
    answer = replace(shown.answer, text=item.text, range=item.range, showing=item.showing, others=())
    return LastShown(replace(shown.shown, text=text), answer)


def after_accepting(ask: Question, answer: Answer) -> Question | None:
    """The question at the end of an answer, if it is accepted; None if the answer cannot be typed."""
    document, typed = ask.document, _typable(ask.document, ask.offset, answer.text, answer.range)
    if typed is None:
        return None
    start, end = (document.position_at(ask.offset + n, "utf-32") for n in (0, len(answer.text) - len(typed)))
    then = document.with_changes([TextChange(start, end, answer.text)], document.version, "utf-32")
    return replace(ask.moved(then, ask.offset + len(answer.text)), received_s=time.perf_counter())


def _typable(document: Document, offset: int, text: str, where: Range | None) -> str | None:
    """The part of a text that can be typed at offset: all of it or, if it replaces the rest of the line and ends with
    that (`portable`), what is left of it; None if there is none, or the text replaces something else."""
    if not text or where is None:
        return None
    start, end = where
    if start == end:
        return text
    right = document.text[offset : document.line_end(document.line_of(offset))]
    return text[: -len(right)] if start.line == end.line and right and text.endswith(right) else None
