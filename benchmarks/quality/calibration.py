"""How well a confidence is calibrated, and how certain a measured share is. Arrays in, numbers out.

Answers of equal confidence cannot be ranked, so every measure takes them at their mean.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

N_BINS = 15
N_RESAMPLES = 2000
N_CURVE_POINTS = 100


@dataclass(frozen=True)
class Bin:
    """Answers whose confidence lies in [low, high), the last bin including 1."""

    low: float
    high: float
    n: int
    confidence: float
    accuracy: float


def reliability(confidence: ArrayLike, right: ArrayLike, n_bins: int = N_BINS) -> list[Bin]:
    """Bins of equal width that hold any answer, with their mean confidence and the share that is right."""
    sure, hit = np.asarray(confidence, dtype=np.float64), np.asarray(right, dtype=np.float64)
    number = np.minimum((sure * n_bins).astype(int), n_bins - 1)
    return [
        Bin(i / n_bins, (i + 1) / n_bins, int(at.sum()), float(sure[at].mean()), float(hit[at].mean()))
        for i in range(n_bins)
        if (at := number == i).any()
    ]


def expected_error(bins: Sequence[Bin]) -> float:
    """Expected calibration error: |confidence - accuracy| of each bin, weighted by its answers (Guo et al. 2017)."""
    return sum(b.n * abs(b.confidence - b.accuracy) for b in bins) / sum(b.n for b in bins)


def precisions(confidence: ArrayLike, right: ArrayLike) -> NDArray[np.float64]:
    """The share that is right among the surest 1, 2, … N answers, [N]."""
    sure, hit = np.asarray(confidence, dtype=np.float64), np.asarray(right, dtype=np.float64)
    _, group = np.unique(-sure, return_inverse=True)  # surest first
    means = np.bincount(group, weights=hit) / np.bincount(group)
    ranked = np.repeat(means, np.bincount(group))
    return np.cumsum(ranked) / np.arange(1, len(ranked) + 1)


def risk_coverage(precision: NDArray[np.float64]) -> list[tuple[float, float]]:
    """(coverage, share that is wrong) at up to N_CURVE_POINTS coverages, from what `precisions` returned."""
    n = len(precision)
    counts = np.unique(np.linspace(1, n, min(n, N_CURVE_POINTS)).round().astype(int))
    return [(float(k / n), float(1 - precision[k - 1])) for k in counts]


def risk_area(precision: NDArray[np.float64]) -> float:
    """The area under the risk-coverage curve: the mean risk over all coverages (0 is perfect)."""
    return float(1 - precision.mean())


def precision_at(precision: NDArray[np.float64], coverage: float) -> float:
    """The share that is right among the surest coverage of all answers, at least one of them."""
    return float(precision[max(1, round(coverage * len(precision))) - 1])


def resampled_means(values: ArrayLike, strata: Sequence[str], seed: int = 0) -> NDArray[np.float64]:
    """The means [N_RESAMPLES] of values drawn with replacement within each stratum, as often as it holds values."""
    rng = np.random.default_rng(seed)
    all_values, names = np.asarray(values, dtype=np.float64), np.asarray(strata)
    sums = np.zeros(N_RESAMPLES)
    for name in np.unique(names):
        inside = all_values[names == name]
        sums += inside[rng.integers(0, len(inside), (N_RESAMPLES, len(inside)))].sum(axis=1)
    return sums / len(all_values)


def resampled_clusters(
    values: ArrayLike, clusters: Sequence[str], seed: int = 0
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Means over values, and means over the clusters' means, both [N_RESAMPLES], of clusters drawn with replacement.

    Values of one cluster belong together (holes cut from one problem), so they are drawn together or not at all.
    """
    rng = np.random.default_rng(seed)
    _, number = np.unique(np.asarray(clusters), return_inverse=True)
    sizes = np.bincount(number)
    sums = np.bincount(number, weights=np.asarray(values, dtype=np.float64))
    micro, macro = np.empty(N_RESAMPLES), np.empty(N_RESAMPLES)
    for i in range(N_RESAMPLES):
        drawn = rng.integers(0, len(sizes), len(sizes))
        micro[i] = sums[drawn].sum() / sizes[drawn].sum()
        macro[i] = (sums[drawn] / sizes[drawn]).mean()
    return micro, macro


def interval(means: NDArray[np.float64]) -> tuple[float, float]:
    """The middle 95 % of resampled means (percentile bootstrap)."""
    low, high = np.quantile(means, (0.025, 0.975))
    return float(low), float(high)
