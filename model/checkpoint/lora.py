"""A LoRA: products of two thin matrices, added to some weights. Read from safetensors, without PyTorch.

Keys are a weight's name and `.a` [r, in] or `.b` [out, r]. The file's metadata have the number `scale` and optionally
`suffix_first`, true or false: whether the LoRA teaches the model to read the suffix before the prefix.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ...fim.errors import CheckpointError
from ...fim.text.printable import printable
from ..storage.folder_files import excerpt
from ..storage.safetensors_reader import read_whole

MAX_BYTES = 2**30
READABLE = ("F32", "F16")
FLAGS = {"true": True, "false": False}


@dataclass(frozen=True)
class Lora:
    """Pairs a [r, in], b [out, r] in float32, by the name of the weight to which scale * b @ a is added."""

    pairs: Mapping[str, tuple[np.ndarray, np.ndarray]]
    scale: float
    suffix_first: bool

    def change(self, name: str, first: int, n_rows: int) -> np.ndarray | None:
        """What is added to rows of a weight; None if nothing."""
        if name not in self.pairs:
            return None
        a, b = self.pairs[name]
        return np.float32(self.scale) * (b[first : first + n_rows] @ a)


def read_lora(path: Path, shapes: Mapping[str, tuple[int, ...]]) -> Lora:
    """The LoRA at path, for weights of those shapes. Raises CheckpointError if it is damaged or does not fit."""
    header, arrays, metadata = read_whole(path, MAX_BYTES)
    strange = next((name for name, tensor in header.items() if tensor.dtype not in READABLE), None)
    if strange is not None:
        raise _does_not_fit(path, f"{strange} is {header[strange].dtype}, not one of {', '.join(READABLE)}")
    try:
        scale, suffix_first = float(metadata["scale"]), FLAGS[metadata.get("suffix_first", "false")]
    except (ValueError, KeyError) as error:
        raise _does_not_fit(path, f"its metadata cannot be read ({error})") from error
    names = {key[:-2] for key in arrays}
    pairs: dict[str, tuple[np.ndarray, np.ndarray]] = {}
    for name in names:
        a, b, wanted = arrays.get(f"{name}.a"), arrays.get(f"{name}.b"), shapes.get(name, ())
        if a is None or b is None or len(wanted) != 2:
            raise _does_not_fit(path, f"{name} is not a matrix of the model, or lacks .a or .b")
        if a.ndim != 2 or b.ndim != 2 or (b.shape[0], a.shape[1]) != wanted or a.shape[0] != b.shape[1]:
            raise _does_not_fit(path, f"{name} is {b.shape} times {a.shape}, and the model has {wanted}")
        pairs[name] = (a.astype(np.float32), b.astype(np.float32))
    if not pairs or not math.isfinite(scale):
        raise _does_not_fit(path, "it changes nothing, or its scale is not a number")
    return Lora(pairs, scale, suffix_first)


def _does_not_fit(path: Path, reason: str) -> CheckpointError:
    return CheckpointError(f"{printable(str(path))} does not fit the model: {excerpt(reason)}")
