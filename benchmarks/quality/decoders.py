"""Everything that fills a hole, behind one seam: a `Decoder` takes a task and gives an answer.

Owns the list of decoders of our own checkpoints. A new one is one more `NamedDecoder` in CATALOGUE: a function from the
loaded infiller to a Decoder; those of published checkpoints are in `published_decoders`. `NamedDecoder.length`
says what a decoder is told of the length: nothing (OWN_LENGTH), or that of the truth (ORACLE_LENGTH).
Whether an answer may hold several lines follows from the kind of hole alone (`Task.multiline`). Random spans are always
asked for as multi-line, and end where the decoder ends them: deriving the mode from the truth would give away whether
it crosses a line.
"""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal, Protocol

import numpy as np
import torch

from ...fim.budget import Budget
from ...fim.display import whole_candidates
from ...fim.syntax.tree import parse
from ...fim.trimming import Trimmer
from ...fim.types import Completion, CompletionRequest, Hole, PolicyName
from ...model.completion.answer import N_TOKENS_BLOCK, N_TOKENS_LINE
from ...model.completion.indentation import indentation, with_prefix
from ...model.completion.infiller import DenoisingInfiller
from ...model.decoding.decodings import DECODINGS
from ...model.decoding.denoise import denoise, stop_log_probs
from ...model.decoding.partial_answer import PartialAnswer
from ...model.decoding.verification import opening
from ...model.network.states import ContextStates, LayerStates
from ...model.requests import Context, never
from ...model.runners.batching import ModelRunner
from ...model.runners.drive import drive
from ...model.tokenizers.canvas_tokens import CanvasTokens
from . import baselines as floors
from .holes import Task

N_DRAFTS, N_ALTERNATIVES = 6, 12  # as the language server asks on request

UNLIMITED = 10_000  # evaluations; more than any answer has tokens
STEP_CAPS = (1, 2, 4, 8)
BUDGETS_MS = (50, 100, 150, 200, 300, 400, 600)
OWN_LENGTH, ORACLE_LENGTH, NO_LENGTH = "own", "oracle", "–"


@dataclass(frozen=True)
class Attempt:
    """One decoder's filling of one hole.

    steps counts forwards over canvas or next token. confidence is the probability in [0, 1] that the decoder gives to
    its whole text; None if it has none. ms is the time of decoding alone, after the context was read. n_tokens
    counts the text's tokens in the decoder's own vocabulary; None if it has none.
    """

    text: str
    steps: int = 0
    confidence: float | None = None
    ms: float = 0.0
    n_tokens: int | None = None


class Completes(Protocol):
    """A loaded model, of whatever family, that answers a request, blocking."""

    def complete(self, request: CompletionRequest, is_cancelled: Callable[[], bool]) -> Completion:
        """Fill request.hole. Raises InputError."""
        ...


Decoder = Callable[[Task], Attempt]
DecoderFamily = Literal["floor", "causal", "denoiser"]


@dataclass(frozen=True, kw_only=True)
class NamedDecoder:
    """One way to fill holes: name for the command line and the data, label for reports, and how it is made of a loaded
    model of the kind that its catalogue is for.

    max_steps is the cap on evaluations of one answer; None if nothing is capped. length says in a word or two where
    the length of its answers comes from; every table of infilling benchmarks shows it.
    """

    name: str
    label: str
    family: DecoderFamily
    make: Callable[[Any], Decoder]
    max_steps: int | None = None
    length: str = OWN_LENGTH


def request_of(
    task: Task,
    *,
    policy: PolicyName | None = None,
    max_steps: int | None = None,
    drafts: int = 0,
    mends: int = 0,
    lengths: int = 1,
) -> CompletionRequest:
    """The engine's request for a task, without a deadline; max_steps None caps nothing."""
    at = len(task.prefix)
    return CompletionRequest(
        hole=Hole(
            prefix=task.prefix, suffix=task.suffix, language=task.language, replaced=(at, at), multiline=task.multiline
        ),
        path=task.path,
        budget_ms=None,
        policy=policy,
        max_evaluations=max_steps or UNLIMITED,
        drafts=drafts,
        mends=mends,
        lengths=lengths,
    )


def read_context(infiller: DenoisingInfiller, task: Task) -> None:
    """Run a task's context once for all decoders that follow, and forget every other task's.

    Without the forgetting an answer would depend, by rounding, on which holes the same process filled before.
    """
    infiller.cache.clear()
    drive(infiller.run, infiller.cache.states(infiller.layout.context(request_of(task), infiller.n_context_max)))


