"""What runs the denoiser: PyTorch anywhere, or OpenVINO on a CPU; and in which number format.

Both answer the same asks (`forwards.Runner`) with the same numbers, up to rounding.
"""

import importlib.util
import time
from typing import Literal

import torch

from ..fim.errors import InputError
from .denoiser import Denoiser
from .forwards import ModelRunner, Runner

Runtime = Literal["torch", "openvino"]


def fastest_device() -> torch.device:
    """The GPU where PyTorch has one, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def fastest_runtime(device: torch.device | None = None) -> Runtime:
    """PyTorch on a GPU; on the CPU OpenVINO, where it is installed (decision 13)."""
    on_cpu = device is None or device.type == "cpu"
    return "openvino" if on_cpu and importlib.util.find_spec("openvino") else "torch"


def runner_of(model: Denoiser, dtype: torch.dtype, runtime: Runtime, n_threads: int) -> Runner:
    """A runner for a float32 model, which it may convert in place, on the device that the model is on.

    n_threads are the runtime's; beside OpenVINO PyTorch gets one, as two pools of threads on the same cores wait for
    one another. Raises InputError without that runtime, or where it does not run on the model's device.
    """
    if runtime == "torch":
        torch.set_num_threads(n_threads)
        return ModelRunner(model.to(dtype))
    if model.embedding.weight.device.type != "cpu":
        raise InputError("the runtime openvino is for the CPU: choose torch, or the device cpu")
    try:
        from .openvino_runner import OpenVinoRunner
    except ImportError as error:
        raise InputError(f"OpenVINO cannot be loaded ({error}): pip install openvino, or the runtime torch") from error
    torch.set_num_threads(1)
    return OpenVinoRunner(model, dtype, n_threads)


def best_dtype(device: torch.device, runtime: Runtime) -> torch.dtype:
    """bfloat16 on a GPU and wherever the CPU has instructions for it, else float32."""
    if device.type != "cpu":
        return torch.bfloat16
    if runtime == "torch":
        return faster_dtype()
    import openvino as ov

    knows_bfloat16 = "BF16" in ov.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    return torch.bfloat16 if knows_bfloat16 else torch.float32


def faster_dtype(n_rounds: int = 9) -> torch.dtype:
    """bfloat16 or float32, whichever multiplies a canvas by a layer faster on this CPU; takes a few milliseconds.

    CPUs without bfloat16 instructions emulate them several times slower. With them a canvas step of nano took 9 ms
    instead of 18 (two cores of an AMD EPYC with AVX-512 BF16, 2026-11-21).
    """
    best_s: dict[torch.dtype, float] = {}
    for dtype in (torch.float32, torch.bfloat16):
        canvas, layer = torch.ones(32, 256, dtype=dtype), torch.ones(1408, 256, dtype=dtype)
        times_s = []
        for _ in range(n_rounds):
            start_s = time.perf_counter()
            torch.nn.functional.linear(canvas, layer)
            times_s.append(time.perf_counter() - start_s)
        best_s[dtype] = min(times_s)
    return min(best_s, key=lambda dtype: best_s[dtype])
