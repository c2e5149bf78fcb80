"""Loads the model that the engine serves: one that is named, or the best installed one that is fast enough here.

Owns the order, so that OpenVINO compiles while PyTorch is being imported. Both are imported inside functions: this runs
in the worker's thread, and the socket answers long before.
"""

import gc
import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Literal

from ...fim.engine import Infiller
from ...fim.errors import InputError
from ...fim.models.formats import CacheKind, Dtype, WeightFormat
from ...fim.models.speeds import ModelSpeed, known_speeds, note_speed, speed_key
from ...fim.terminal.options import Option
from ..paths import package_version

logger = logging.getLogger(__name__)

DeviceName = Literal["cpu", "cuda"]
RuntimeName = Literal["torch", "openvino"]
OwnInfiller = Any  # model.infiller.DenoisingInfiller, whose module imports PyTorch
YARN_SCALE = 4.0  # what Qwen's own settings for long contexts say


@dataclass(frozen=True, kw_only=True)
class LoadPlan:
    """How a model is to be loaded, with the options of `serve` that say so; None is the loader's choice."""

    device: Annotated[DeviceName | None, Option("where the model runs (default: a GPU if there is one)")] = None
    runtime: Annotated[RuntimeName | None, Option("what runs the model (default: the fastest installed)")] = None
    dtype: Annotated[
        Dtype | None, Option("number format of what is computed (default: bfloat16 where the machine is fast at it)")
    ] = None
    cache_mb: Annotated[
        int | None,
        Option("memory for contexts, in MiB (256, on a GPU more for long contexts)", metavar="N", least=0, most=2**20),
    ] = None
    context_tokens: Annotated[
        int | None,
        Option("of context and answer (default: what is read here in a second)", metavar="N", least=1, most=2**20),
    ] = None
    yarn: Annotated[bool, Option("read contexts four times as long as the model was trained on, on a GPU")] = False
    family: Annotated[str | None, Option("of a published diffusion model, where its folder does not say")] = None
    weights: Annotated[
        WeightFormat | None, Option("round a published diffusion model's weights to one byte a number")
    ] = None
    context_cache: Annotated[
        CacheKind | None, Option("of a published diffusion model: exact, where its attention allows (default), or none")
    ] = None

    def __post_init__(self) -> None:
        if self.runtime == "openvino" and self.device == "cuda":
            raise InputError("the runtime openvino is for the CPU: choose --runtime torch, or --device cpu")

    @property
    def is_for_published(self) -> bool:
        """Whether an option is set that only published diffusion checkpoints have."""
        return bool(self.family or self.weights or self.context_cache)


def load_model(model: Path | None, n_threads: int | None, *, plan: LoadPlan) -> Infiller[Any]:
    """The model that is named, or the best installed one that is fast enough here. Imports PyTorch.

    Raises CheckpointError, or InputError for options that do not suit the model and for a runtime that is missing.
    """
    from ...model.checkpoint.checkpoint_files import is_ours
    from ...model.gguf.cache import checkpoint_folder

    if model is None:
        return _best(n_threads, plan)
    folder = checkpoint_folder(model)
    if not is_ours(folder):
        return _published(folder, n_threads, plan)
    infiller = _ours(folder, n_threads, plan)
    infiller.choice = f"{infiller.name}: named with --model"
    if not infiller.config.canvases and plan.context_tokens is None:
        _timed(folder, infiller, n_threads, plan)
    return infiller


def _best(n_threads: int | None, plan: LoadPlan) -> Infiller[Any]:
    from ...model.choice.tiers import choose, installed_tiers

    chosen = choose(
        installed_tiers(),
        lambda folder: _ours(folder, n_threads, _suited(folder, plan)),
        lambda folder: _known(folder, n_threads, plan),
        lambda folder, infiller: _timed(folder, infiller, n_threads, plan),
    )
    chosen.model.choice = chosen.reason
    logger.info("model %s", chosen.reason)
    return chosen.model


