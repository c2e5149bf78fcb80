"""Makes answers: from what is displayed of a completion, from an earlier answer, or empty with a reason.

Owns texts and ranges in the editor's units, timings, and the words for an answer that shows nothing.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from ...fim.display import Displayed
from ...fim.insertion import portable
from ...fim.types import Completion, Hole
from .answers import Answer, Cause, Item
from .question import Question


@dataclass(frozen=True, kw_only=True)
class Moments:
    """When the engine was asked, when it answered, and when the display was chosen; on the clock of
    `time.perf_counter`."""

    asked_s: float
    answered_s: float
    chosen_s: float


def nothing(ask: Question, cause: Cause, reason: str) -> Answer:
    """An empty answer."""
    total_ms = (time.perf_counter() - ask.received_s) * 1000
    version = ask.document.version if ask.is_open else None
    timings_ms = {"lsp": total_ms, "total": total_ms}
    return Answer(id=ask.id, uri=ask.uri, version=version, cause=cause, reason=reason, timings_ms=timings_ms)


def again(ask: Question, before: Answer) -> Answer:
    """An earlier answer as the one to this question."""
    total_ms = (time.perf_counter() - ask.received_s) * 1000
    return replace(
        before, id=ask.id, first_id=before.shown_id, version=ask.document.version, is_reused=True, at_s=time.time(),
        timings_ms={"engine": 0.0, "lsp": total_ms, "total": total_ms},
    )  # fmt: skip


def rest_of(ask: Question, before: Answer, left: str) -> Answer:
    """The rest of an earlier answer whose beginning was typed."""
    suffix, here = ask.document.text[ask.offset :], (ask.offset, ask.offset)
    hole = Hole(prefix="", suffix=suffix, language=ask.document.language, replaced=here, multiline=True)
    item = _item(ask, hole, left)
    return replace(again(ask, before), text=item.text, range=item.range, others=())


def answer_of(
    ask: Question, hole: Hole, completion: Completion, displayed: Sequence[Displayed], moments: Moments
) -> Answer:
    """The answer for a completion; displayed are its texts to show, the best first; [] for none."""
    items = [_item(ask, hole, each.text.replace("\n", ask.document.eol), each) for each in displayed]
    first = items[0] if items else None
    cause, reason = ("answered", None) if items else _why_nothing(ask, completion)
    return Answer(
        id=ask.id,
        uri=ask.uri,
        version=ask.document.version,
        cause=cause,
        reason=reason,
        text="" if first is None else first.text,
        range=None if first is None else first.range,
        showing=None if first is None else first.showing,
        others=tuple(items[1:]),
        completion=completion,
        timings_ms=_timings_ms(ask, completion, moments),
    )


def _item(ask: Question, hole: Hole, text: str, showing: Displayed | None = None) -> Item:
    """A text with the document's own line breaks, and a range that every editor can show."""
    text, (start, end) = portable(hole, text)
    where = (ask.document.position_at(start, ask.encoding), ask.document.position_at(end, ask.encoding))
    return Item(text=text, range=where, showing=showing)


def _why_nothing(ask: Question, completion: Completion) -> tuple[Cause, str]:
    if completion.text.strip() and not ask.invoked:
        sure, needed = completion.confidence, ask.settings.min_confidence
        if sure < needed:
            return "unsure", f"the model was not sure enough of anything (of all {sure:.2f}, shown from {needed:.2f})"
        return "unsure", "what the model was sure of was too short, or repeats or breaks what stands there"
    if completion.finish_reason == "budget" and not completion.text:
        return "nothing", "the time for an answer was up before there was one"
    return "nothing", "the model had nothing to add here"


def _timings_ms(ask: Question, completion: Completion, moments: Moments) -> Mapping[str, float]:
    total_ms = (time.perf_counter() - ask.received_s) * 1000
    asked_ms = (moments.answered_s - moments.asked_s) * 1000
    trim_ms = (moments.chosen_s - moments.answered_s) * 1000
    engine_ms = completion.timings_ms.get("engine", asked_ms)
    return dict(completion.timings_ms) | {
        "engine": engine_ms,
        "transport": max(0.0, asked_ms - engine_ms),
        "trim": trim_ms,
        "lsp": max(0.0, total_ms - asked_ms - trim_ms),
        "total": total_ms,
    }
