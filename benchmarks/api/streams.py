"""Many streams at once, some of which their clients close in the middle.

Shows whether a closed stream frees its place, whether the engine answers afterwards, whether its memory stays flat, and
how long the first text takes to come while the others are served.
"""

import asyncio
import json
import os
import random
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import psutil

from ...fim.errors import EngineError, InputError
from ...fim.terminal.console import open_console
from ...fim.terminal.options import Option, model_option
from ...serving.process.port_options import KEY_VARIABLE
from ..machine import percentile
from ..progress import progress
from ..runner import heading, write_result
from ..speed.throughput import find_programs, line_holes
from .served import ServerAddress, ask, read_address, served

COMPLETIONS = "/v1/completions"
STREAM_S = 300.0  # in which a stream must end
FREE_S = 15.0  # in which an engine must have given up every job that nobody waits for
FREE_POLL_S = 0.05
# When a client closes a stream, at the latest: half of them after a time, half after a number of events.
CLOSED_AFTER_S, CLOSED_AFTER_EVENTS = 1.5, 6
MIB = 2**20

StreamEnd = Literal["ended", "closed", "refused", "broken"]


@dataclass(frozen=True, kw_only=True)
class StreamsPlan:
    """How many streams, how many of them are closed, and who serves them."""

    n_streams: Annotated[int, Option("at once", least=1, most=1000)] = 64
    n_rounds: Annotated[int, Option("how often", least=1, most=1000)] = 3
    n_tokens: Annotated[int, Option("most tokens of an answer", least=1, most=512)] = 32
    closed: Annotated[float, Option("share of the streams that are closed by their clients", least=0, most=1)] = 0.5
    url: Annotated[
        str | None,
        Option(f"of a running server; {KEY_VARIABLE} holds its key (default: an engine of its own)", metavar="URL"),
    ] = None
    model: Annotated[Path | None, model_option()] = None
    seed: int = 0

    def __post_init__(self) -> None:
        if self.url is not None and self.model is not None:
            raise InputError("--model is for an engine of its own: leave it out with --url")


@dataclass(frozen=True, kw_only=True)
class StreamOutcome:
    """What became of a stream. first_ms: from the request to the first text, None if there was none."""

    how: StreamEnd
    first_ms: float | None
    n_events: int


@dataclass(frozen=True, kw_only=True)
class Patience:
    """When a client closes a stream that has not ended: after a time, or with an event. None: never."""

    seconds: float | None = None
    n_events: int | None = None


PATIENT = Patience()


def run_streams(plan: StreamsPlan, json_file: Path | None) -> int:
    """Run the test, print the results, write JSON. Returns 1 if a stream broke, a place was not freed, or the engine
    did not answer afterwards. Raises InputError, EngineUnavailable, EngineError and CheckpointError."""
    key = os.environ.get(KEY_VARIABLE, "")
    with served(plan.model) if plan.url is None else nullcontext(read_address(plan.url, key)) as address:
        result = {**heading("streams"), "plan": {**vars(plan), "model": None}, **measure(address, plan)}
    result["plan"]["model"] = result["engine"]["model"]
    open_console().print_json(json.dumps(result, default=str))
    write_result(result, json_file)
    return int(result["broken"] > 0 or result["stuck"] > 0 or not result["answers_after"])


def measure(address: ServerAddress, plan: StreamsPlan) -> dict[str, Any]:
    """The numbers of all rounds together. Raises EngineUnavailable and EngineError."""
    bodies = _bodies(plan)
    ask(address, "POST", COMPLETIONS, {**bodies[0], "stream": False})  # what is loaded late is not growth
    health = ask(address, "GET", "/health")
    engine = psutil.Process(health["pid"])
    memory = [engine.memory_info().rss / MIB]
    rng = random.Random(plan.seed)
    outcomes: list[StreamOutcome] = []
    stuck = 0
    with progress("rounds", plan.n_rounds) as advance:
        for _ in range(plan.n_rounds):
            rng.shuffle(bodies)
            outcomes += asyncio.run(_at_once(address, bodies[: plan.n_streams], plan.closed, rng))
            stuck = max(stuck, _jobs_left(address))
            memory.append(engine.memory_info().rss / MIB)
            advance()
    ends = Counter(outcome.how for outcome in outcomes)
    first_ms = [outcome.first_ms for outcome in outcomes if outcome.first_ms is not None]
    return {
        "engine": {"model": health["model"], **health["facts"]},
        "streams": len(outcomes),
        **{name: ends[name] for name in ("ended", "closed", "refused", "broken")},
        "events_per_ended_stream": _mean([outcome.n_events for outcome in outcomes if outcome.how == "ended"]),
        "first_ms": {
            "p50": round(percentile(first_ms, 0.5), 1) if first_ms else None,
            "p95": round(percentile(first_ms, 0.95), 1) if first_ms else None,
        },
        "stuck": stuck,
        "answers_after": _answers(address, bodies[0]),
        "memory_mib": [round(each, 1) for each in memory],
    }