def floor(fill_line: Callable[[str, str], str], fill_lines: Callable[[str, str], str]) -> Decoder:
    """A filling that needs no model; fill_lines is asked where several lines are allowed."""

    def decode(task: Task) -> Attempt:
        start_s = time.perf_counter()
        text = (fill_lines if task.multiline else fill_line)(task.prefix, task.suffix)
        return Attempt(text, ms=1000 * (time.perf_counter() - start_s))

    return decode


def by_request(ask: Callable[[Task], CompletionRequest], infiller: Completes) -> Decoder:
    """The whole infiller, with a certain request."""

    def decode(task: Task) -> Attempt:
        if isinstance(infiller, DenoisingInfiller):
            infiller.recent.clear()  # so that nothing remains of another decoder's work
        completion = infiller.complete(ask(task), never)
        # With the context cached, "prefill" is only what continues a finished block; "engine" is the sum of all.
        ms = sum(part for name, part in completion.timings_ms.items() if name not in ("queue", "engine"))
        return Attempt(completion.text, completion.steps, completion.confidence, ms, completion.n_tokens)

    return decode


def invoked(infiller: DenoisingInfiller) -> Decoder:
    """What an editor inserts on request: the engine's candidates as the language server trims and chooses them."""
    return within(None, infiller)


def within(budget_ms: float | None, infiller: DenoisingInfiller, *, guesses: bool = True) -> Decoder:
    """As `invoked`, in at most budget_ms. Without guesses and drafts, a body writes a token a forward."""

    def decode(task: Task) -> Attempt:
        asked = request_of(task, drafts=N_DRAFTS if guesses else 0)
        request = replace(asked, n_alternatives=N_ALTERNATIVES, budget_ms=budget_ms)
        infiller.recent.clear()
        infiller.guesses = guesses
        try:
            completion = infiller.complete(request, never)
        finally:
            infiller.guesses = True
        trimmer = Trimmer(request.hole, parse(task.prefix + task.suffix, task.language))
        shown = whole_candidates(completion, trimmer.trimmed)
        ms = sum(part for name, part in completion.timings_ms.items() if name not in ("queue", "engine"))
        text, sure = (shown[0].text, shown[0].probability) if shown else ("", 0.0)
        return Attempt(text, completion.steps, sure, ms, completion.n_tokens)

    return decode


def causal(infiller: DenoisingInfiller) -> Decoder:
    """The same weights as a language model, left to right and greedy. The engine's own rule (`decoding.partial_answer`)
    ends it."""

    def decode(task: Task) -> Attempt:
        with torch.inference_mode():
            return _decode_causally(infiller, task)

    return decode


def _decode_causally(infiller: DenoisingInfiller, task: Task) -> Attempt:
    model = infiller.checkpoint.model.to(getattr(torch, infiller.loaded.dtype))
    request = request_of(task)
    tokens = infiller.tokens_for(request.hole)
    begins = drive(infiller.run, indentation(request, infiller.context_of, infiller.cache, tokens, infiller.tokenizer))
    context = infiller.context_of(with_prefix(request, request.hole.prefix + begins.text))
    (all_states,) = ModelRunner(model)([Context(np.array([context]), None)])
    assert isinstance(all_states, ContextStates)
    start_s = time.perf_counter()
    before, first = opening(all_states, tokens)
    hidden, states = model.context(torch.tensor([[first]]), _last_raw_only(before))
    row = PartialAnswer(tokens.end_rule)
    steps = 0
    for _ in range(N_TOKENS_BLOCK if task.multiline else N_TOKENS_LINE):
        if row.tokens:
            hidden, states = model.context(torch.tensor([row.tokens[-1:]]), states)
        log_probs = tokens.allowed(model.log_probs(hidden, states)[0, 0].cpu().numpy())
        token = int(log_probs.argmax())
        steps += 1
        if token == tokens.end:
            row.log_prob += float(log_probs[token])
            break
        stop = float(stop_log_probs(log_probs, tokens))
        row.add([token], [float(log_probs[token])], [stop], [bool(tokens.may_end_before[token])])
        if bool(tokens.stops[token]) or row.end() is not None:
            break
    row.cut()
    ms = 1000 * (time.perf_counter() - start_s)
    confidence = min(1.0, math.exp(row.log_prob))
    text = infiller.tokenizer.decode(row.tokens)
    return Attempt(begins.text + text if text else "", steps, confidence * begins.probability, ms, len(row.tokens))


def told_length(infiller: DenoisingInfiller) -> Decoder:
    """The denoiser by threshold on canvases as long as the truth, none of whose tokens may be an end."""

    def decode(task: Task) -> Attempt:
        return _decode_told(infiller, task, len(infiller.tokenizer.encode(task.truth)))

    return decode


