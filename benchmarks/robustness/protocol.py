"""Language server stress test: random edits in three encodings, a storm of cancelled questions, broken messages.

Shows that no position is ever wrong, no request stays without an answer, nothing crashes and memory stays flat. The
server is the real one over stdio, with an engine that answers at once (`instant_server`).
"""

import asyncio
import json
import random
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import psutil

from ...fim.terminal.console import open_console
from ...fim.terminal.options import Option
from ...fim.text.positions import PositionEncoding
from ...lsp_server.protocol.headless import INLINE_COMPLETION, AnswerError, HeadlessClient, completion_params
from ..machine import percentile
from ..progress import progress
from ..runner import heading, write_result
from ..speed.instant_server import MODULE, mirror
from .broken_messages import broken_message
from .naive_text import NaiveText, random_edit
from .soak import trend

URI = "file:///quicksilver/protocol.py"
ENCODINGS: tuple[PositionEncoding, ...] = ("utf-8", "utf-16", "utf-32")
CANCELLED_SHARE = 0.5
SAMPLE_S = 0.5
GROWTH_MIB = 8.0  # over a run, once warm: what the allocator's own fragments account for
N_TYPED = 200  # keys of the storm, then they are deleted: a text that only grows says nothing of memory
N_BETWEEN = 25  # broken messages between two questions that must be answered rightly


@dataclass(frozen=True, kw_only=True)
class ProtocolPlan:
    """How long each part is."""

    n_edits: Annotated[int, Option("in each of three encodings", least=1)] = 10_000
    storm_s: Annotated[float, Option("seconds of questions and cancels", above=0)] = 60.0
    storm_per_s: Annotated[int, Option("how many a second", least=1, most=2000)] = 200
    fuzz_s: Annotated[float, Option("seconds of broken messages", above=0)] = 300.0
    seed: Annotated[int, Option("of all that is drawn")] = 0


class MemoryUse:
    """Resident memory of a process, MiB, now and then."""

    def __init__(self, pid: int) -> None:
        self._process = psutil.Process(pid)
        self.mib: list[float] = []
        self._next_s = 0.0

    def sample(self) -> None:
        """Take a sample, if the last one was long enough ago."""
        if time.monotonic() >= self._next_s:
            self._next_s = time.monotonic() + SAMPLE_S
            self.mib.append(round(self._process.memory_info().rss / 2**20, 1))

    def trend(self) -> dict[str, float]:
        """See `soak.trend`."""
        return trend(self.mib) if len(self.mib) >= 8 else {"end": self.mib[-1] if self.mib else 0.0, "growth": 0.0}


def run_protocol(plan: ProtocolPlan, json_file: Path | None) -> int:
    """Run the test, print the results, write JSON. Returns 1 if anything was wrong."""
    result: dict[str, Any] = {
        **heading("protocol"),
        "plan": vars(plan),
        "edits": {encoding: asyncio.run(_edits(plan, encoding)) for encoding in ENCODINGS},
        "storm": asyncio.run(_storm(plan)),
        "fuzz": asyncio.run(_fuzz(plan)),
    }
    open_console().print_json(json.dumps(result))
    write_result(result, json_file)
    parts = [*result["edits"].values(), result["storm"], result["fuzz"]]
    grew = any(part["memory_mib"]["growth"] > GROWTH_MIB for part in parts)
    wrong = sum(part[name] for part in parts for name in ("wrong", "unanswered"))
    return int(grew or wrong > 0 or any(part["exit_code"] != 0 for part in parts))


async def _started(encoding: PositionEncoding = "utf-16") -> HeadlessClient:
    client = await HeadlessClient.start([sys.executable, "-P", "-m", MODULE, "--mirror"])
    await client.initialize(encodings=(encoding,), options={"workspace": False, "prose": True})
    return client


async def _edits(plan: ProtocolPlan, encoding: PositionEncoding) -> dict[str, Any]:
    """Random edits; after each the server's view of the document is checked."""
    rng, text, client = (
        random.Random(f"{plan.seed} {encoding}"),
        NaiveText("def f():\n    pass\n"),
        await _started(encoding),
    )
    memory, n_wrong = MemoryUse(client.process.pid), 0
    client.open(URI, text.text)
    with progress(f"edits, {encoding}", plan.n_edits) as advance:
        for version in range(2, plan.n_edits + 2):
            changes = [random_edit(rng, text, encoding) for _ in range(rng.choice((1, 1, 1, 2, 3)))]
            params = {"textDocument": {"uri": URI, "version": version}, "contentChanges": changes}
            client.notify("textDocument/didChange", params)
            position = text.random_position(rng, encoding)
            offset = text.offset(position, encoding)
            await client.complete(URI, position)
            facts = await client.explain()
            if "raw_text" in facts:
                n_wrong += facts["raw_text"] != mirror(text.text[:offset], text.text[offset:])
            else:  # refused in a document of nothing but odd characters: then the reason counts
                n_wrong += facts["cause"] != "gated"
            memory.sample()
            advance()
    exit_code = await client.stop()
    return {"n": plan.n_edits, "wrong": n_wrong, "unanswered": 0, "memory_mib": memory.trend(), "exit_code": exit_code}


