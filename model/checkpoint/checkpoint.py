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
from ..tokenizers.chat_template import ChatTemplate
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
    were fitted to it, if any, the SHA-256 of the weights that it is the mean of, if any, the languages that it
    completes while a person types, the mapped file of its weights, and a body's denoising head, n-grams and chat
    template, if any."""

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
    chat: ChatTemplate | None = None

    @cached_property
    def model(self) -> "Denoiser":
        """The denoiser in float32, made on first use, since OpenVINO needs none. Imports PyTorch."""
        from ..network.load import denoiser_of

        return denoiser_of(self.config, {name: as_float(weight) for name, weight in self.weights.items()})

    def give_pages_back(self) -> None:
        """Drop the weights' file from memory until it is read again, since a runtime has packed what it needs."""
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
        """The number of learnt parameters."""
        return self.config.n_parameters


def weights_of(module: "nn.Module") -> Weights:
    """A module's weights, in float32."""
    return {key: weight.detach().cpu().float().numpy() for key, weight in module.state_dict().items()}


def quantise_checkpoint(weights: Weights) -> Weights:
    """The same weights with matrices in int8, as a checkpoint stores them."""
    return {
        key: quantise(weight) if isinstance(weight, np.ndarray) and weight.ndim == 2 else weight
        for key, weight in weights.items()
    }


def save(
    folder: Path, name: str, model: "Denoiser", tokenizer: CodeTokenizer, averaged_from: Sequence[str] = ()
) -> None:
    """Write a checkpoint; config.json last, so that a half-written folder is not taken for a complete one."""
    folder.mkdir(parents=True, exist_ok=True)
    for file in (CONFIG, WEIGHTS):  # an engine may have mapped the old weights: unlink them, do not overwrite
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
    """The checkpoint of a folder, or of one that was read before. Raises CheckpointError with one line for people."""
    stored = read(source) if isinstance(source, Path) else source
    return Checkpoint(
        name=str(stored.config["name"]),
        config=stored.shape,
        weights=stored.weights,
        tokenizer=stored.tokenizer,
        sha256=stored.sha256,
        ranker=_read_fitted(stored, "ranker", Ranker),
        prefix_ranker=_read_fitted(stored, "prefix_ranker", PrefixRanker),
        averaged_from=tuple(map(str, stored.config.get("averaged_from", ()))),
        languages=languages_of(stored.config),
        mapped=stored.mapped,
        head=None  # its states would take the place of copy keys
        if stored.shape.copies
        else _read_optional(stored, HEAD, lambda path: read_head(path, stored.shape, stored.sha256)),
        ngrams=_read_optional(
            stored,
            NGRAMS,
            lambda path: read_ngrams(path, stored.shape.vocab_size, str(stored.config["sha256"][TOKENIZER])),
        ),
        chat=_read_chat(stored),
    )


def _read_optional(stored: StoredCheckpoint, name: str, read: Callable[[Path], T]) -> T | None:
    """The content of an optional file that makes a body faster; None if it is missing or unusable."""
    path = stored.folder / name
    if stored.shape.canvases or not is_there(path):
        return None
    try:
        return read(path)
    except CheckpointError as error:
        logger.warning("%s", error)
        return None


def _read_chat(stored: StoredCheckpoint) -> ChatTemplate | None:
    """A body's chat template; None if it has none, or one that is of no use."""
    if stored.shape.canvases or stored.config.get("chat") is None:
        return None
    try:
        return ChatTemplate.of(stored.config["chat"], stored.shape.vocab_size)
    except ValueError as error:
        logger.warning("%s has a chat template that cannot be used: %s", stored.folder / CONFIG, error)
        return None


def save_rankers(folder: Path, ranker: Ranker, prefix_ranker: PrefixRanker | None = None) -> None:
    """Put rankers into the config of the checkpoint in folder. Raises CheckpointError if there is none."""
    config, _ = read_config(folder)
    both = {"ranker": dict(ranker.weights), "prefix_ranker": dict(prefix_ranker.weights) if prefix_ranker else None}
    write_config(folder, config | both)


def _read_fitted(stored: StoredCheckpoint, name: str, kind: Callable[[Mapping[str, float]], T]) -> T | None:
    if stored.config.get(name) is None:
        return None
    try:
        return kind(stored.config[name])
    except ValueError as error:
        path = stored.folder / CONFIG
        raise CheckpointError(f"{path} has a {name} that this version cannot use: {excerpt(error)}") from error
