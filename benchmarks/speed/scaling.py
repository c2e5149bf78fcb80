"""How the cost of a completion grows with its context and with its canvas.

Random weights of one of our shapes, with the runner that the engine would take. Every length of context is reached from
the shorter one, in chunks, as an engine would read it. Exponents are the slopes of straight lines through the
logarithms of lengths and medians: 0 is free, 1 in proportion.
"""

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np

from ...fim.models.formats import Runtime
from ...fim.terminal.console import open_console
from ...fim.terminal.options import Option
from ...model.cache.context_cache import ContextCache
from ...model.requests import Rows
from ...model.runners.drive import Runner, drive
from ...model.runners.select import fastest_runtime
from ...training.run.recipes import RECIPES
from ..quality.plots import new_figure
from ..runner import heading, plain_table, write_result
from .shapes import random_runner

N_IDS_USED = 1000
MAX_BYTES = 4 * 2**30  # of cached contexts; taken as they are used


@dataclass(frozen=True, kw_only=True)
class ScalingPlan:
    """Which lengths are measured, how, and how often."""

    shape: Annotated[str, Option("layers and widths", choices=("nano", "base"))] = "nano"
    contexts: Annotated[tuple[int, ...], Option("lengths in tokens", commas=True, least=1, most=2**20)] = (
        1024,
        2048,
        4096,
        8192,
        16384,
        32768,
    )
    canvases: Annotated[tuple[int, ...], Option("lengths in tokens", commas=True, least=1, most=4096)] = (
        8,
        16,
        32,
        64,
        128,
    )
    n_rounds: Annotated[int, Option("how often each forward is timed", least=1, most=1000)] = 7
    n_threads: Annotated[int, Option("of the runtime", least=1, most=256)] = 2
    runtime: Annotated[Runtime | None, Option("what runs it (default: the fastest)")] = None


def run_scaling(plan: ScalingPlan, json_file: Path | None, png_file: Path | None) -> int:
    """Measure, print tables, write JSON and a plot. Raises InputError."""
    runtime = plan.runtime or fastest_runtime()
    shape = replace(RECIPES[plan.shape]().shape, n_context=max(plan.contexts) + max(plan.canvases))
    run = random_runner(shape, runtime, plan.n_threads).run
    by_context = measure_contexts(run, plan)
    by_canvas = measure_canvases(run, plan)
    result = {
        **heading("scaling"),
        "plan": vars(plan) | {"runtime": runtime},
        "by_context": by_context,
        "by_canvas": by_canvas,
        "exponents": {
            "context": {name: exponent(by_context, "tokens", name) for name in ("whole_ms", "key_ms", "step_ms")},
            "canvas": {"step_ms": exponent(by_canvas, "tokens", "step_ms")},
        },
    }
    _print(result)
    write_result(result, json_file)
    if png_file is not None:
        draw(result, png_file)
    return 0


def measure_contexts(run: Runner, plan: ScalingPlan) -> list[dict[str, float]]:
    """For each length of context: reading it all, one more key (cache and all), one step of a canvas of 32."""
    rows: list[dict[str, float]] = []
    cache, text, whole_s = ContextCache(MAX_BYTES), [], 0.0
    for n in sorted(plan.contexts):
        text = text + ids(n - len(text))[0].tolist()
        start_s = time.perf_counter()
        states, _ = drive(run, cache.states(text))
        whole_s += time.perf_counter() - start_s
        keys = iter(range(N_IDS_USED))
        rows.append(
            {
                "tokens": n,
                "whole_ms": round(1000 * whole_s, 1),
                "key_ms": median_ms(lambda t=text, k=keys: drive(run, cache.states([*t, next(k)])), plan.n_rounds),
                "step_ms": median_ms(lambda s=states: run([Rows(ids(32), s)]), plan.n_rounds),
            }
        )
    return rows


def measure_canvases(run: Runner, plan: ScalingPlan) -> list[dict[str, float]]:
    """For each length of canvas: one step after the shortest context."""
    states, _ = drive(run, ContextCache().states(ids(min(plan.contexts))[0].tolist()))
    return [
        {"tokens": n, "step_ms": median_ms(lambda n=n: run([Rows(ids(n), states)]), plan.n_rounds)}
        for n in sorted(plan.canvases)
    ]


def ids(n: int) -> np.ndarray:
    """Random tokens [1, n]."""
    return np.random.default_rng(n).integers(1, N_IDS_USED, (1, n))


def median_ms(forward: Callable[[], object], n_rounds: int) -> float:
    """The median time of a forward, after one that does not count."""
    forward()
    times_ms = []
    for _ in range(n_rounds):
        start_s = time.perf_counter()
        forward()
        times_ms.append(1000 * (time.perf_counter() - start_s))
    return round(statistics.median(times_ms), 2)


def exponent(rows: Sequence[Mapping[str, float]], x: str, y: str) -> float | None:
    """The slope of log y over log x; None for fewer than two rows."""
    if len(rows) < 2:
        return None
    slope = np.polyfit([np.log(row[x]) for row in rows], [np.log(row[y]) for row in rows], 1)[0]
    return round(float(slope), 2)


def draw(result: Mapping[str, Any], path: Path) -> None:
    """Both tables as PNG. Raises InputError without matplotlib."""
    figure = new_figure(9, 3.6)
    left, right = figure.subplots(1, 2)
    rows, exponents = result["by_context"], result["exponents"]
    names = {"whole_ms": "whole context", "key_ms": "one more token", "step_ms": "step of 32"}
    for (name, label), colour in zip(names.items(), ("#D55E00", "#0072B2", "#009E73"), strict=True):
        label = f"{label} (exponent {exponents['context'][name]})"
        left.plot([r["tokens"] for r in rows], [r[name] for r in rows], marker="o", label=label, color=colour)
    rows = result["by_canvas"]
    label = f"step (exponent {exponents['canvas']['step_ms']})"
    right.plot([r["tokens"] for r in rows], [r["step_ms"] for r in rows], marker="o", label=label, color="#009E73")
    for axes, what in ((left, "context tokens"), (right, "canvas tokens")):
        axes.set(xscale="log", yscale="log", xlabel=what, ylabel="ms")
        axes.grid(alpha=0.25)
        axes.legend(fontsize=8)
    figure.suptitle(f"{result['plan']['shape']} shape, random weights, {result['plan']['runtime']}")
    figure.savefig(path, dpi=130)


def _print(result: Mapping[str, Any]) -> None:
    console = open_console()
    for name, title in (("by_context", "by context"), ("by_canvas", "by canvas")):
        heading = f"quicksilver bench scaling, {title}"
        table = plain_table(heading)
        for column in result[name][0]:
            table.add_column(column, justify="right")
        for row in result[name]:
            table.add_row(*(f"{value:,}" for value in row.values()))
        console.print(table)
    console.print("exponents:", result["exponents"])
