"""Loading a checkpoint of ours, or a published body, so that it fills holes, on the runtime that is fastest here."""

import logging
from dataclasses import replace
from pathlib import Path

from ..fim.errors import InputError
from ..fim.models.formats import Dtype, Runtime
from .checkpoint.checkpoint import Checkpoint, load
from .checkpoint.checkpoint_files import embedded_checkpoint
from .completion.infiller import DenoisingInfiller
from .openvino.load import load_openvino
from .runners.select import CPU_ONLY, NO_TORCH, fastest_runtime, has_torch, may_have_gpu

logger = logging.getLogger(__name__)

NO_STRETCH = "contexts can be stretched for published code models on a GPU only: leave --yarn out"


def load_infiller(
    checkpoint: Path | None = None,
    *,
    n_threads: int | None = None,
    device: str | None = None,
    runtime: Runtime | None = None,
    dtype: Dtype | None = None,
    cache_bytes: int | None = None,
    rope_scale: float = 1.0,
) -> DenoisingInfiller:
    """Load a checkpoint folder, or the embedded model; device, runtime and dtype None are the fastest there are.

    rope_scale: how much longer contexts a body reads on a GPU than it was trained on (`DenoiserConfig`). A GPU without
    room for the model is left alone, and the CPU taken, unless device names it. Raises CheckpointError, or InputError
    for bad threads, a device that is not there or has no room, or a runtime that is not installed or is not for that
    device.
    """
    if n_threads is not None and n_threads < 1:
        raise InputError(f"threads must be at least 1, not {n_threads}")
    if runtime == "openvino" and device not in (None, "cpu"):
        raise InputError(CPU_ONLY)
    wants_torch = runtime == "torch" or device not in (None, "cpu")
    if wants_torch and not has_torch():
        raise InputError(NO_TORCH)
    loaded = load(checkpoint or embedded_checkpoint())
    if wants_torch or (runtime is None and device is None and may_have_gpu()):
        found = _with_torch(loaded, device, n_threads, dtype, cache_bytes, rope_scale, is_wanted=wants_torch)
        if found is not None:
            return found
    if rope_scale != 1:
        raise InputError(NO_STRETCH)
    if runtime is None and fastest_runtime() == "torch":
        return infiller_of(loaded, "torch", dtype, n_threads, cache_bytes)
    try:
        return infiller_of(loaded, "openvino", dtype, n_threads, cache_bytes)
    except Exception as error:  # installed, but of no use here
        if runtime is not None or not has_torch():
            raise
        logger.warning("OpenVINO cannot run the model (%s): PyTorch does", type(error).__name__)
        return infiller_of(loaded, "torch", dtype, n_threads, cache_bytes)


def infiller_of(
    checkpoint: Checkpoint,
    runtime: Runtime = "torch",
    dtype: Dtype | None = "float32",
    n_threads: int | None = None,
    cache_bytes: int | None = None,
) -> DenoisingInfiller:
    """A loaded checkpoint that fills holes on the CPU. Raises InputError where the runtime cannot be loaded."""
    if runtime == "torch":
        from .runners.torch_load import load_torch

        return DenoisingInfiller(
            checkpoint, load_torch(checkpoint.model, dtype, n_threads, checkpoint.head), cache_bytes
        )
    run = load_openvino(checkpoint.config, checkpoint.weights, dtype, n_threads, checkpoint.head)
    checkpoint.give_pages_back()
    return DenoisingInfiller(checkpoint, run, cache_bytes)


def _with_torch(
    loaded: Checkpoint,
    device: str | None,
    n_threads: int | None,
    dtype: Dtype | None,
    cache_bytes: int | None,
    rope_scale: float,
    *,
    is_wanted: bool,
) -> DenoisingInfiller | None:
    """The model with PyTorch, on the device or, without one, on the fastest; None: that is the CPU, and PyTorch is not
    wanted there."""
    from .runners import torch_load

    place = device or torch_load.fastest_device()
    if place == "cpu" and not is_wanted:
        return None
    if rope_scale != 1:
        if loaded.config.canvases or place == "cpu":
            raise InputError(NO_STRETCH)
        loaded = replace(loaded, config=replace(loaded.config, rope_scale=rope_scale))
    torch_load.move(loaded.model, device)

    def made(*, kernels: bool) -> DenoisingInfiller:
        run = torch_load.load_torch(loaded.model, dtype, n_threads, loaded.head, kernels=kernels)
        return DenoisingInfiller(loaded, run, cache_bytes)

    infiller = made(kernels=True)
    if infiller.loaded.is_on_cpu and not is_wanted:
        return None
    if not infiller.loaded.fills_whole:
        return infiller
    try:
        infiller.rehearse()
    except Exception as error:  # whatever Triton or CUDA graphs have to say: there is another way
        logger.warning("kernels do not run on this GPU (%s: %s): PyTorch alone does", type(error).__name__, error)
        return made(kernels=False)
    return infiller
