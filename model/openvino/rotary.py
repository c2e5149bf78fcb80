"""Rotary embeddings on the CPU, with NumPy: what `network.transformer.rotations` computes. Tests compare the two."""

import numpy as np

from ..config import DenoiserConfig


def rotations(positions: np.ndarray, config: DenoiserConfig) -> tuple[np.ndarray, np.ndarray]:
    """Cosines and sines [N, E/2] (float32) of rotary embeddings for integer positions [N].

    Contexts are never stretched on a CPU (`DenoiserConfig.rope_scale`): nobody would wait that long.
    """
    exponents = np.arange(0, config.head_size, 2, dtype=np.float32) / np.float32(config.head_size)
    frequencies = np.float32(config.rope_theta) ** -exponents
    angles = positions.astype(np.float32)[:, None] * frequencies
    return np.cos(angles), np.sin(angles)
