"""Functions of log-probabilities that NumPy lacks. SciPy has them, at 100 MB for a person who only completes code."""

import numpy as np


def logsumexp(values: np.ndarray, axis: int = -1) -> np.ndarray:
    """The logarithm of the sum of exponentials along an axis; -inf where all values are, or there are none."""
    if not values.shape[axis]:
        return np.full_like(values, -np.inf, shape=np.delete(values.shape, axis))
    most = values.max(axis=axis, keepdims=True)
    most = np.where(np.isneginf(most), 0, most)
    with np.errstate(divide="ignore"):
        return np.log(np.exp(values - most).sum(axis=axis)) + most.squeeze(axis)


def log_softmax(values: np.ndarray) -> np.ndarray:
    """Log-probabilities along the last axis of values [..., V]; of a row without any that is finite: NaN."""
    return values - logsumexp(values)[..., None]


def softmax(values: np.ndarray) -> np.ndarray:
    """Probabilities along the last axis of values [..., V]."""
    return np.exp(log_softmax(values))


def log_sigmoid(values: np.ndarray) -> np.ndarray:
    """The logarithm of the probability that log-odds mean."""
    return -np.logaddexp(0, -values)


def entropy(log_probs: np.ndarray) -> np.ndarray:
    """Entropies [...] in nats of log-probabilities [..., V]."""
    probs = np.exp(log_probs)
    return -(probs * np.where(probs > 0, log_probs, 0)).sum(axis=-1)
