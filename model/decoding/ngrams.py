"""N-grams: what most often follows the last few tokens in a corpus, as guesses of what a body writes that cost nothing.

A table holds, for some runs of 2, 3 or 4 tokens, the token that followed most often and its share. It belongs to a
tokenizer, whose SHA-256 its file names. Without PyTorch.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ...fim.errors import CheckpointError
from ...fim.text.printable import printable
from ..storage.folder_files import excerpt
from ..storage.safetensors_reader import read_whole
from ..storage.safetensors_writer import write_whole

NGRAMS, FORMAT = "ngrams.safetensors", "quicksilver-ngrams-1"
LENGTHS = (4, 3, 2)  # of the runs, in the order in which they are looked up
MAX_BYTES = 2**28
KINDS = {"keys": np.dtype(np.int64), "tokens": np.dtype(np.int32), "shares": np.dtype(np.uint8)}
_FACTOR, _MASK = 1_000_003, 2**62 - 1


@dataclass(frozen=True)
class NgramTable:
    """Runs of one length: their keys [N], ascending, the token [N] that follows, and its share [N] in 255ths."""

    keys: NDArray[np.int64]
    tokens: NDArray[np.int32]
    shares: NDArray[np.uint8]


def keys_of(columns: Sequence[NDArray[np.int64]]) -> NDArray[np.int64]:
    """The keys [N] of runs whose first, second, … tokens are columns [N]."""
    keys = np.zeros(len(columns[0]), dtype=np.int64)
    for column in columns:
        keys = (keys * _FACTOR + column) & _MASK
    return keys


class Ngrams:
    """Tables by the length of their runs."""

    def __init__(self, tables: Mapping[int, NgramTable]) -> None:
        self.tables = tables

    def guess(self, tokens: Sequence[int], n: int) -> list[int]:
        """At most n tokens that may follow tokens; fewer if the tables end."""
        found: list[int] = []
        last = [*tokens[-LENGTHS[0] :]]
        while len(found) < n and (token := self._next(last)) is not None:
            found.append(token)
            last = [*last[1 - LENGTHS[0] :], token]
        return found

    def _next(self, last: Sequence[int]) -> int | None:
        for length in LENGTHS:
            table = self.tables.get(length)
            if table is None or len(last) < length:
                continue
            key = 0
            for token in last[-length:]:
                key = (key * _FACTOR + token) & _MASK
            at = int(np.searchsorted(table.keys, key))
            if at < len(table.keys) and table.keys[at] == key:
                return int(table.tokens[at])
        return None


def write_ngrams(path: Path, tables: Mapping[int, NgramTable], tokenizer: str) -> None:
    """Write tables, whole or not at all. tokenizer is the SHA-256 of the tokenizer's file. Raises OSError."""
    arrays = {f"{kind}.{n}": getattr(table, kind) for n, table in tables.items() for kind in KINDS}
    write_whole(path, arrays, {"format": FORMAT, "tokenizer_sha256": tokenizer})


def read_ngrams(path: Path, vocab_size: int, tokenizer: str) -> Ngrams:
    """The tables at path. Raises CheckpointError if they are damaged or belong to another tokenizer."""
    _, arrays, metadata = read_whole(path, MAX_BYTES)
    if metadata.get("format") != FORMAT:
        raise _refused(path, f"it has format {metadata.get('format')!r}; this version reads {FORMAT!r}")
    if metadata.get("tokenizer_sha256") != tokenizer:
        raise _refused(path, "it belongs to another tokenizer")
    tables: dict[int, NgramTable] = {}
    for length in LENGTHS:
        parts = [arrays.get(f"{kind}.{length}") for kind in KINDS]
        if any(part is None or part.ndim != 1 for part in parts):
            raise _refused(path, f"its table of runs of {length} is incomplete")
        keys, tokens, shares = parts
        assert keys is not None and tokens is not None and shares is not None
        is_right = len(keys) == len(tokens) == len(shares) and all(
            part.dtype == dtype for part, dtype in zip((keys, tokens, shares), KINDS.values(), strict=True)
        )
        if not is_right or bool((np.diff(keys) <= 0).any()) or not _within(tokens, vocab_size):
            raise _refused(path, f"its table of runs of {length} is damaged")
        tables[length] = NgramTable(keys, tokens, shares)
    return Ngrams(tables)


def _within(tokens: np.ndarray, vocab_size: int) -> bool:
    return not len(tokens) or (int(tokens.min()) >= 0 and int(tokens.max()) < vocab_size)


def _refused(path: Path, reason: str) -> CheckpointError:
    return CheckpointError(f"{printable(str(path))} cannot be used: {excerpt(reason)}")
