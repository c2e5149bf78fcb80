"""A run's weights before they were rounded to int8, in the shape of the checkpoint that came of it.

Owns the reading of a training state (`training.trainer` writes it). Knows no decoders.
"""

import hashlib
import pickle
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ...fim.errors import InputError
from ...model.checkpoint.checkpoint import Checkpoint, weights_of
from ...model.network.denoiser import Denoiser

WRAPPERS = ("_orig_mod.", "module.")  # what torch.compile, DDP and AveragedModel put before a parameter's name


@dataclass(frozen=True)
class Unquantised:
    """A checkpoint with float32 weights, which part of the state they are, and whether rounding them gives the
    int8 weights of the checkpoint they were compared with."""

    checkpoint: Checkpoint
    part: str
    is_source: bool


def unquantised(checkpoint: Checkpoint, state: Path) -> Unquantised:
    """checkpoint with the weights of a training state: of its parts (weights, their average) the nearest one.

    Raises InputError when the state cannot be read or has another shape.
    """
    try:
        held = torch.load(state, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise InputError(f"no training state at {state}: `quicksilver train run` writes state.pt") from None
    except (OSError, RuntimeError, EOFError, ValueError, KeyError, pickle.UnpicklingError) as error:
        reason = " ".join(str(error).split())[:120]
        raise InputError(f"{state} is not a training state, or is damaged: {reason}") from error
    rounded = checkpoint.model.state_dict()
    found = dict(_parts(held if isinstance(held, Mapping) else {}, rounded))
    if not found:
        raise InputError(f"{state} holds no weights of the shape of {checkpoint.name}: name that checkpoint's own run")
    part = min(found, key=lambda name: _distance(found[name], rounded))
    model = Denoiser(checkpoint.model.config)
    model.load_state_dict(found[part])
    with state.open("rb") as stream:
        sha256 = hashlib.file_digest(stream, "sha256").hexdigest()
    loaded = replace(checkpoint, weights=weights_of(model), sha256=sha256)
    return Unquantised(loaded, part, _rounds_to(found[part], rounded))


def _parts(held: Mapping[str, Any], like: Mapping[str, Tensor]) -> Iterator[tuple[str, dict[str, Tensor]]]:
    """The parts of a state that have all the parameters of `like`, in its shapes."""
    for name, part in held.items():
        if not isinstance(part, Mapping):
            continue
        weights = {_bare(str(key)): value for key, value in part.items() if isinstance(value, Tensor)}
        if all(key in weights and weights[key].shape == value.shape for key, value in like.items()):
            yield str(name), {key: weights[key].float() for key in like}


def _bare(key: str) -> str:
    for wrapper in WRAPPERS:
        key = key.removeprefix(wrapper)
    return key


def _distance(weights: Mapping[str, Tensor], rounded: Mapping[str, Tensor]) -> float:
    return sum(float((weights[key] - rounded[key].float()).square().sum()) for key in rounded)


def _rounds_to(weights: Mapping[str, Tensor], rounded: Mapping[str, Tensor]) -> bool:
    """Whether every number lies within half a step of its row's int8 scale (matrices) or is the same (the rest)."""
    for key, stored in rounded.items():
        weight = weights[key]
        step = weight.abs().amax(dim=1, keepdim=True) / 127 if weight.ndim == 2 else torch.zeros(())
        if not bool(((weight - stored.float()).abs() <= 0.501 * step + 1e-6).all()):
            return False
    return True
