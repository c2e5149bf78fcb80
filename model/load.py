"""One door to every model folder: a model of ours, a published body, or somebody's diffusion checkpoint.

Owns what a person may ask of a model, and which kinds have it. Runtimes are imported only inside functions, and PyTorch
only where it is of use.
"""

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from ..fim.engine import Infiller
from ..fim.errors import CheckpointError, InputError
from ..fim.models.formats import CacheKind, Device, Dtype, Runtime, WeightFormat
from .published.families import RENOISING, model_type
from .storage.folder_files import is_there, read_json

if TYPE_CHECKING:
    from .completion.infiller import DenoisingInfiller

ModelKind = Literal["ours", "masked", "renoising"]
YARN_SCALE = 4.0  # what Qwen's own settings for long contexts say


@dataclass(frozen=True, kw_only=True)
class LoadPlan:
    """How a model is to be loaded; None is the loader's choice. family, weights and context_cache are for published
    diffusion checkpoints."""

    device: Device | None = None
    runtime: Runtime | None = None
    dtype: Dtype | None = None
    cache_mb: int | None = None
    context_tokens: int | None = None
    yarn: bool = False
    family: str | None = None
    weights: WeightFormat | None = None
    context_cache: CacheKind | None = None

    @property
    def for_published(self) -> tuple[str, ...]:
        """The options that only published diffusion checkpoints have, of those that were asked for."""
        asked = {"--family": self.family, "--weights": self.weights, "--context-cache": self.context_cache}
        return tuple(option for option, value in asked.items() if value)


def kind_of(folder: Path) -> ModelKind:
    """What a folder holds: a checkpoint of ours, or nothing that says otherwise; a published diffusion model that fills
    masks; or DiffusionGemma, which renoises."""
    path = folder / "config.json"
    try:
        config = read_json(path)
    except CheckpointError:
        return "ours" if is_there(path) or not any(folder.glob("*.safetensors*")) else "masked"
    if "format" in config or "model_type" not in config:  # published ones name a model type
        return "ours"
    return "renoising" if model_type(config) == RENOISING else "masked"


def load_folder(folder: Path, n_threads: int | None, plan: LoadPlan) -> Infiller[Any]:
    """The model in folder.

    Raises CheckpointError, or InputError for options that do not suit the model and for a runtime that is not there.
    """
    kind = kind_of(folder)
    return load_ours(folder, n_threads, plan) if kind == "ours" else _published(folder, kind, n_threads, plan)


def load_ours(folder: Path, n_threads: int | None, plan: LoadPlan) -> "DenoisingInfiller":
    """A checkpoint of ours: a denoiser, or a published body. Raises as `load_folder`."""
    if plan.for_published:
        raise InputError(f"{plan.for_published[0]} is for published models: leave it out")
    with _no_collections():
        from .load_infiller import load_infiller

        infiller = load_infiller(
            folder,
            n_threads=n_threads,
            device=plan.device,
            runtime=plan.runtime,
            dtype=plan.dtype,
            cache_bytes=None if plan.cache_mb is None else plan.cache_mb * 2**20,
            rope_scale=YARN_SCALE if plan.yarn else 1.0,
        )
        if plan.context_tokens is not None:
            infiller.read_at_most(plan.context_tokens)
        return infiller


def _published(folder: Path, kind: ModelKind, n_threads: int | None, plan: LoadPlan) -> Infiller[Any]:
    if plan.runtime == "openvino":
        raise InputError("published models run with PyTorch: leave --runtime out")
    if plan.yarn or plan.context_tokens is not None:
        raise InputError("published diffusion models read what they were taught: leave --context-tokens and --yarn out")
    if kind == "renoising" and plan.for_published:
        raise InputError(f"DiffusionGemma runs as it is: leave {' and '.join(plan.for_published)} out")
    from .runners.select import NO_TORCH, has_torch

    if not has_torch():
        raise InputError(NO_TORCH)
    with _no_collections():
        import torch

        from .published.diffusion_gemma import load_gemma
        from .published.infiller import load_published

        device = None if plan.device is None else torch.device(plan.device)
        dtype = None if plan.dtype is None else getattr(torch, plan.dtype)
        if kind == "renoising":
            return load_gemma(folder, n_threads=n_threads, device=device, dtype=dtype)
        return load_published(
            folder,
            n_threads=n_threads,
            device=device,
            dtype=dtype,
            weights=plan.weights,
            family=plan.family,
            cache=plan.context_cache or "exact",
        )


@contextmanager
def _no_collections() -> Iterator[None]:
    """No garbage collection within, and none of what was made there afterwards: it stays as long as the engine does.

    Importing takes an eighth less, and later collections need not look at what it made.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
