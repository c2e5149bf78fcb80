"""Checkpoints on disk: config.json, model.safetensors, tokenizer.json, MODEL_CARD.md in one folder.

Matrices are stored as int8 with one scale a row, the rest as float32. config.json carries the SHA-256 of the other two
files; a folder whose hashes do not match is refused. Never pickle, never remote code.
"""

import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from ..fim.errors import CheckpointError
from .config import DenoiserConfig
from .denoiser import Denoiser
from .ranker import Ranker
from .tokenizer import CodeTokenizer

FORMAT = "quicksilver-denoiser-1"
WEIGHTS, TOKENIZER, CONFIG = "model.safetensors", "tokenizer.json", "config.json"
EMBEDDED = ("base", "nano")  # best first
SCALE_SUFFIX = ".scale"


@dataclass(frozen=True)
class Checkpoint:
    """A loaded checkpoint: its name, the model in float32, its tokenizer, the SHA-256 of its weights, the ranker that
    was fitted to it, if one was, and the SHA-256 of the weights that it is the mean of, if it is one."""

    name: str
    model: Denoiser
    tokenizer: CodeTokenizer
    sha256: str
    ranker: Ranker | None = None
    averaged_from: tuple[str, ...] = ()


def embedded_checkpoint() -> Path:
    """The folder of the best checkpoint that came with the package. Raises CheckpointError when there is none."""
    root = Path(__file__).parent / "checkpoints"
    for name in EMBEDDED:
        if (root / name / CONFIG).is_file():
            return root / name
    raise CheckpointError("no model came with this installation: reinstall, or pass --model FOLDER")


def quantise(weight: Tensor) -> tuple[Tensor, Tensor]:
    """Symmetric int8 [R, C] and float32 scales [R] of a matrix [R, C]."""
    scale = weight.float().abs().amax(dim=1).clamp_min(1e-12) / 127
    return (weight.float() / scale.unsqueeze(1)).round().to(torch.int8), scale


def dequantise(weight: Tensor, scale: Tensor) -> Tensor:
    """The float32 matrix of what `quantise` returned."""
    return weight.float() * scale.unsqueeze(1)


def save(folder: Path, name: str, model: Denoiser, tokenizer: CodeTokenizer, averaged_from: Sequence[str] = ()) -> None:
    """Write a checkpoint; config.json comes last, so that a half-written folder is not taken for a whole one."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / CONFIG).unlink(missing_ok=True)
    tensors: dict[str, Tensor] = {}
    for key, weight in model.state_dict().items():
        if weight.ndim == 2:
            tensors[key], tensors[key + SCALE_SUFFIX] = quantise(weight)
        else:
            tensors[key] = weight.float().contiguous()
    save_file(tensors, folder / WEIGHTS)
    tokenizer.save(folder / TOKENIZER)
    config = {
        "format": FORMAT,
        "name": name,
        "denoiser": asdict(model.config),
        "sha256": {file: _sha256(folder / file) for file in (WEIGHTS, TOKENIZER)},
    }
    _write_config(folder, config | ({"averaged_from": list(averaged_from)} if averaged_from else {}))


def _write_config(folder: Path, config: dict) -> None:
    part = folder / (CONFIG + ".part")
    part.write_text(json.dumps(config, indent=1) + "\n", encoding="utf-8")
    part.replace(folder / CONFIG)


def load(folder: Path) -> Checkpoint:
    """Read a checkpoint and check its hashes. Raises CheckpointError with one line that says what to do."""
    config, shape = _read_config(folder)
    for file, expected in config["sha256"].items():
        path = folder / file
        if not path.is_file():
            raise CheckpointError(f"the checkpoint in {folder} lacks {file}: copy it again")
        if _sha256(path) != expected:
            raise CheckpointError(f"{path} does not match its SHA-256 in {CONFIG}: it is damaged, copy it again")
    tokenizer = CodeTokenizer.load(folder / TOKENIZER)
    if tokenizer.vocab_size != shape.vocab_size:
        raise CheckpointError(f"the tokenizer in {folder} has {tokenizer.vocab_size} ids, not {shape.vocab_size}")
    model = Denoiser(shape)
    try:
        stored = load_file(folder / WEIGHTS)
        scales = {k.removesuffix(SCALE_SUFFIX): v for k, v in stored.items() if k.endswith(SCALE_SUFFIX)}
        weights = {
            key: dequantise(weight, scales[key]) if key in scales else weight
            for key, weight in stored.items()
            if not key.endswith(SCALE_SUFFIX)
        }
        model.load_state_dict(weights)
    except (RuntimeError, OSError, SafetensorError) as error:
        raise CheckpointError(
            f"{folder / WEIGHTS} does not fit its config: {' '.join(str(error).split())[:200]}"
        ) from error
    return Checkpoint(
        name=str(config["name"]),
        model=model.eval(),
        tokenizer=tokenizer,
        sha256=str(config["sha256"][WEIGHTS]),
        ranker=_ranker(folder, config),
        averaged_from=tuple(map(str, config.get("averaged_from", ()))),
    )


def save_ranker(folder: Path, ranker: Ranker) -> None:
    """Put ranker into the config of the checkpoint in folder. Raises CheckpointError where there is none."""
    config, _ = _read_config(folder)
    _write_config(folder, config | {"ranker": dict(ranker.weights)})


def _ranker(folder: Path, config: dict) -> Ranker | None:
    if config.get("ranker") is None:
        return None
    try:
        return Ranker(config["ranker"])
    except (ValueError, TypeError) as error:
        raise CheckpointError(f"{folder / CONFIG} has a ranker that this version cannot use: {error}") from error


def _read_config(folder: Path) -> tuple[dict, DenoiserConfig]:
    path = folder / CONFIG
    if not path.is_file():
        raise CheckpointError(f"no checkpoint in {os.fspath(folder)}: it has no {CONFIG}")
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
        if config["format"] != FORMAT:
            raise CheckpointError(f"{path} has format {config['format']!r}; this version reads {FORMAT!r}")
        if set(config["sha256"]) != {WEIGHTS, TOKENIZER} or not isinstance(config["name"], str):
            raise CheckpointError(f"{path} does not name and hash {WEIGHTS} and {TOKENIZER}")
        if not isinstance(config.get("averaged_from", []), list):
            raise CheckpointError(f"{path} does not list what it is averaged from")
        return config, DenoiserConfig(**config["denoiser"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise CheckpointError(f"{path} is not a checkpoint's config: {error}") from error


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
