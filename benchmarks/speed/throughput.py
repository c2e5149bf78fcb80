"""How many editors one engine can serve: closed loops of requests against a real engine process.

Every simulated editor walks down its own file and asks for the rest of each line, one request after the other,
without a pause; so this is the hardest load that a number of editors can make. Quality is measured in the same run: how
many answers are what stood there, and how many are those that the engine gives to a single editor.
"""

import asyncio
import os
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

from ...fim.errors import EngineBusy, EngineError, InputError
from ...fim.files.source_file import read_document
from ...fim.models.embedded import EMBEDDED
from ...fim.terminal.console import open_console
from ...fim.terminal.options import Option, model_option
from ...fim.terminal.spinner import waiting
from ...fim.types import Completion, CompletionRequest, Hole
from ...serving.client.engine_client import EngineClient
from ...serving.paths import HOME_VARIABLE, find_home
from ..machine import percentile
from ..progress import progress
from ..quality.plots import new_figure
from ..runner import heading, plain_table, write_result

EXAMPLES = Path(__file__).parents[2] / "examples"
N_TRUTH_MIN = 4  # characters
BUSY_PAUSE_S = 0.05  # before an editor that got no answer asks again


@dataclass(frozen=True, kw_only=True)
class ThroughputPlan:
    """Which loads are measured, and for how long."""

    editors: Annotated[tuple[int, ...], Option("how many at once, a run each", commas=True, least=1, most=1000)] = (
        1,
        2,
        4,
        8,
        16,
        32,
        64,
    )
    seconds: Annotated[float, Option("of each run", least=0.1, most=3600)] = 15.0
    folder: Annotated[Path | None, Option("Python files to walk through (default: examples/)")] = None
    model: Annotated[Path | None, model_option(default=EMBEDDED[0])] = None


@dataclass(frozen=True, kw_only=True)
class LineHole:
    """The rest of a line of a file, and its text."""

    request: CompletionRequest
    truth: str


@dataclass
class Load:
    """The results of a number of editors at once."""

    n_editors: int
    seconds: float = 0.0
    waited_ms: list[float] = field(default_factory=list)
    steps: list[int] = field(default_factory=list)
    n_tokens: int = 0
    n_busy: int = 0
    n_lost: int = 0
    n_exact: int = 0
    n_as_alone: int = 0
    n_compared: int = 0

    def row(self) -> dict[str, Any]:
        """The numbers of one run."""
        n = len(self.waited_ms)
        return {
            "editors": self.n_editors,
            "answers": n,
            "answers_per_s": round(n / self.seconds, 2),
            "tokens_per_s": round(self.n_tokens / self.seconds, 1),
            "p50_ms": round(percentile(self.waited_ms, 0.5), 1) if n else None,
            "p95_ms": round(percentile(self.waited_ms, 0.95), 1) if n else None,
            "p99_ms": round(percentile(self.waited_ms, 0.99), 1) if n else None,
            "steps": round(sum(self.steps) / n, 2) if n else None,
            "exact": round(self.n_exact / n, 4) if n else None,
            "as_alone": round(self.n_as_alone / self.n_compared, 4) if self.n_compared else None,
            "turned_away": self.n_busy,
            "lost": self.n_lost,
        }


def find_programs(folder: Path = EXAMPLES) -> list[Path]:
    """The Python files of a folder, without the language client among the examples. Raises InputError for none."""
    files = sorted(file for file in folder.glob("*.py") if file != EXAMPLES / "headless.py")
    if not files:
        raise InputError(f"no Python files in {folder}")
    return files


def run_throughput(plan: ThroughputPlan, json_file: Path | None, png_file: Path | None) -> int:
    """Measure, print a table, write JSON and a plot. Raises InputError, EngineError and CheckpointError."""
    files = find_programs(plan.folder or EXAMPLES)
    walks = [line_holes(file) for file in files]
    with tempfile.TemporaryDirectory(prefix="quicksilver-bench-") as home:
        client = EngineClient(find_home(plan.model, {**os.environ, HOME_VARIABLE: home}))
        loads, facts = asyncio.run(_measure(plan, walks, client))
    rows = [load.row() for load in loads]
    result = {
        **heading("throughput"),
        "engine": dict(facts),
        "plan": {"seconds": plan.seconds, "files": [file.name for file in files]},
        "rows": rows,
    }
    _print(rows)
    write_result(result, json_file)
    if png_file is not None:
        draw(rows, png_file)
    return 0


