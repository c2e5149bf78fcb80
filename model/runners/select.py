"""What runs the denoiser: PyTorch anywhere, or OpenVINO on a CPU; and in which number format.

Both answer the same asks (`batching.Runner`) with the same numbers, up to rounding.
"""

import importlib
import time
from types import ModuleType
from typing import TYPE_CHECKING, Literal

import torch

from ...fim.errors import InputError
from ...kernels.jit import has_triton
from ..checkpoint.checkpoint import copy_head_of, weights_of
from ..checkpoint.checkpoint_files import Int8Matrix, Weights, quantise
from ..checkpoint.head_file import StoredHead
from ..config import DenoiserConfig
from ..network.denoiser import Denoiser
from .batching import ModelRunner, Runner
from .cuda_graphs import GpuRunner
from .drafting import KeptStates, ModelDrafter
from .preload import has_openvino

if TYPE_CHECKING:
    from .openvino_compile import CompiledGraph

Runtime = Literal["torch", "openvino"]
CPU_ONLY = "the runtime openvino is for the CPU: choose torch, or the device cpu"


def fastest_device() -> torch.device:
    """The GPU where PyTorch has one, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def fastest_runtime(device: torch.device | None = None) -> Runtime:
    """PyTorch on a GPU; on the CPU OpenVINO, where it is installed (decision 13)."""
    on_cpu = device is None or device.type == "cpu"
    return "openvino" if on_cpu and has_openvino() else "torch"


def runner_of(
    model: Denoiser, dtype: torch.dtype, runtime: Runtime, n_threads: int, head: StoredHead | None = None
) -> Runner:
    """A runner for a float32 model and its head, which it may convert in place, on the device that the model is on.

    Raises InputError without that runtime, or where it does not run on the model's device.
    """
    if runtime == "torch":
        torch.set_num_threads(n_threads)
        model = model.to(dtype)
        on_gpu = model.embedding.weight.is_cuda and has_triton() and model.config.canvases
        if head is not None:
            model.copy_head = KeptStates(model.config, dtype)
            return ModelRunner(model, ModelDrafter(head, model.embedding.weight.detach()))
        return GpuRunner(model) if on_gpu else ModelRunner(model)
    if model.embedding.weight.device.type != "cpu":
        raise InputError(CPU_ONLY)
    return openvino_runner(model.config, weights_of(model), dtype, n_threads, head=head)[0]


def openvino_runner(
    config: DenoiserConfig,
    weights: Weights,
    dtype: torch.dtype,
    n_threads: int | None,
    graph: "CompiledGraph | None" = None,
    head: StoredHead | None = None,
) -> tuple[Runner, int]:
    """A runner on the CPU, and the number of its threads; graph: that of these weights, where it is compiled; head:
    that of the model, if it has one.

    PyTorch gets one thread beside it, as two pools of threads on the same cores wait for one another. Raises InputError
    without OpenVINO.
    """
    module = _openvino()
    from .openvino_runner import DTYPES, OpenVinoRunner

    if graph is not None and DTYPES[graph.states_type] == dtype:
        compiled = graph
    else:
        states_type = "bf16" if dtype == torch.bfloat16 else "f32"
        compiled: CompiledGraph = module.compile_graph(config, weights, states_type, n_threads)
    torch.set_num_threads(1)
    if head is None:
        return OpenVinoRunner(config, copy_head_of(config, weights), compiled), compiled.n_threads
    from .openvino_head import OpenVinoHead

    embedding = weights["embedding.weight"]
    embedding = embedding if isinstance(embedding, Int8Matrix) else quantise(embedding)
    drafter = OpenVinoHead(head, embedding, compiled.states_type, compiled.n_threads)
    return OpenVinoRunner(config, KeptStates(config, dtype), compiled, drafter), compiled.n_threads


def best_dtype(device: torch.device, runtime: Runtime) -> torch.dtype:
    """bfloat16 on a GPU and wherever the CPU has instructions for it, else float32."""
    if device.type != "cpu":
        return torch.bfloat16
    if runtime == "torch":
        return faster_dtype()
    return torch.bfloat16 if _openvino().fastest_type() == "bf16" else torch.float32


def _openvino() -> ModuleType:
    """Our module that imports OpenVINO. Raises InputError where it cannot."""
    try:
        return importlib.import_module(".openvino_compile", __package__)
    except Exception as error:  # it is not there, or what is there is broken
        raise InputError(f"OpenVINO cannot be loaded ({error}): pip install openvino, or the runtime torch") from error


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
