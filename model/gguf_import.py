"""A GGUF file made into a checkpoint folder of ours: matrices as int8 with a scale a row, whole or not at all.

Memory stays below a few hundred MB, whatever the file's size: rows are read, changed by a LoRA, rounded and written a
few at a time. The tokenizers library needs most of it.
"""

import errno
import hashlib
import json
import math
import os
import shutil
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ..fim.errors import CheckpointError
from ..fim.printable import printable
from .gguf_body import Body, read_body
from .gguf_file import GgufFile, read_gguf
from .gguf_tokenizer import read_tokenizer
from .lora import Lora, read_lora
from .safetensors_header import Tensor
from .safetensors_writer import SafetensorsWriter
from .stored import SCALE_SUFFIX, TOKENIZER, WEIGHTS, quantised, write_config

FORMAT = "quicksilver-denoiser-2"
Tell = Callable[[float], None]  # what share is done


def import_gguf(
    path: Path,
    folder: Path,
    *,
    name: str,
    source: Mapping[str, Any],
    lora: Path | None = None,
    tell: Tell = lambda share: None,
) -> None:
    """Make the checkpoint folder of the GGUF file at path; a folder that is there already is replaced.

    source says where the file is from, for config.json. Raises CheckpointError with one line, and leaves what there was.
    """
    file = read_gguf(path)
    body = read_body(file)
    tokenizer, marks = read_tokenizer(file)
    if len(file.fields["tokenizer.ggml.tokens"]) != body.shape["vocab_size"]:
        raise file.refused("its tokenizer and its embedding have different numbers of tokens: take another file")
    change = None if lora is None else read_lora(lora, body.shapes)
    described = {**source} if lora is None else {**source, "lora_sha256": _sha256(lora)}
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{folder.name}-", dir=folder.parent) as draft:
            part = Path(draft) / "whole"
            part.mkdir()
            _write_weights(part / WEIGHTS, file, body, change, tell)
            (part / TOKENIZER).write_text(json.dumps(tokenizer, ensure_ascii=False), encoding="utf-8")
            config = {
                "format": FORMAT,
                "name": name,
                "denoiser": dict(body.shape),
                "marks": marks.as_json(),
                "source": described,
                "sha256": {each: _sha256(part / each) for each in (WEIGHTS, TOKENIZER)},
            }
            write_config(part, config)
            _put_in_place(part, folder, Path(draft) / "old")
    except OSError as error:
        raise _not_written(folder, body, error) from error


def _put_in_place(part: Path, folder: Path, old: Path) -> None:
    """part becomes folder; what was there becomes old, which goes with the draft."""
    for path in part.iterdir():
        with path.open("rb+") as stream:
            os.fsync(stream.fileno())
    if folder.exists():
        folder.rename(old)
    part.rename(folder)


def _not_written(folder: Path, body: Body, error: OSError) -> CheckpointError:
    place = printable(str(folder.parent))
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        needed = sum(map(math.prod, body.shapes.values()))
        return CheckpointError(f"the disk is full: free {needed / 1e6:,.0f} MB for {place} and try again")
    return CheckpointError(f"the model cannot be written to {place}: {error.strerror or error}")


def _write_weights(path: Path, file: GgufFile, body: Body, lora: Lora | None, tell: Tell) -> None:
    tensors: dict[str, Tensor] = {}
    for name, shape in body.shapes.items():
        tensors[name] = Tensor("I8" if len(shape) == 2 else "F32", shape)
        if len(shape) == 2:
            tensors[name + SCALE_SUFFIX] = Tensor("F32", shape[:1])
    whole, done = sum(map(math.prod, body.shapes.values())), 0
    with SafetensorsWriter(path, tensors) as writer:
        for name, parts in body.weights.items():
            first = 0
            for part in parts:
                for rows in file.read(part.tensor, part.order):
                    _write_rows(writer, file, name, first, rows, len(body.shapes[name]) == 2, lora)
                    first += len(rows) if len(body.shapes[name]) == 2 else rows.size
                    done += rows.size
                    tell(done / whole)


def _write_rows(
    writer: SafetensorsWriter, file: GgufFile, name: str, first: int, rows: np.ndarray, rounds: bool, lora: Lora | None
) -> None:
    """Write rows [R, C] of a matrix, or a part of a vector [1, N], whose first number in the weight is first."""
    most = np.finfo(np.float32).max / 128  # times the greatest of an int8
    if not rounds:
        numbers = scales = rows.reshape(-1)
        writer.put(name, first, numbers)
    else:
        change = None if lora is None else lora.change(name, first, len(rows))
        numbers, scales = quantised(rows if change is None else rows + change)
        writer.put(name, first * rows.shape[1], numbers)
        writer.put(name + SCALE_SUFFIX, first, scales)
    if not np.abs(scales).max() <= most:
        raise file.refused(f"{name} has values that are no numbers, or too large: copy or download it again")


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
