"""What DreamOn's canvas does between two steps: a committed `expand` becomes two masks (Wu et al. 2025, "DreamOn").

Its other half, deletion, needs nothing: a committed end turns every mask right of it into `end`, as in any canvas, and
cells that hold `end` are not part of the sequence.
"""

from collections.abc import Callable

import numpy as np

from ..tokenizers.canvas_tokens import CanvasTokens

Expanded = Callable[[np.ndarray, np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray, np.ndarray]]


def expander(expand: int, tokens: CanvasTokens) -> Expanded:
    """A function of canvas, log-probabilities and those of a stop (all [B, L]), after a step, to the same with every
    `expand` as two masks, as far as there is room."""

    def change(
        canvas: np.ndarray, log_probs: np.ndarray, stops: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        if not (canvas == expand).any():
            return canvas, log_probs, stops
        n = canvas.shape[1]
        new = (np.full_like(canvas, tokens.end), np.zeros_like(log_probs), np.full_like(stops, -np.inf))
        for row, cells in enumerate(canvas.tolist()):
            n_text = sum(token != tokens.end for token in cells)
            at = 0
            for i, token in enumerate(cells):
                if at == n:
                    break
                if token != expand:
                    new[0][row, at], new[1][row, at], new[2][row, at] = token, log_probs[row, i], stops[row, i]
                    at += 1
                    continue
                n_masks = 2 if n_text < n else 1
                new[0][row, at : at + n_masks] = tokens.mask
                n_text += n_masks - 1
                at += n_masks
        return new

    return change
