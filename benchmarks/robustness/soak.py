"""Engine stress test: thousands of requests, many cancelled, the process killed now and then.

Shows whether memory stays flat, whether the engine comes back, and whether every answer is the one that a model without
any cache gives. Requests take so few steps that no load shortens them, so that answers can be compared; the context
cache is so small that contexts are evicted all the time.
"""

import asyncio
import json
import os
import random
import signal
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import psutil

from ...fim.budget import STEPS_MIN
from ...fim.errors import EngineBusy, EngineError
from ...fim.models.formats import Runtime
from ...fim.terminal.console import open_console
from ...fim.terminal.options import Option
from ...fim.types import CompletionRequest
from ...model.load_infiller import load_infiller
from ...model.runners.select import fastest_runtime
from ...serving.client.engine_client import EngineClient
from ...serving.client.starting import default_launch
from ...serving.paths import HOME_VARIABLE, EngineHome, find_home
from ..progress import progress
from ..quality.evaluation import Dtype
from ..runner import heading, write_result
from ..speed.throughput import find_programs, line_holes

CANCELLED_SHARE, CANCELLED_AFTER_S = 0.3, 0.08
BUSY_PAUSE_S = 0.05
N_DRAFTS = 3
N_TYPED = 6  # keys at a place
GOES_ON_SHARE = 0.8  # of the requests: at the next key
SAMPLE_S, N_SAMPLES = 0.5, 20  # how often memory is noted; shorter lives say nothing of it
AFTER_KILL_S = 10.0  # in which a request may still fail for it
GROWTH_SHARE = 0.1  # of the memory after warming up, over the rest of an engine's life
N_SHOWN = 20


@dataclass(frozen=True, kw_only=True)
class SoakPlan:
    """How many requests by how many editors, and what kind of engine they go to."""

    n_requests: Annotated[int, Option("how many", least=1)] = 10_000
    n_editors: Annotated[int, Option("how many at once", least=1)] = 4
    n_kill: Annotated[int, Option("kill the engine after N; 0: never", flag="--kill-every", metavar="N", least=0)] = (
        2_000
    )
    cache_mb: Annotated[int, Option("of the engine", least=0)] = 24
    runtime: Annotated[Runtime | None, Option("of the engine (default: the fastest)")] = None
    dtype: Annotated[Dtype | None, Option("of the engine (default: the faster)")] = None
    seed: int = 0

    def launch(self, home: EngineHome) -> list[str]:
        """The command that starts such an engine."""
        command = [*default_launch(home), "--cache-mb", str(self.cache_mb)]
        for name, value in (("--runtime", self.runtime), ("--dtype", self.dtype)):
            command += [] if value is None else [name, value]
        return command


@dataclass
class Soak:
    """What happened. answers counts the texts that came for each request; memory is MiB of each engine process."""

    answers: dict[CompletionRequest, Counter[str]] = field(default_factory=dict)
    memory: dict[int, list[float]] = field(default_factory=dict)
    n_cancelled: int = 0
    n_failed: int = 0
    n_lost: int = 0
    killed_s: float = float("-inf")
    n_busy: int = 0
    n_killed: int = 0
    n_cached: int = 0
    n_context: int = 0


def run_soak(plan: SoakPlan, json_file: Path | None) -> int:
    """Run the test, print the results, write JSON.

    Returns 1 where nothing was answered, an answer differed or was lost without a kill shortly before, or memory grew.
    """
    plan = replace(plan, dtype=plan.dtype or _fastest_dtype(plan.runtime or fastest_runtime()))
    start_s = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="quicksilver-bench-") as folder:
        home = find_home(None, {**os.environ, HOME_VARIABLE: folder})
        client = EngineClient(home, plan.launch(home))
        soak = asyncio.run(_live(plan, client))
    seconds = time.monotonic() - start_s
    n_answered = sum(texts.total() for texts in soak.answers.values())
    different = differences(soak, plan)
    n_equal = n_answered - sum(row["times"] for row in different)
    result = {
        **heading("soak"),
        "plan": vars(plan),
        "seconds": round(seconds, 1),
        "answered": n_answered,
        "equal_to_uncached": n_equal,
        "cancelled": soak.n_cancelled,
        "turned_away": soak.n_busy,
        "failed": soak.n_failed,
        "failed_without_a_kill": soak.n_lost,
        "kills": soak.n_killed,
        "cached_share_of_context": round(soak.n_cached / max(1, soak.n_context), 3),
        "memory_mib": [trend(values) for values in soak.memory.values() if len(values) >= N_SAMPLES],
        "different": different[:N_SHOWN],
    }
    open_console().print_json(json.dumps(result))
    write_result(result, json_file)
    grew = any(life["growth"] > GROWTH_SHARE * life["warm"] for life in result["memory_mib"])
    return int(not n_answered or n_equal < n_answered or soak.n_lost > 0 or grew)


