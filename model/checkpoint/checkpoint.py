"""Checkpoints: a denoiser with its tokenizer and ranker, loaded from a folder (`checkpoint_files`) and saved to one."""

import logging
import mmap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from safetensors.numpy import save_file

from ...fim.errors import CheckpointError
from ..config import DenoiserConfig
from ..decoding.ngrams import NGRAMS, Ngrams, read_ngrams
from ..languages import PYTHON, languages_of
from ..ranking.prefix_confidence import PrefixRanker
from ..ranking.ranker import Ranker
from ..storage.folder_files import excerpt, is_there, sha256_of
from ..tokenizers.code_tokenizer import CodeTokenizer
from ..tokenizers.text_tokenizer import TextTokenizer
from .checkpoint_files import (
    CONFIG,
    FORMAT,
    SCALE_SUFFIX,
    TOKENIZER,
    WEIGHTS,
    Int8Matrix,
    StoredCheckpoint,
    Weights,
    as_float,
    quantise,
    read,
    read_config,
    write_config,
)
from .head_file import HEAD, StoredHead, read_head

if TYPE_CHECKING:
    from torch import nn

    from ..network.denoiser import Denoiser

logger = logging.getLogger(__name__)

T = TypeVar("T")


@dataclass(frozen=True)
class Checkpoint:
    """A loaded checkpoint: its name, shape and weights, its tokenizer, the SHA-256 of its weights, the rankers that
    were fitted to it, if they were, the SHA-256 of the weights that it is the mean of, if it is one, the languages that
    it completes by itself, the mapped file in which its weights lie, and, of a body, its denoising head and its tables
    of n-grams, if it has them."""

    name: str
    config: DenoiserConfig
    weights: Weights
    tokenizer: TextTokenizer
    sha256: str
    ranker: Ranker | None = None
    prefix_ranker: PrefixRanker | None = None
    averaged_from: tuple[str, ...] = ()
    languages: tuple[str, ...] = PYTHON
    mapped: mmap.mmap | None = None
    head: StoredHead | None = None
    ngrams: Ngrams | None = None

    @cached_property
    def model(self) -> "Denoiser":
        """The denoiser in float32, made when it is first asked for: OpenVINO needs none. Imports PyTorch."""
        from ..network.load import denoiser_of

        return denoiser_of(self.config, {name: as_float(weight) for name, weight in self.weights.items()})

    def give_pages_back(self) -> None:
        """Hold nothing of the weights' file in memory until it is read again: a runtime has packed what it needs."""
        if self.mapped is not None and hasattr(mmap, "MADV_DONTNEED"):
            self.mapped.madvise(mmap.MADV_DONTNEED)

    @property
    def own_tokenizer(self) -> CodeTokenizer:
        """The tokenizer of a model of ours. Raises CheckpointError for a published body."""
        if not isinstance(self.tokenizer, CodeTokenizer):
            raise CheckpointError(f"{self.name} is a published body: this is for models that were trained here")
        return self.tokenizer

    @property
    def n_parameters(self) -> int:
        """Numbers that were learnt."""
        return self.config.n_parameters


def weights_of(module: "nn.Module") -> Weights:
    """A module's weights, in float32."""
    return {key: weight.detach().cpu().float().numpy() for key, weight in module.state_dict().items()}


def quantise_checkpoint(weights: Weights) -> Weights:
    """The same with matrices in int8, as a checkpoint keeps them."""
    return {
        key: quantise(weight) if isinstance(weight, np.ndarray) and weight.ndim == 2 else weight
        for key, weight in weights.items()
    }


def save(
    folder: Path, name: str, model: "Denoiser", tokenizer: CodeTokenizer, averaged_from: Sequence[str] = ()
) -> None:
    """Write a checkpoint; config.json comes last, so that a half-written folder is not taken for a whole one."""
    folder.mkdir(parents=True, exist_ok=True)
    for file in (CONFIG, WEIGHTS):  # mapped weights, which an engine may serve, are left as they are
        (folder / file).unlink(missing_ok=True)
    arrays: dict[str, np.ndarray] = {}
    for key, weight in quantise_checkpoint(weights_of(model)).items():
        if isinstance(weight, Int8Matrix):
            arrays[key], arrays[key + SCALE_SUFFIX] = weight
        else:
            arrays[key] = weight
    save_file(arrays, folder / WEIGHTS)
    tokenizer.save(folder / TOKENIZER)
    config = {
        "format": FORMAT,
        "name": name,
        "denoiser": asdict(model.config),
        "sha256": {file: sha256_of(folder / file) for file in (WEIGHTS, TOKENIZER)},
    }
    write_config(folder, config | ({"averaged_from": list(averaged_from)} if averaged_from else {}))


def load(source: Path | StoredCheckpoint) -> Checkpoint:
    """A folder's checkpoint, or that of a folder read before. Raises CheckpointError with one line for people."""
    stored = read(source) if isinstance(source, Path) else source
    return Checkpoint(
        name=str(stored.config["name"]),
        config=stored.shape,
        weights=stored.weights,
        tokenizer=stored.tokenizer,
        sha256=stored.sha256,
        ranker=_fitted(stored, "ranker", Ranker),
        prefix_ranker=_fitted(stored, "prefix_ranker", PrefixRanker),
        averaged_from=tuple(map(str, stored.config.get("averaged_from", ()))),
        languages=languages_of(stored.config),
        mapped=stored.mapped,
        head=None  # its states would stand where copy keys do
        if stored.shape.copies
        else _if_there(stored, HEAD, lambda path: read_head(path, stored.shape, stored.sha256)),
        ngrams=_if_there(
            stored,
            NGRAMS,
            lambda path: read_ngrams(path, stored.shape.vocab_size, str(stored.config["sha256"][TOKENIZER])),
        ),
    )


def _if_there(stored: StoredCheckpoint, name: str, read: Callable[[Path], T]) -> T | None:
    """What a file in a body's folder holds that makes it faster. One that is of no use is left alone."""
    path = stored.folder / name
    if stored.shape.canvases or not is_there(path):
        return None
    try:
        return read(path)
    except CheckpointError as error:
        logger.warning("%s", error)
        return None


def save_rankers(folder: Path, ranker: Ranker, prefix_ranker: PrefixRanker | None = None) -> None:
    """Put rankers into the config of the checkpoint in folder. Raises CheckpointError where there is none."""
    config, _ = read_config(folder)
    both = {"ranker": dict(ranker.weights), "prefix_ranker": dict(prefix_ranker.weights) if prefix_ranker else None}
    write_config(folder, config | both)


def _fitted(stored: StoredCheckpoint, name: str, kind: Callable[[Mapping[str, float]], T]) -> T | None:
    if stored.config.get(name) is None:
        return None
    try:
        return kind(stored.config[name])
    except ValueError as error:
        path = stored.folder / CONFIG
        raise CheckpointError(f"{path} has a {name} that this version cannot use: {excerpt(error)}") from error
