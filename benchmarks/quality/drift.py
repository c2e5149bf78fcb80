"""By how much a published model's approximate cache changes what it says: `--context-cache dual` beside no cache.

Holes are cut from files of examples/. A canvas is filled step by step as without a cache; at every step both are asked
about the same canvas, so that what differs is the cache's doing alone.
"""

import statistics
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from ...fim.terminal.console import open_console
from ...fim.types import Hole
from ...model.published.infiller import PublishedInfiller, load_published
from ...model.published.layout import around
from ...model.published.lengths import of_lengths
from ...model.published.prediction import Canvases, answer, canvas_log_probs
from ..machine import percentile
from ..rows import DataRow
from ..runner import heading, plain_table, write_result

EXAMPLES = Path(__file__).parents[2] / "examples"
N_AT_ONCE = 2  # tokens that a step commits


@dataclass(frozen=True, kw_only=True)
class DriftPlan:
    """Which model, how many holes, how long a canvas."""

    model: Path
    device: str | None
    family: str | None
    n_holes: int
    n_canvas: int


def run_drift(plan: DriftPlan, json_file: Path | None) -> int:
    """Measure, print a table, write JSON."""
    device = None if plan.device is None else torch.device(plan.device)
    infiller = load_published(plan.model, device=device, family=plan.family, cache="dual")
    steps: dict[int, list[DataRow]] = {}
    for hole in holes(plan.n_holes):
        for row in measure_drift(infiller, hole, plan.n_canvas):
            steps.setdefault(row["step"], []).append(row)
    rows = [_summary(step, found) for step, found in sorted(steps.items())]
    result = {
        **heading("drift"),
        "model": {"name": infiller.name, **infiller.describe()},
        "holes": plan.n_holes,
        "canvas": plan.n_canvas,
        "rows": rows,
    }
    show(result)
    write_result(result, json_file)
    return 0


def holes(n: int) -> Iterator[Hole]:
    """The rests of lines of example files, spread evenly."""
    texts = [file.read_text(encoding="utf-8") for file in sorted(EXAMPLES.glob("*.py"))]
    places = [
        (text, at)
        for text in texts
        for at in (i + 9 for i, character in enumerate(text) if character == "\n")
        if at < len(text) and "\n" not in text[at - 4 : at + 8]
    ]
    for i in range(n):
        text, at = places[i * len(places) // n]
        end = text.find("\n", at)
        yield Hole(prefix=text[:at], suffix=text[end:], language="python", replaced=(at, end), multiline=False)


@torch.inference_mode()
def measure_drift(infiller: PublishedInfiller, hole: Hole, n_canvas: int) -> Iterator[DataRow]:
    """A row a step: the greatest difference of a probability, the share of places with another likeliest token, ms."""
    published, tokens = infiller.published, infiller.tokens_for(hole)
    laid = around(hole, published, n_canvas)
    plain, cached = Canvases(published, laid, "none"), Canvases(published, laid, "dual")
    canvas = of_lengths([n_canvas], tokens)
    step = 0
    while bool((canvas == tokens.mask).any()):
        wanted, plain_ms = _asked(infiller, plain, canvas, hole)
        got, cached_ms = _asked(infiller, cached, canvas, hole)
        is_open = canvas[0] == tokens.mask
        best, theirs = wanted[0].max(dim=-1), got[0].max(dim=-1)
        yield {
            "step": step,
            "difference": float((wanted[0][is_open].exp() - got[0][is_open].exp()).abs().max()),
            "changed": float((best.indices != theirs.indices)[is_open].float().mean()),
            "plain_ms": plain_ms,
            "cached_ms": cached_ms,
        }
        surest = best.values.masked_fill(~is_open, -torch.inf).topk(min(N_AT_ONCE, int(is_open.sum()))).indices
        canvas[0, surest] = best.indices[surest]
        canvas[canvas == tokens.end] = tokens.mask - 1 if tokens.mask else 1  # keep the length: it is not what is asked
        step += 1


def _asked(infiller: PublishedInfiller, canvases: Canvases, canvas: Tensor, hole: Hole) -> tuple[Tensor, float]:
    start_s = time.perf_counter()
    work = canvas_log_probs(canvases, canvas, infiller.tokens_for(hole))
    ask = next(work)
    while True:
        try:
            ask = work.send(answer(infiller.published.model, [ask])[0])
        except StopIteration as end:
            return infiller.tokens_for(hole).allowed(end.value), 1000 * (time.perf_counter() - start_s)


def _summary(step: int, found: list[DataRow]) -> DataRow:
    differences = [row["difference"] for row in found]
    return {
        "step": step + 1,
        "difference_p50": round(statistics.median(differences), 4),
        "difference_p95": round(percentile(differences, 0.95), 4),
        "changed": round(statistics.fmean(row["changed"] for row in found), 4),
        "speedup": round(statistics.median(row["plain_ms"] / row["cached_ms"] for row in found), 2),
    }


def show(result: DataRow) -> None:
    """Print a line for each step."""
    title = f"quicksilver bench drift: {result['model']['name']}, {result['holes']} holes, {result['canvas']} masks"
    table = plain_table(title)
    for column in ("step", "probability off by, p50", "p95", "places that say another token", "speed-up"):
        table.add_column(column, justify="right")
    for row in result["rows"]:
        numbers = (row["difference_p50"], row["difference_p95"], f"{row['changed']:.1%}", row["speedup"])
        table.add_row(str(row["step"]), *map(str, numbers))
    open_console().print(table)