async def follow(address: ServerAddress, body: Mapping[str, Any], patience: Patience = PATIENT) -> StreamOutcome:
    """Read a stream until it ends or patience does."""
    start_s, first_ms, n_events = time.monotonic(), None, 0
    how: StreamEnd = "broken"
    with suppress(OSError, asyncio.IncompleteReadError, ValueError):
        reader, writer = await asyncio.open_connection(address.host, address.port)
        try:
            async with asyncio.timeout(STREAM_S if patience.seconds is None else patience.seconds):
                writer.write(_request(address, body))
                status = int((await reader.readuntil(b"\r\n")).split()[1])
                while (await reader.readline()).strip():
                    pass
                if status != 200:
                    return StreamOutcome(how="refused" if status in (429, 503) else "broken", first_ms=None, n_events=0)
                while line := await reader.readline():  # the lengths of chunks are lines of their own
                    if line.startswith(b"data: [DONE]"):
                        how = "ended"
                        break
                    if line.startswith(b"data: "):
                        n_events += 1
                        if first_ms is None and _has_text(line):
                            first_ms = 1000 * (time.monotonic() - start_s)
                        if n_events == patience.n_events:
                            how = "closed"
                            break
        except TimeoutError:
            how = "broken" if patience.seconds is None else "closed"
        finally:
            writer.transport.abort()
    return StreamOutcome(how=how, first_ms=first_ms, n_events=n_events)


async def _at_once(
    address: ServerAddress, bodies: Sequence[Mapping[str, Any]], closed: float, rng: random.Random
) -> list[StreamOutcome]:
    work = [follow(address, body, _patience(closed, rng)) for body in bodies]
    return list(await asyncio.gather(*work))


def _patience(closed: float, rng: random.Random) -> Patience:
    if rng.random() >= closed:
        return PATIENT
    if rng.random() < 0.5:
        return Patience(seconds=rng.uniform(0, CLOSED_AFTER_S))
    return Patience(n_events=rng.randint(1, CLOSED_AFTER_EVENTS))


def _request(address: ServerAddress, body: Mapping[str, Any]) -> bytes:
    content = json.dumps(body).encode()
    headers = {
        "Host": f"{address.host}:{address.port}", "Content-Length": str(len(content)), "Connection": "close",
        **address.headers,
    }  # fmt: skip
    head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"POST {COMPLETIONS} HTTP/1.1\r\n{head}\r\n".encode("ascii") + content


def _has_text(line: bytes) -> bool:
    choices = json.loads(line.removeprefix(b"data: ")).get("choices", ())
    return any(choice.get("text") for choice in choices)


def _bodies(plan: StreamsPlan) -> list[dict[str, Any]]:
    """At least as many requests as there are streams, each about another line of the examples."""
    holes = [hole.request.hole for file in find_programs() for hole in line_holes(file)]
    return [
        {
            "prompt": holes[i % len(holes)].prefix, "suffix": holes[i % len(holes)].suffix, "language": "python",
            "max_tokens": plan.n_tokens, "stream": True,
        }
        for i in range(max(len(holes), plan.n_streams))
    ]  # fmt: skip


def _jobs_left(address: ServerAddress) -> int:
    """How many jobs the engine still has after FREE_S; 0 as soon as there are none."""
    end_s = time.monotonic() + FREE_S
    while (n_jobs := ask(address, "GET", "/health")["n_jobs"]) and time.monotonic() < end_s:
        time.sleep(FREE_POLL_S)
    return n_jobs


def _answers(address: ServerAddress, body: Mapping[str, Any]) -> bool:
    try:
        return isinstance(ask(address, "POST", COMPLETIONS, {**body, "stream": False})["choices"][0]["text"], str)
    except EngineError:
        return False


def _mean(values: Sequence[float]) -> float | None:
    return round(sum(values) / len(values), 1) if values else None
