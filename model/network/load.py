"""Makes a denoiser from stored weights."""

from collections.abc import Mapping

import numpy as np
import torch

from ..config import DenoiserConfig
from .denoiser import Denoiser


def denoiser_of(config: DenoiserConfig, weights: Mapping[str, np.ndarray]) -> Denoiser:
    """A denoiser in float32 with copies of these weights, by their names."""
    model = Denoiser(config)
    model.load_state_dict({name: torch.tensor(weight) for name, weight in weights.items()}, assign=True)
    return model.eval()
