"""Every kernel's time beside the least that its work allows, and beside its PyTorch reference.

The floor: what a call must read and write, each byte once, at the bandwidth of large copies, or its floating-point
operations at the rate of a large product, if that takes longer; both the best that this run saw. Where it is far below
a launch, about `commit`'s time, it says nothing.

Copies of the inputs take turns, so many that a GPU's L2 cache (or a CPU's last) has forgotten one when it comes again:
weights and contexts come from memory, except where `inputs_from` says cache. On a GPU a turn is a replay of a CUDA
graph of many calls, the reference's too, so that none waits for the host; `timer` says where capture failed. A kernel
far from its reference in float32 gets no time. Without a GPU the references are timed: they are what runs there.
"""

import math
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import cycle, islice
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import torch
from torch import Tensor

from ...fim.errors import InputError
from ...fim.terminal.options import Option
from ...kernels import canvas_attention, commit, head_stats, int8_matmul, jit, mixture_head, norm_rope
from ...model.cache.pages import N_PAGE
from ...model.config import DenoiserConfig
from ...training.run.recipes import RECIPES
from ..machine import percentile
from ..quality.plots import draw_kernels, show_kernels
from ..rows import DataRow
from ..runner import heading, write_result

KernelCall = Callable[[], object]

CONTEXTS = {"nano": (1024,), "base": (1024, 2048), "7b": (1024,)}  # tokens, for each size
BATCHES = (1, 8)
TURN_S, MOST_CALLS = 0.01, 500  # of one turn
N_CACHES, MOST_COPIES = 3, 256  # caches that the copies of a call's inputs fill, and the most copies
CPU_CACHE_BYTES = 32 * 2**20  # a desktop processor's; torch does not tell
LARGE = {"cpu": (2**25, 1024), "cuda": (2**27, 8192)}  # float32 numbers of a copy, width of a product
MOST_MISMATCHES = 0.01  # of ids: two may be equally good but for the order of a sum
QWEN_7B = DenoiserConfig(  # Qwen2.5-7B's shape, as far as kernels see it; diffusion models of others keep it
    vocab_size=152_064, n_layers=28, width=3584, n_heads=28, n_kv_heads=4, head_size=128, ffn_width=18_944,
    copy_size=128, n_context=1024, n_canvas=32,
)  # fmt: skip


def default_device() -> str:
    """cuda where kernels can run, else cpu."""
    return "cuda" if torch.cuda.is_available() and jit.has_triton() else "cpu"


def check_device(device: str) -> None:
    """Raises InputError for a GPU that cannot be used."""
    if device == "cuda" and default_device() != "cuda":
        raise InputError("--device cuda needs a GPU that torch can use, and Triton")


def default_dtype(device: str) -> str:
    """The name of the dtype that models are run with on a device."""
    return "bfloat16" if device == "cuda" else "float32"


@dataclass(frozen=True, kw_only=True)
class KernelsPlan:
    """Where, with models of which sizes, in what dtype, and how often."""

    device: Annotated[str, Option("(default: a GPU where there is one)", choices=("cpu", "cuda"))] = field(
        default_factory=default_device
    )
    chosen_sizes: Annotated[
        tuple[str, ...],
        Option(
            f"of {', '.join(CONTEXTS)} (default: all; 7b not on a CPU)",
            flag="--size",
            commas=True,
            choices=tuple(CONTEXTS),
        ),
    ] = ()
    chosen_dtype: Annotated[
        str | None, Option("(bfloat16; float32 on a CPU)", flag="--dtype", choices=("float32", "float16", "bfloat16"))
    ] = None
    n_rounds: Annotated[int, Option("each side's turns", least=1, most=1000)] = 20

    def __post_init__(self) -> None:
        check_device(self.device)

    @property
    def sizes(self) -> tuple[str, ...]:
        """Names of sizes: keys of CONTEXTS."""
        return self.chosen_sizes or tuple(size for size in CONTEXTS if self.device == "cuda" or size != "7b")

    @property
    def dtype(self) -> str:
        """The name of a torch dtype."""
        return self.chosen_dtype or default_dtype(self.device)


class KernelSetting(NamedTuple):
    """What a kernel is measured at: b canvases of a model's, each after its own context of t tokens; a dtype."""

    model: DenoiserConfig
    b: int
    t: int
    dtype: torch.dtype

    def normal(self, *sizes: int) -> Tensor:
        """Random numbers in dtype."""
        return torch.randn(sizes, dtype=self.dtype)


class KernelWork(NamedTuple):
    """A call's arguments; bytes that it must read or write; floating-point operations that it must do."""

    inputs: tuple[Any, ...]
    n_bytes: int
    flops: int


