"""From a question to an answer: gate, cut the hole, ask the engine, trim.

Owns the order of these steps, their timings and what an empty answer says. It does not know LSP messages, other
questions of the same document, or how the engine is run.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass, field, replace

from ..fim.display import Demand, Displayed, choose_display, whole_candidates
from ..fim.engine import Engine
from ..fim.errors import CheckpointError, EngineBusy, EngineError, InputError
from ..fim.gating import reason_for_silence
from ..fim.hole import find_hole
from ..fim.insertion import portable
from ..fim.reuse import Remembered
from ..fim.syntax.tree import Syntax
from ..fim.text.document import Document
from ..fim.text.positions import PositionEncoding
from ..fim.trimming.checks import Checks
from ..fim.trimming.context import nowhere
from ..fim.trimming.known_words import has_word
from ..fim.types import Completion, CompletionRequest, Hole, Offer
from ..fim.typing_rhythm import Rhythm
from .answers import Answer, Cause, Item, Question
from .ghost_text import LastShown, left_of
from .protocol.file_uris import name_of
from .settings import Settings

# What travels to the engine: more than a model of ours reads (2,048 tokens of code are 8,000 characters, 16,000 at
# most), far less than a 10,000-line file, whose 0.4 MB would go through JSON twice at every key. The start moves in
# jumps, so that typing does not shift the context that the engine has cached.
MAX_PREFIX_CHARS = 24_576
PREFIX_JUMP_CHARS = 8_192
MAX_SUFFIX_CHARS = 8_192
N_ALTERNATIVES = 12  # that compete with the likeliest candidate for what is shown
N_CHOICES = 4  # of an invoked completion
N_LENGTHS, N_MENDS = 4, 2  # of an invoked completion: it may take its time
# Of a document whose answers are remembered: each is kept with the text that it is about.
MAX_REMEMBERED_CHARS = 300_000


async def every_language() -> None:
    """No engine is there to ask: no language is left out."""


@dataclass(frozen=True, kw_only=True)
class Surroundings:
    """What is known around a question besides its document.

    syntax is the document's tree, rhythm that of its latest edits. last is what the document's latest question was
    answered with, held a text that was found but has not appeared yet: while the person types just that, what is left
    of it is the answer, at once. remembered are other answers that may come in useful again. snippets are texts from
    other files, most useful last; offers finds drafts there. stands_elsewhere says of a word whether another file that
    is open or related has it. model_languages asks the engine which languages the model completes by itself.
    """

    syntax: Syntax | None = None
    rhythm: Rhythm | None = None
    last: LastShown | None = None
    held: LastShown | None = None
    remembered: Remembered[Answer] = field(default_factory=Remembered)
    snippets: tuple[str, ...] = ()
    offers: Callable[[Hole], tuple[Offer, ...]] = lambda hole: ()
    stands_elsewhere: Callable[[str], bool] = nowhere
    model_languages: Callable[[], Awaitable[Collection[str] | None]] = every_language

    def has_word(self, word: str) -> bool:
        """Whether a snippet or another file has that word."""
        return any(has_word(snippet, word) for snippet in self.snippets) or self.stands_elsewhere(word)


async def complete_inline(
    ask: Question,
    settings: Settings,
    engine: Engine,
    encoding: PositionEncoding,
    around: Surroundings | None = None,
) -> Answer:
    """The answer to one question; an engine that fails gives an empty answer with a reason, never an exception."""
    around = Surroundings() if around is None else around
    if not settings.enabled:
        return nothing(ask, "off", "completion is switched off in the settings")
    document = ask.document
    if document is None:
        return nothing(ask, "closed", "the editor has not opened this document")
    unwanted = await _unwanted(ask, document, settings, around)
    if unwanted is not None:
        return unwanted
    if settings.reuse and not ask.invoked:
        for known in (around.last, around.held):
            left = left_of(known, ask)
            if known is not None and left is not None and left.strip():
                return _reused(ask, document, left, known.answer, encoding)
    about = (document.text, ask.offset, ask.indent, around.snippets)
    known = around.remembered.find(about) if settings.reuse and not ask.invoked else None
    if known is not None:
        return _stamped(known, ask, document)
    answer = await _asked(ask, document, settings, engine, encoding, around)
    if _is_worth_keeping(answer, document) and not ask.invoked:
        around.remembered.keep(about, answer)
    return answer


async def _unwanted(ask: Question, document: Document, settings: Settings, around: Surroundings) -> Answer | None:
    """The empty answer where no suggestion is wanted, or the engine cannot say what languages there are."""
    reason, known = reason_for_silence(document, ask.offset, invoked=True), settings.languages
    if reason is None and not ask.invoked:
        try:
            known = await around.model_languages() if known is None else known
        except CheckpointError as error:
            return nothing(ask, "checkpoint", str(error))
        except EngineError as error:
            return nothing(ask, "engine", str(error))
        reason = reason_for_silence(
            document, ask.offset, known_languages=known, syntax=around.syntax, rhythm=around.rhythm,
            off=(*settings.without, "prose") if settings.prose else settings.without,
        )  # fmt: skip
    return None if reason is None else nothing(ask, "gated", reason)


def _is_worth_keeping(answer: Answer, document: Document) -> bool:
    """Whether the same question may get this answer again: not where the engine only had too little time."""
    if answer.completion is None or len(document.text) > MAX_REMEMBERED_CHARS:
        return False
    return bool(answer.text) or answer.completion.finish_reason not in ("budget", "cancelled")


async def _asked(
    ask: Question,
    document: Document,
    settings: Settings,
    engine: Engine,
    encoding: PositionEncoding,
    around: Surroundings,
) -> Answer:
    """What the engine says."""
    if settings.adaptive_debounce and around.rhythm is not None and not ask.invoked:
        await asyncio.sleep(around.rhythm.pause_ms() / 1000)  # the next key cancels this
    hole = find_hole(document, ask.offset, around.syntax, settings.without)
    started_s = time.perf_counter()
    try:
        completion = await engine.complete(_request(hole, document.uri, ask.invoked, settings, around))
    except EngineBusy as error:
        return nothing(ask, "busy", str(error))
    except CheckpointError as error:
        return nothing(ask, "checkpoint", str(error))
    except (EngineError, InputError) as error:
        return nothing(ask, "engine", str(error))
    answered_s = time.perf_counter()
    showings = _showings(ask, hole, completion, settings, around)
    clock_s = (started_s, answered_s, time.perf_counter())
    answer = _answer(ask, document, hole, showings, completion, encoding, clock_s)
    if not showings and not ask.invoked and completion.text.strip():
        sure, needed = completion.confidence, settings.min_confidence
        reason = f"the model was not sure enough of anything (of all {sure:.2f}, shown from {needed:.2f})"
        if sure >= needed:
            reason = "what the model was sure of was too short, repeats what follows, or breaks the syntax"
        return replace(answer, cause="unsure", reason=reason)
    return answer


def _showings(
    ask: Question, hole: Hole, completion: Completion, settings: Settings, known: Surroundings
) -> list[Displayed]:
    """What of a completion is shown: the best candidates as a whole when it was invoked, those that break syntax only
    where all do; else what is sure enough."""
    off = settings.without
    checks = Checks(hole, known.syntax, off, known.has_word, ask.indent)
    if ask.invoked:
        found = whole_candidates(completion, checks.trimmed, N_ALTERNATIVES)
        return ([each for each in found if not checks.breaks_syntax(each.text)] or found)[:N_CHOICES]
    if "choice" in off:
        return [
            found
            for found in whole_candidates(completion, checks.trimmed)
            if found.probability >= settings.min_confidence
        ]
    found = replace(completion, alternatives=()) if "alternatives" in off else completion
    demand = Demand(least=settings.min_confidence, knows=checks.knows)
    cuts, rounds = "cuts" not in off, "round-ends" not in off
    chosen = choose_display(found, checks.trimmed, demand, checks.breaks_syntax, may_cut=cuts, may_round=rounds)
    return [] if chosen is None else [chosen]


def _reused(ask: Question, document: Document, text: str, before: Answer, encoding: PositionEncoding) -> Answer:
    """What is left of an answer whose beginning was typed."""
    at = (ask.offset, ask.offset)
    suffix = document.text[ask.offset :]
    hole = Hole(prefix="", suffix=suffix, language=document.language, replaced=at, multiline=True)
    text, (start, end) = portable(hole, text)
    where = (document.position_at(start, encoding), document.position_at(end, encoding))
    return replace(_stamped(before, ask, document), text=text, range=where, others=())


def _stamped(before: Answer, ask: Question, document: Document) -> Answer:
    """An earlier answer as the one to this question."""
    total_ms = (time.perf_counter() - ask.received_s) * 1000
    timings_ms = {"engine": 0.0, "lsp": total_ms, "total": total_ms}
    return replace(
        before, id=ask.id, first_id=before.shown_id, version=document.version, is_reused=True, at_s=time.time(),
        timings_ms=timings_ms,
    )  # fmt: skip


async def warm_context(
    document: Document,
    offset: int,
    settings: Settings,
    warm: Callable[[CompletionRequest], Awaitable[None]],
    around: Surroundings,
) -> None:
    """Have the context of a question that may come read now, so that its answer need not wait for that."""
    if not settings.enabled:
        return
    if reason_for_silence(document, offset, invoked=True) is None:
        hole = find_hole(document, offset, around.syntax, settings.without)
        request = _request(hole, document.uri, False, settings, around)
        await warm(replace(request, warms=True))


def nothing(ask: Question, cause: Cause, reason: str) -> Answer:
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


def _request(hole: Hole, uri: str, invoked: bool, settings: Settings, around: Surroundings) -> CompletionRequest:
    hole = clip(hole)
    return CompletionRequest(
        hole=hole,
        path=name_of(uri),
        snippets=around.snippets,
        budget_ms=settings.invoked_budget_ms if invoked else settings.budget_ms,
        max_tokens=settings.max_tokens,
        max_evaluations=settings.max_steps,
        policy=settings.policy,
        offers=around.offers(hole),
        mends=N_MENDS if invoked and not hole.multiline else 0,
        lengths=N_LENGTHS if invoked and not hole.multiline else 1,
        n_alternatives=0 if "choice" in settings.without else N_ALTERNATIVES,
        min_probability=0.0 if invoked else settings.min_confidence,
        trace=settings.trace,
    )


def _answer(
    ask: Question,
    document: Document,
    hole: Hole,
    showings: list[Displayed],
    completion: Completion,
    encoding: PositionEncoding,
    clock_s: tuple[float, float, float],
) -> Answer:
    first, *others = [_item(document, hole, showing, encoding) for showing in showings] or [None]
    return Answer(
        id=ask.id,
        uri=ask.uri,
        version=document.version,
        cause="nothing" if first is None else "answered",
        reason=None if first is not None else _why_none(completion),
        text="" if first is None else first.text,
        range=None if first is None else first.range,
        showing=None if first is None else first.showing,
        others=tuple(item for item in others if item is not None),
        completion=completion,
        timings_ms=_timings_ms(ask, completion, clock_s),
    )


def _why_none(completion: Completion) -> str:
    if completion.finish_reason == "budget" and not completion.text:
        return "the time for an answer was up before there was one"
    return "the model had nothing to add here"


def _item(document: Document, hole: Hole, showing: Displayed, encoding: PositionEncoding) -> Item:
    """A text with the document's own line breaks, and the range that every editor shows it with."""
    text, (start, end) = portable(hole, showing.text.replace("\n", document.eol))
    where = (document.position_at(start, encoding), document.position_at(end, encoding))
    return Item(text=text, range=where, showing=showing)


def _timings_ms(ask: Question, completion: Completion, clock_s: tuple[float, float, float]) -> Mapping[str, float]:
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
