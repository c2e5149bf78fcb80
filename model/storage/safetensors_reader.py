"""Reads a small safetensors file whole: its tensors and metadata."""

import io
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import load

from ...fim.errors import CheckpointError
from ...fim.text.printable import printable
from .folder_files import excerpt, read_file
from .safetensors_header import Header, header_of


def read_whole(path: Path, max_bytes: int) -> tuple[Header, Mapping[str, np.ndarray], Mapping[str, str]]:
    """The header, the tensors and the metadata of the file at path. Raises CheckpointError if it is damaged."""
    content = read_file(path, max_bytes)
    header = header_of(path, io.BytesIO(content))
    try:
        with safe_open(path, framework="numpy") as stream:
            metadata = stream.metadata() or {}
        return header, load(content), metadata
    except (SafetensorError, ValueError, KeyError, TypeError, OSError) as error:
        reason = f"its tensors or its metadata cannot be read ({error})"
        raise CheckpointError(f"{printable(str(path))} is damaged: {excerpt(reason)}") from error