def attention_work(at: KernelSetting) -> KernelWork:
    """Bytes: queries and output, keys and values, page table, lengths. FLOPs: two products of every query and key."""
    h, k, e, n = at.model.n_heads, at.model.n_kv_heads, at.model.head_size, at.model.n_canvas
    n_pages = -(-at.t // N_PAGE)
    pages, own = at.normal(2, at.b * n_pages, k, N_PAGE, e), at.normal(2, at.b, k, n, e)
    table = torch.randperm(at.b * n_pages).view(at.b, n_pages).int()
    n_context, n_own = (torch.full((at.b,), length, dtype=torch.int32) for length in (at.t, n))
    inputs = at.normal(at.b, h, n, e), pages[0], pages[1], table, n_context, own[0], own[1], n_own
    n_bytes = at.dtype.itemsize * 2 * at.b * e * (h * n + k * (at.t + n)) + 4 * at.b * (n_pages + 2)
    return KernelWork(inputs, n_bytes, 4 * at.b * h * n * (at.t + n) * e)


def norm_rope_work(at: KernelSetting) -> KernelWork:
    """Bytes: raw, previous, output, parameters, rotations. FLOPs: 2 a number (shift), in queries and keys 7 more."""
    w, e, n, heads = at.model.qkv_width, at.model.head_size, at.model.n_canvas, (at.model.n_heads, at.model.n_kv_heads)
    turned = torch.rand(at.b, n, e // 2)
    parameters = at.normal(w), at.normal(e), at.normal(e)
    inputs = at.normal(at.b, n, w), at.normal(at.b, n, w), *parameters, turned.cos(), turned.sin(), *heads, 1e-6
    n_bytes = at.dtype.itemsize * (3 * at.b * n * w + w + 2 * e) + 4 * at.b * n * e
    return KernelWork(inputs, n_bytes, at.b * n * (2 * w + 7 * sum(heads) * e))


def head_work(at: KernelSetting) -> KernelWork:
    """Bytes: hidden, table, 1 an id, 20 a row of output. FLOPs: the product."""
    n, d, v = at.b * at.model.n_canvas, at.model.width, at.model.vocab_size
    inputs = at.normal(n, d), at.normal(v, d) / math.sqrt(d), torch.rand(v) < 0.1
    return KernelWork(inputs, at.dtype.itemsize * (n + v) * d + v + 20 * n, 2 * n * v * d)


def mixture_work(at: KernelSetting) -> KernelWork:
    """Bytes: as the head, 4 a weight, 8 a follower, 4 a gate, 16 a row of output. FLOPs: the product, 1 a weight."""
    (inputs, n_bytes, flops), n = head_work(at), at.b * at.model.n_canvas
    weights, followers = (3 * torch.randn(n, at.t)).softmax(-1), torch.randint(at.model.vocab_size, (at.b, at.t))
    n_more = 4 * n * at.t + 8 * at.b * at.t  # a gate more than the head, and a statistic less
    return KernelWork((*inputs, weights, followers, torch.randn(n)), n_bytes + n_more, flops + n * at.t)


def matmul_work(at: KernelSetting, name: str) -> KernelWork:
    """One of a layer's matrices. Bytes: rows in and out, weights, scales. FLOPs: the product."""
    n, d, model = at.b * at.model.n_canvas, at.model.width, at.model
    sizes = {"qkv": (d, model.qkv_width), "out": (model.n_heads * model.head_size, d)}
    width, r = (sizes | {"up": (d, 2 * model.ffn_width), "down": (model.ffn_width, d)})[name]
    weight, scale = torch.randint(-127, 128, (r, width), dtype=torch.int8), torch.rand(r) / 127 / math.sqrt(width)
    n_bytes = at.dtype.itemsize * n * (width + r) + r * width + 4 * r
    return KernelWork((at.normal(n, width), weight, scale), n_bytes, 2 * n * width * r)


def commit_work(at: KernelSetting) -> KernelWork:
    """Bytes: 25 in and 13 out a position, 4 a row. FLOPs: a logarithm a position."""
    size, mask, end = (at.b, at.model.n_canvas), at.model.vocab_size - 1, at.model.vocab_size - 2
    canvas = torch.randint(end, size).masked_fill(torch.rand(size) < 0.5, mask)
    tensors = canvas, -torch.rand(size), torch.randint(mask, size), torch.rand(size), torch.arange(mask + 1) == end
    return KernelWork((*tensors, mask, end, 0.9), 38 * canvas.numel() + 4 * at.b, canvas.numel())


KERNELS: Mapping[str, tuple[Any, Callable[[KernelSetting], KernelWork]]] = {
    "canvas_attention": (canvas_attention, attention_work),
    "mixture_head": (mixture_head, mixture_work),
    "head_stats": (head_stats, head_work),
    **{f"int8_matmul {name}": (int8_matmul, partial(matmul_work, name=name)) for name in ("qkv", "out", "up", "down")},
    "norm_rope": (norm_rope, norm_rope_work),
    "commit": (commit, commit_work),
}
WITH_CONTEXT = ("canvas_attention", "mixture_head")


def run_kernels(plan: KernelsPlan, json_file: Path | None, png_file: Path | None) -> int:
    """Measure, print tables, write JSON and a plot. Raises InputError without matplotlib."""
    device, dtype = torch.device(plan.device), getattr(torch, plan.dtype)
    ceilings = measure_ceilings(device, dtype, plan.n_rounds)
    models = {size: QWEN_7B if size == "7b" else RECIPES[size]().shape for size in plan.sizes}
    rows = [
        {"size": size} | measure(name, KernelSetting(model, b, t, dtype), device, ceilings, plan.n_rounds)
        for size, model in models.items()
        for name in KERNELS
        for t in CONTEXTS[size][: None if name in WITH_CONTEXT else 1]
        for b in BATCHES
    ]
    result = {
        **heading("kernels", ("triton",)),
        "device": torch.cuda.get_device_name() if device.type == "cuda" else f"CPU, threads: {torch.get_num_threads()}",
        "plan": {"device": plan.device, "sizes": plan.sizes, "dtype": plan.dtype, "n_rounds": plan.n_rounds},
        "models": {size: vars(model) for size, model in models.items()},
        "computed_by": "kernel" if device.type == "cuda" else "reference",
        "ceilings": ceilings,
        "rows": rows,
    }
    show_kernels(result)
    write_result(result, json_file)
    if png_file is not None:
        draw_kernels(result, png_file)
    return 0


def measure_ceilings(device: torch.device, dtype: torch.dtype, n_rounds: int) -> dict[str, float]:
    """The best of a copy, a triad (c = a + 2 b) and a sum of large arrays, of a product in dtype; bytes of cache."""
    n, width = LARGE[device.type]
    with device:
        a, b, c = torch.rand(3, n)
        x, y = torch.randn(2, width, width).to(dtype)
        z = torch.empty_like(x)
    calls: dict[str, tuple[int, KernelCall]] = {
        "copy_gb_per_s": (8 * n, lambda: c.copy_(a)),
        "triad_gb_per_s": (12 * n, lambda: torch.add(a, b, alpha=2, out=c)),
        "sum_gb_per_s": (4 * n, a.sum),
        "gflop_per_s": (2 * width**3, lambda: torch.mm(x, y, out=z)),
    }
    times = rounds([timer([call], device)[0] for _, call in calls.values()], n_rounds)
    seen = {name: round_to_four(calls[name][0] / min(own) / 1e9) for name, own in zip(calls, times, strict=True)}
    n_cache = torch.cuda.get_device_properties(device).L2_cache_size if device.type == "cuda" else CPU_CACHE_BYTES
    return seen | {"gb_per_s": max(list(seen.values())[:3]), "cache_bytes": n_cache}


def measure(
    name: str, at: KernelSetting, device: torch.device, ceilings: Mapping[str, float], n_rounds: int
) -> DataRow:
    """A kernel's row at one setting; whatever the kernel raises becomes the row's error."""
    kernel, work_of = KERNELS[name]
    row: DataRow = {"kernel": name, "n_batch": at.b, "n_context": at.t if name in WITH_CONTEXT else None}
    row |= dict.fromkeys(("n_bytes", "flops", "floor_us", "median_us", "p10_us", "p90_us", "share_of_floor"))
    row |= dict.fromkeys(("reference_us", "speedup", "max_error", "mismatches", "inputs_from", "timer", "error"))
    sides = [kernel.launch, kernel.reference] if device.type == "cuda" else [kernel.reference]
    try:
        with device:
            work = work_of(at)
        floor_us = max(work.n_bytes / ceilings["gb_per_s"], work.flops / ceilings["gflop_per_s"]) / 1000
        row |= {"n_bytes": work.n_bytes, "flops": work.flops, "floor_us": round_to_four(floor_us)}
        if len(sides) > 1:
            exact = [x.float() if isinstance(x, Tensor) and x.dtype == at.dtype else x for x in work.inputs]
            row |= check(sides[0](*work.inputs), sides[1](*exact), at.dtype)
        row |= time_sides(sides, work.inputs, device, ceilings["cache_bytes"], n_rounds)
        row["share_of_floor"] = round_to_four(floor_us / row["median_us"])
    except Exception as error:  # the compiler's, the driver's or ours: the other kernels can still be measured
        row["error"] = f"{type(error).__name__}: {error}".splitlines()[0][:200]
    return row


def check(got: Any, expected: Any, dtype: torch.dtype) -> DataRow:  # noqa: ANN401
    """The greatest error, as a share of the greatest number, and share of ids that differ; else ArithmeticError."""
    errors, mismatches = [0.0], [0.0]
    for a, b in zip(*(x if isinstance(x, tuple) else (x,) for x in (got, expected)), strict=True):
        if a.is_floating_point():
            errors.append(float((a.double() - b.double()).abs().max() / b.double().abs().max()))
        else:
            mismatches.append(float((a != b).double().mean()))
    most = max(1e-5, 4 * torch.finfo(dtype).eps)
    if not all(error <= most for error in errors) or max(mismatches) > MOST_MISMATCHES:  # also where one is nan
        raise ArithmeticError(f"errors {errors} (at most {most:.2g}), ids {mismatches} (at most {MOST_MISMATCHES})")
    return {"max_error": round_to_four(max(errors)), "mismatches": round_to_four(max(mismatches))}


def time_sides(sides: Sequence[Any], inputs: Sequence[Any], device: torch.device, n_cache: float, n: int) -> DataRow:
    """Medians of n turns taken in rounds: of the first side, with its deciles, and of the second if there is one."""
    n_bytes = sum(x.nbytes for x in inputs if isinstance(x, Tensor))
    n_copies = min(MOST_COPIES, math.ceil(N_CACHES * n_cache / n_bytes))
    copies = [[x.clone() if isinstance(x, Tensor) else x for x in inputs] for _ in range(n_copies)]
    timers, how = zip(*(timer([partial(side, *copy) for copy in copies], device) for side in sides), strict=True)
    own, *other = rounds(timers, n)
    row: DataRow = {f"p{share}_us": round_to_four(1e6 * percentile(own, share / 100)) for share in (10, 90)}
    row["median_us"] = round_to_four(1e6 * statistics.median(own))
    if other:
        row["reference_us"] = round_to_four(1e6 * statistics.median(other[0]))
        row["speedup"] = round_to_four(
            statistics.median(theirs / ours for theirs, ours in zip(other[0], own, strict=True))
        )
    row["inputs_from"] = "memory" if n_copies * n_bytes >= 2 * n_cache else "cache"
    return row | {"timer": ", ".join(dict.fromkeys(how))}


def rounds(timers: Sequence[Callable[[], float]], n: int) -> list[list[float]]:
    """The times of n turns of each, one after the other in every round, after a round that does not count."""
    return [list(times)[1:] for times in zip(*([turn() for turn in timers] for _ in range(n + 1)), strict=True)]


def timer(calls: Sequence[KernelCall], device: torch.device) -> tuple[Callable[[], float], str]:
    """What takes a turn of about TURN_S and gives seconds a call; how: loop, CUDA graph or CUDA events."""
    queue = cycle(calls)
    once_s = [by_clock(queue, 1, device) for _ in range(2)][1]
    n = max(1, min(MOST_CALLS, round(TURN_S / once_s)))
    if device.type == "cpu":
        return partial(by_clock, queue, n, device), "loop"
    several = [next(queue) for _ in range(max(n, len(calls)))]
    try:
        return partial(by_events, [capture(several)], len(several)), "CUDA graph"
    except RuntimeError:
        return partial(by_events, several, len(several)), "CUDA events"


def by_clock(queue: Iterator[KernelCall], n: int, device: torch.device) -> float:
    """Seconds a call, of the queue's next n, by the host's clock."""
    start_s = time.perf_counter()
    for call in islice(queue, n):
        call()
    if device.type == "cuda":
        torch.cuda.synchronize()
    return (time.perf_counter() - start_s) / n


def by_events(runs: Sequence[KernelCall], n: int) -> float:
    """Seconds a call, of the n in runs, by the GPU's clock; they run once before, so that it is busy until all wait."""
    start, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
    for run in (*runs, start.record, *runs, end.record, end.synchronize):
        run()
    return start.elapsed_time(end) / 1000 / n


def capture(calls: Sequence[KernelCall]) -> KernelCall:
    """Replays all calls as one CUDA graph. Raises RuntimeError if one cannot be captured."""
    stream, graph = torch.cuda.Stream(), torch.cuda.CUDAGraph()
    with torch.cuda.stream(stream):  # which also leads back to the stream before, where capture fails
        calls[0]()
        with torch.cuda.graph(graph, stream=stream):
            for call in calls:
                call()
    return graph.replay


def round_to_four(value: float) -> float:
    """To four digits."""
    return float(f"{value:.4g}")
