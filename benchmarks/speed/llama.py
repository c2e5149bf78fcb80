"""Time to a completion against llama.cpp with the same GGUF file, in the same run.

What a user would run instead: llama.cpp with the file, asked in the model's own order (prefix, suffix, middle), greedy,
with its cache. Both see the same text around the same hole, and take turns in rounds, so that other load on the machine
affects both alike. Warm: the hole of one key earlier has been read, as after a keystroke. Cold: nothing has. llama.cpp
writes as many tokens as our answer has, so that an early end favours neither; what we wrote and cut off again counts
against us.
"""

import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np

from ...fim.errors import InputError
from ...fim.terminal.console import open_console
from ...fim.terminal.options import Option, model_option
from ...fim.types import CompletionRequest, Hole
from ...model.completion.infiller import DenoisingInfiller
from ...model.gguf.cache import checkpoint_folder
from ...model.load_infiller import load_infiller
from ...model.requests import never
from ...model.tokenizers.body_tokenizer import BodyTokenizer
from ..runner import heading, plain_table, write_result
from .sides import N_BATCH, library
from .throughput import find_programs

N_CONTEXT = 2_048
PREFIX_CHARS, SUFFIX_CHARS = 2_400, 600
PACKAGES = ("openvino", "llama-cpp-python")


@dataclass(frozen=True, kw_only=True)
class LlamaPlan:
    """Which file llama.cpp reads, our model made of it, and what both are asked."""

    gguf: Annotated[Path, Option("the file that llama.cpp reads", metavar="FILE")]
    model: Annotated[Path, model_option(default="coder")]
    n_tokens: Annotated[tuple[int, ...], Option("most tokens of a completion", commas=True, least=1, most=96)] = (8, 32)
    n_holes: Annotated[int, Option("that each fills", least=1, most=1000)] = 12
    n_threads: Annotated[int, Option("of each side", least=1, most=256)] = 2

    def __post_init__(self) -> None:
        if not self.gguf.is_file():
            raise InputError(f"there is no file {self.gguf}")


@dataclass(frozen=True)
class Point:
    """Text on both sides of a cursor, behind the first characters of a line."""

    prefix: str
    suffix: str


def points(files: Sequence[Path], n: int) -> list[Point]:
    """n places in files, drawn evenly, each a few characters into an indented line: its rest and two more lines are
    missing."""
    rng, found = np.random.default_rng(0), []
    for path in files:
        lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
        for i, line in enumerate(lines):
            if line[:1] == " " and len(line.strip()) > 12 and i > 20:
                indent = len(line) - len(line.lstrip())
                before = "".join(lines[:i]) + line[: indent + 3]
                found.append(Point(before[-PREFIX_CHARS:], ("\n" + "".join(lines[i + 3 :]))[:SUFFIX_CHARS]))
    if len(found) < n:
        raise InputError(f"the examples of this source tree have {len(found)} places for a hole, not {n}")
    return [found[i] for i in sorted(rng.choice(len(found), size=n, replace=False))]


class Ours:
    """The engine's own model, in this process."""

    def __init__(self, infiller: DenoisingInfiller) -> None:
        self._infiller = infiller

    def forget(self) -> None:
        """Empty the cache."""
        self._infiller.cache.clear()
        self._infiller.recent.clear()

    def fill(self, point: Point, n: int) -> tuple[int, int]:
        """Tokens written, at most n, and forwards taken."""
        at = len(point.prefix)
        hole = Hole(
            prefix=point.prefix, suffix=point.suffix, language="python", replaced=(at, at), multiline=True
        )  # fmt: skip
        request = CompletionRequest(hole=hole, budget_ms=None, max_evaluations=10_000, max_tokens=n, drafts=0)
        found = self._infiller.complete(request, never)
        return found.n_tokens, found.steps

    def n_context(self, point: Point) -> int:
        """Tokens of the context."""
        at = len(point.prefix)
        hole = Hole(prefix=point.prefix, suffix=point.suffix, language="python", replaced=(at, at), multiline=True)
        return len(self._infiller.context_of(CompletionRequest(hole=hole)))


