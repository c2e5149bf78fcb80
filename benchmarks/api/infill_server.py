"""`POST /infill` of the engine and of a llama-server with the same GGUF file, in turns.

What a user of llama.vim or llama.vscode would notice: the plugin sends the text around the cursor and waits for the
whole answer. Both servers get the same request for the same hole, one after the other, so that other load on the
machine affects both alike; both take the likeliest tokens. Warm: the request of one key earlier has been answered, as
while a person types. Cold: nothing of the text has been read; each hole has a line of its own at both ends of its text,
so that neither server finds it in a cache. llama-server writes as many tokens as our answer has, so that an early end
favours neither.
"""

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from ...fim.errors import EngineError, InputError
from ...fim.terminal.console import open_console
from ...fim.terminal.options import Option, model_option
from ...model.gguf.cache import checkpoint_folder
from ..machine import percentile
from ..runner import heading, plain_table, write_result
from ..speed.llama import Point, points
from ..speed.throughput import find_programs
from .served import ServerAddress, ask, read_address, served

PACKAGES = ("openvino",)
SHOWN = ("cache", "at most", "read", "llama read", "written", "ours ms", "llama ms", "ratio", "least", "most")
INFILL = "/infill"


@dataclass(frozen=True, kw_only=True)
class InfillServerPlan:
    """Which llama-server is asked, what it reads, our model, and what both are asked."""

    llama_server: Annotated[str, Option("that runs on this machine", metavar="URL")]
    gguf: Annotated[Path, Option("the file that it reads", metavar="FILE")]
    model: Annotated[Path, model_option(default="coder")]
    n_tokens: Annotated[tuple[int, ...], Option("most tokens of an answer", commas=True, least=1, most=512)] = (
        8,
        32,
        64,
    )
    n_holes: Annotated[int, Option("that each fills", least=1, most=1000)] = 12
    n_threads: Annotated[int, Option("of our engine; give llama-server as many", least=1, most=256)] = 2

    def __post_init__(self) -> None:
        if not self.gguf.is_file():
            raise InputError(f"there is no file {self.gguf}")


@dataclass(frozen=True, kw_only=True)
class InfillAnswer:
    """What one request brought: milliseconds until the whole answer was there, context tokens that were read (not
    found in a cache), tokens written, the text."""

    ms: float
    n_read: int
    n_written: int
    text: str


AskInfill = Callable[[Point, int], InfillAnswer]


def run_infill_server(plan: InfillServerPlan, json_file: Path | None) -> int:
    """Measure, print a table, write JSON. Raises InputError, EngineUnavailable, EngineError and CheckpointError."""
    holes = points(find_programs(), plan.n_holes)
    theirs = read_address(plan.llama_server)
    their_file = file_of(ask(theirs, "GET", "/props"))
    if their_file != plan.gguf.name:
        raise InputError(f"{plan.llama_server} reads {their_file or 'a file that it does not name'}, not {plan.gguf}")
    model = checkpoint_folder(plan.model)
    with served(model, threads=plan.n_threads) as ours:
        our_facts = ask(ours, "GET", "/health")
        rows = compare(filler(ours, ends_early=True), filler(theirs, ends_early=False), holes, plan.n_tokens)
    result = {
        **heading("infill-server", PACKAGES),
        "plan": {
            "gguf": plan.gguf.name, "model": our_facts["model"], "holes": plan.n_holes, "threads": plan.n_threads,
        },
        "engine": our_facts["facts"],
        "llama-server": ask(theirs, "GET", "/props").get("build_info", "unknown"),
        "rows": rows,
    }  # fmt: skip
    _print(rows, result["plan"])
    write_result(result, json_file)
    return 0


def file_of(props: Any) -> str:  # noqa: ANN401 - JSON
    """The name of the file that a llama-server reads, from its /props; "" if it names none."""
    path = props.get("model_path") if isinstance(props, dict) else None
    return path.replace("\\", "/").rpartition("/")[2] if isinstance(path, str) else ""


