"""The door to every model folder: a model of ours, a published body, or a published diffusion checkpoint.

Owns the options for loading a model, and which kinds of model have them. Runtimes are imported only inside functions,
and PyTorch only if it is needed.
"""

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from ..fim.engine import Infiller
from ..fim.errors import CheckpointError, InputError
from ..fim.models.formats import CacheKind, Device, Dtype, Runtime, WeightFormat
from ..fim.terminal.options import Option
from .published.families import RENOISING, model_type
from .storage.folder_files import is_there, read_json

if TYPE_CHECKING:
    from .completion.infiller import DenoisingInfiller

ModelKind = Literal["ours", "masked", "renoising"]
YARN_SCALE = 4.0  # as in Qwen's own settings for long contexts


@dataclass(frozen=True, kw_only=True)
class LoadPlan:
    """How to load a model, with the options of `serve` for it; None is the loader's choice."""

    device: Annotated[Device | None, Option("where the model runs (default: a GPU if there is one)")] = None
    runtime: Annotated[Runtime | None, Option("what runs the model (default: the fastest installed)")] = None
    dtype: Annotated[
        Dtype | None, Option("number format for computing (default: bfloat16 if this machine is fast at it)")
    ] = None
    cache_mb: Annotated[
        int | None,
        Option("memory for contexts, in MiB (256, on a GPU more for long contexts)", metavar="N", least=0, most=2**20),
    ] = None
    context_tokens: Annotated[
        int | None,
        Option("tokens of context and answer (default: as many as are read in 1 s)", metavar="N", least=1, most=2**20),
    ] = None
    yarn: Annotated[bool, Option("read contexts four times as long as the model was trained on, on a GPU")] = False
    family: Annotated[str | None, Option("family of a published diffusion model, if its folder does not say")] = None
    weights: Annotated[
        WeightFormat | None, Option("round a published diffusion model's weights to one byte per number")
    ] = None
    context_cache: Annotated[
        CacheKind | None,
        Option("cache of a published diffusion model: exact if its attention allows (default), or none"),
    ] = None

    def __post_init__(self) -> None:
        if self.runtime == "openvino" and self.device == "cuda":
            raise InputError("the runtime openvino is for the CPU: choose --runtime torch, or --device cpu")

    @property
    def for_published(self) -> tuple[str, ...]:
        """The given options that only published diffusion checkpoints have."""
        asked = {"--family": self.family, "--weights": self.weights, "--context-cache": self.context_cache}
        return tuple(option for option, value in asked.items() if value)


def kind_of(folder: Path) -> ModelKind:
    """The kind of model in a folder: a published diffusion model that fills masks; DiffusionGemma, which renoises; or a
    checkpoint of ours, also if nothing says so."""
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

    Raises CheckpointError, or InputError for options that do not suit the model or a missing runtime.
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
            infiller.read_at_most(plan.context_tokens, in_chat=True)
        return infiller


def _published(folder: Path, kind: ModelKind, n_threads: int | None, plan: LoadPlan) -> Infiller[Any]:
    if plan.runtime == "openvino":
        raise InputError("published models run with PyTorch: leave --runtime out")
    if plan.yarn or plan.context_tokens is not None:
        raise InputError("published diffusion models have a fixed window: leave --context-tokens and --yarn out")
    if kind == "renoising" and plan.for_published:
        raise InputError(f"DiffusionGemma runs as it is: leave {' and '.join(plan.for_published)} out")
    from .runners.select import NO_TORCH, has_torch

    if not is_there(folder / "config.json"):  # said first: with PyTorch it would be no model either
        raise CheckpointError(f"{folder} is no model's folder: it has no config.json")
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
    """No garbage collection meanwhile, and none later of what was made meanwhile, which lives as long as the engine.

    Importing takes an eighth less, and later collections need not look at these objects.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
