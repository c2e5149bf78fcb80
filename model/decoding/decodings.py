"""The decodings that a request can name: an unmask policy, and the function that predicts."""

from collections.abc import Mapping
from dataclasses import dataclass

from ...fim.types import PolicyName
from .denoise import Predict, predict
from .policies import UnmaskPolicy, entropy_budget, everything, one, threshold, top_k
from .verification import predict_verified

ANY = 1e-9  # below every probability that is not 0


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
    "top-k": Decoding(top_k(2)),
    "threshold": _by_threshold(0.6),
    "entropy": Decoding(entropy_budget(0.5)),
    "all": Decoding(everything),
    "verified": Decoding(threshold(ANY), predict_verified),
}
DEFAULT_POLICY: PolicyName = "threshold"
