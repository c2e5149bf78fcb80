"""The scores of one benchmark's answers: a row of numbers for each decoder.

A task counts as solved when its program passed or, if nothing is run, when the text equals the original. Micro is the
share of tasks, macro the mean over base problems of the share of each one's tasks. Intervals are 95 % percentile
bootstraps that draw whole base problems, since holes of one problem are not independent.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..quality import calibration
from ..quality.decoders import Attempt, NamedDecoder
from ..quality.scores import similarity
from ..sandbox.execution import OUTCOMES, RunVerdict
from .tasks import InfillTask


@dataclass(frozen=True, kw_only=True)
class Scored:
    """One answer to one task, and how its program ended; None if nothing is run."""

    task: InfillTask
    answer: Attempt
    verdict: RunVerdict | None

    @property
    def text(self) -> str:
        """The text in the hole."""
        return self.task.filled(self.answer)

    @property
    def exact(self) -> bool:
        """Whether that equals the original text."""
        return self.task.same(self.task.hole, self.text)

    @property
    def solved(self) -> bool:
        """Whether the task counts as solved."""
        return self.exact if self.verdict is None else self.verdict.outcome == "passed"


def score(benchmark: str, decoder: NamedDecoder, scored: Sequence[Scored]) -> dict[str, Any]:
    """The row of one decoder over one benchmark's tasks; the fields are described in `step`."""
    bases = [each.task.base for each in scored]
    steps = sum(each.answer.steps for each in scored)
    tokens = [each.answer.n_tokens for each in scored]
    n_tokens = sum(n for n in tokens if n is not None)
    similar = [s for each in scored if (s := similarity(each.text, each.task.hole.truth)) is not None]
    ms = [each.answer.ms for each in scored]
    return {
        "benchmark": benchmark,
        "decoder": decoder.label,
        "name": decoder.name,
        "family": decoder.family,
        "length": decoder.length,
        "tasks": len(scored),
        "problems": len(set(bases)),
        "is_run": any(each.verdict is not None for each in scored),
        **_shares("solved", [each.solved for each in scored], bases),
        **_shares("exact", [each.exact for each in scored], bases),
        "edit_similarity": round(float(np.mean(similar)), 4) if similar else None,
        "outcomes": _outcomes(scored),
        "mean_steps": round(steps / len(scored), 2),
        "mean_tokens": round(n_tokens / len(scored), 2) if None not in tokens else None,
        "tokens_per_forward": round(n_tokens / steps, 2) if steps and None not in tokens else None,
        "median_ms": round(float(np.median(ms)), 2),
        "p95_ms": round(float(np.quantile(ms, 0.95)), 2),
    }


def _shares(name: str, right: Sequence[bool], bases: Sequence[str]) -> dict[str, Any]:
    """Micro and macro share of what is right, with their intervals."""
    problems: dict[str, list[bool]] = {}
    for base, each in zip(bases, right, strict=True):
        problems.setdefault(base, []).append(each)
    means = {"micro": float(np.mean(right)), "macro": float(np.mean([np.mean(each) for each in problems.values()]))}
    shares: dict[str, Any] = {}
    for (kind, mean), resampled in zip(means.items(), calibration.resampled_clusters(right, bases), strict=True):
        shares[f"{name}_{kind}"] = round(mean, 4)
        shares[f"{name}_{kind}_95"] = [round(end, 4) for end in calibration.interval(resampled)]
    return shares


def _outcomes(scored: Sequence[Scored]) -> dict[str, int]:
    """How many programs ended in each way."""
    counts = Counter(each.verdict.outcome for each in scored if each.verdict is not None)
    return {outcome: counts[outcome] for outcome in OUTCOMES} if counts else {}
