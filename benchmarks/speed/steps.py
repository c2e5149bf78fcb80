"""The time of one denoise step of whole models, beside the least that reading their weights takes.

Random weights in the shapes of published models, as far as our own denoiser has them (no biases, tied head, copy head):
what a step costs depends on sizes alone. A step reads every weight once, whatever the number of canvases; so its floor
is the bytes of the weights at the bandwidth of large copies. On a GPU steps are those of the engine's loop, captured in
a CUDA graph; elsewhere they are launched one by one.
"""

import gc
import statistics
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Annotated

import numpy as np
import torch

from ...fim.terminal.console import open_console
from ...fim.terminal.options import Option
from ...model.config import DenoiserConfig
from ...model.network.denoiser import Denoiser
from ...model.network.states import ContextStates
from ...model.requests import Context
from ...model.runners.batching import ModelRunner
from ...model.runners.graph_loop import Buffers, CanvasLoop, on_device
from ...model.special_tokens import Special
from ...model.tokenizers.canvas_tokens import CanvasTokens
from ...training.run.recipes import RECIPES
from ..machine import percentile
from ..rows import DataRow
from ..runner import heading, plain_table, write_result
from .kernels import (
    QWEN_7B,
    by_clock,
    by_events,
    capture,
    check_device,
    default_device,
    default_dtype,
    measure_ceilings,
    round_to_four,
)

SHAPES = {
    "nano": RECIPES["nano"]().shape,
    "base": RECIPES["base"]().shape,
    "0.5b": replace(QWEN_7B, vocab_size=151_936, n_layers=24, width=896, n_heads=14, n_kv_heads=2, head_size=64,
                    ffn_width=4864),
    "1.7b": replace(QWEN_7B, vocab_size=151_936, width=2048, n_heads=16, n_kv_heads=8, ffn_width=6144),
    "7b": QWEN_7B,
}  # fmt: skip
STEPS_IN_A_TURN = 4


@dataclass(frozen=True, kw_only=True)
class StepsPlan:
    """Where, with models of which shapes, in what dtype, and what a step is."""

    device: Annotated[str, Option("(default: a GPU where there is one)", choices=("cpu", "cuda"))] = field(
        default_factory=default_device
    )
    chosen_shapes: Annotated[
        tuple[str, ...],
        Option(
            f"of {', '.join(SHAPES)} (default: all; on a CPU nano,base)",
            flag="--shapes",
            commas=True,
            choices=tuple(SHAPES),
        ),
    ] = ()
    chosen_dtype: Annotated[
        str | None, Option("(bfloat16; float32 on a CPU)", flag="--dtype", choices=("float32", "float16", "bfloat16"))
    ] = None
    canvases: Annotated[tuple[int, ...], Option("how many at once, a row each", commas=True, least=1, most=64)] = (1, 4)
    n_context: Annotated[int, Option("tokens before the hole", least=2, most=32_768)] = 1024
    n_canvas: Annotated[int, Option("of a canvas", flag="--tokens", least=1, most=512)] = 32
    n_rounds: Annotated[int, Option("turns of each", least=1, most=1000)] = 20

    def __post_init__(self) -> None:
        check_device(self.device)

    @property
    def shapes(self) -> tuple[str, ...]:
        """Names of shapes: keys of SHAPES."""
        return self.chosen_shapes or (tuple(SHAPES) if self.device == "cuda" else ("nano", "base"))

    @property
    def dtype(self) -> str:
        """The name of a torch dtype."""
        return self.chosen_dtype or default_dtype(self.device)


def run_steps(plan: StepsPlan, json_file: Path | None) -> int:
    """Measure, print a table, write JSON."""
    device, dtype = torch.device(plan.device), getattr(torch, plan.dtype)
    ceilings = measure_ceilings(device, dtype, 5)
    rows: list[DataRow] = []
    for shape in plan.shapes:
        rows += measure(shape, SHAPES[shape], plan, ceilings["gb_per_s"])
        gc.collect()
        if device.type == "cuda":
            torch.cuda.empty_cache()
    result = {
        **heading("steps", ("triton",)),
        "device": torch.cuda.get_device_name() if device.type == "cuda" else f"CPU, threads: {torch.get_num_threads()}",
        "plan": {
            "device": plan.device,
            "shapes": plan.shapes,
            "dtype": plan.dtype,
            "canvases": plan.canvases,
            "n_context": plan.n_context,
            "n_canvas": plan.n_canvas,
            "n_rounds": plan.n_rounds,
        },
        "ceilings": ceilings,
        "rows": rows,
    }
    show(result)
    write_result(result, json_file)
    return 0


