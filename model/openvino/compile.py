"""Compiling a denoiser's graph with OpenVINO, without PyTorch: it can begin while that is being imported."""

import os
from dataclasses import dataclass
from typing import Literal

import openvino as ov

from ..checkpoint.checkpoint_files import Weights
from ..config import DenoiserConfig
from .graph import denoiser_graph

GROUP = 64  # values that share a scale where activations are rounded to int8
StatesType = Literal["f32", "bf16"]


@dataclass(frozen=True)
class CompiledGraph:
    """The graph that answers every ask, with states of states_type; ready to be run."""

    request: ov.InferRequest
    states_type: StatesType
    n_threads: int


def fastest_type() -> StatesType:
    """bf16 where the CPU has instructions for it."""
    return "bf16" if "BF16" in ov.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES") else "f32"


def compile_model(graph: ov.Model, states_type: StatesType, n_threads: int | None) -> ov.CompiledModel:
    """A graph compiled to be run one call after the other. n_threads None: what OMP_NUM_THREADS says, or as many as
    OpenVINO finds right."""
    said = os.environ.get("OMP_NUM_THREADS", "")
    if n_threads is None and said.isdecimal() and int(said):
        n_threads = int(said)
    settings: dict[str, str | int] = {
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_PRECISION_HINT": states_type,
        "DYNAMIC_QUANTIZATION_GROUP_SIZE": GROUP,
    }
    if n_threads is not None:
        settings["INFERENCE_NUM_THREADS"] = n_threads
    return ov.Core().compile_model(graph, "CPU", settings)


def compile_graph(
    config: DenoiserConfig, weights: Weights, states_type: StatesType, n_threads: int | None
) -> CompiledGraph:
    """The compiled graph of a denoiser. n_threads as for `compile_model`."""
    graph = compile_model(
        denoiser_graph(config, weights, states_type=getattr(ov.Type, states_type)), states_type, n_threads
    )
    n_taken = int(graph.get_property("INFERENCE_NUM_THREADS"))
    return CompiledGraph(graph.create_infer_request(), states_type, n_taken)
