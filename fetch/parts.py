"""Which parts of a model's file have been downloaded completely."""

import hashlib
from pathlib import Path

from .catalogue import Fetchable

CHUNK_BYTES = 2**20


def n_bytes_of(file: Path) -> int:
    """Bytes of a file; 0 if there is none."""
    return file.stat().st_size if file.exists() else 0


def keep_whole_parts(model: Fetchable, file: Path) -> int:
    """Cut file, which begins like the model's, after the last part that is whole. Returns the bytes left."""
    if not file.exists():
        return 0
    n_kept = 0
    with file.open("rb+") as stream:
        for part in model.parts:
            digest, n_left = hashlib.sha256(), part.n_bytes
            while n_left and (chunk := stream.read(min(CHUNK_BYTES, n_left))):
                digest.update(chunk)
                n_left -= len(chunk)
            if n_left or digest.hexdigest() != part.sha256:
                break
            n_kept += part.n_bytes
        stream.truncate(n_kept)
    return n_kept
