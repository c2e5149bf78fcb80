"""From a question to an answer: gate, look for a known answer, cut the hole, ask the engine, choose what to display."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import replace

from ...fim.display import Displayed, choose_display, whole_candidates
from ...fim.engine import Engine
from ...fim.errors import CheckpointError, EngineBusy, EngineError, InputError
from ...fim.gating import reason_for_silence
from ...fim.hole import find_hole
from ...fim.trimming import Trimmer
from ...fim.types import Completion, CompletionRequest, Hole
from .answers import Answer
from .engine_request import request_for
from .ghost_text import left_of
from .question import Question
from .replies import Moments, again, answer_of, nothing, rest_of

N_CHOICES = 4  # of an invoked completion
# Answers about longer documents are not remembered: each is kept with its document's text.
MAX_REMEMBERED_CHARS = 300_000


async def complete_inline(ask: Question, engine: Engine) -> Answer:
    """The answer to one question; if the engine fails, an empty answer with a reason, never an exception."""
    if not ask.settings.enabled:
        return nothing(ask, "off", "completion is switched off in the settings")
    if not ask.is_open:
        return nothing(ask, "closed", "the editor has not opened this document")
    try:
        unwanted = await _reason_for_silence(ask)
        if unwanted is not None:
            return nothing(ask, "gated", unwanted)
        known = _find_known(ask)
        return _remember(ask, await _ask(ask, engine)) if known is None else known
    except EngineBusy as error:
        return nothing(ask, "busy", str(error))
    except CheckpointError as error:
        return nothing(ask, "checkpoint", str(error))
    except (EngineError, InputError) as error:
        return nothing(ask, "engine", str(error))


async def _reason_for_silence(ask: Question) -> str | None:
    """Why no suggestion is wanted here; None if one is.

    Raises CheckpointError and EngineError if the engine cannot say which languages the model was taught.
    """
    settings, around = ask.settings, ask.around
    # First the rules that hold for invoked completions too: they need no engine, which may have to be started.
    reason = reason_for_silence(ask.document, ask.offset, invoked=True)
    if reason is not None or ask.invoked:
        return reason
    languages = await around.model_languages() if settings.languages is None else settings.languages
    off = (*settings.without, "prose") if settings.prose else settings.without  # allowed, so its rule is off
    return reason_for_silence(
        ask.document, ask.offset, known_languages=languages, syntax=around.syntax, rhythm=around.rhythm, off=off
    )


def _find_known(ask: Question) -> Answer | None:
    """The rest of a text that is being typed, or an earlier answer to the same question; None if there is neither."""
    if ask.invoked or not ask.settings.reuse:
        return None
    for shown in (ask.around.last, ask.around.held):
        left = left_of(shown, ask)
        if shown is not None and left is not None and left.strip():
            return rest_of(ask, shown.answer, left)
    before = ask.around.remembered.find(_about(ask))
    return None if before is None else again(ask, before)


def _remember(ask: Question, answer: Answer) -> Answer:
    """The answer, remembered for the same question, unless the engine only had too little time for it."""
    completion, is_short = answer.completion, len(ask.document.text) <= MAX_REMEMBERED_CHARS
    if completion is None or ask.invoked or not is_short:
        return answer
    if answer.text or completion.finish_reason not in ("budget", "cancelled"):
        ask.around.remembered.keep(_about(ask), answer)
    return answer


def _about(ask: Question) -> Hashable:
    return ask.document.text, ask.offset, ask.indent, ask.around.snippets


async def _ask(ask: Question, engine: Engine) -> Answer:
    """The engine's answer. Raises what `Engine.complete` does."""
    rhythm = ask.around.rhythm
    if ask.settings.adaptive_debounce and rhythm is not None and not ask.invoked:
        await asyncio.sleep(rhythm.pause_ms() / 1000)  # the next key cancels this
    hole = _hole(ask)
    asked_s = time.perf_counter()
    completion = await engine.complete(request_for(ask, hole))
    answered_s = time.perf_counter()
    displayed = _choose(ask, hole, completion)
    moments = Moments(asked_s=asked_s, answered_s=answered_s, chosen_s=time.perf_counter())
    return answer_of(ask, hole, completion, displayed, moments)


def _hole(ask: Question) -> Hole:
    return find_hole(ask.document, ask.offset, ask.around.syntax, ask.settings.without)


def _choose(ask: Question, hole: Hole, completion: Completion) -> list[Displayed]:
    """What to show of a completion: if invoked, the best candidates whole; otherwise what is sure enough."""
    off, least = ask.settings.without, ask.settings.min_confidence
    trimmer = Trimmer(hole, ask.around.syntax, off, ask.indent)
    if ask.invoked:
        return whole_candidates(completion, trimmer.trimmed, N_CHOICES)
    if "choice" in off:
        return [found for found in whole_candidates(completion, trimmer.trimmed) if found.probability >= least]
    if "alternatives" in off:
        completion = replace(completion, alternatives=())
    cuts, rounds = "cuts" not in off, "round-ends" not in off
    chosen = choose_display(completion, trimmer.trimmed, least, may_cut=cuts, may_round=rounds)
    return [] if chosen is None else [chosen]


async def warm_context(ask: Question, warm: Callable[[CompletionRequest], Awaitable[None]]) -> None:
    """Have the context of a likely question read now, so that its answer comes sooner."""
    if ask.settings.enabled and reason_for_silence(ask.document, ask.offset, invoked=True) is None:
        await warm(replace(request_for(ask, _hole(ask)), warms=True))