def _suited(folder: Path, plan: LoadPlan) -> LoadPlan:
    """plan without what this model cannot do: it was not named, and may stand in for a better one."""
    from ...model.checkpoint.checkpoint_files import read_config

    _, shape = read_config(folder)
    if plan.context_tokens is not None and plan.context_tokens > shape.n_context and not plan.yarn:
        logger.warning("%s reads at most %d tokens of context", folder.name, shape.n_context)
        plan = replace(plan, context_tokens=shape.n_context)
    if plan.yarn and shape.canvases:
        logger.warning("--yarn is for published code models: %s reads contexts as it was trained to", folder.name)
        plan = _suited(folder, replace(plan, yarn=False))
    return plan


def _speed_key(folder: Path, n_threads: int | None, plan: LoadPlan) -> str:
    from ...model.checkpoint.checkpoint_files import WEIGHTS, read_config

    config, _ = read_config(folder)
    wanted = "-".join(filter(None, (plan.device or "any device", plan.runtime, plan.dtype)))
    return speed_key(str(config["sha256"][WEIGHTS]), package_version(), n_threads, wanted)


def _known(folder: Path, n_threads: int | None, plan: LoadPlan) -> ModelSpeed | None:
    """The measured speed of a model, None if it has to be measured (again)."""
    speed = known_speeds().get(_speed_key(folder, n_threads, plan))
    return None if speed is None or speed.is_due(time.time()) else speed


def _timed(folder: Path, infiller: OwnInfiller, n_threads: int | None, plan: LoadPlan) -> ModelSpeed:
    """The speed of a loaded model, measured now if it is not known. Sizes a body's contexts by it."""
    from ...model.choice.speed import measure_speed, window

    speed = _known(folder, n_threads, plan)
    if speed is None or speed.device != infiller.device.type:
        start_s = time.monotonic()
        speed = note_speed(_speed_key(folder, n_threads, plan), measure_speed(infiller))
        took_s = time.monotonic() - start_s
        logger.info("%s: %.0f ms a warm key, measured in %.1f s", infiller.name, speed.key_ms, took_s)
    if not infiller.config.canvases and plan.context_tokens is None:
        infiller.read_at_most(window(infiller.config, speed))
    return speed


def _ours(folder: Path, n_threads: int | None, plan: LoadPlan) -> OwnInfiller:
    """A checkpoint folder of ours: a denoiser, or a published body."""
    if plan.is_for_published:
        raise InputError("--family, --weights and --context-cache are for published models: leave them out")
    from ...model.runners.preload import HeadStartWork, has_openvino

    with _no_collections():
        head_start = None
        if plan.device != "cuda" and plan.runtime != "torch" and has_openvino():
            head_start = HeadStartWork(folder, plan.dtype, n_threads)
        import torch

        from ...model.completion.infiller import load_infiller

        infiller = load_infiller(
            folder,
            n_threads=n_threads,
            device=None if plan.device is None else torch.device(plan.device),
            runtime=plan.runtime,
            dtype=None if plan.dtype is None else getattr(torch, plan.dtype),
            cache_bytes=None if plan.cache_mb is None else plan.cache_mb * 2**20,
            head_start=head_start,
            rope_scale=YARN_SCALE if plan.yarn else 1.0,
        )
        if plan.context_tokens is not None:
            infiller.read_at_most(plan.context_tokens)
        return infiller


def _published(folder: Path, n_threads: int | None, plan: LoadPlan) -> Infiller[Any]:
    if plan.runtime == "openvino":
        raise InputError("published models run with PyTorch: leave --runtime out")
    if plan.yarn or plan.context_tokens is not None:
        raise InputError("published diffusion models read what they were taught: leave --context-tokens and --yarn out")
    with _no_collections():
        import torch

        from ...model.published.diffusion_gemma import is_diffusion_gemma, load_gemma
        from ...model.published.infiller import load_published

        device = None if plan.device is None else torch.device(plan.device)
        dtype = None if plan.dtype is None else getattr(torch, plan.dtype)
        if is_diffusion_gemma(folder):
            if plan.is_for_published:
                raise InputError(
                    "DiffusionGemma has no such options: leave --family, --weights and --context-cache out"
                )
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
    """No garbage collection within; what was made there is never collected: it lives as long as the engine.

    Importing PyTorch takes .83 s instead of .94, and later collections need not scan what it made.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