def line_holes(file: Path) -> list[LineHole]:
    """Holes at the middle of every line of a file that is long enough. Raises InputError when there is none."""
    document = read_document(file)
    text, holes = document.text, []
    for line in range(document.line_count):
        start, end = document.line_start(line), document.line_end(line)
        indent = len(text[start:end]) - len(text[start:end].lstrip())
        at = start + indent + (end - start - indent) // 2
        truth = text[at:end]
        if len(truth.strip()) < N_TRUTH_MIN:
            continue
        hole = Hole(prefix=text[:at], suffix=text[end:], language="python", replaced=(at, end), multiline=False)
        holes.append(LineHole(request=CompletionRequest(hole=hole, path=file.name, budget_ms=None), truth=truth))
    if not holes:
        raise InputError(f"{file} has no line to complete")
    return holes


async def _measure(
    plan: ThroughputPlan, walks: Sequence[Sequence[LineHole]], client: EngineClient
) -> tuple[list[Load], Mapping[str, str | int | float]]:
    alone: dict[tuple[int, int], str] = {}
    loads: list[Load] = []
    try:
        with waiting("starting the engine") as tell:
            health = await client.ensure_running(tell)
        with progress("runs", len(plan.editors)) as advance:
            for n in plan.editors:
                load = Load(n)
                start_s = time.monotonic()
                until_s = start_s + plan.seconds
                await asyncio.gather(*(_edit(i, walks, client, until_s, load, alone) for i in range(n)))
                load.seconds = time.monotonic() - start_s
                loads.append(load)
                advance()
    finally:
        await client.shutdown()
    return loads, {"model": health.model, **health.facts}


async def _edit(
    editor: int,
    walks: Sequence[Sequence[LineHole]],
    client: EngineClient,
    until_s: float,
    load: Load,
    alone: dict[tuple[int, int], str],
) -> None:
    """One editor walks down its file, from another line than the others."""
    walk = editor % len(walks)
    holes = walks[walk]
    at = (editor // len(walks)) * 7 % len(holes)
    while time.monotonic() < until_s:
        hole = holes[at]
        start_s = time.monotonic()
        try:
            completion = await client.complete(hole.request)
        except EngineBusy:
            load.n_busy += 1
            await asyncio.sleep(BUSY_PAUSE_S)
            continue
        except EngineError:
            load.n_lost += 1
            await asyncio.sleep(BUSY_PAUSE_S)
            continue
        load.waited_ms.append(1000 * (time.monotonic() - start_s))
        _judge(completion, hole, load, alone, (walk, at))
        at = (at + 1) % len(holes)


def _judge(
    completion: Completion, hole: LineHole, load: Load, alone: dict[tuple[int, int], str], place: tuple[int, int]
) -> None:
    text = completion.text.rstrip()
    load.steps.append(completion.steps)
    load.n_tokens += completion.n_tokens
    load.n_exact += text == hole.truth.rstrip()
    if load.n_editors == 1:
        alone.setdefault(place, text)
    if place in alone:
        load.n_compared += 1
        load.n_as_alone += text == alone[place]


def draw(rows: Sequence[Mapping[str, Any]], path: Path) -> None:
    """Throughput, waiting and quality against the number of editors, as PNG. Raises InputError without matplotlib."""
    figure = new_figure(12, 3.6)
    speed, wait, quality = figure.subplots(1, 3)
    editors = [row["editors"] for row in rows]
    speed.plot(editors, [row["tokens_per_s"] for row in rows], marker="o", color="#0072B2")
    speed.set_ylabel("tokens/s")
    for name, colour in (("p50_ms", "#0072B2"), ("p95_ms", "#E69F00"), ("p99_ms", "#D55E00")):
        wait.plot(editors, [row[name] for row in rows], marker="o", label=name.removesuffix("_ms"), color=colour)
    wait.set_ylabel("ms to an answer")
    wait.set_yscale("log")
    wait.legend()
    for name, colour in (("exact", "#009E73"), ("as_alone", "#CC79A7")):
        shares = [None if row[name] is None else 100 * row[name] for row in rows]
        quality.plot(editors, shares, marker="o", label=name.replace("_", " "), color=colour)  # type: ignore[arg-type]
    quality.set_ylabel("% of answers")
    quality.legend()
    for axes in (speed, wait, quality):
        axes.set_xscale("log", base=2)
        axes.set_xlabel("editors")
    figure.savefig(path, dpi=130)


def _print(rows: Sequence[Mapping[str, Any]]) -> None:
    title = "quicksilver bench throughput"
    table = plain_table(title)
    for name in rows[0]:
        table.add_column(name.replace("_", "\n"), justify="right")
    for row in rows:
        table.add_row(*("–" if value is None else str(value) for value in row.values()))
    open_console().print(table)