class Theirs:
    """llama.cpp with the file."""

    def __init__(self, plan: LlamaPlan, tokenizer: BodyTokenizer) -> None:
        self._tokenizer = tokenizer
        self._model = library("llama_cpp").Llama(
            str(plan.gguf), n_ctx=N_CONTEXT, n_batch=N_BATCH, n_threads=plan.n_threads,
            n_threads_batch=plan.n_threads, verbose=False,
        )  # fmt: skip

    def forget(self) -> None:
        """Empty the cache."""
        self._model.reset()

    def fill(self, point: Point, n: int) -> float:
        """Write n tokens; milliseconds to the first."""
        marks, encode = self._tokenizer.marks, self._tokenizer.encode
        prompt = [marks.prefix, *encode(point.prefix), marks.suffix, *encode(point.suffix), marks.middle]
        start_s, first_ms = time.perf_counter(), 0.0
        for i, _ in enumerate(self._model.generate(prompt, temp=0.0, reset=True), start=1):
            first_ms = first_ms or 1000 * (time.perf_counter() - start_s)
            if i >= n:
                break
        return first_ms


def run_llama(plan: LlamaPlan, json_file: Path | None) -> int:
    """Measure, print a table, write JSON. Raises InputError if llama.cpp is not installed, CheckpointError."""
    holes = points(find_programs(), plan.n_holes)
    library("llama_cpp")  # before anything slow
    infiller = load_infiller(checkpoint_folder(plan.model), n_threads=plan.n_threads)
    if not isinstance(infiller.tokenizer, BodyTokenizer):
        raise InputError(f"{plan.model} is no published body: llama.cpp cannot run it")
    ours, theirs = Ours(infiller), Theirs(plan, infiller.tokenizer)
    rows = [
        compare(ours, theirs, holes, n, is_warm=is_warm) for is_warm in (True, False) for n in plan.n_tokens
    ]  # fmt: skip
    result = {
        **heading("llama", PACKAGES),
        "plan": {
            "gguf": plan.gguf.name, "model": infiller.name, "holes": plan.n_holes, "threads": plan.n_threads,
            "context_tokens": statistics.median(map(ours.n_context, holes)),
        },
        "rows": rows,
    }  # fmt: skip
    _print(rows, result["plan"])
    write_result(result, json_file)
    return 0


def compare(ours: Ours, theirs: Theirs, holes: Sequence[Point], n: int, *, is_warm: bool) -> dict[str, Any]:
    """One row: medians over holes of at most n tokens. The first hole is filled once more before, unmeasured."""
    ours_ms, theirs_ms, first_ms, written, forwards = [], [], [], [], []
    for i, point in enumerate((holes[0], *holes)):
        earlier = Point(point.prefix[:-1], point.suffix)
        ours.forget()
        theirs.forget()
        if is_warm:
            ours.fill(earlier, 1)
        start_s = time.perf_counter()
        n_written, n_forwards = ours.fill(point, n)
        own_ms = 1000 * (time.perf_counter() - start_s)
        if is_warm:
            theirs.fill(earlier, 1)
        start_s = time.perf_counter()
        first = theirs.fill(point, max(1, n_written))
        if not i:
            continue
        theirs_ms.append(1000 * (time.perf_counter() - start_s))
        ours_ms.append(own_ms)
        first_ms.append(first)
        written.append(n_written)
        forwards.append(n_forwards)
    ratios = [b / a for a, b in zip(ours_ms, theirs_ms, strict=True)]
    return {
        "cache": "warm" if is_warm else "cold",
        "at most": n,
        "written": statistics.median(written),
        "forwards": statistics.median(forwards),
        "ours ms": round(statistics.median(ours_ms), 1),
        "llama ms": round(statistics.median(theirs_ms), 1),
        "first": round(statistics.median(first_ms), 1),
        "ratio": round(statistics.median(ratios), 2),
        "least": round(min(ratios), 2),
        "most": round(max(ratios), 2),
    }


def _print(rows: Sequence[Mapping[str, Any]], plan: Mapping[str, Any]) -> None:
    title = (
        f"quicksilver bench llama: {plan['model']}, {plan['holes']} holes, "
        f"{plan['context_tokens']:.0f} context tokens, {plan['threads']} threads"
    )
    table = plain_table(title)
    for name in rows[0]:
        table.add_column(name, justify="left" if name == "cache" else "right")
    for row in rows:
        table.add_row(*map(str, row.values()))
    open_console().print(table)
