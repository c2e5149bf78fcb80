"""Time to a completion against autoregressive models of the same shape and uncached diffusion.

Random weights on all sides, on one machine, in one run: in each round every side completes the same context, so that
other load on the machine affects all alike. Cold: nothing is cached. Warm: all of the context but its last token is, as
after a keystroke. Ratios are medians of ratios within a round.
"""

import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch

from ...fim.terminal.console import open_console
from ...fim.terminal.options import Option
from ...model.runners.select import fastest_runtime
from ...training.run.recipes import RECIPES
from ..runner import heading, plain_table, write_result
from .shapes import random_runner
from .sides import N_IDS_USED, Peer, all_sides

PACKAGES = ("torch", "transformers", "llama-cpp-python")


@dataclass(frozen=True, kw_only=True)
class PeersPlan:
    """What is compared, and how often."""

    shape: Annotated[str, Option("layers and widths", choices=("nano", "base"))] = "base"
    n_context: Annotated[int, Option("tokens before the hole", least=16, most=32_768)] = 1024
    n_tokens: Annotated[tuple[int, ...], Option("completion lengths", commas=True, least=1, most=1024)] = (16, 32, 64)
    steps: Annotated[tuple[int, ...], Option("of ours, a canvas", commas=True, least=1, most=1024)] = (4, 8)
    n_rounds: Annotated[int, Option("each side's turns", least=1, most=1000)] = 5
    n_threads: Annotated[int, Option("of each side", least=1, most=256)] = 2


def run_peers(plan: PeersPlan, json_file: Path | None) -> int:
    """Measure, print a table, write JSON. Raises InputError if a peer is not installed."""
    torch.set_num_threads(plan.n_threads)
    shape = replace(RECIPES[plan.shape]().shape, n_context=plan.n_context + max(plan.n_tokens) + 64)
    loaded = random_runner(shape, fastest_runtime(), plan.n_threads)
    sides = [make() for make in all_sides(shape, loaded, plan.steps, plan.steps[-1:], plan.n_threads)]
    rows = [
        row
        for n in plan.n_tokens
        for is_warm in (False, True)
        for row in compare(sides, plan.n_context, n, plan.n_rounds, is_warm=is_warm)
    ]
    result = {
        **heading("peers", PACKAGES),
        "plan": vars(plan) | {"dtype": loaded.dtype, "runtime": loaded.runtime},
        "rows": rows,
    }
    _print(plan, rows)
    write_result(result, json_file)
    return 0


def compare(sides: Sequence[Peer], n_context: int, n: int, n_rounds: int, *, is_warm: bool) -> list[dict[str, Any]]:
    """One row a side, the first side's ratio being 1. The first of n_rounds + 1 rounds is thrown away."""
    times_ms: dict[str, list[float]] = {side.name: [] for side in sides}
    n_forwards: dict[str, int] = {}
    rng = np.random.default_rng(n)
    for _ in range(n_rounds + 1):
        context = rng.integers(1, N_IDS_USED, n_context).tolist()
        for side in sides:
            torch.set_num_threads(side.torch_threads)
            side.forget()
            if is_warm:
                side.ready(context[:-1])
            start_s = time.perf_counter()
            n_forwards[side.name] = side.complete(context, n)
            times_ms[side.name].append(1000 * (time.perf_counter() - start_s))
    kept = {name: times[1:] for name, times in times_ms.items()}
    first = kept[sides[0].name]
    return [
        {
            "side": name,
            "tokens": n,
            "cache": "warm" if is_warm else "cold",
            "median_ms": round(statistics.median(times), 2),
            "min_ms": round(min(times), 2),
            "forwards": n_forwards[name],
            "tokens_per_s": round(1000 * n / statistics.median(times), 1),
            "ratio": round(statistics.median(t / f for t, f in zip(times, first, strict=True)), 2),
        }
        for name, times in kept.items()
    ]


def _print(plan: PeersPlan, rows: Sequence[Mapping[str, Any]]) -> None:
    title = f"quicksilver bench peers: {plan.shape} shape, {plan.n_context:,} context tokens, {plan.n_threads} threads"
    table = plain_table(title)
    for name in rows[0]:
        table.add_column(name, justify="left" if name in ("side", "cache") else "right")
    before = None
    for row in rows:
        if before not in (None, (row["tokens"], row["cache"])):
            table.add_section()
        before = row["tokens"], row["cache"]
        table.add_row(*map(str, row.values()))
    open_console().print(table)
