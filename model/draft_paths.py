"""Drafts beside what a body writes: guesses of it and, from the distributions that it writes by, how likely they are.

A draft that the body would write is read as a guess, many tokens in one forward. Where the body goes another way, its
distribution there tells how likely the draft can be at most. So few drafts need a forward of their own. Knows token
ids.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from .canvas_tokens import CanvasTokens


class DraftPaths:
    """Drafts as tokens, the most promising first; `most` [N] is the highest log-probability that each can have."""

    def __init__(self, drafts: Sequence[Sequence[int]], tokens: CanvasTokens) -> None:
        self._drafts, self._tokens = [list(draft) for draft in drafts], tokens
        self.most = [0.0] * len(drafts)

    def guess(self, so_far: Sequence[int]) -> Sequence[int]:
        """How the first draft that begins with so_far goes on; nothing where none does."""
        n, begun = len(so_far), list(so_far)
        return next((draft[n:] for draft in self._drafts if len(draft) > n and draft[:n] == begun), ())

    def see(self, so_far: Sequence[int], log_probs: Tensor) -> None:
        """The body tells log-probabilities [V] of what follows so_far. Told once for each place, from the left on."""
        n, begun = len(so_far), list(so_far)
        for i, draft in enumerate(self._drafts):
            if len(draft) > n and draft[:n] == begun:
                self.most[i] += self._log_prob(draft[n:], log_probs)

    def _log_prob(self, rest: Sequence[int], log_probs: Tensor) -> float:
        """That of the first token of rest, or of one that says the whole rest and a line break."""
        alone = log_probs[rest[0]]
        for said, stops in self._tokens.joined.get(rest[0], ()):
            if said == tuple(rest):
                alone = torch.logaddexp(alone, log_probs[stops].logsumexp(dim=-1))
        return float(alone) if not math.isnan(float(alone)) else -math.inf
