"""Drafts beside what a body writes: guesses of it and, from the distributions that it writes by, how likely they are.

A draft that the body would write is read as a guess, many tokens in one forward. Where the body goes another way, its
distribution there tells how likely the draft can be at most. So few drafts need a forward of their own. Knows token
ids.
"""

import math
from collections.abc import Sequence

import numpy as np

from ..numerics import logsumexp
from ..tokenizers.canvas_tokens import CanvasTokens
from .denoise import stop_log_probs
from .verification import Verified, with_joined


class DraftPaths:
    """Drafts as tokens, the most promising first."""

    def __init__(self, drafts: Sequence[Sequence[int]], tokens: CanvasTokens) -> None:
        self._drafts, self._tokens = [list(draft) for draft in drafts], tokens
        # Of each draft: the distributions [V] at its places, as far as they were seen, and whether it could end there.
        self._seen: list[list[tuple[np.ndarray, bool]]] = [[] for _ in drafts]

    def guess(self, so_far: Sequence[int]) -> Sequence[int]:
        """How the first draft that begins with so_far goes on; nothing where none does."""
        n, begun = len(so_far), list(so_far)
        return next((draft[n:] for draft in self._drafts if len(draft) > n and draft[:n] == begun), ())

    def see(self, so_far: Sequence[int], log_probs: np.ndarray, may_end: bool) -> None:
        """The body tells log-probabilities [V] of what follows so_far, from the left on, some places more than once.

        may_end: the text could end there; not where what is healed is not complete.
        """
        n, begun = len(so_far), list(so_far)
        for draft, seen in zip(self._drafts, self._seen, strict=True):
            if len(seen) == n and draft[:n] == begun:
                seen.append((log_probs, may_end))

    def scores(self, i: int) -> Verified | None:
        """Those of draft i, the same that verifying gives; None where not all of its places were seen."""
        draft, seen = self._drafts[i], self._seen[i]
        if len(seen) <= len(draft):
            return None
        rows = np.stack([log_probs for log_probs, _ in seen])  # [N + 1, V]
        may_end = np.array([may_end for _, may_end in seen])
        ends = np.where(may_end, stop_log_probs(rows, self._tokens), -np.inf)
        chosen = rows[np.arange(len(draft)), draft] if draft else np.zeros(0, rows.dtype)
        alone = Verified(draft, chosen, ends, rows.argmax(axis=-1))
        return with_joined(alone, rows[:-1], self._tokens)

    def most(self, i: int) -> float:
        """The highest log-probability that the text of draft i can have, whether it ends there or not."""
        draft, path, joined = self._drafts[i], 0.0, -math.inf
        for at, ((log_probs, _), token) in enumerate(zip(self._seen[i], draft, strict=False)):
            for said, stops in self._tokens.joined.get(token, ()):
                if said == tuple(draft[at:]):
                    joined = float(np.logaddexp(joined, path + logsumexp(log_probs[stops])))
            path += float(log_probs[token])
        return float(np.logaddexp(path, joined))
