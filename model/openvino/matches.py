"""Matches, counted with NumPy: what `network.matches` counts, for one context on the CPU. Tests compare the two.

Letters: T context, M canvases, L canvas, S tokens of a tree.
"""

import numpy as np
from numpy.lib.stride_tricks import as_strided, sliding_window_view

from ..config import MATCH_BOUNDS, N_MATCH_GAPS

N_MAX = MATCH_BOUNDS[-1]  # longer matches count as this long
_CLASS_OF = np.searchsorted(MATCH_BOUNDS, np.arange(N_MAX + 1), side="right")


def last_matches(tokens: np.ndarray, skipped: int | None = None) -> np.ndarray:
    """Lengths [T - 1] (uint8) of matches for the last of tokens [T]: see `network.matches.context_matches`."""
    n = len(tokens)
    is_skipped = np.zeros(n, np.bool_) if skipped is None else tokens == skipped
    text = tokens[~is_skipped]
    ends = np.maximum((~is_skipped).cumsum() - 1, 0)  # for each token, where the text that it ends stands in text
    run, count = np.ones(len(text), np.bool_), np.zeros(len(text), np.uint8)
    for back in range(min(N_MAX, len(text))):
        run[:back] = False
        run[back:] &= text[: len(text) - back] == text[len(text) - 1 - back]
        count += run
    return np.where(is_skipped[1:], np.uint8(0), count[ends[:-1]])


def canvas_matches(
    canvases: np.ndarray, is_open: np.ndarray, tokens: np.ndarray, before: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Lengths [M, L, T - 1] (uint8) of matches for canvases [M, L] whose masks are is_open, and gaps [M, L].

    tokens [T] are the context, before [T - 1] the match lengths of its last position. See `network.matches`.
    """
    (m, n), size = canvases.shape, len(before)
    padded = np.concatenate((tokens[1:], np.full(n, -1)))
    ahead = sliding_window_view(padded, n)[:size].T  # [L, T - 1]
    is_mask = is_open[..., None]
    same = ahead == canvases[..., None]  # [M, L, T - 1], column a: laid against what follows a
    first = np.broadcast_to(before, (m, 1, size))
    count = first + (same & ~is_mask).cumsum(axis=1, dtype=np.uint8)
    lost = np.maximum.accumulate(np.where(same | is_mask, np.uint8(0), count), axis=1)
    lengths = np.concatenate((first, (count - lost)[:, :-1]), axis=1)
    place = np.arange(n)
    last_known = np.maximum.accumulate(np.where(is_open, -1, place), axis=1)
    gaps = np.zeros((m, n), np.int64)
    gaps[:, 1:] = place[:-1] - last_known[:, :-1]
    return _by_position(np.minimum(lengths, N_MAX)), np.minimum(gaps, N_MATCH_GAPS - 1)


def _by_position(lengths: np.ndarray) -> np.ndarray:
    """Move row p of lengths [M, L, S] p columns to the right: from where a canvas was laid to what a copy takes."""
    m, n, size = lengths.shape
    moved = np.zeros((m, n, size + n), lengths.dtype)
    across, down, along = moved.strides
    as_strided(moved, (m, n, size), (across, down + along, along))[...] = lengths
    return moved[..., :size]


def tree_matches(context: np.ndarray, tokens: np.ndarray, before: np.ndarray, skipped: int | None = None) -> np.ndarray:
    """Lengths [S, T - 1 + S] (uint8) of matches for the tokens [S] of a tree behind a context [T].

    before [S] is the token before each: 0 the context's last, 1 + i token i. See `network.matches.tree_matches`.
    """
    n_context, n = len(context), len(tokens)
    text = np.concatenate((context, tokens))
    nothing = n_context + n  # the place before the first
    place = np.arange(nothing + 1)
    earlier = np.concatenate((place[:n_context] - 1, before + n_context - 1, place[-1:])) % (nothing + 1)
    if skipped is not None:  # where the text ends that stands up to and with a place
        place = np.where(np.append(text == skipped, False), earlier, place)
        earlier = place[earlier]
    rows, columns = place[n_context:-1], np.concatenate((place[: n_context - 1], place[before + n_context - 1]))
    row_ids, column_ids = np.append(text, -1), np.append(text, -2)
    run, count = np.ones((n, len(columns)), np.bool_), np.zeros((n, len(columns)), np.uint8)
    for _ in range(N_MAX):
        run &= row_ids[rows][:, None] == column_ids[columns]
        count += run
        rows, columns = earlier[rows], earlier[columns]
    followers = np.concatenate((context[1:], tokens))
    return count if skipped is None else np.where(followers == skipped, np.uint8(0), count)


def classes(lengths: np.ndarray) -> np.ndarray:
    """The class (0 … N_MATCH_CLASSES - 1) of each match length."""
    return _CLASS_OF[lengths]
