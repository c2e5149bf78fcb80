"""Verification: what the causal head thinks of whole candidates, all in one pass.

A candidate is a text for the hole, as tokens. Its log-probability and that of its end rank candidates of any origin
(denoised, copied, of several lengths); where the head would have gone another way, a draft can be mended. It does not
know where candidates come from.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..common_prefix import common_prefix
from ..network.states import ContextStates, truncate
from ..numerics import logsumexp
from ..requests import BranchWork, Tree, tree_of
from ..tokenizers.canvas_tokens import CanvasTokens
from .denoise import Prediction, predict, scores_of, stop_log_probs
from .healing import Healing
from .partial_answer import PartialAnswer
from .policies import Scores


@dataclass(frozen=True)
class Verified:
    """One candidate's scores, all natural logarithms: of each token [N] given those before it, of ending after i
    tokens [N + 1], and the tokens that the causal head would have put there instead [N + 1]."""

    tokens: list[int]
    log_probs: np.ndarray
    end_log_probs: np.ndarray
    best: np.ndarray

    @property
    def log_prob(self) -> float:
        """Log-probability of the whole candidate and its end."""
        return float(self.log_probs.sum() + self.end_log_probs[-1])

    def upto(self, n: int) -> "Verified":
        """The scores of its first n tokens alone."""
        return Verified(self.tokens[:n], self.log_probs[:n], self.end_log_probs[: n + 1], self.best[: n + 1])

    def likelier_ends(self, n_max: int, tokens: CanvasTokens) -> list[int]:
        """Lengths in (0, N) at which it is likelier to end than after all its N tokens, the likeliest n_max of them.

        None where whole lines are wanted (`partial_answer`).
        """
        if tokens.end_rule != "likeliest":
            return []
        joint = _totals(self.log_probs) + self.end_log_probs  # [N + 1]
        likelier = [i for i, t in enumerate(self.tokens) if i and tokens.may_end_before[t] and joint[i] > joint[-1]]
        return sorted(likelier, key=lambda i: -float(joint[i]))[:n_max]

    @classmethod
    def nothing(cls) -> "Verified":
        """The empty candidate as a head that is sure of it sees it."""
        return cls([], np.zeros(0, np.float32), np.zeros(1, np.float32), np.zeros(1, np.int64))


def verify(
    states: ContextStates,
    candidates: Sequence[Sequence[int]],
    tokens: CanvasTokens,
    healing: Healing | None = None,
) -> BranchWork[list[Verified]]:
    """Scores of candidates after the context in states (batch 1), in one causal pass over all of them as a tree.

    Candidates begin with what is healed, and their scores are given that. A candidate that ends with tokens that may be
    joined with a line break (`CanvasTokens.joined`) has both probabilities. Empty candidates are allowed. Raises
    ValueError without a candidate or for a context of a single token.
    """
    if not candidates or states.n_tokens < 2:
        raise ValueError("verification needs a candidate and a context of at least two tokens")
    before, first = opening(states, tokens)
    tree, paths = tree_of(first, candidates, before)
    log_probs = tokens.allowed((yield tree))  # [S, V]
    if healing is not None and healing.text:
        log_probs, ends = _healed(log_probs, tree, tokens, healing)
    else:
        ends = stop_log_probs(log_probs, tokens)
    best = log_probs.argmax(axis=-1)
    verified = [
        Verified(list(candidate), log_probs[path[:-1], list(candidate)], ends[path], best[path])
        for candidate, path in zip(candidates, paths, strict=True)
    ]
    if not tokens.joined:
        return verified
    return [with_joined(each, log_probs[path[:-1]], tokens) for each, path in zip(verified, paths, strict=True)]


def written(row: PartialAnswer, kept: Sequence[int], tokens: CanvasTokens) -> Verified:
    """The scores of a row that the causal head itself wrote, whose text is that of kept: no forward is needed.

    kept are the row's tokens up to the first that ends the text, and what that says before a line break. Where the row
    was cut short, nothing is known of an end, and it counts as even odds.
    """
    n = common_prefix(kept, row.tokens)
    log_probs, ends = row.log_probs[:n], row.end_log_probs[:n]
    if n < len(kept):  # the next one says these tokens and a line break
        n_said = len(kept) - n
        log_probs = [*log_probs, row.log_probs[n], *[0.0] * (n_said - 1)]
        ends = [*ends, row.end_log_probs[n], *[-math.inf] * (n_said - 1), 0.0]
    elif n < len(row.end_log_probs):
        ends = [*ends, row.end_log_probs[n]]
    elif row.finish_reason == "stop":
        ends = [*ends, row.log_prob - sum(log_probs)]
    else:
        ends = [*ends, math.log(0.5)]
    best = np.array([*kept, tokens.end])
    return Verified(list(kept), np.array(log_probs, np.float32), np.minimum(np.array(ends, np.float32), 0), best)


def _healed(log_probs: np.ndarray, tree: Tree, tokens: CanvasTokens, healing: Healing) -> tuple[np.ndarray, np.ndarray]:
    """log_probs [S, V] where what is healed is not complete yet narrowed to what agrees with it; and those of a stop
    [S], of which there is none before that."""
    log_probs, ends = log_probs.copy(), stop_log_probs(log_probs, tokens)
    data: list[bytes] = []
    for i, (token, parent) in enumerate(zip(tree.tokens, tree.parents, strict=True)):
        data.append(data[parent] + healing.tokenizer.bytes_of(token) if parent >= 0 else b"")
        rest = healing.rest(data[i])
        if rest and healing.data.startswith(data[i]):
            log_probs[i] = healing.narrowed(log_probs[i], rest)
            ends[i] = -np.inf
    return log_probs, ends


def with_joined(verified: Verified, before: np.ndarray, tokens: CanvasTokens) -> Verified:
    """The same scores, where the body may say tokens and a line break as one: its probability counts for the text of
    these tokens and for ending behind it, and not for what follows. before [N, V] is what came before each token."""
    alone = _totals(verified.log_probs)  # [N + 1], of the first tokens one by one
    texts, ends, best = alone.copy(), alone + verified.end_log_probs, verified.best.copy()
    for i, token in enumerate(verified.tokens):
        for said, stops in tokens.joined.get(token, ()):
            end = i + len(said)
            if tuple(verified.tokens[i:end]) != said:
                continue
            joined = alone[i] + logsumexp(before[i, stops])
            texts[i + 1 : end + 1] = np.logaddexp(texts[i + 1 : end + 1], joined)
            ends[end] = np.logaddexp(ends[end], joined)
            if (stops == best[i]).any():
                best[i:end] = said
    return Verified(verified.tokens, np.diff(texts), np.minimum(ends - texts, 0), best)


def _totals(log_probs: np.ndarray) -> np.ndarray:
    """Log-probabilities [N + 1] of the first tokens together, from those of N."""
    return np.concatenate((np.zeros(1, log_probs.dtype), log_probs.cumsum()))


def predict_verified(states: ContextStates, canvas: np.ndarray, tokens: CanvasTokens) -> BranchWork[Prediction]:
    """The denoiser's draft of canvas [1, L], read once by the causal head: two forwards.

    Draft tokens that the causal head would have written too, from the left on, and the first one that it would have
    written differently (its own instead) come back with its probability for them; all behind with confidence 0. So a
    threshold policy at any level commits at least one token, and what is committed is what the causal head alone would
    write (self-speculation: Sun et al. 2025, "TiDAR").
    """
    drafted = (yield from predict(states, canvas, tokens)).tokens
    filled = np.where(canvas == tokens.mask, drafted, canvas)  # [1, L]
    before, first = opening(states, tokens)
    tree, (path,) = tree_of(first, [filled[0, :-1].tolist()], before)
    log_probs = tokens.allowed((yield tree)[path][None])
    best = log_probs.argmax(axis=-1)
    agrees = (best == filled) | (canvas != tokens.mask)
    reached = np.ones_like(agrees)  # and the first disagreement
    reached[:, 1:] = np.logical_and.accumulate(agrees, axis=-1)[:, :-1]
    found = scores_of(log_probs)
    scores = Scores(np.where(reached, found.confidence, 0), lambda: np.where(reached, found.entropy(), np.inf))
    return Prediction(best, scores, stop_log_probs(log_probs, tokens), 2)


def opening(states: ContextStates, tokens: CanvasTokens) -> tuple[ContextStates, int]:
    """The states that a continuation follows, and its first token, whose output predicts the hole's first token.

    That is the MIDDLE mark after the whole context or, without one, the context's last token once more.
    """
    if tokens.middle is not None:
        return states, tokens.middle
    return truncate(states, states.n_tokens - 1), int(states.tokens[0, -1])
