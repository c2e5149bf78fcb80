"""The decodings that a request can name: an unmask policy, and the function that predicts."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ...fim.types import PolicyName
from ..network.states import ContextStates
from ..requests import BranchWork, tree_of
from ..tokenizers.canvas_tokens import CanvasTokens
from .denoise import Predict, Prediction, predict, scores_of, stop_log_probs
from .policies import Scores, UnmaskPolicy, entropy_budget, everything, left, one, threshold, top_k
from .sampling import Choose, likeliest
from .verification import opening

ANY = 1e-9  # below every probability that is not 0


def predict_verified(
    states: ContextStates, canvas: np.ndarray, tokens: CanvasTokens, choose: Choose = likeliest
) -> BranchWork[Prediction]:
    """The denoiser's draft of canvas [1, L], read once by the causal head: two forwards.

    Draft tokens that the causal head would have written too, from the left on, and the first one that it would have
    written differently (its own instead) come back with its probability for them; all behind with confidence 0. So a
    threshold policy at any level commits at least one token, and what is committed is what the causal head alone would
    write (self-speculation: Sun et al. 2025, "TiDAR").
    """
    drafted = (yield from predict(states, canvas, tokens, choose)).tokens
    filled = np.where(canvas == tokens.mask, drafted, canvas)  # [1, L]
    before, first = opening(states, tokens)
    tree, (path,) = tree_of(first, [filled[0, :-1].tolist()], before)
    log_probs = tokens.allowed((yield tree)[path][None])
    best = choose(log_probs, 0)
    agrees = (best == filled) | (canvas != tokens.mask)
    reached = np.ones_like(agrees)  # and the first disagreement
    reached[:, 1:] = np.logical_and.accumulate(agrees, axis=-1)[:, :-1]
    found = scores_of(log_probs, best)
    scores = Scores(np.where(reached, found.confidence, 0), lambda: np.where(reached, found.entropy(), np.inf))
    return Prediction(best, scores, stop_log_probs(log_probs, tokens), 2)


@dataclass(frozen=True)
class Decoding:
    """How a canvas is filled. threshold: that of a plain threshold policy, for runners that answer `Fill`."""

    policy: UnmaskPolicy
    predict: Predict = predict
    threshold: float | None = None


def _by_threshold(confidence_min: float) -> Decoding:
    return Decoding(threshold(confidence_min), threshold=confidence_min)


DECODINGS: Mapping[PolicyName, Decoding] = {
    "one": Decoding(one),
    "left": Decoding(left),
    "top-k": Decoding(top_k(2)),
    "threshold": _by_threshold(0.6),
    "entropy": Decoding(entropy_budget(0.5)),
    "all": Decoding(everything),
    "verified": Decoding(threshold(ANY), predict_verified),
}
DEFAULT_POLICY: PolicyName = "threshold"
