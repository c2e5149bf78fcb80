"""The body that a LoRA is trained for, read from a GGUF file or a checkpoint folder: frozen, in bfloat16."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from ...fim.errors import InputError
from ...model.checkpoint.checkpoint_files import as_float, read
from ...model.config import DenoiserConfig
from ...model.gguf.body import TensorPart, read_body
from ...model.gguf.file import GgufFile, read_gguf
from ...model.gguf.tokenizer import read_tokenizer
from ...model.network.denoiser import Denoiser
from ...model.tokenizers.body_tokenizer import BodyTokenizer, plain_tokenizer


def load_body(path: Path, dtype: torch.dtype = torch.bfloat16) -> tuple[Denoiser, BodyTokenizer]:
    """A body and its tokenizer, whose marks say suffix first: that is what a LoRA teaches.

    Raises CheckpointError for a damaged one, InputError for a model of our own.
    """
    if path.is_dir():
        stored = read(path)
        if not isinstance(stored.tokenizer, BodyTokenizer):
            raise InputError(f"{path} is a model that was trained here: a LoRA needs a published body")
        tensors = {name: torch.from_numpy(as_float(weight)).to(dtype) for name, weight in stored.weights.items()}
        stored.tokenizer.marks = replace(stored.tokenizer.marks, suffix_first=True)
        return _denoiser(stored.shape, tensors), stored.tokenizer
    file = read_gguf(path)
    body = read_body(file)
    found, marks = read_tokenizer(file, body.config.vocab_size)
    tokenizer = BodyTokenizer(plain_tokenizer(found), replace(marks, suffix_first=True), body.config.vocab_size)
    shapes = body.config.weight_shapes()
    tensors = {name: _read(file, parts, len(shapes[name]) == 1, dtype) for name, parts in body.weights.items()}
    return _denoiser(body.config, tensors), tokenizer


def _read(file: GgufFile, parts: Sequence[TensorPart], is_vector: bool, dtype: torch.dtype) -> Tensor:
    """A weight whose parts stand one below the other."""
    chunks = (chunk for part in parts for chunk in file.read(part.tensor, part.order))
    return torch.cat([torch.tensor(chunk[0] if is_vector else chunk, dtype=dtype) for chunk in chunks])


def _denoiser(config: DenoiserConfig, tensors: Mapping[str, Tensor]) -> Denoiser:
    with torch.device("meta"):
        model = Denoiser(config)
    model.load_state_dict(dict(tensors), assign=True)
    return model.eval()
