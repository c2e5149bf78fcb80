"""The scores of answers: every number of the report, from tasks, answers and whether the filled files parse.

Single-line kinds take an answer's first line, the others all of it. Blanks at the end do not matter where the hole
ended at a line's end; where text follows the hole, they do.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from . import calibration
from .decoders import Attempt, NamedDecoder
from .holes import Task

COVERAGES = (25, 50, 75)  # per cent


@dataclass(frozen=True, kw_only=True)
class JudgedAttempt:
    """One answer against what stood there.

    parses is None if the file did not parse before, similarity where rapidfuzz is not installed.
    """

    package: str
    exact: bool
    first_line: bool
    similarity: float | None
    parses: bool | None
    answer: Attempt


def filling(task: Task, answer: Attempt) -> str:
    """The part of an answer that is put into the hole."""
    return answer.text if task.multiline else answer.text.split("\n", 1)[0]


def judge(task: Task, answer: Attempt, parses: bool | None) -> JudgedAttempt:
    """Compare an answer with the truth."""
    text, truth = filling(task, answer), task.truth
    if not task.suffix or task.suffix.startswith("\n"):
        text, truth = text.rstrip(), truth.rstrip()
    return JudgedAttempt(
        package=task.package,
        exact=text == truth,
        first_line=text.split("\n", 1)[0].rstrip() == truth.split("\n", 1)[0].rstrip(),
        similarity=similarity(text, truth),
        parses=parses,
        answer=answer,
    )


def similarity(text: str, truth: str) -> float | None:
    """1 - Levenshtein distance / length of the longer one; None if rapidfuzz is not installed."""
    try:
        from rapidfuzz.distance import Levenshtein
    except ImportError:
        return None
    return Levenshtein.normalized_similarity(text, truth)


def score(kind: str, decoder: NamedDecoder, judged: Sequence[JudgedAttempt]) -> dict[str, Any]:
    """The row of one decoder over the holes of one kind; the fields are described in `heldout`."""
    exact = [each.exact for each in judged]
    low, high = calibration.interval(calibration.resampled_means(exact, [each.package for each in judged]))
    parsing = [each.parses for each in judged if each.parses is not None]
    return {
        "kind": kind,
        "decoder": decoder.label,
        "name": decoder.name,
        "family": decoder.family,
        "max_steps": decoder.max_steps,
        "holes": len(judged),
        "exact_match": _mean(exact),
        "exact_match_95": [round(low, 4), round(high, 4)],
        "first_line_match": _mean([each.first_line for each in judged]),
        "edit_similarity": _mean([each.similarity for each in judged]),
        "syntax_valid": _mean(parsing),
        "syntax_holes": len(parsing),
        "mean_steps": round(float(np.mean([each.answer.steps for each in judged])), 2),
        "median_ms": round(float(np.median([each.answer.ms for each in judged])), 2),
        **_trust(judged),
    }


def _trust(judged: Sequence[JudgedAttempt]) -> dict[str, Any]:
    """The measures of confidence, each None for a decoder that has none."""
    known = [(each.answer.confidence, each.exact) for each in judged if each.answer.confidence is not None]
    names = ["ece", "risk_area", *(f"precision_at_{c}" for c in COVERAGES), "risk_coverage", "reliability"]
    if len(known) != len(judged):
        return dict.fromkeys(names)
    sure, right = zip(*known, strict=True)
    bins, precision = calibration.reliability(sure, right), calibration.precisions(sure, right)
    return {
        "ece": round(calibration.expected_error(bins), 4),
        "risk_area": round(calibration.risk_area(precision), 4),
        **{f"precision_at_{c}": round(calibration.precision_at(precision, c / 100), 4) for c in COVERAGES},
        "risk_coverage": [[round(c, 4), round(r, 4)] for c, r in calibration.risk_coverage(precision)],
        "reliability": [{k: round(v, 4) for k, v in asdict(b).items()} for b in bins],
    }


def _mean(values: Sequence[float | None]) -> float | None:
    """The mean of what is known; None if nothing is."""
    known = [value for value in values if value is not None]
    return round(sum(known) / len(known), 4) if known else None