async def _storm(plan: ProtocolPlan) -> dict[str, Any]:
    """Keys and questions faster than anybody types, half of them cancelled right away."""
    rng, client = random.Random(plan.seed), await _started()
    memory, answers, n_cancelled, version = MemoryUse(client.process.pid), [], 0, 1
    source = Path(__file__).read_text(encoding="utf-8")
    client.open(URI, source)
    line = len(source.split("\n")) - 1
    start_s = time.monotonic()
    n_requests = round(plan.storm_s * plan.storm_per_s)
    with progress("storm", n_requests) as advance:
        for i in range(n_requests):
            await asyncio.sleep(max(0.0, start_s + i / plan.storm_per_s - time.monotonic()))
            version += 1
            client.insert(URI, version, (line, 0), rng.choice("abc \n"))
            if version % N_TYPED == 0:
                version += 1
                client.replace(URI, version, ((line, 0), (line + N_TYPED, 0)), "")
            request_id, answer = client.ask(INLINE_COMPLETION, completion_params(URI, (line, 1), invoked=False))
            answers.append(asyncio.ensure_future(_timed(answer)))
            if rng.random() < CANCELLED_SHARE:
                client.notify("$/cancelRequest", {"id": request_id})
                n_cancelled += 1
            memory.sample()
            advance()
    seconds = time.monotonic() - start_s
    done, waiting = await asyncio.wait(answers, timeout=10)
    ms = [task.result()[0] for task in done]
    codes = sorted({code for task in done if (code := task.result()[1]) is not None})
    exit_code = await client.stop()
    return {
        "n": n_requests,
        "per_s": round(n_requests / seconds, 1),
        "cancelled": n_cancelled,
        "error_codes": codes,
        "wrong": len([code for code in codes if code != -32800]),
        "unanswered": len(waiting),
        "answer_ms": {
            "p50": round(percentile(ms, 0.5), 2),
            "p95": round(percentile(ms, 0.95), 2),
            "most": round(max(ms), 1),
        },
        "memory_mib": memory.trend(),
        "exit_code": exit_code,
    }


async def _timed(answer: "asyncio.Future[Any]") -> tuple[float, int | None]:
    """Milliseconds until an answer comes, and its error code."""
    start_s = time.perf_counter()
    try:
        await answer
        code = None
    except AnswerError as error:
        code = error.code
    return 1000 * (time.perf_counter() - start_s), code


async def _fuzz(plan: ProtocolPlan) -> dict[str, Any]:
    """Broken messages, and questions between them that must be answered as ever."""
    rng, client = random.Random(plan.seed), await _started()
    memory, n_sent, n_wrong, n_unanswered, version = MemoryUse(client.process.pid), 0, 0, 0, 1
    text = NaiveText("value = \n")
    client.open(URI, text.text)
    end_s = time.monotonic() + plan.fuzz_s
    with progress("fuzz, s", round(plan.fuzz_s)) as advance:
        shown_s = time.monotonic()
        while time.monotonic() < end_s and client.process.returncode is None:
            waiting = []
            for _ in range(N_BETWEEN):
                data, is_request = broken_message(rng, client.next_id())
                waiting += [client.await_answer()] if is_request else []
                client.send(data)
                n_sent += 1
            client.open(URI, text.text, version=(version := version + 1))  # after any broken message
            try:
                await client.complete(URI, (0, 8), timeout_s=10)
                facts = await client.explain()
                n_wrong += facts.get("raw_text") != mirror("value = ", "\n")
            except Exception:  # every error counts
                n_wrong += 1
            n_unanswered += sum(not answer.done() for answer in waiting)
            memory.sample()
            while shown_s + 1 < time.monotonic():
                shown_s += 1
                advance()
    exit_code = await client.stop()
    return {
        "n": n_sent,
        "wrong": n_wrong,
        "unanswered": n_unanswered,
        "memory_mib": memory.trend(),
        "exit_code": exit_code,
    }
