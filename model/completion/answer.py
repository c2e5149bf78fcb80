"""The result of a request: the chosen text, its confidence, and the alternatives."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from ...fim.types import Alternative, CompletionSource, FinishReason
from ..ranking.ranker import Judged


@dataclass(frozen=True, kw_only=True)
class Result:
    """The text of an answer and what `fim.types.Completion` says of it."""

    text: str
    n_tokens: int
    confidence: float
    finish_reason: FinishReason
    source: CompletionSource
    prefixes: tuple[tuple[int, float], ...] = ()
    alternatives: tuple[Alternative, ...] = ()


WARMED = Result(text="", n_tokens=0, confidence=0.0, finish_reason="stop", source="denoiser")
SPENT = Result(text="", n_tokens=0, confidence=0.0, finish_reason="budget", source="denoiser")
CANCELLED = Result(text="", n_tokens=0, confidence=0.0, finish_reason="cancelled", source="denoiser")


def best_answer(judged: Sequence[Judged], finish_reason: FinishReason, n_alternatives: int) -> Result:
    """The likeliest of judged, which is the first, as the answer; others as alternatives."""
    best = judged[0].candidate
    return Result(
        text=best.text,
        n_tokens=len(best.tokens),
        confidence=judged[0].probability,
        finish_reason=finish_reason,
        source=best.source,
        prefixes=judged[0].prefixes,
        alternatives=alternatives(judged, best.text, n_alternatives),
    )


def add_indent(answer: Result, indent: str, probability: float) -> Result:
    """The answer with indent, which has this probability, in front; an empty answer stays empty."""

    def moved(prefixes: tuple[tuple[int, float], ...]) -> tuple[tuple[int, float], ...]:
        return tuple((n + len(indent), sure * probability) for n, sure in prefixes)

    others = tuple(
        replace(each, text=indent + each.text, confidence=each.confidence * probability, prefixes=moved(each.prefixes))
        for each in answer.alternatives
    )
    if not answer.text:
        return replace(answer, alternatives=others)
    return replace(
        answer, text=indent + answer.text, confidence=answer.confidence * probability,
        prefixes=moved(answer.prefixes), alternatives=others,
    )  # fmt: skip


def alternatives(judged: Sequence[Judged], chosen: str, n_max: int) -> tuple[Alternative, ...]:
    """At most n_max verified candidates in judged's order that are not blank and not the text that was chosen."""
    others = [j for j in judged if j.candidate.text != chosen and j.candidate.text.strip()]
    return tuple(
        Alternative(
            text=j.candidate.text,
            confidence=j.probability,
            source=j.candidate.source,
            n_tokens=len(j.candidate.tokens),
            prefixes=j.prefixes,
        )
        for j in others[:n_max]
    )
