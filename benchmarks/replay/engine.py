"""The language server of a replay in discrete time: the real one over stdio, before an engine that remembers.

Run as a script by `offers.ServerOffers`. Answers of the real engine are kept by request, with the time they
took, in a file that later replays read too: so hundreds of variants of typist, gate and trimming ask the model only
what it has not been asked yet. No time passes while the engine works or a text is held back; the client says when a key
came and when the next one comes (`replay/key`), and an answer that would have come later never comes (`replay/late`):
the key would have cancelled it.
"""

import argparse
import asyncio
import hashlib
import json
import os
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from ...fim.errors import InputError
from ...fim.terminal.logs import log_to_stderr
from ...fim.types import Completion, CompletionRequest
from ...lsp_server.answering.settling import SettleClock
from ...lsp_server.engine_backoff import ManagedEngine
from ...lsp_server.server import CompletionServer
from ...lsp_server.stdio import serve_stdio
from ...serving.client.engine_client import EngineClient
from ...serving.paths import find_home
from ...serving.wire import EngineHealth, decode_completion, encode_completion, encode_request

KEY, LATE = "replay/key", "replay/late"
WAIT = "wait"  # among an answer's timings: how long it was waited for, in ms


class AnswerMemory:
    """Answers by request, in a file of JSON lines that only grows."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._answers: dict[str, bytes] = {}
        if path.exists():
            for line in path.read_text(encoding="utf-8").splitlines():
                entry = json.loads(line)
                self._answers[entry["key"]] = entry["answer"].encode()

    def find(self, request: CompletionRequest) -> Completion | None:
        """What was answered to just this request."""
        found = self._answers.get(_key(request))
        return None if found is None else decode_completion(found)

    def keep(self, request: CompletionRequest, completion: Completion) -> None:
        """Remember an answer."""
        key, answer = _key(request), encode_completion(completion)
        self._answers[key] = answer
        line = json.dumps({"key": key, "answer": answer.decode()}) + "\n"
        with self._path.open("ab") as file:  # one write: others append to it too
            file.write(line.encode())


def _key(request: CompletionRequest) -> str:
    return hashlib.sha256(encode_request(request)).hexdigest()


class KeyTime:
    """Time between two keys, in milliseconds: it passes only where something is said to take some."""

    def __init__(self) -> None:
        self.key_ms, self.gap_ms, self.passed_ms = 0.0, float("inf"), 0.0
        self.tell_late: Callable[[dict[str, Any]], None] = lambda facts: None
        self._n_steps = 0

    def press(self, now_ms: float, gap_ms: float) -> None:
        """A key came at now_ms; the next one comes gap_ms later."""
        self.key_ms, self.gap_ms, self.passed_ms, self._n_steps = now_ms, gap_ms, 0.0, 0

    async def take(self, ms: float, n_steps: int = 0) -> None:
        """Let time pass, for so many forwards; it never ends where the next key comes first."""
        self.passed_ms += ms
        self._n_steps += n_steps
        if self.passed_ms > self.gap_ms:
            self.tell_late({"wait_ms": self.passed_ms, "steps": self._n_steps})
            await asyncio.Event().wait()

    async def sleep(self, seconds: float) -> None:
        """As `asyncio.sleep`."""
        await self.take(1000 * seconds)

    def now_s(self) -> float:
        """The time in seconds."""
        return (self.key_ms + self.passed_ms) / 1000


class RememberingEngine:
    """`ManagedEngine` over another one. fixed_ms: what every answer is said to take; None: what it took."""

    def __init__(self, engine: ManagedEngine, memory: AnswerMemory, time: KeyTime, fixed_ms: float | None) -> None:
        self._engine, self._memory, self._time, self._fixed_ms = engine, memory, time, fixed_ms

    async def ensure_running(self, on_progress: Callable[[str], None] | None = None) -> EngineHealth:
        """What the engine says of itself, when it can answer. Raises EngineUnavailable and CheckpointError."""
        return await self._engine.ensure_running(on_progress)

    async def shutdown(self) -> None:
        """End the other one. Raises EngineUnavailable."""
        await self._engine.shutdown()

    @property
    def log_file(self) -> Path | None:
        """The other one's."""
        return self._engine.log_file

    async def complete(self, request: CompletionRequest) -> Completion:
        """The answer, at once where it is known; never where the next key would have come first."""
        completion = self._memory.find(request)
        if completion is None:
            started_s = time.perf_counter()
            completion = await self._engine.complete(request)
            wait_ms = 1000 * (time.perf_counter() - started_s)
            completion = replace(completion, timings_ms={**completion.timings_ms, WAIT: wait_ms})
            if not request.warms:
                self._memory.keep(request, completion)
        if request.warms:
            return completion
        if self._fixed_ms is not None:
            completion = replace(completion, timings_ms={**completion.timings_ms, WAIT: self._fixed_ms})
        await self._time.take(completion.timings_ms[WAIT], completion.steps)
        return completion


def read_key(params: object) -> tuple[float, float]:
    """When a key came and how long it is to the next, in ms. Raises InputError."""
    now_ms, gap_ms = (params.get("now_ms"), params.get("gap_ms")) if isinstance(params, dict) else (None, None)
    if not isinstance(now_ms, int | float) or not isinstance(gap_ms, int | float):
        raise InputError("now_ms and gap_ms must be numbers")
    return float(now_ms), float(gap_ms)


def main() -> int:
    """Serve one replay. Returns the exit code."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--memory", type=Path, required=True)
    parser.add_argument("--fixed-ms", type=float)
    parser.add_argument("--model", type=Path)
    options = parser.parse_args()
    log_to_stderr("warning")
    client = EngineClient(find_home(options.model, os.environ))
    time_between = KeyTime()
    engine = RememberingEngine(client, AnswerMemory(options.memory), time_between, options.fixed_ms)
    server = CompletionServer(engine, "replay")
    server.clock = SettleClock(time_between.now_s, time_between.sleep)
    time_between.tell_late = lambda facts: server.protocol.notify(LATE, facts)

    def press(ls: CompletionServer, key: tuple[float, float]) -> None:
        time_between.press(*key)

    server.feature(KEY)(press)
    server.strict.readers[KEY] = read_key
    return serve_stdio(server)


if __name__ == "__main__":
    sys.exit(main())
