"""The header of a safetensors file: names, types and shapes of its tensors, checked without reading the tensors.

The library checks the same, but accepts headers of 100 MB, which cost 2 GB and a minute.
"""

import json
import math
import mmap
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import BinaryIO, NamedTuple

from ...fim.errors import CheckpointError
from ...fim.text.printable import printable
from .folder_files import excerpt, open_file

MAX_HEADER_BYTES = 8 * 2**20  # 339 tensors of a 7B take 40 kB, 11,000 of a mixture of experts 1.5 MB
MAX_TENSORS = 20_000
MAX_DIMENSIONS = 8
BITS = {
    "BOOL": 8, "U8": 8, "I8": 8, "F8_E4M3": 8, "F8_E5M2": 8, "U16": 16, "I16": 16, "F16": 16, "BF16": 16,
    "U32": 32, "I32": 32, "F32": 32, "U64": 64, "I64": 64, "F64": 64,
}  # fmt: skip


class Tensor(NamedTuple):
    """A tensor's type, as the file calls it, its shape, and the place of its first byte in the file."""

    dtype: str
    shape: tuple[int, ...]
    place: int = 0

    @property
    def n_numbers(self) -> int:
        """The number of values."""
        return math.prod(self.shape)


Header = Mapping[str, Tensor]


def read_header(path: Path) -> Header:
    """The header of a file. Raises CheckpointError if it or the file's size is wrong."""
    with open_file(path, None) as stream:
        return header_of(path, stream)


def header_of(path: Path, stream: BinaryIO | mmap.mmap) -> Header:
    """The header in stream, read from its position on; path is for messages. Raises CheckpointError."""
    try:
        n_header = int.from_bytes(stream.read(8), "little")
        if not 2 <= n_header <= MAX_HEADER_BYTES:
            raise ValueError(f"a header of {n_header:,} bytes")
        fields = json.loads(stream.read(n_header).decode("utf-8"))
        place = stream.tell()
        stream.seek(0, 2)  # mmap.seek returns the position only since Python 3.13
        return _tensors(fields, place, stream.tell() - place)
    except (OSError, ValueError, TypeError, KeyError, RecursionError, MemoryError) as error:
        raise CheckpointError(f"{printable(str(path))} is damaged ({excerpt(error)}): copy it again") from error


def _tensors(fields: object, first: int, n_bytes: int) -> Header:
    """The tensors of a header whose data are n_bytes from first on. Raises ValueError, TypeError or KeyError."""
    if not isinstance(fields, dict):
        raise TypeError("its header is not an object")
    fields.pop("__metadata__", None)
    if len(fields) > MAX_TENSORS:
        raise ValueError(f"{len(fields):,} tensors")
    found: dict[str, Tensor] = {}
    places = [(0, 0)]
    for name, field in fields.items():
        shape, (begin, end) = field["shape"], field["data_offsets"]
        if len(shape) > MAX_DIMENSIONS or not all(type(n) is int and n >= 0 for n in (*shape, begin, end)):
            raise ValueError(f"{name!r} has no shape")
        found[name] = Tensor(str(field["dtype"]), tuple(shape), first + begin)
        if (end - begin) * 8 != found[name].n_numbers * BITS[found[name].dtype]:
            raise ValueError(f"{name!r} does not have the bytes that its shape needs")
        places.append((begin, end))
    places.sort()
    if any(end != begin for (_, end), (begin, _) in pairwise(places)) or places[-1][1] != n_bytes:
        raise ValueError("its tensors do not fill the file")
    return found
