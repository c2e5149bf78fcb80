"""The files of a checkpoint folder, read and checked: config.json, model.safetensors, tokenizer.json, MODEL_CARD.md.

Matrices are stored as int8 with one scale a row, the rest as float32. config.json carries the SHA-256 of the other two
files; a folder whose hashes do not match is refused. Never pickle, never remote code. Without PyTorch, so that a
runtime can begin to compile the weights while PyTorch is still being imported.
"""

import hashlib
import json
import math
import mmap
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ...fim.errors import CheckpointError
from ...fim.models.embedded import CHECKPOINTS, EMBEDDED
from ..config import DenoiserConfig
from ..storage.folder_files import MAX_TOKENIZER_BYTES, excerpt, is_there, map_file, read_file, read_json
from ..storage.safetensors_header import MAX_HEADER_BYTES, Tensor, header_of
from ..tokenizers.body_tokenizer import BodyTokenizer
from ..tokenizers.code_tokenizer import CodeTokenizer
from ..tokenizers.marks import Marks
from ..tokenizers.text_tokenizer import TextTokenizer

FORMAT, BODY_FORMAT = "quicksilver-denoiser-1", "quicksilver-denoiser-2"  # ours, and published bodies with marks
WEIGHTS, TOKENIZER, CONFIG = "model.safetensors", "tokenizer.json", "config.json"
SCALE_SUFFIX = ".scale"
READABLE = {"I8": np.dtype(np.int8), "F32": np.dtype("<f4"), "F16": np.dtype("<f2")}
MAX_NAME = 100


class Int8Matrix(NamedTuple):
    """A matrix [R, C] as int8 and a float32 scale a row [R]: row r is values[r] * scales[r]."""

    values: np.ndarray
    scales: np.ndarray

    def dequantised(self) -> np.ndarray:
        """The float32 matrix."""
        return self.values.astype(np.float32) * self.scales[:, None]


Weight = np.ndarray | Int8Matrix
Weights = Mapping[str, Weight]


@dataclass(frozen=True)
class StoredCheckpoint:
    """What stands in a folder: config is all of config.json, shape its denoiser, sha256 that of the weights' file, and
    mapped that file, in which the weights lie."""

    folder: Path
    config: Mapping
    shape: DenoiserConfig
    weights: Weights
    tokenizer: TextTokenizer
    sha256: str
    mapped: mmap.mmap


def embedded_checkpoint() -> Path:
    """The folder of the best checkpoint that came with the package. Raises CheckpointError when there is none."""
    for name in EMBEDDED:
        if (CHECKPOINTS / name / CONFIG).is_file():
            return CHECKPOINTS / name
    raise CheckpointError("no model came with this installation: reinstall, or pass --model FOLDER")


def as_float(weight: Weight) -> np.ndarray:
    """A weight in float32."""
    return weight.dequantised() if isinstance(weight, Int8Matrix) else weight.astype(np.float32)


def quantise(matrix: np.ndarray) -> Int8Matrix:
    """matrix [R, C] rounded to symmetric int8, each row by its own scale."""
    matrix = matrix.astype(np.float32)
    scales = np.maximum(np.abs(matrix).max(axis=1), np.float32(1e-12)) / np.float32(127)
    return Int8Matrix(np.rint(matrix / scales[:, None]).astype(np.int8), scales)


def read(folder: Path) -> StoredCheckpoint:
    """Read a folder and check its hashes. Raises CheckpointError with one line that says what to do."""
    config, shape = read_config(folder)
    try:
        _check_hash(folder, TOKENIZER, config, read_file(folder / TOKENIZER, MAX_TOKENIZER_BYTES))
        mapped = map_file(folder / WEIGHTS, _most_bytes(shape))
        _check_hash(folder, WEIGHTS, config, mapped)
        tokenizer = _tokenizer(folder, config, shape)
        if tokenizer.vocab_size != shape.vocab_size:
            raise CheckpointError(f"the tokenizer in {folder} has {tokenizer.vocab_size} ids, not {shape.vocab_size}")
        weights = _weights(folder, mapped, shape)
    except MemoryError:
        raise CheckpointError(f"there is not enough memory for the checkpoint in {folder}: close something") from None
    return StoredCheckpoint(folder, config, shape, weights, tokenizer, str(config["sha256"][WEIGHTS]), mapped)


def _tokenizer(folder: Path, config: Mapping, shape: DenoiserConfig) -> TextTokenizer:
    if config["format"] == FORMAT:
        return CodeTokenizer.load(folder / TOKENIZER)
    try:
        marks = Marks.of(config["marks"], shape.vocab_size)
    except (ValueError, TypeError, KeyError) as error:
        raise CheckpointError(f"{folder / CONFIG} does not say the model's marks: {excerpt(error)}") from error
    return BodyTokenizer.load(folder / TOKENIZER, marks, shape.vocab_size)


