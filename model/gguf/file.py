"""A GGUF file: its fields, and the rows of its tensors as float32.

The header is read here: the reader of the package `gguf` takes 14 s and 500 MB for the 152,000 tokens of a Qwen
tokenizer, and trusts the lengths in a file (decision 28). Dequantisation is `gguf`'s. A file may come from anybody:
each length is compared with the file's size before anything is read.
"""

import os
import struct
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from gguf.constants import GGML_QUANT_SIZES, GGMLQuantizationType
from gguf.quants import dequantize

from ...fim.errors import CheckpointError
from ...fim.text.printable import printable
from ..storage.folder_files import excerpt, open_file

MAGIC = b"GGUF"
VERSIONS = (2, 3)
DEFAULT_ALIGNMENT = 32
MAX_HEADER_BYTES = 64 * 2**20  # Qwen's has 6 MB, one with 262,000 tokens 16 MB
MAX_FIELDS = 10_000
MAX_TENSORS = 20_000
MAX_ITEMS = 2_000_000  # of one array: the largest vocabularies have 262,000 tokens
MAX_DIMENSIONS = 4
QUANTISATIONS = frozenset(
    GGMLQuantizationType[name]
    for name in ("F32", "F16", "BF16", "Q4_0", "Q4_1", "Q5_0", "Q8_0", "Q4_K", "Q5_K", "Q6_K")
)
_STRING, _ARRAY = 8, 9
_SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}

T = TypeVar("T")


@dataclass(frozen=True)
class GgufTensor:
    """A tensor's shape, rows first; its quantisation; where it begins in the file, and the bytes per row."""

    shape: tuple[int, ...]
    quantisation: GGMLQuantizationType
    start: int
    row_bytes: int

    @property
    def n_rows(self) -> int:
        """The number of rows; a vector has one."""
        return self.shape[0] if len(self.shape) == 2 else 1

    @property
    def n_columns(self) -> int:
        """Numbers per row."""
        return self.shape[-1]


