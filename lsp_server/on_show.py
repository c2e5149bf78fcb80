"""What an editor shows in a document, and what may come of it: it is typed, or accepted.

Owns which answers can be typed at all, and the question that follows an accepted one. It does not know how an answer is
made, sessions or LSP messages.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

from ..fim.document import TextChange
from ..fim.reuse import Shown, typed_through
from .answers import Answer, Ask


@dataclass(frozen=True)
class LastShown:
    """The latest text that was shown in a document, and the engine's answer that it came from."""

    shown: Shown
    answer: Answer


def last_shown(ask: Ask, answer: Answer, before: LastShown | None) -> LastShown | None:
    """What is shown once a question has this answer, before which something else was; None where it is nothing that
    could be typed."""
    n_replaced = _n_replaced(ask, answer)
    if ask.document is None or n_replaced is None:
        return None
    text = answer.text[: len(answer.text) - n_replaced]
    if before is not None and typed_through(before.shown, ask.document, ask.offset) == text:
        return before  # what is left of it
    return LastShown(Shown(ask.document, ask.offset, text), answer)


def _n_replaced(ask: Ask, answer: Answer) -> int | None:
    """How many characters right of the cursor an answer takes the place of, and ends with (`portable`); None where it
    is nothing that could be typed: no text, or one that takes the place of another."""
    document, offset = ask.document, ask.offset
    if document is None or not answer.text or answer.range is None:
        return None
    start, end = answer.range
    if start == end:
        return 0
    right = document.text[offset : document.line_end(document.line_of(offset))]
    return len(right) if start.line == end.line and right and answer.text.endswith(right) else None


def after_accepting(ask: Ask, answer: Answer) -> Ask | None:
    """The question that comes when an answer is accepted, at its end; None where it was none that could be typed."""
    document, n_replaced = ask.document, _n_replaced(ask, answer)
    if document is None or n_replaced is None:
        return None
    start, end = (document.position_at(ask.offset + n, "utf-32") for n in (0, n_replaced))
    then = document.with_changes([TextChange(start, end, answer.text)], document.version, "utf-32")
    return replace(ask, document=then, offset=ask.offset + len(answer.text), received_s=time.perf_counter())
