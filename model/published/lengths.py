"""Which lengths a canvas of a family without one of its own may have, and which of the filled ones is best.

A canvas between two texts has to be as long as what belongs there. Asked with the longest canvas, the model says at
each place how likely the text has ended: the likeliest lengths by that, and the longest, are denoised side by side, and
the one whose tokens were likeliest on average when they were committed wins (docs/published.md).
"""

import numpy as np

from ..decoding.denoise import first_ends, stop_log_probs
from ..tokenizers.canvas_tokens import CanvasTokens

SAYS_END = 0.05  # less probability than that on all ends together says nothing about the length


def likely_lengths(log_probs: np.ndarray, tokens: CanvasTokens, n: int) -> list[int]:
    """At most n lengths, the longest first, by log_probs [L, V] of an all-masked canvas; parts of L where it says
    nothing."""
    longest = len(log_probs)
    first_end = first_ends(np.exp(stop_log_probs(log_probs, tokens)))[1:]  # an empty text needs no canvas
    found = [longest]
    if float(first_end.sum()) < SAYS_END:
        found += [max(1, longest // part) for part in (4, 2, 8)]
    else:
        found += [int(i) + 1 for i in np.argsort(-first_end, kind="stable")[:n]]
    return list(dict.fromkeys(found))[:n]


def of_lengths(lengths: list[int], tokens: CanvasTokens) -> np.ndarray:
    """Canvases [B, L] of masks, each of its length: what is behind it holds `end`."""
    canvas = np.full((len(lengths), max(lengths)), tokens.end)
    for row, length in zip(canvas, lengths, strict=True):
        row[:length] = tokens.mask
    return canvas


def best_row(canvas: np.ndarray, log_probs: np.ndarray, tokens: CanvasTokens) -> int:
    """The row of canvas [B, L] whose tokens were likeliest on average, by their log_probs [B, L] when committed."""
    is_text = (canvas != tokens.end) & (canvas != tokens.mask)
    n = is_text.sum(axis=1)
    mean = np.where(is_text, log_probs, 0).sum(axis=1) / np.maximum(n, 1)
    return int(np.where(n > 0, mean, -np.inf).argmax())