def _most_bytes(shape: DenoiserConfig) -> int:
    """Of a weights file: at most four bytes a number, and a scale a row."""
    sizes = shape.weight_shapes().values()
    return MAX_HEADER_BYTES + sum(4 * math.prod(size) + 4 * sum(size[:1]) for size in sizes)


def _check_hash(folder: Path, file: str, config: Mapping, content: bytes | mmap.mmap) -> None:
    if hashlib.sha256(content).hexdigest() != config["sha256"][file]:
        raise CheckpointError(f"{folder / file} does not match its SHA-256 in {CONFIG}: it is damaged, copy it again")


def _weights(folder: Path, mapped: mmap.mmap, shape: DenoiserConfig) -> Weights:
    """The weights as views of the mapped file."""
    header = header_of(folder / WEIGHTS, mapped)
    strange = [name for name, tensor in header.items() if tensor.dtype not in READABLE]
    if strange:
        raise _does_not_fit(folder, f"{strange[0]} is {header[strange[0]].dtype}, not one of {', '.join(READABLE)}")
    arrays = {name: _view(mapped, tensor) for name, tensor in header.items()}
    weights: dict[str, Weight] = {
        key: Int8Matrix(array, arrays[key + SCALE_SUFFIX]) if key + SCALE_SUFFIX in arrays else array
        for key, array in arrays.items()
        if not key.endswith(SCALE_SUFFIX)
    }
    _check_shapes(folder, shape, weights)
    return weights


def _view(mapped: mmap.mmap, tensor: Tensor) -> np.ndarray:
    """A tensor where it lies in the file; a copy where that place does not suit its type."""
    array = np.frombuffer(mapped, READABLE[tensor.dtype], tensor.n_numbers, tensor.place).reshape(tensor.shape)
    return np.require(array, requirements="A")


def _check_shapes(folder: Path, shape: DenoiserConfig, weights: Weights) -> None:
    wanted = shape.weight_shapes()
    if wanted.keys() != weights.keys():
        raise _does_not_fit(folder, f"these are in one of them alone: {sorted(wanted.keys() ^ weights.keys())}")
    for key, weight in weights.items():
        found = weight.values.shape if isinstance(weight, Int8Matrix) else weight.shape
        if found != wanted[key]:
            raise _does_not_fit(folder, f"{key} is {found}, not {wanted[key]}")
        largest = np.finfo(np.float32).max
        if not isinstance(weight, Int8Matrix):
            numbers, is_right = weight, weight.dtype.kind == "f"
        else:
            numbers, largest = weight.scales, largest / 128  # times the greatest of an int8
            is_right = len(found) == 2 and weight.values.dtype == np.int8 and numbers.dtype == np.float32
            is_right = is_right and numbers.shape == found[:1]
        if not is_right:
            raise _does_not_fit(folder, f"{key} is neither an int8 matrix with float32 scales nor floating-point")
        if not np.abs(numbers).max() <= largest:
            raise _does_not_fit(folder, f"{key} has values that are no numbers, or too large")


def _does_not_fit(folder: Path, reason: object) -> CheckpointError:
    return CheckpointError(f"{folder / WEIGHTS} does not fit its config: {excerpt(reason)}")


def read_config(folder: Path) -> tuple[dict, DenoiserConfig]:
    """config.json and the denoiser's shape in it. Raises CheckpointError."""
    path = folder / CONFIG
    if not is_there(path):
        raise CheckpointError(f"no checkpoint in {os.fspath(folder)}: it has no {CONFIG}")
    config = read_json(path)
    try:
        if config["format"] not in (FORMAT, BODY_FORMAT):
            kind = excerpt(repr(config["format"]))
            raise CheckpointError(f"{path} has format {kind}; this version reads {FORMAT!r} and {BODY_FORMAT!r}")
        name, hashes = config["name"], config["sha256"]
        if not isinstance(hashes, dict) or set(hashes) != {WEIGHTS, TOKENIZER}:
            raise CheckpointError(f"{path} does not name and hash {WEIGHTS} and {TOKENIZER}")
        if not isinstance(name, str) or not name.isprintable() or not 0 < len(name) <= MAX_NAME:
            raise CheckpointError(f"{path} needs a name of 1 to {MAX_NAME} printable characters")
        if not isinstance(config.get("averaged_from", []), list):
            raise CheckpointError(f"{path} does not list what it is averaged from")
        return config, DenoiserConfig(**config["denoiser"])
    except (ValueError, KeyError, TypeError) as error:
        raise CheckpointError(f"{path} is not a checkpoint's config: {excerpt(error)}") from error


def write_config(folder: Path, config: Mapping) -> None:
    """Write config.json, whole or not at all."""
    part = folder / (CONFIG + ".part")
    part.write_text(json.dumps(config, indent=1) + "\n", encoding="utf-8")
    part.replace(folder / CONFIG)
