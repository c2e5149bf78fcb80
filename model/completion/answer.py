"""The result of a request: the chosen text, its confidence, and the alternatives."""

import codecs
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from ...fim.types import Alternative, CompletionRequest, CompletionSource, FinishReason, TokenScore
from ..decoding.healing import Healing
from ..ranking.ranker import Judged

N_TOKENS_LINE, N_TOKENS_BLOCK, N_TOKENS_CHAT = 24, 96, 512  # default lengths


def n_tokens_open(request: CompletionRequest) -> int:
    """The most tokens of a request's answer, if so many fit."""
    if request.messages:
        return request.max_tokens or N_TOKENS_CHAT
    return request.max_tokens or (N_TOKENS_BLOCK if request.hole.multiline else N_TOKENS_LINE)


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
    tokens: tuple[TokenScore, ...] = ()


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
    first = (TokenScore(text=indent, log_prob=math.log(probability)),) if indent and answer.tokens else ()
    return replace(
        answer, text=indent + answer.text, confidence=answer.confidence * probability,
        prefixes=moved(answer.prefixes), alternatives=others, tokens=(*first, *answer.tokens),
    )  # fmt: skip


def token_scores(tokens: Sequence[int], log_probs: Sequence[float], healing: Healing) -> tuple[TokenScore, ...]:
    """The tokens of an answer that hold any of its own text, with their log-probabilities [N]. Their texts spell it:
    that of a character of several tokens stands with the last of them."""
    decoder, data = codecs.getincrementaldecoder("utf-8")("replace"), b""
    found: list[TokenScore] = []
    for i, (token, log_prob) in enumerate(zip(tokens, log_probs, strict=True)):
        n_before, data = len(healing.own(data)), data + healing.tokenizer.bytes_of(token)
        own = healing.own(data)[n_before:]
        if own:
            text = decoder.decode(own, i + 1 == len(tokens))
            found.append(TokenScore(text=text, log_prob=min(0.0, log_prob)))
    return tuple(found)


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
