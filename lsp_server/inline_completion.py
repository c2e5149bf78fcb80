"""From a question to an answer: gate, cut the hole, ask the engine, trim.

Owns the order of these steps, their timings and what an empty answer says. It does not know LSP messages, other
questions of the same document, or how the engine is run.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from urllib.parse import unquote, urlsplit

from ..fim.document import Document
from ..fim.engine import Engine
from ..fim.errors import CheckpointError, EngineBusy, EngineError, InputError
from ..fim.gating import why_not
from ..fim.hole import find_hole
from ..fim.positions import PositionEncoding
from ..fim.reuse import Shown, typed_through
from ..fim.trim import trim
from ..fim.types import Completion, CompletionRequest, Hole
from .answers import Answer, Ask, Cause
from .settings import Settings

# What travels to the engine: more than a model of ours reads (2,048 tokens of code are 8,000 characters, 16,000 at
# most), far less than a 10,000-line file, whose 0.4 MB would go through JSON twice at every key. The start moves in
# jumps, so that typing does not shift the context that the engine has cached.
MAX_PREFIX_CHARS = 24_576
PREFIX_JUMP_CHARS = 8_192
MAX_SUFFIX_CHARS = 8_192


async def complete_inline(
    ask: Ask, settings: Settings, engine: Engine, encoding: PositionEncoding, last: LastShown | None = None
) -> Answer:
    """The answer to one question; an engine that fails gives an empty answer with a reason, never an exception.

    last is what the document's latest question was answered with. Where the person is typing just that, what is left of
    it is the answer, at once.
    """
    if not settings.enabled:
        return nothing(ask, "off", "completion is switched off in the settings")
    document = ask.document
    if document is None:
        return nothing(ask, "closed", "the editor has not opened this document")
    reason = why_not(document, ask.offset, invoked=ask.invoked, known_languages=settings.languages)
    if reason is not None:
        return nothing(ask, "gated", reason)
    if last is not None and settings.reuse and not ask.invoked:
        left = typed_through(last.shown, document, ask.offset)
        if left is not None and left.strip():
            return _reused(ask, document, left, last.answer, encoding)
    hole = find_hole(document, ask.offset)
    started_s = time.perf_counter()
    try:
        completion = await engine.complete(_request(hole, document.uri, ask.invoked, settings))
    except EngineBusy as error:
        return nothing(ask, "busy", str(error))
    except CheckpointError as error:
        return nothing(ask, "checkpoint", str(error))
    except (EngineError, InputError) as error:
        return nothing(ask, "engine", str(error))
    answered_s = time.perf_counter()
    text = trim(hole, completion.text, document.eol)
    trimmed_s = time.perf_counter()
    answer = _answer(ask, document, hole, text, completion, encoding, (started_s, answered_s, trimmed_s))
    if text and not ask.invoked and completion.confidence < settings.min_confidence:
        sure, needed = completion.confidence, settings.min_confidence
        reason = f"the model was not sure enough ({sure:.2f}, shown from {needed:.2f})"
        return replace(answer, text="", cause="unsure", reason=reason)
    return answer


@dataclass(frozen=True)
class LastShown:
    """The latest text that was shown in a document, and the engine's answer that it came from."""

    shown: Shown
    answer: Answer


def last_shown(ask: Ask, answer: Answer, before: LastShown | None) -> LastShown | None:
    """What is shown once a question has this answer, before which something else was; None where it is nothing that
    could be typed: no text, or one that takes the place of another."""
    if answer.is_reused:
        return before
    if ask.document is None or not answer.text or answer.range is None or answer.range[0] != answer.range[1]:
        return None
    return LastShown(Shown(ask.document, ask.offset, answer.text), answer)


def _reused(ask: Ask, document: Document, text: str, before: Answer, encoding: PositionEncoding) -> Answer:
    here = document.position_at(ask.offset, encoding)
    total_ms = (time.perf_counter() - ask.received_s) * 1000
    return replace(
        before,
        id=ask.id,
        version=document.version,
        text=text,
        range=(here, here),
        is_reused=True,
        timings_ms={"engine": 0.0, "lsp": total_ms, "total": total_ms},
    )


async def warm_context(
    document: Document, offset: int, settings: Settings, warm: Callable[[CompletionRequest], Awaitable[None]]
) -> None:
    """Have the context of a question that may come read now, so that its answer need not wait for that."""
    if not settings.enabled:
        return
    if why_not(document, offset, invoked=True, known_languages=settings.languages) is None:
        await warm(replace(_request(find_hole(document, offset), document.uri, False, settings), warms=True))


def nothing(ask: Ask, cause: Cause, reason: str) -> Answer:
    """An empty answer."""
    total_ms = (time.perf_counter() - ask.received_s) * 1000
    version = None if ask.document is None else ask.document.version
    timings_ms = {"lsp": total_ms, "total": total_ms}
    return Answer(id=ask.id, uri=ask.uri, version=version, cause=cause, reason=reason, timings_ms=timings_ms)


def clip(hole: Hole) -> Hole:
    """The hole with less text around it; the prefix then starts at a line, and its start moves in jumps."""
    start = max(0, len(hole.prefix) - MAX_PREFIX_CHARS)
    if start > 0:
        start = -(-start // PREFIX_JUMP_CHARS) * PREFIX_JUMP_CHARS
        line_end = hole.prefix.find("\n", start)
        start = line_end + 1 if line_end >= 0 else start
    return replace(hole, prefix=hole.prefix[start:], suffix=hole.suffix[:MAX_SUFFIX_CHARS])


def _request(hole: Hole, uri: str, invoked: bool, settings: Settings) -> CompletionRequest:
    return CompletionRequest(
        hole=clip(hole),
        path=PurePosixPath(unquote(urlsplit(uri).path)).name,
        budget_ms=settings.invoked_budget_ms if invoked else settings.budget_ms,
        max_tokens=settings.max_tokens,
        max_evaluations=settings.max_steps,
        policy=settings.policy,
        trace=settings.trace,
    )


def _answer(
    ask: Ask,
    document: Document,
    hole: Hole,
    text: str,
    completion: Completion,
    encoding: PositionEncoding,
    clock_s: tuple[float, float, float],
) -> Answer:
    start, end = hole.replaced
    answer = Answer(
        id=ask.id,
        uri=ask.uri,
        version=document.version,
        cause="answered" if text else "nothing",
        reason=None if text else "the model had nothing to add here",
        text=text,
        range=(document.position_at(start, encoding), document.position_at(end, encoding)),
        completion=completion,
    )
    return replace(answer, timings_ms=_timings_ms(ask, completion, clock_s))


def _timings_ms(ask: Ask, completion: Completion, clock_s: tuple[float, float, float]) -> Mapping[str, float]:
    started_s, answered_s, trimmed_s = clock_s
    total_ms = (time.perf_counter() - ask.received_s) * 1000
    asked_ms, trim_ms = (answered_s - started_s) * 1000, (trimmed_s - answered_s) * 1000
    engine_ms = completion.timings_ms.get("engine", asked_ms)
    return dict(completion.timings_ms) | {
        "engine": engine_ms,
        "transport": max(0.0, asked_ms - engine_ms),
        "trim": trim_ms,
        "lsp": max(0.0, total_ms - asked_ms - trim_ms),
        "total": total_ms,
    }
