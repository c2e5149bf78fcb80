"""A denoiser made of stored weights."""

from collections.abc import Mapping

import numpy as np
import torch

from ..config import DenoiserConfig
from .denoiser import Denoiser


def denoiser_of(config: DenoiserConfig, weights: Mapping[str, np.ndarray]) -> Denoiser:
    """A denoiser in float32 with these weights, by their names; they are copied."""
    model = Denoiser(config)
    model.load_state_dict({name: torch.tensor(weight) for name, weight in weights.items()}, assign=True)
    return model.eval()
