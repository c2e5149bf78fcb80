"""The mean of several checkpoints' weights (Wortsman et al. 2022, "Model soups").

Runs that began with the same weights, or one with the other's, often end where the mean has a lower loss than either.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ...fim.errors import InputError
from ...model.checkpoint.checkpoint import Checkpoint
from ...model.checkpoint.checkpoint_files import as_float


def average_checkpoints(parts: Sequence[Checkpoint]) -> Checkpoint:
    """The mean of parts, which it changes none of; without a hash until it is written, and without a ranker.

    Raises InputError for fewer than two, other shapes or other tokenizers.
    """
    if len(parts) < 2:
        raise InputError("an average needs at least two checkpoints")
    first = parts[0]
    for other in parts[1:]:
        if other.config != first.config:
            raise InputError("the checkpoints differ in shape: only weights of one shape have a mean")
        if _tokens(other) != _tokens(first):
            raise InputError("the checkpoints differ in their tokenizers: their weights mean different things")
    weights = {name: np.mean([as_float(part.weights[name]) for part in parts], axis=0) for name in first.weights}
    sources = tuple(part.sha256 for part in parts)
    return replace(first, weights=weights, sha256="", ranker=None, averaged_from=sources)


def _tokens(checkpoint: Checkpoint) -> list[bytes]:
    return [checkpoint.tokenizer.bytes_of(i) for i in range(checkpoint.tokenizer.vocab_size)]
