"""The copy head on the CPU, with NumPy: what `network.copy_head` computes, beside a runtime that computes the rest.

Tests compare the two. Letters: T context, S tokens of an ask, R = S rows, D width, C copy size, V vocabulary.
"""

import numpy as np

from ..checkpoint.checkpoint_files import Weights, as_float
from ..config import N_MATCH_CLASSES, N_MATCH_GAPS, DenoiserConfig
from ..network.states import ContextStates
from ..numerics import log_sigmoid, log_softmax
from ..requests import Branches, FlatTokens, Rows, Tree
from ..special_tokens import Special
from .matches import canvas_matches, classes, last_matches, tree_matches

LEAST = np.float32(1e-20)


class NumpyNoCopies:
    """In the place of a copy head where a model has none: nothing is copied, and keys are of width 0."""

    def keys(self, hidden: np.ndarray) -> np.ndarray:
        """Copy keys [N, 0] of context states [N, D]."""
        return np.zeros((len(hidden), 0), np.float32)

    def mix(self, ask: Branches, line: FlatTokens, hidden: np.ndarray, plain: np.ndarray) -> np.ndarray:
        """The reply to ask: plain [S, V] as it is."""
        return plain if isinstance(ask, Tree) else plain.reshape(*ask.tokens.shape, -1)


class NumpyKeptStates(NumpyNoCopies):
    """The same for a body with a denoising head: its keys are the last hidden states."""

    def keys(self, hidden: np.ndarray) -> np.ndarray:
        """The hidden states themselves, [N, D]."""
        return hidden


class NumpyCopyHead:
    """Which context tokens to take over, and whether to. `CopyHead` is the specification."""

    def __init__(self, config: DenoiserConfig, weights: Weights) -> None:
        self.config = config
        own = {name: as_float(weights["copy_head." + name]) for name in ("query.weight", "key.weight")}
        self._query, self._key = own["query.weight"].T, own["key.weight"].T
        self._sharpness = np.exp(as_float(weights["copy_head.log_sharpness"]))
        self._gate = as_float(weights["copy_head.gate.weight"])[0]
        self._gate_bias = as_float(weights["copy_head.gate.bias"])[0]
        if config.copies_matches:
            self._match_score, self._match_gate = (
                as_float(weights["copy_head." + name]).reshape(N_MATCH_GAPS, N_MATCH_CLASSES)
                for name in ("match_score", "match_gate")
            )

    def keys(self, hidden: np.ndarray) -> np.ndarray:
        """Copy keys [N, C] of context states [N, D]."""
        return _normalised(hidden @ self._key)

    def mix(self, ask: Branches, line: FlatTokens, hidden: np.ndarray, plain: np.ndarray) -> np.ndarray:
        """The reply to ask: vocabulary and copies mixed, from what the body gave.

        hidden [S, D] are the last hidden states of the ask's tokens, line, plain [S, V] the vocabulary's own
        log-probabilities, which are changed. Continuations may copy their own earlier tokens too.
        """
        if isinstance(ask, Tree):
            return self._mix_tree(ask.states, line, hidden, plain)
        if ask.states.n_tokens > 1:
            self._mix_rows(ask, hidden, plain)
        return plain.reshape(*ask.tokens.shape, -1)

    def _mix_rows(self, ask: Rows, hidden: np.ndarray, plain: np.ndarray) -> None:
        states = ask.states
        tokens = states.tokens[0]
        found, gaps = None, None
        if self.config.copies_matches:
            if states.last_matches is None:
                states.last_matches = last_matches(tokens, self.config.middle)
            is_open = ask.tokens == self.config.special(Special.MASK)
            lengths, gaps = canvas_matches(ask.tokens, is_open, tokens, states.last_matches)
            found, gaps = classes(lengths).reshape(len(hidden), -1), gaps.reshape(-1)
        if states.followers is None:
            states.followers = _distinct(tokens[1:])
        weights, gate = self._copies(hidden, states.copy_keys[0, :-1], None, found, gaps)
        _mix_in(plain, weights, gate, *states.followers)

    def _mix_tree(self, states: ContextStates, line: FlatTokens, hidden: np.ndarray, plain: np.ndarray) -> np.ndarray:
        last, tokens = states.n_tokens - 1, states.tokens[0]
        assert line.sees is not None
        keys = np.concatenate((states.copy_keys[0], self.keys(hidden)))  # [T + S, C]
        keys = np.concatenate((keys[:last], keys[line.before + last]))  # of the place before each token but the first
        may_copy = np.pad(line.sees, ((0, 0), (last, 0)), constant_values=True)
        found = None
        if self.config.copies_matches:
            found = classes(tree_matches(tokens, line.tokens, line.before, self.config.middle))
        weights, gate = self._copies(hidden, keys, may_copy, found, None)
        _mix_in(plain, weights, gate, *_distinct(np.concatenate((tokens[1:], line.tokens))))
        return plain

    def _copies(
        self,
        hidden: np.ndarray,
        keys: np.ndarray,
        may_copy: np.ndarray | None,
        matches: np.ndarray | None,
        gaps: np.ndarray | None,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Log-weights [R, N] of copying each of N tokens, for hidden [R, D] and keys [N, C], and log-odds [R] of doing
        so at all.

        may_copy [R, N], None: everywhere. matches are classes [R, N], gaps [R], None: no masks before.
        """
        scores = _normalised(hidden @ self._query) * self._sharpness @ keys.T
        gate = hidden @ self._gate + self._gate_bias
        if matches is not None:
            rows = np.zeros(len(hidden), np.int64) if gaps is None else gaps
            longest = (matches if may_copy is None else np.where(may_copy, matches, 0)).max(axis=1)
            scores += self._match_score[rows[:, None], matches]
            gate += self._match_gate[rows, longest]
        return log_softmax(scores if may_copy is None else np.where(may_copy, scores, -np.inf)), gate


def _normalised(rows: np.ndarray) -> np.ndarray:
    """Rows [R, C] of length 1, as PyTorch's `normalize` has them."""
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)


def _distinct(tokens: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The distinct ids [U] in tokens [N], an order [N] that puts equal ones together, and where each id begins [U]."""
    order = np.argsort(tokens, kind="stable")
    ids, starts = np.unique(tokens[order], return_index=True)
    return ids, order, starts


def _mix_in(
    plain: np.ndarray, weights: np.ndarray, gate: np.ndarray, ids: np.ndarray, order: np.ndarray, starts: np.ndarray
) -> None:
    """Mix copies into plain [R, V], which is changed, touching only the columns of ids [U].

    Log-weights [R, N] say how likely each of N tokens is copied; ids, order and starts are those of `_distinct`; gate
    [R] are the log-odds of copying at all.
    """
    gate = gate[:, None]
    copied = np.add.reduceat(np.exp(weights)[:, order], starts, axis=1)
    plain += log_sigmoid(-gate)
    plain[:, ids] = np.logaddexp(plain[:, ids], np.log(np.maximum(copied, LEAST)) + log_sigmoid(gate))
