"""A model loaded with OpenVINO. Nothing here loads PyTorch."""

from collections.abc import Mapping
from typing import Literal

import numpy as np
from threadpoolctl import threadpool_limits

from ...fim.errors import InputError
from ...fim.models.formats import Dtype
from ..checkpoint.checkpoint_files import Int8Matrix, Weights, quantise
from ..checkpoint.head_file import StoredHead
from ..config import DenoiserConfig
from ..requests import Context
from ..runners.loaded_runner import LoadedRunner
from .copy_head import NumpyCopyHead, NumpyKeptStates, NumpyNoCopies

STATES_TYPES: Mapping[Dtype, Literal["f32", "bf16"]] = {"float32": "f32", "bfloat16": "bf16"}


def load_openvino(
    config: DenoiserConfig,
    weights: Weights,
    dtype: Dtype | None = None,
    n_threads: int | None = None,
    head: StoredHead | None = None,
) -> LoadedRunner:
    """A model ready to be run on the CPU. dtype None: bfloat16 where the CPU has instructions for it; n_threads None:
    what OpenVINO finds right; head: a body's denoising head, if it has one.

    NumPy gets one thread beside it, as two pools of threads on the same cores wait for one another. Raises InputError
    where OpenVINO cannot be loaded.
    """
    try:
        from .compile import compile_graph, fastest_type
        from .runner import OpenVinoRunner
    except Exception as error:  # it is not there, or what is there is broken
        raise InputError(f"OpenVINO cannot be loaded ({error}): pip install openvino, or the runtime torch") from error

    threadpool_limits(1, "blas")
    states_type = fastest_type() if dtype is None else STATES_TYPES[dtype]
    compiled = compile_graph(config, weights, states_type, n_threads)
    drafter, copy_head = None, NumpyCopyHead(config, weights) if config.copies else NumpyNoCopies()
    if head is not None:
        from .head import OpenVinoHead

        embedding = weights["embedding.weight"]
        embedding = embedding if isinstance(embedding, Int8Matrix) else quantise(embedding)
        drafter = OpenVinoHead(head, embedding, states_type, compiled.n_threads)
        copy_head = NumpyKeptStates()
    run = OpenVinoRunner(config, copy_head, compiled, drafter)
    run([Context(np.array([[0]]), None)])  # packs the weights, for coder .5 GB; else a person waits
    return LoadedRunner(
        run=run,
        runtime="openvino",
        device="cpu",
        dtype="bfloat16" if states_type == "bf16" else "float32",
        n_threads=compiled.n_threads,
    )
