"""The sizes we train: each one's shape, samples and run, all there is to know about a checkpoint's making."""

from dataclasses import dataclass

from ..model.config import DenoiserConfig
from .samples import SampleConfig
from .trainer import TrainConfig


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Shape, samples and tokenizer size of one named checkpoint."""

    name: str
    shape: DenoiserConfig
    samples: SampleConfig


def nano() -> Recipe:
    """About 6.6M parameters: trains in an hour or two on two CPU cores."""
    shape = DenoiserConfig(
        vocab_size=8192, n_layers=6, width=256, n_heads=4, n_kv_heads=2, head_size=64, ffn_width=704, copy_size=64,
        n_context=1024, n_canvas=24,
    )  # fmt: skip
    return Recipe(name="nano", shape=shape, samples=SampleConfig(n_canvas=shape.n_canvas))


def base() -> Recipe:
    """About 47M parameters: for one GPU and half an hour."""
    shape = DenoiserConfig(
        vocab_size=16384, n_layers=8, width=640, n_heads=10, n_kv_heads=5, head_size=64, ffn_width=1728, copy_size=128,
        n_context=2048, n_canvas=32,
    )  # fmt: skip
    return Recipe(name="base", shape=shape, samples=SampleConfig(n_canvas=shape.n_canvas))


RECIPES = {"nano": nano, "base": base}


def train_config(*, steps: int | None, minutes: float | None, seed: int, n_context: int) -> TrainConfig:
    """The run of every recipe: half the context first, all of it in the last 40 %."""
    return TrainConfig(steps=steps, minutes=minutes, seed=seed, stages=((0.0, n_context // 2), (0.6, n_context)))