def _decode_told(infiller: DenoisingInfiller, task: Task, n_tokens: int) -> Attempt:
    request = request_of(task)
    tokens = _endless(infiller.tokens_for(request.hole))
    context = infiller.layout.context(request, infiller.n_context_max)
    policy, budget = DECODINGS["threshold"].policy, Budget.of(None, UNLIMITED)
    drive(infiller.run, infiller.cache.states(context))
    start_s = time.perf_counter()
    found: list[int] = []
    steps, log_prob = 0, 0.0
    while len(found) < n_tokens and len(context) + len(found) < infiller.config.n_context:
        states, _ = drive(infiller.run, infiller.cache.states([*context, *found]))
        canvas = np.full((1, min(n_tokens - len(found), infiller.config.n_canvas)), tokens.mask)
        result = drive(infiller.run, denoise(states, canvas, tokens, policy, budget, rows=[PartialAnswer("itself")]))
        found += result.canvas[0].tolist()
        steps += result.steps
        log_prob += float(result.log_probs.sum())
    ms = 1000 * (time.perf_counter() - start_s)
    return Attempt(infiller.tokenizer.decode(found), steps, min(1.0, math.exp(log_prob)), ms, len(found))


def _endless(tokens: CanvasTokens) -> CanvasTokens:
    """The same vocabulary with nothing in it that ends a text."""
    nothing = np.zeros_like(tokens.stops)
    return replace(tokens, forbidden=tokens.forbidden | tokens.stops, stops=nothing, may_end_before=nothing)


def _last_raw_only(states: ContextStates) -> ContextStates:
    """States whose raw part is the last token's: all that the next token needs, so that no step copies the rest."""
    layers = [LayerStates(s.keys, s.values, s.raw[:, -1:]) for s in states.layers]
    return ContextStates(layers, states.copy_keys, states.tokens)


def _floor(name: str, label: str, line: Callable[[str, str], str], lines: Callable[[str, str], str]) -> NamedDecoder:
    return NamedDecoder(
        name=f"floor-{name}", label=f"floor: {label}", family="floor", make=lambda infiller: floor(line, lines),
        length=NO_LENGTH,
    )  # fmt: skip


def _denoiser(policy: PolicyName, max_steps: int | None = None) -> NamedDecoder:
    steps = "" if max_steps is None else f", at most {max_steps} step{'s' if max_steps > 1 else ''}"
    return NamedDecoder(
        name=f"denoiser-{policy}" + ("" if max_steps is None else f"@{max_steps}"),
        label=f"denoiser, {policy}{steps}",
        family="denoiser",
        make=partial(by_request, partial(request_of, policy=policy, max_steps=max_steps)),
        max_steps=max_steps,
    )


def _together(name: str, label: str, **more: int) -> NamedDecoder:
    """The denoiser by threshold beside other candidates, all verified by the causal head and ranked."""
    make = partial(by_request, partial(request_of, policy="threshold", **more))
    return NamedDecoder(name=f"ranked-{name}", label=f"ranked: {label}", family="denoiser", make=make)


def _timed(budget_ms: int, *, guesses: bool) -> NamedDecoder:
    """An answer in time, the context being read: with all guesses, or the model alone."""
    name, label = ("within", "as an editor inserts it") if guesses else ("alone", "without guesses and drafts")
    return NamedDecoder(
        name=f"{name}-{budget_ms}", label=f"{label}, {budget_ms} ms", family="denoiser",
        make=partial(within, budget_ms, guesses=guesses),
    )  # fmt: skip


CATALOGUE: tuple[NamedDecoder, ...] = (
    _floor("empty", "empty", floors.empty, floors.empty),
    _floor("pass", "pass", floors.pass_statement, floors.pass_statement),
    _floor("previous-line", "previous line", floors.previous_line, floors.previous_line),
    _floor("longest-match", "longest match in the file", floors.longest_match, floors.longest_match_lines),
    NamedDecoder(name="invoked", label="as an editor inserts it", family="denoiser", make=invoked),
    NamedDecoder(name="causal", label="causal head, left to right", family="causal", make=causal),
    *(_denoiser(policy) for policy in ("one", "threshold", "entropy", "top-k", "all", "verified")),
    *(_denoiser("threshold", cap) for cap in STEP_CAPS),
    *(_denoiser("entropy", cap) for cap in (2, 4)),
    NamedDecoder(
        name="denoiser-oracle",
        label="denoiser, threshold, told the length",
        family="denoiser",
        make=told_length,
        length=ORACLE_LENGTH,
    ),
    *(_timed(budget_ms, guesses=guesses) for guesses in (True, False) for budget_ms in BUDGETS_MS),
    _together("lengths", "4 lengths", lengths=4),
    _together("drafts", "6 drafts and the canvas", drafts=6),
    _together("mends", "6 drafts, 2 of them mended, and the canvas", drafts=6, mends=2),
    _together("all", "6 drafts, 2 of them mended, and 4 lengths", drafts=6, mends=2, lengths=4),
)
