"""Prefixes: how likely the beginning of a candidate is right, at every place where a word of it ends.

A whole line is seldom sure, its next word often is. A logistic regression over what is known of a candidate up to such
a place, fitted beside the ranker on the same packages, gives the probability that the text so far is what the author
writes; the text can then be cut where that falls too low (`fim.display`). Without a regression, the causal head's own
probability of the tokens takes its place.
"""

import codecs
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from ...fim.text.line_scan import is_word_character
from ...fim.types import Hole
from ..decoding.healing import Healing
from .ranker import Judged, check_weights, logistic, probability_of

Prefixes = tuple[tuple[int, float], ...]
"""(characters, probability that they are right), shorter ones first."""

SHORT_WORD = 12  # characters; a longer text that begins inside a word is seldom just the rest of it
LEAST = 1e-6


@dataclass(frozen=True)
class CutPlace:
    """A place in a candidate where a word ends: after n_tokens of its tokens, which are its first n_chars."""

    n_tokens: int
    n_chars: int


def places(judged: Judged, healing: Healing) -> list[CutPlace]:
    """Where a candidate could be cut, its end included: never inside a word, nor before its first character."""
    text, tokens = judged.candidate.text, judged.candidate.tokens
    found: list[CutPlace] = []
    decoder, data, n_whole = codecs.getincrementaldecoder("utf-8")("replace"), b"", 0  # characters
    for i, token in enumerate(tokens, 1):
        n_before, data = len(healing.own(data)), data + healing.tokenizer.bytes_of(token)
        n_whole += len(decoder.decode(healing.own(data)[n_before:]))
        n = len(text) if i == len(tokens) else n_whole
        cuts_word = is_word_character(text[n - 1 : n]) and is_word_character(text[n : n + 1])
        if text[:n].strip() and not cuts_word and not (found and found[-1].n_chars == n):
            found.append(CutPlace(i, n))
    return found


@dataclass(frozen=True)
class CursorFacts:
    """What the regression sees of the cursor: the line so far, whether it is in prose, whether no text follows."""

    left: str
    in_prose: bool = False
    nothing_below: bool = False

    @classmethod
    def of(cls, hole: Hole) -> "CursorFacts":
        """The cursor of a hole."""
        return cls(hole.prefix.rpartition("\n")[2], hole.in_prose, not hole.suffix.strip())


def features(judged: Judged, place: CutPlace, rivals: Sequence[Judged], cursor: CursorFacts) -> dict[str, float]:
    """What the regression sees of a candidate up to a place; rivals are all candidates."""
    candidate, draft = judged.candidate, judged.candidate.draft
    log_probs = judged.verified.log_probs[: place.n_tokens].tolist()
    total = sum(log_probs)
    start = candidate.text[: place.n_chars]
    agreeing = [rival.probability for rival in rivals if rival.candidate.text.startswith(start)]
    p = min(1 - LEAST, max(LEAST, judged.probability))
    rank = math.log(p / (1 - p)) / 3
    is_whole = place.n_tokens == len(candidate.tokens)
    in_word = is_word_character(cursor.left[-1:])
    n_before, n_shape = (draft.n_before, draft.n_shape) if draft else (0, 0)
    return {
        "bias": 1.0,
        "log_prob": total / 5,
        "likely": max(total, -1.0),
        "prob": probability_of(total),
        "worst_log_prob": min(log_probs),
        "first_log_prob": log_probs[0],
        "mean_log_prob": total / len(log_probs),
        "mean_prob": sum(map(probability_of, log_probs)) / len(log_probs),
        "rank": rank,
        "agreeing": sum(agreeing),
        "agreeing_share": sum(agreeing) / (sum(rival.probability for rival in rivals) + LEAST),
        "agreeing_count": len(agreeing) / len(rivals),
        "log_rivals": math.log1p(len(rivals)),
        "draft": float(draft is not None),
        "canvas": float(candidate.n_canvases > 0),
        "both": float(draft is not None and candidate.n_canvases > 0),
        "log_before": math.log1p(n_before),
        "before": n_before / 20,
        "log_shape": math.log1p(n_shape),
        "log_length": math.log1p(place.n_chars),
        "log_tokens": math.log1p(place.n_tokens),
        "whole": float(is_whole),
        "whole_rank": rank * is_whole,
        "in_word": float(in_word),
        "in_short_word": float(in_word and place.n_chars < SHORT_WORD),
        "blank_line": float(not cursor.left.strip()),
        "prose": float(cursor.in_prose),
        "prose_word": float(cursor.in_prose and in_word),
        "nothing_below": float(cursor.nothing_below),
        "draft_nothing_below": float(cursor.nothing_below and draft is not None),
    }


@dataclass(frozen=True)
class PrefixRanker:
    """Weights by feature name. Raises ValueError for unknown or missing features, or weights that are not finite."""

    weights: Mapping[str, float]

    def __post_init__(self) -> None:
        check_weights("a prefix ranker", self.weights, FEATURES)

    def probability(self, of: Mapping[str, float]) -> float:
        """The probability for a prefix with these features."""
        return logistic(sum(self.weights[name] * value for name, value in of.items()))


FEATURES: tuple[str, ...] = (
    "bias", "log_prob", "likely", "prob", "worst_log_prob", "first_log_prob", "mean_log_prob", "mean_prob", "rank",
    "agreeing", "agreeing_share", "agreeing_count", "log_rivals", "draft", "canvas", "both", "log_before", "before",
    "log_shape", "log_length", "log_tokens", "whole", "whole_rank", "in_word", "in_short_word", "blank_line",
    "prose", "prose_word", "nothing_below", "draft_nothing_below",
)  # fmt: skip


def with_prefixes(
    judged: Sequence[Judged], ranker: PrefixRanker | None, healing: Healing, cursor: CursorFacts
) -> list[Judged]:
    """The same candidates with the probabilities of their prefixes.

    A longer prefix never counts as likelier than a shorter one.
    """
    return [
        replace(each, prefixes=tuple(_make_falling(_probabilities(each, judged, ranker, healing, cursor))))
        for each in judged
    ]


def _probabilities(
    judged: Judged, rivals: Sequence[Judged], ranker: PrefixRanker | None, healing: Healing, cursor: CursorFacts
) -> Iterator[tuple[int, float]]:
    for place in places(judged, healing):
        if ranker is None:
            yield place.n_chars, probability_of(float(judged.verified.log_probs[: place.n_tokens].sum()))
        else:
            yield place.n_chars, ranker.probability(features(judged, place, rivals, cursor))


def _make_falling(prefixes: Iterator[tuple[int, float]]) -> Iterator[tuple[int, float]]:
    least = 1.0
    for n_chars, probability in prefixes:
        least = min(least, probability)
        yield n_chars, round(least, 4)
