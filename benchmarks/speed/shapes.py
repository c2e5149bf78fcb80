"""Checkpoints of random weights in the shapes that we train: for times that do not depend on what was learnt."""

import os
from dataclasses import replace
from pathlib import Path

import torch

from ...fim.models.formats import Runtime
from ...model.checkpoint import checkpoint
from ...model.checkpoint.checkpoint import weights_of
from ...model.config import DenoiserConfig
from ...model.network.denoiser import Denoiser
from ...model.openvino.load import load_openvino
from ...model.runners.loaded_runner import LoadedRunner
from ...model.runners.torch_load import load_torch
from ...model.tokenizers.code_tokenizer import CodeTokenizer
from ...training.run.recipes import RECIPES

INIT_STD = 0.02


def random_denoiser(shape: DenoiserConfig, dtype: torch.dtype = torch.float32) -> Denoiser:
    """A denoiser of a shape whose every matrix is random (a new one has zeros where it writes into its stream)."""
    torch.manual_seed(0)
    model = Denoiser(shape)
    for parameter in model.parameters():
        if parameter.ndim == 2:
            torch.nn.init.normal_(parameter, std=INIT_STD)
    return model.eval().to(dtype)


def random_runner(shape: DenoiserConfig, runtime: Runtime, n_threads: int) -> LoadedRunner:
    """Random weights of a shape, loaded on the CPU in the number format that is fastest there."""
    model = random_denoiser(shape)
    if runtime == "torch":
        return load_torch(model, n_threads=n_threads)
    return load_openvino(model.config, weights_of(model), n_threads=n_threads)


def write_random(folder: Path, size: str) -> Path:
    """A checkpoint folder of a size with random weights and a tokenizer made from the standard library: its path."""
    shape = RECIPES[size]().shape
    files = sorted(Path(os.__file__).parent.glob("*.py"))
    texts = [file.read_text(encoding="utf-8", errors="replace") for file in files]
    tokenizer = CodeTokenizer.train(texts, shape.vocab_size)
    target = folder / f"random-{size}"
    model = random_denoiser(replace(shape, vocab_size=tokenizer.vocab_size))
    checkpoint.save(target, f"random-{size}", model, tokenizer)
    return target
