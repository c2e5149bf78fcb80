"""The ranker: the probability that a candidate is what the author wrote, from how it was found and verified.

A logistic regression over a handful of features, fitted for one checkpoint on its validation packages
(`quicksilver train ranker`) and kept in the checkpoint's config. It orders candidates and is the completion's
confidence. Without one, candidates are ordered by the causal head's log-probability.
"""

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from ..decoding.verification import Verified
from .candidates import Candidate

N_MATCH_SCALE = 20.0
LONG_AFTER = 10  # agreeing characters after a draft that count as a whole line
MAX_WEIGHT = 1e6  # of a feature: fitted ones stay below 100
SHORT = -8.0  # lower log-probabilities make no difference


@dataclass(frozen=True)
class Judged:
    """A candidate, its verification, and the ranker's probability (without a ranker, the causal head's); for its
    beginnings, their lengths in characters and probabilities (`prefix_confidence`)."""

    candidate: Candidate
    verified: Verified
    probability: float
    prefixes: tuple[tuple[int, float], ...] = ()


def features(candidates: Sequence[Candidate], verified: Sequence[Verified]) -> list[dict[str, float]]:
    """The ranker's features of each candidate, some of which compare it with the others."""
    best = max((v.log_prob for v in verified), default=0.0)
    surest = max((c.draft.n_before + c.draft.n_after for c in candidates if c.draft), default=0)
    return [_features(c, v, best, surest) for c, v in zip(candidates, verified, strict=True)]


def _features(candidate: Candidate, verified: Verified, best: float, surest: int) -> dict[str, float]:
    draft, n = candidate.draft, len(candidate.tokens)
    n_before, n_after, n_shape = (draft.n_before, draft.n_after, draft.n_shape) if draft else (0, 0, 0)
    is_canvas = candidate.n_canvases > 0
    mean = verified.log_prob / (n + 1)
    return {
        "bias": 1.0,
        "draft": float(draft is not None),
        "canvas": float(is_canvas),
        "both": float(draft is not None and is_canvas),
        "more_canvases": float(max(0, candidate.n_canvases - 1)),
        "cut": float(candidate.is_cut),
        "log_before": math.log1p(n_before),
        "before": n_before / N_MATCH_SCALE,
        "before_if_canvas": math.log1p(n_before) * is_canvas,
        "log_after": math.log1p(n_after),
        "long_after": float(n_after >= LONG_AFTER),
        "analogy": float(n_shape > 0),
        "log_shape": math.log1p(n_shape),
        "shape_changed": float(draft.n_changed if draft else 0),
        "surest_draft": float(draft is not None and n_before + n_after == surest),
        "log_prob": verified.log_prob / 5,
        "gap": (verified.log_prob - best) / 5,
        "mean_log_prob": mean,
        "mean_log_prob_if_canvas_only": mean * (draft is None),
        "end_log_prob": float(verified.end_log_probs[-1]),
        "worst_log_prob": float(verified.log_probs.min()) if n else 0.0,
        "canvas_log_prob": max(SHORT, candidate.canvas_log_prob) / 5 if is_canvas else 0.0,
        "written_by_causal_head": float(list(candidate.tokens) == verified.best[:n].tolist()),
        "log_length": math.log1p(len(candidate.text)),
    }


def logistic(score: float) -> float:
    """The probability for log-odds; 0 for NaN, from a broken model."""
    return 0.0 if math.isnan(score) else 1 / (1 + math.exp(-max(-30.0, min(30.0, score))))


def probability_of(log_prob: float) -> float:
    """The probability for a log-probability; 0 for NaN, from a broken model."""
    return 0.0 if math.isnan(log_prob) else math.exp(min(0.0, log_prob))


def check_weights(whose: str, weights: object, names: Collection[str]) -> None:
    """Raise ValueError unless weights are usable numbers, one for each of names."""
    if not isinstance(weights, Mapping) or set(weights) != set(names):
        raise ValueError(f"{whose} needs weights for {', '.join(sorted(names))}")
    for name, weight in weights.items():
        if isinstance(weight, bool) or not isinstance(weight, int | float) or not abs(weight) <= MAX_WEIGHT:
            raise ValueError(
                f"the weight {name} of {whose} must be a finite number of a reasonable size, not {repr(weight)[:40]}"
            )


@dataclass(frozen=True)
class Ranker:
    """Weights by feature name. Raises ValueError for unknown or missing features, or weights that are not finite."""

    weights: Mapping[str, float]

    def __post_init__(self) -> None:
        check_weights("a ranker", self.weights, _features(Candidate(text="", tokens=()), Verified.nothing(), 0.0, 0))

    def probability(self, of: Mapping[str, float]) -> float:
        """The probability for a candidate with these features."""
        return logistic(sum(self.weights[name] * value for name, value in of.items()))


def judge(candidates: Sequence[Candidate], verified: Sequence[Verified], ranker: Ranker | None) -> list[Judged]:
    """All candidates with their probabilities, the likeliest first."""
    if ranker is None:
        judged = [Judged(c, v, probability_of(v.log_prob)) for c, v in zip(candidates, verified, strict=True)]
    else:
        judged = [
            Judged(c, v, ranker.probability(f))
            for c, v, f in zip(candidates, verified, features(candidates, verified), strict=True)
        ]
    return sorted(judged, key=lambda j: j.probability, reverse=True)
