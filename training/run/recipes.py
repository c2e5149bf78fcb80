"""The sizes we train: each one's shape, samples and run."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from ...model.config import DenoiserConfig
from ..data.samples import SampleConfig
from .config import TrainConfig


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
        n_context=1024, n_canvas=24, marks_middle=True, copies_matches=True,
    )  # fmt: skip
    return Recipe(name="nano", shape=shape, samples=SampleConfig(n_canvas=shape.n_canvas))


def base() -> Recipe:
    """About 47M parameters: for one GPU and half an hour."""
    shape = DenoiserConfig(
        vocab_size=16384, n_layers=8, width=640, n_heads=10, n_kv_heads=5, head_size=64, ffn_width=1728, copy_size=128,
        n_context=2048, n_canvas=32, marks_middle=True, copies_matches=True,
    )  # fmt: skip
    return Recipe(
        name="base",
        shape=shape,
        samples=SampleConfig(n_canvas=shape.n_canvas, n_anchor_canvases=6, n_continuations=4),  # 12 x 32: whole blocks
    )


RECIPES = {"nano": nano, "base": base}


def nano_on_cpu(config: TrainConfig) -> TrainConfig:
    """About 2,000 context tokens/s on two cores beside other work (docs/log/2026-11-21.md)."""
    return replace(config, sample_steps=400)


def nano_on_gpu(config: TrainConfig) -> TrainConfig:
    """More tokens a step than a CPU could wait for; a quarter of a million keep a GPU busy."""
    return replace(nano_on_cpu(config), batch_tokens=262_144, micro_tokens=131_072, valid_samples=256, save_minutes=2.0)


def base_on_cpu(config: TrainConfig) -> TrainConfig:
    """To see that everything works before a GPU is asked for; it would take weeks."""
    return replace(
        config, batch_tokens=4096, micro_tokens=2048, vector_rate=3e-3, weight_decay=0.1, warmup_steps=100,
        cooldown_share=0.25, valid_samples=4,
    )  # fmt: skip


def base_on_gpu(config: TrainConfig) -> TrainConfig:
    """A quarter of a million tokens: a run of minutes needs many steps. A micro-batch takes 25 GB (2026-11-27)."""
    return replace(
        base_on_cpu(config), batch_tokens=262_144, micro_tokens=65_536, valid_samples=128, valid_steps=400,
        sample_steps=800, save_minutes=4.0,
    )  # fmt: skip


SETTINGS: dict[tuple[str, str], Callable[[TrainConfig], TrainConfig]] = {
    ("nano", "cpu"): nano_on_cpu,
    ("nano", "cuda"): nano_on_gpu,
    ("base", "cpu"): base_on_cpu,
    ("base", "cuda"): base_on_gpu,
}


def train_config(
    *, steps: int | None, minutes: float | None, seed: int, n_context: int, size: str = "nano", device: str = "cpu"
) -> TrainConfig:
    """The run of a size on a device: half the context first, all of it in the last 40 %."""
    config = TrainConfig(steps=steps, minutes=minutes, seed=seed, stages=((0.0, n_context // 2), (0.6, n_context)))
    return SETTINGS[size, device](config)