@dataclass(frozen=True)
class GgufFile:
    """What a file's header says. Arrays of strings are lists, other arrays numpy's."""

    path: Path
    fields: Mapping[str, Any]
    tensors: Mapping[str, GgufTensor]

    def field(self, key: str, kind: type[T], default: T | None = None) -> T:
        """A field's value, or default. Raises CheckpointError for one that is missing or of another kind."""
        value = self.fields.get(key, default)
        if type(value) is not kind:
            found = "missing" if value is None else f"a {type(value).__name__}"
            raise self.refused(f"the field {key} should be of the kind {kind.__name__}, but it is {found}")
        return value

    def read(self, tensor: GgufTensor, order: np.ndarray | None = None, n_a_chunk: int = 2**18) -> Iterator[np.ndarray]:
        """A tensor's rows as float32, about n_a_chunk numbers at a time. order: the order of the rows.

        Chunks of 2**18 are the fastest (75 million numbers a second of Q5_0; 2**24: 35 million; AMD EPYC, 2026-11-30).
        """
        n_at_once = max(1, n_a_chunk // tensor.n_columns)
        with open_file(self.path, None) as stream:
            stream.seek(tensor.start)
            whole = None if order is None else self._raw(stream.read, tensor, tensor.n_rows)[order]
            for first in range(0, tensor.n_rows, n_at_once):
                n_rows = min(n_at_once, tensor.n_rows - first)
                raw = self._raw(stream.read, tensor, n_rows) if whole is None else whole[first : first + n_rows]
                yield _float32(raw, tensor.quantisation)

    def sample(self, tensor: GgufTensor, rows: np.ndarray) -> np.ndarray:
        """Some rows of a tensor as float32, in the order of their numbers."""
        found = []
        with open_file(self.path, None) as stream:
            for row in rows.tolist():
                stream.seek(tensor.start + row * tensor.row_bytes)
                found.append(self._raw(stream.read, tensor, 1))
        return _float32(np.concatenate(found), tensor.quantisation)

    def _raw(self, read: Callable[[int], bytes], tensor: GgufTensor, n_rows: int) -> np.ndarray:
        content = read(n_rows * tensor.row_bytes)
        if len(content) < n_rows * tensor.row_bytes:  # it was complete when its header was read
            raise self.refused("it became shorter while it was read")
        return np.frombuffer(content, dtype=np.uint8).reshape(n_rows, tensor.row_bytes)

    def refused(self, reason: str) -> CheckpointError:
        """The error that says what is wrong with this file."""
        return CheckpointError(f"{printable(str(self.path))} cannot be used: {excerpt(reason)}")


def _float32(raw: np.ndarray, quantisation: GGMLQuantizationType) -> np.ndarray:
    with np.errstate(all="ignore"):  # a damaged scale makes infinities: callers check for them
        return dequantize(raw, quantisation).astype(np.float32, copy=False)


def read_gguf(path: Path) -> GgufFile:
    """The header of the file at path. Raises CheckpointError with one line that says what to do."""
    with open_file(path, None) as stream:
        n_bytes = os.fstat(stream.fileno()).st_size
        content = stream.read(min(n_bytes, MAX_HEADER_BYTES))
    try:
        return _Header(content).file(path, n_bytes)
    except _CutOff:
        if n_bytes > MAX_HEADER_BYTES:
            reason = f"its header has more than {MAX_HEADER_BYTES:,} bytes"
        else:
            reason = "it ends within its header: copy or download it again"
        raise CheckpointError(f"{printable(str(path))} is not a complete GGUF file: {reason}") from None
    except (ValueError, MemoryError) as error:
        raise CheckpointError(f"{printable(str(path))} cannot be read as a GGUF file: {excerpt(error)}") from error


class _CutOff(Exception):
    """The header ends too early."""


class _Header:
    """The beginning of a file, read from left to right."""

    def __init__(self, content: bytes) -> None:
        self.content, self.at = content, 0

    def file(self, path: Path, n_bytes: int) -> GgufFile:
        """Read the whole header. Raises ValueError, or _CutOff."""
        if self.take(4) != MAGIC:
            raise ValueError("it does not begin with GGUF: is it another kind of file?")
        version = self.scalar("I")
        if version not in VERSIONS:
            if int.from_bytes(version.to_bytes(4, "little"), "big") in VERSIONS:
                raise ValueError("its bytes are in big-endian order: convert it with gguf-convert-endian")
            raise ValueError(f"it has version {version} of the format; versions 2 and 3 are read")
        n_tensors, n_fields = self.scalar("Q"), self.scalar("Q")
        if n_tensors > MAX_TENSORS or n_fields > MAX_FIELDS:
            raise ValueError(f"it declares {n_tensors:,} tensors and {n_fields:,} fields: it is damaged, copy it again")
        fields: dict[str, Any] = {}
        for _ in range(n_fields):
            key = self.string()
            if key in fields:
                raise ValueError(f"it has the field {key!r} twice")
            fields[key] = self.value(self.scalar("I"))
        alignment = fields.get("general.alignment", DEFAULT_ALIGNMENT)
        if type(alignment) is not int or not 0 < alignment <= 2**20:
            raise ValueError(f"its data are aligned to {alignment!r} bytes")
        if "split.count" in fields and fields["split.count"] != 1:
            raise ValueError("it is one of several parts: join them with `llama-gguf-split --merge` first")
        claims = [(self.string(), *self.tensor_claim()) for _ in range(n_tensors)]
        start = -(-self.at // alignment) * alignment
        tensors: dict[str, GgufTensor] = {}
        for name, shape, kind, offset in claims:
            if name in tensors:
                raise ValueError(f"it has the tensor {name!r} twice")
            tensors[name] = _tensor(name, shape, kind, start + offset, n_bytes)
        if sum(each.n_rows * each.row_bytes for each in tensors.values()) > n_bytes:
            raise ValueError("its tensors overlap: it is damaged, copy it again")
        return GgufFile(path, fields, tensors)

    def take(self, n_bytes: int) -> bytes:
        """The next bytes."""
        end = self.at + n_bytes
        if end > len(self.content):
            raise _CutOff
        found, self.at = self.content[self.at : end], end
        return found

    def scalar(self, kind: str) -> Any:  # noqa: ANN401 (a number or a flag)
        """The next number."""
        return struct.unpack("<" + kind, self.take(struct.calcsize("<" + kind)))[0]

    def string(self) -> str:
        """The next text. UnicodeDecodeError is a ValueError."""
        return self.take(int.from_bytes(self.take(8), "little")).decode("utf-8")

    def value(self, kind: int) -> Any:  # noqa: ANN401 (whatever the file holds)
        """The next value of a field."""
        if kind == _STRING:
            return self.string()
        if kind != _ARRAY:
            return self.scalar(_scalar(kind))
        kind, n_items = self.scalar("I"), self.scalar("Q")
        if n_items > MAX_ITEMS:
            raise ValueError(f"it has an array of {n_items:,} items: it is damaged, copy it again")
        if kind == _STRING:
            return [self.string() for _ in range(n_items)]
        dtype = np.dtype("<" + _scalar(kind))
        return np.frombuffer(self.take(n_items * dtype.itemsize), dtype=dtype)

    def tensor_claim(self) -> tuple[tuple[int, ...], int, int]:
        """The shape (rows first), quantisation and offset that the header declares for a tensor."""
        n_dimensions = self.scalar("I")
        if not 1 <= n_dimensions <= MAX_DIMENSIONS:
            raise ValueError(f"it has a tensor of {n_dimensions} dimensions")
        shape = tuple(self.scalar("Q") for _ in range(n_dimensions))
        return shape[::-1], self.scalar("I"), self.scalar("Q")


def _scalar(kind: int) -> str:
    if kind not in _SCALARS:
        raise ValueError(f"it has a field of the unknown kind {kind}")
    return _SCALARS[kind]


def _tensor(name: str, shape: tuple[int, ...], kind: int, start: int, n_bytes: int) -> GgufTensor:
    """A tensor, if it lies in a file of n_bytes and can be read. Raises ValueError."""
    known = {each.value: each for each in GGMLQuantizationType}
    quantisation = known.get(kind)
    if quantisation is None or quantisation not in QUANTISATIONS:
        called = quantisation.name if quantisation else f"number {kind}"
        readable = ", ".join(sorted(each.name for each in QUANTISATIONS))
        raise ValueError(f"{name!r} is quantised as {called}: take a file in one of {readable}")
    n_columns = shape[-1]
    if len(shape) > 2 or not all(shape):
        raise ValueError(f"{name!r} has the shape {shape}, and only vectors and matrices are read")
    n_in_block, block_bytes = GGML_QUANT_SIZES[quantisation]
    if n_columns % n_in_block:
        raise ValueError(f"{name!r} has rows of {n_columns:,} numbers, not a multiple of a block of {n_in_block}")
    tensor = GgufTensor(shape, quantisation, start, n_columns // n_in_block * block_bytes)
    if start + tensor.n_rows * tensor.row_bytes > n_bytes:
        raise ValueError(f"it ends before {name!r} does: it is incomplete, copy or download it again")
    return tensor
