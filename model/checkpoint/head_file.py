"""The file of a denoising head: matrices in int8, its shape, and the body that it belongs to. Without PyTorch.

A head is useful only to the body whose states it was trained on, so the file's metadata have `body_sha256`, the hash of
the body's weights, beside `format` and `config`.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from ...fim.errors import CheckpointError
from ...fim.text.printable import printable
from ..config import DenoiserConfig
from ..network.head_config import HeadConfig
from ..storage.folder_files import excerpt
from ..storage.safetensors_reader import read_whole
from ..storage.safetensors_writer import write_whole
from .checkpoint_files import SCALE_SUFFIX, Int8Matrix, Weight, Weights, quantise

HEAD, FORMAT = "head.safetensors", "quicksilver-head-2"
WORDS = "words"
MAX_BYTES = 2**28
READABLE = ("I8", "I32", "F32")
PLAIN = ("places",)  # a matrix that is not quantised
MAX_LOG = 20.0  # of the sharpness


@dataclass(frozen=True)
class StoredHead:
    """A head as stored: its weights, and the ids [S] of the tokens that it can predict."""

    config: HeadConfig
    weights: Weights
    words: np.ndarray


def write_head(path: Path, config: HeadConfig, weights: Mapping[str, np.ndarray], words: np.ndarray, body: str) -> None:
    """Write a head of float32 weights, whole or not at all; body is the SHA-256 of its body's weights.

    Raises OSError.
    """
    arrays: dict[str, np.ndarray] = {WORDS: words.astype(np.int32)}
    for name, weight in weights.items():
        if weight.ndim == 2 and name not in PLAIN:
            arrays[name], arrays[name + SCALE_SUFFIX] = quantise(weight)
        else:
            arrays[name] = weight.astype(np.float32)
    write_whole(path, arrays, {"format": FORMAT, "config": json.dumps(asdict(config)), "body_sha256": body})


def read_head(path: Path, body: DenoiserConfig, body_sha256: str) -> StoredHead:
    """The head at path. Raises CheckpointError if it is damaged or belongs to another body."""
    header, found, metadata = read_whole(path, MAX_BYTES)
    arrays = dict(found)
    strange = next((name for name, tensor in header.items() if tensor.dtype not in READABLE), None)
    if strange is not None:
        raise _refused(path, f"{strange} is {header[strange].dtype}, not one of {', '.join(READABLE)}")
    kind, owner = metadata.get("format"), metadata.get("body_sha256")
    if kind != FORMAT:
        raise _refused(path, f"it has format {kind!r}; this version reads {FORMAT!r}")
    try:
        config = HeadConfig(**json.loads(metadata["config"]))
    except (ValueError, KeyError, TypeError, RecursionError, MemoryError) as error:
        raise _refused(path, f"its metadata cannot be read ({error})") from error
    if owner != body_sha256 or config.width != body.width:
        raise _refused(path, "it belongs to another body, or to another version of this one")
    words = arrays.pop(WORDS, np.zeros(0, dtype=np.int32))
    if words.dtype != np.int32 or words.shape != (config.n_words,) or words.min() < 0 or words.max() >= body.vocab_size:
        raise _refused(path, f"its words are not {config.n_words} ids of the body's")
    weights = _weights(path, config, arrays)
    return StoredHead(config, weights, words.astype(np.int64))


def _weights(path: Path, config: HeadConfig, arrays: Mapping[str, np.ndarray]) -> Weights:
    wanted, found = config.weight_shapes(), dict[str, Weight]()
    for name, array in arrays.items():
        if name.endswith(SCALE_SUFFIX) and name.removesuffix(SCALE_SUFFIX) in arrays:
            continue
        found[name] = array
        if array.dtype == np.int8:
            found[name] = Int8Matrix(array, arrays.get(name + SCALE_SUFFIX, np.full(1, np.nan)))
    if wanted.keys() != found.keys():
        raise _refused(path, f"these are only in the file or only in its shape: {sorted(wanted.keys() ^ found.keys())}")
    for name, weight in found.items():
        numbers, shape = (
            (weight.scales, weight.values.shape) if isinstance(weight, Int8Matrix) else (weight, weight.shape)
        )
        is_right = not isinstance(weight, Int8Matrix) or (len(shape) == 2 and numbers.shape == shape[:1])
        is_right = is_right and shape == wanted[name] and numbers.dtype == np.float32
        if name == "log_sharpness":
            is_right = is_right and abs(float(numbers)) <= MAX_LOG
        if not is_right or not np.isfinite(numbers).all():
            raise _refused(path, f"{name} has another shape, or values that are not numbers")
    return found


def _refused(path: Path, reason: str) -> CheckpointError:
    return CheckpointError(f"{printable(str(path))} cannot be used: {excerpt(reason)}")
