"""Writes a safetensors file tensor by tensor; the library's own writer needs all of them in memory at once."""

import contextlib
import json
import math
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

import numpy as np
from safetensors.numpy import save

from .safetensors_header import BITS, Tensor

DTYPES = {"I8": np.dtype(np.int8), "F32": np.dtype("<f4")}


def write_whole(path: Path, arrays: Mapping[str, np.ndarray], metadata: Mapping[str, str]) -> None:
    """Write a small file, whole or not at all. Raises OSError."""
    part = path.with_name(path.name + ".part")
    try:
        part.write_bytes(save(dict(arrays), dict(metadata)))
        part.replace(path)
    except OSError:
        with contextlib.suppress(OSError):
            part.unlink()
        raise


class SafetensorsWriter:
    """A file of tensors with known names, types and shapes, whose parts are written in any order.

    Wider types come first, so that each tensor is aligned. Raises OSError if the disk is full.
    """

    def __init__(self, path: Path, tensors: Mapping[str, Tensor]) -> None:
        in_order = sorted(tensors, key=lambda name: (-BITS[tensors[name].dtype], name))
        header, at = {}, 0
        self._places: dict[str, tuple[int, np.dtype]] = {}
        for name in in_order:
            tensor = tensors[name]
            dtype = DTYPES[tensor.dtype]
            end = at + math.prod(tensor.shape) * dtype.itemsize
            header[name] = {"dtype": tensor.dtype, "shape": list(tensor.shape), "data_offsets": [at, end]}
            self._places[name] = (at, dtype)
            at = end
        content = json.dumps(header, separators=(",", ":")).encode()
        content += b" " * (-len(content) % 8)
        self._start = 8 + len(content)
        self._stream: BinaryIO = path.open("wb")
        self._stream.write(len(content).to_bytes(8, "little") + content)
        self._stream.truncate(self._start + at)

    def put(self, name: str, first: int, numbers: np.ndarray) -> None:
        """Write numbers of a tensor, beginning with its number first in row order."""
        start, dtype = self._places[name]
        self._stream.seek(self._start + start + first * dtype.itemsize)
        self._stream.write(np.ascontiguousarray(numbers, dtype=dtype).data)

    def __enter__(self) -> "SafetensorsWriter":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stream.close()
