"""Converts a GGUF file to a checkpoint folder of ours, whole or not at all. Matrices become int8 with a scale per row.

Rows are read, changed by a LoRA, rounded and written a few at a time. Qwen2.5-Coder-0.5B takes 140 MB of memory, and
10 s of a core (AMD EPYC, 2026-11-30).
"""

import errno
import json
import math
import os
import shutil
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock

from ...fim.errors import CheckpointError
from ...fim.text.printable import printable
from ..checkpoint.checkpoint_files import BODY_FORMAT, SCALE_SUFFIX, TOKENIZER, WEIGHTS, quantise, write_config
from ..checkpoint.lora import Lora, read_lora
from ..storage.folder_files import sha256_of
from ..storage.safetensors_header import Tensor
from ..storage.safetensors_writer import SafetensorsWriter
from ..tokenizers.marks import Marks
from .body import Body, read_body
from .file import GgufFile, read_gguf
from .tokenizer import chat_config, read_tokenizer

FULL_DISK = (errno.ENOSPC, errno.EDQUOT)
TellShare = Callable[[float], None]  # is called with the share that is done
Shapes = Mapping[str, tuple[int, ...]]


def import_gguf(
    path: Path,
    folder: Path,
    *,
    name: str,
    source: Mapping[str, Any],
    lora: Path | None = None,
    rankers: Mapping[str, Any] | None = None,
    tell: TellShare = lambda share: None,
) -> None:
    """Make the checkpoint folder of the GGUF file at path; a folder that is there already is replaced.

    source says where the file is from, for config.json; rankers are those that were fitted to the result. Raises
    CheckpointError with one line; then nothing has changed.
    """
    file = read_gguf(path)
    body = read_body(file)
    tokenizer, marks = read_tokenizer(file, body.config.vocab_size)
    shapes = body.config.weight_shapes()
    change = None if lora is None else read_lora(lora, shapes)
    if change is not None and lora is not None:
        marks = replace(marks, suffix_first=change.suffix_first)
        source = {**source, "lora_sha256": sha256_of(lora)}
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(folder.parent / f".{folder.name}.lock"):
            for killed in folder.parent.glob(f".{folder.name}-*"):  # left by killed processes
                shutil.rmtree(killed)
            with tempfile.TemporaryDirectory(prefix=f".{folder.name}-", dir=folder.parent) as draft:
                part = Path(draft) / "new"
                part.mkdir()
                _write_weights(part / WEIGHTS, file, body, shapes, change, tell)
                (part / TOKENIZER).write_text(json.dumps(tokenizer, ensure_ascii=False), encoding="utf-8")
                config = _config(part, name, body, marks, source) | chat_config(file) | dict(rankers or {})
                write_config(part, config)
                _put_in_place(part, folder, Path(draft) / "old")
    except OSError as error:
        raise _write_error(folder, shapes, error) from error


def _config(part: Path, name: str, body: Body, marks: Marks, source: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "format": BODY_FORMAT,
        "name": name,
        "denoiser": asdict(body.config),
        "marks": asdict(marks),
        "source": dict(source),
        "sha256": {each: sha256_of(part / each) for each in (WEIGHTS, TOKENIZER)},
    }


def _put_in_place(part: Path, folder: Path, old: Path) -> None:
    """Move folder, if it exists, to old, which is deleted with the draft, and part to folder."""
    for path in part.iterdir():
        with path.open("rb+") as stream:
            os.fsync(stream.fileno())
    if folder.exists():
        folder.rename(old)
    part.rename(folder)


def _write_error(folder: Path, shapes: Shapes, error: OSError) -> CheckpointError:
    place = printable(str(folder.parent))
    if error.errno in FULL_DISK:
        n_bytes = sum(map(math.prod, shapes.values()))
        return CheckpointError(f"the disk is full: free {n_bytes / 1e6:,.0f} MB for {place}, then try again")
    return CheckpointError(f"the model cannot be written to {place}: {error.strerror or error}")


def _write_weights(path: Path, file: GgufFile, body: Body, shapes: Shapes, lora: Lora | None, tell: TellShare) -> None:
    tensors: dict[str, Tensor] = {}
    for name, shape in shapes.items():
        tensors[name] = Tensor("I8" if len(shape) == 2 else "F32", shape)
        if len(shape) == 2:
            tensors[name + SCALE_SUFFIX] = Tensor("F32", shape[:1])
    n_all, n_done = sum(map(math.prod, shapes.values())), 0
    with SafetensorsWriter(path, tensors) as writer:
        for name, parts in body.weights.items():
            write = _write_vector if len(shapes[name]) == 1 else _write_rows
            first = 0
            for part in parts:
                for rows in file.read(part.tensor, part.order):
                    change = None if lora is None else lora.change(name, first, len(rows))
                    scales = write(writer, name, first, rows if change is None else rows + change)
                    if not np.abs(scales).max() <= np.finfo(np.float32).max / 128:  # the greatest magnitude of an int8
                        raise file.refused(f"{name} has values that are not numbers, or too large: copy it again")
                    first += len(scales)
                    n_done += rows.size
                    tell(n_done / n_all)


def _write_vector(writer: SafetensorsWriter, name: str, first: int, rows: np.ndarray) -> np.ndarray:
    """Write a part [1, N] of a vector, and return it."""
    writer.put(name, first, rows[0])
    return rows[0]


def _write_rows(writer: SafetensorsWriter, name: str, first: int, rows: np.ndarray) -> np.ndarray:
    """Write rows [R, C] of a matrix, from its row first on, and return their scales."""
    with np.errstate(invalid="ignore"):  # NaN and infinity show in the scales
        matrix = quantise(rows)
    writer.put(name, first * rows.shape[1], matrix.values)
    writer.put(name + SCALE_SUFFIX, first, matrix.scales)
    return matrix.scales