@torch.inference_mode()
def measure(name: str, shape: DenoiserConfig, plan: StepsPlan, gb_per_s: float) -> list[DataRow]:
    """A row for each number of canvases; what a shape raises becomes its row's error."""
    device, dtype = torch.device(plan.device), getattr(torch, plan.dtype)
    row: DataRow = {"shape": name}
    try:
        model = random_model(shape, device, dtype)
        n_bytes = sum(parameter.nbytes for parameter in model.parameters())
        row |= {"parameters": sum(parameter.numel() for parameter in model.parameters()), "weight_bytes": n_bytes}
        row["floor_ms"] = round_to_four(n_bytes / gb_per_s / 1e6)
        buffers = Buffers(model, max(plan.canvases), plan.n_context)
        context = np.random.default_rng(0).integers(1000, size=(1, plan.n_context))
        (states,) = ModelRunner(model)([Context(context, None)])
        assert isinstance(states, ContextStates)
        for i in range(max(plan.canvases)):
            buffers.load(i, states)
        return [row | {"canvases": n} | time_step(model, buffers, plan, n, row["floor_ms"]) for n in plan.canvases]
    except Exception as error:  # of memory, of a compiler: other shapes go on
        return [row | {"error": f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"}]


def time_step(model: Denoiser, buffers: Buffers, plan: StepsPlan, n: int, floor_ms: float) -> DataRow:
    """Milliseconds of a step over n canvases that begin all masked: median and deciles of the plan's turns."""
    device = torch.device(plan.device)
    tokens = rules(model)
    loop = CanvasLoop(model, buffers, on_device(tokens, device), 1.0, n, plan.n_canvas)
    loop.begin()
    for row in range(n):
        loop.load(row, np.full(plan.n_canvas, tokens.mask))
    run = partial(loop.run, STEPS_IN_A_TURN, is_end=False)
    if device.type == "cuda":
        run()  # kernels compile
        replay, how = capture([run]), "CUDA graph"
        turns = [by_events([replay], STEPS_IN_A_TURN) for _ in range(plan.n_rounds + 1)][1:]
    else:
        how = "loop"
        turns = [by_clock(iter([run]), 1, device) / STEPS_IN_A_TURN for _ in range(plan.n_rounds + 1)][1:]
    median_ms = 1e3 * statistics.median(turns)
    return {
        "median_ms": round_to_four(median_ms),
        "p10_ms": round_to_four(1e3 * percentile(turns, 0.1)),
        "p90_ms": round_to_four(1e3 * percentile(turns, 0.9)),
        "of_floor": round_to_four(floor_ms / median_ms),
        "timer": how,
    }


def random_model(shape: DenoiserConfig, device: torch.device, dtype: torch.dtype) -> Denoiser:
    """A denoiser of random weights, made where it will stay: 7B need not pass through the host's memory."""
    with torch.device("meta"):
        model = Denoiser(shape)
    model = model.to(dtype).to_empty(device=device)
    for parameter in model.parameters():
        parameter.normal_(std=0.02)
    return model.eval()


def rules(model: Denoiser) -> CanvasTokens:
    """Any id may stand on a canvas but the special ones; one of them ends it."""
    mask, end = model.config.special(Special.MASK), model.config.special(Special.EOM)
    ids = np.arange(model.config.vocab_size)
    nothing = np.zeros_like(ids, dtype=np.bool_)
    forbidden = (ids >= model.config.vocab_size - len(Special)) & (ids != end)
    return CanvasTokens(mask=mask, end=end, forbidden=forbidden, stops=ids == end, may_end_before=nothing)


def show(result: DataRow) -> None:
    """Print a line for each shape and number of canvases."""
    plan, ceilings = result["plan"], result["ceilings"]
    title = (
        f"quicksilver bench steps: {plan['dtype']}, {plan['n_canvas']} masked tokens after {plan['n_context']:,}, "
        f"{result['device']}, {ceilings['gb_per_s']:,.0f} GB/s"
    )
    table = plain_table(title)
    for column in ("shape", "parameters", "canvases", "step ms", "p10", "p90", "floor ms", "floor / step"):
        table.add_column(column, justify="left" if column == "shape" else "right")
    for row in result["rows"]:
        if "error" in row:
            table.add_row(row["shape"], *[""] * 6, row["error"])
            continue
        numbers = (row["median_ms"], row["p10_ms"], row["p90_ms"], row["floor_ms"])
        table.add_row(
            row["shape"], f"{row['parameters'] / 1e6:,.0f}M", str(row["canvases"]), *map(str, numbers),
            f"{row['of_floor']:.0%}",
        )  # fmt: skip
    open_console().print(table)