def filler(address: ServerAddress, *, ends_early: bool) -> AskInfill:
    """Fills holes by the /infill of a server, which may end before the number of tokens, or not (llama-server alone
    can be told so)."""

    def fill(point: Point, n: int) -> InfillAnswer:
        before, _, line = point.prefix.rpartition("\n")
        body = {
            "input_prefix": f"{before}\n", "prompt": line, "input_suffix": point.suffix, "n_predict": n,
            "temperature": 0, "stream": False, "cache_prompt": True,
        }  # fmt: skip
        start_s = time.perf_counter()
        said = ask(address, "POST", INFILL, body if ends_early else {**body, "ignore_eos": True})
        ms = 1000 * (time.perf_counter() - start_s)
        try:
            timings = said["timings"]
            return InfillAnswer(
                ms=ms, n_read=timings["prompt_n"], n_written=timings["predicted_n"], text=said["content"]
            )
        except (TypeError, KeyError) as error:
            raise EngineError(f"the /infill of port {address.port} answers without {error}") from error

    return fill


def compare(
    ours: AskInfill, theirs: AskInfill, holes: Sequence[Point], n_tokens: Sequence[int]
) -> list[dict[str, Any]]:
    """A row for each cache and number of tokens. The first hole is filled once more before each row, unmeasured."""
    rows, serial = [], 0
    for is_warm in (True, False):
        for n in n_tokens:
            pairs = []
            for hole in (holes[0], *holes):
                serial += 1
                pairs.append(_in_turn(ours, theirs, unseen(hole, serial), n, is_warm=is_warm))
            rows.append({"cache": "warm" if is_warm else "cold", "at most": n, **_summary(pairs[1:])})
    return rows


def unseen(point: Point, serial: int) -> Point:
    """The hole in a text that no server has read before."""
    mark = f"# {serial:06}"
    return Point(f"{mark}\n{point.prefix}", f"\n{mark}{point.suffix}")


def _in_turn(
    ours: AskInfill, theirs: AskInfill, point: Point, n: int, *, is_warm: bool
) -> tuple[InfillAnswer, InfillAnswer]:
    earlier = Point(point.prefix[:-1], point.suffix)
    if is_warm:
        ours(earlier, 1)
    answer = ours(point, n)
    if is_warm:
        theirs(earlier, 1)
    return answer, theirs(point, max(1, answer.n_written))


def _summary(pairs: Sequence[tuple[InfillAnswer, InfillAnswer]]) -> dict[str, Any]:
    ours, theirs = zip(*pairs, strict=True)
    ratios = [b.ms / a.ms for a, b in pairs]
    return {
        "read": statistics.median(each.n_read for each in ours),
        "llama read": statistics.median(each.n_read for each in theirs),
        "written": statistics.median(each.n_written for each in ours),
        "ours ms": round(statistics.median(each.ms for each in ours), 1),
        "p95": round(percentile([each.ms for each in ours], 0.95), 1),
        "llama ms": round(statistics.median(each.ms for each in theirs), 1),
        "llama p95": round(percentile([each.ms for each in theirs], 0.95), 1),
        "ratio": round(statistics.median(ratios), 2),
        "least": round(min(ratios), 2),
        "most": round(max(ratios), 2),
        "same text": sum(a.text.rstrip() == b.text.rstrip() for a, b in pairs),
    }


def _print(rows: Sequence[Mapping[str, Any]], plan: Mapping[str, Any]) -> None:
    title = f"quicksilver bench infill-server: {plan['model']}, {plan['holes']} holes, {plan['threads']} threads"
    table = plain_table(title)
    for name in SHOWN:
        table.add_column(name.replace(" ", "\n"), justify="left" if name == "cache" else "right")
    for row in rows:
        table.add_row(*(str(row[name]) for name in SHOWN))
    open_console().print(table)
