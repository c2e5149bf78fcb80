"""A model loaded with PyTorch, on any device."""

import logging
import time

import torch

from ...fim.errors import InputError
from ...fim.models.formats import Dtype
from ...kernels.jit import has_triton
from ..checkpoint.head_file import StoredHead
from ..network.denoiser import Denoiser
from ..out_of_memory import is_out_of_memory
from .batching import ModelRunner
from .cuda_graphs import GpuRunner
from .loaded_runner import LoadedRunner, rehearse_nothing
from .model_drafter import KeptStates, ModelDrafter

logger = logging.getLogger(__name__)

N_THREADS = torch.get_num_threads()  # of a process that was told nothing else


def fastest_device() -> str:
    """The GPU where PyTorch has one, else the CPU."""
    return "cuda" if torch.cuda.is_available() else "cpu"


def load_torch(
    model: Denoiser,
    dtype: Dtype | None = None,
    n_threads: int | None = None,
    head: StoredHead | None = None,
    *,
    kernels: bool = True,
) -> LoadedRunner:
    """A float32 model and its head, which may be converted in place, ready to be run on the device that it is on.

    dtype None is the fastest there, n_threads None as many as PyTorch finds right. kernels: whether a GPU runs ours.
    """
    device = model.embedding.weight.device
    number_format = dtype or (faster_dtype() if device.type == "cpu" else "bfloat16")
    torch.set_num_threads(n_threads or N_THREADS)
    model = model.to(getattr(torch, number_format))
    on_kernels = kernels and device.type == "cuda" and has_triton() and model.config.canvases
    if head is not None:
        model.copy_head = KeptStates(model.config, getattr(torch, number_format))
        run = ModelRunner(model, ModelDrafter(head, model.embedding.weight.detach()))
    else:
        run = GpuRunner(model) if on_kernels else ModelRunner(model)
    return LoadedRunner(
        run=run,
        runtime="torch",
        device=str(device),
        dtype=number_format,
        n_threads=n_threads or N_THREADS,
        fills_whole=isinstance(run, GpuRunner),
        rehearse=run.rehearse if isinstance(run, GpuRunner) else rehearse_nothing,
        free=_free,
    )


def _free() -> None:
    if torch.cuda.is_initialized():
        torch.cuda.empty_cache()


def move(model: torch.nn.Module, device: str | None) -> None:
    """Move model to a device; None: to the GPU, or to the CPU where there is none that has room for it.

    Raises InputError where the device is named and of no use.
    """
    wanted = device or fastest_device()
    try:
        model.to(wanted)
    except (RuntimeError, AssertionError) as error:  # PyTorch without CUDA asserts
        if device is not None:
            reason = "it has no room for the model" if is_out_of_memory(error) else "PyTorch cannot use it"
            raise InputError(f"the device {wanted} is of no use: {reason}") from error
        logger.warning("the model does not go to %s (%s): the CPU is taken", wanted, type(error).__name__)
        model.to("cpu")


def faster_dtype(n_rounds: int = 9) -> Dtype:
    """bfloat16 or float32, whichever multiplies a canvas by a layer faster on this CPU; takes a few milliseconds.

    CPUs without bfloat16 instructions emulate them several times slower. With them a canvas step of nano took 9 ms
    instead of 18 (two cores of an AMD EPYC with AVX-512 BF16, 2026-11-21).
    """
    best_s: dict[Dtype, float] = {}
    for name in ("float32", "bfloat16"):
        dtype = getattr(torch, name)
        canvas, layer = torch.ones(32, 256, dtype=dtype), torch.ones(1408, 256, dtype=dtype)
        times_s = []
        for _ in range(n_rounds):
            start_s = time.perf_counter()
            torch.nn.functional.linear(canvas, layer)
            times_s.append(time.perf_counter() - start_s)
        best_s[name] = min(times_s)
    return min(best_s, key=lambda name: best_s[name])