def _fastest_dtype(runtime: Runtime) -> Dtype:
    """The dtype that an engine of that runtime would take here, fixed once, so that every process takes the same."""
    return load_infiller(runtime=runtime, device="cpu").loaded.dtype


def trend(values: Sequence[float]) -> dict[str, float]:
    """Memory after warming up (the first quarter), at the end, the most, and its growth over the rest, fitted."""
    rest = np.array(values[len(values) // 4 :])
    slope = np.polyfit(np.arange(len(rest)), rest, 1)[0] * len(rest)
    return {"warm": rest[0], "end": rest[-1], "most": max(values), "growth": round(float(slope), 2)}


async def _live(plan: SoakPlan, client: EngineClient) -> Soak:
    soak, requests = Soak(), _requests()
    await client.ensure_running()
    turns = iter(range(1, plan.n_requests + 1))
    sampler = asyncio.create_task(_sample(client, soak))
    try:
        with progress("requests", plan.n_requests) as advance:
            editors = (
                _edit(plan, random.Random(plan.seed + i), client, soak, _advancing(turns, advance), requests)
                for i in range(plan.n_editors)
            )
            await asyncio.gather(*editors)
    finally:
        sampler.cancel()
        with suppress(asyncio.CancelledError):
            await sampler
        await client.shutdown()
    return soak


def _advancing(turns: Iterator[int], advance: Callable[[], None]) -> Iterator[int]:
    for turn in turns:
        yield turn
        advance()


def _requests() -> list[CompletionRequest]:
    """The middle of every line of the examples and some keys typed there, in a row; by canvases, then with drafts."""
    plain = [
        replace(
            hole.request,
            hole=replace(hole.request.hole, prefix=hole.request.hole.prefix + hole.truth[:n_typed]),
            max_evaluations=STEPS_MIN,
            drafts=0,
        )
        for file in find_programs()
        for hole in line_holes(file)
        for n_typed in range(min(N_TYPED, len(hole.truth)))
    ]
    return plain + [replace(request, drafts=N_DRAFTS) for request in plain]


async def _edit(
    plan: SoakPlan,
    rng: random.Random,
    client: EngineClient,
    soak: Soak,
    turns: Iterator[int],
    requests: Sequence[CompletionRequest],
) -> None:
    """Ask at random places, mostly at the next key there, sometimes for nothing."""
    at = rng.randrange(len(requests))
    for turn in turns:
        at = (at + 1) % len(requests) if rng.random() < GOES_ON_SHARE else rng.randrange(len(requests))
        if plan.n_kill and turn % plan.n_kill == 0:
            await _kill(client, soak)
        work = asyncio.create_task(client.complete(requests[at]))
        if rng.random() < CANCELLED_SHARE:
            await asyncio.wait({work}, timeout=rng.random() * CANCELLED_AFTER_S)
            work.cancel()
        try:
            completion = await work
        except asyncio.CancelledError:
            soak.n_cancelled += 1
        except EngineBusy:
            soak.n_busy += 1
            await asyncio.sleep(BUSY_PAUSE_S)
        except EngineError:
            soak.n_failed += 1
            soak.n_lost += time.monotonic() - soak.killed_s > AFTER_KILL_S
        else:
            soak.answers.setdefault(requests[at], Counter())[completion.text] += 1
            soak.n_cached += completion.n_cached
            soak.n_context += completion.n_context


async def _kill(client: EngineClient, soak: Soak) -> None:
    with suppress(EngineError, ProcessLookupError):
        os.kill((await client.health()).pid, signal.SIGKILL)
        soak.n_killed += 1
        soak.killed_s = time.monotonic()


async def _sample(client: EngineClient, soak: Soak) -> None:
    """Sample the engine's memory."""
    while True:
        with suppress(EngineError, psutil.Error):
            pid = (await client.health()).pid
            soak.memory.setdefault(pid, []).append(round(psutil.Process(pid).memory_info().rss / 2**20, 1))
        await asyncio.sleep(SAMPLE_S)


def differences(soak: Soak, plan: SoakPlan) -> list[dict[str, Any]]:
    """The answers that a model whose cache is emptied before every request does not give."""
    infiller = load_infiller(runtime=plan.runtime, dtype=plan.dtype)
    different = []
    with progress("comparing", len(soak.answers)) as advance:
        for request, texts in soak.answers.items():
            infiller.cache.clear()
            expected = infiller.complete(request, lambda: False)
            different += [
                {"expected": expected.text, "got": text, "times": n, "confidence": round(expected.confidence, 3)}
                for text, n in texts.items()
                if text != expected.text
            ]
            advance()
    return different
