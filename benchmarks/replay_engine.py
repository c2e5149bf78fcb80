"""The language server of a replay in discrete time: the real one over stdio, before an engine that remembers.

Run as a script by `replay_offers.ServerOffers`. Answers of the real engine are kept by request, with the time they
took, in a file that later replays read too: so hundreds of variants of typist, gate and trimming ask the model only
what it has not been asked yet. No time passes while the engine works; the client says when the next key comes
(`replay/key`), and an answer that would have come later never comes (`replay/late`): the key would have cancelled it.
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

from ..fim.errors import InputError
from ..fim.types import Completion, CompletionRequest
from ..lsp_server.cli import log_to_stderr
from ..lsp_server.engine_care import ManagedEngine
from ..lsp_server.server import CompletionServer
from ..lsp_server.stdio import serve_stdio
from ..serving.client import EngineClient
from ..serving.home import find_home
from ..serving.wire import decode_completion, encode_completion, encode_request

KEY, LATE = "replay/key", "replay/late"
WAIT = "wait"  # among an answer's timings: how long it was waited for, in ms


class Memory:
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


class RememberingEngine:
    """`ManagedEngine` over another one. fixed_ms: what every answer is said to take; None: what it took."""

    def __init__(self, engine: ManagedEngine, memory: Memory, fixed_ms: float | None) -> None:
        self._engine, self._memory, self._fixed_ms = engine, memory, fixed_ms
        self.gap_ms = float("inf")
        self.tell_late: Callable[[dict[str, Any]], None] = lambda facts: None

    async def ensure_running(self, on_progress: Callable[[str], None] | None = None) -> object:
        """Return when the engine can answer. Raises EngineUnavailable and CheckpointError."""
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
        if completion.timings_ms[WAIT] > self.gap_ms:
            self.tell_late({"wait_ms": completion.timings_ms[WAIT], "steps": completion.steps})
            await asyncio.Event().wait()
        return completion


def main() -> int:
    """Serve one replay. Returns the exit code."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--memory", type=Path, required=True)
    parser.add_argument("--fixed-ms", type=float)
    parser.add_argument("--model", type=Path)
    options = parser.parse_args()
    log_to_stderr("warning")
    client = EngineClient(find_home(options.model, os.environ))
    engine = RememberingEngine(client, Memory(options.memory), options.fixed_ms)
    server = CompletionServer(engine, "replay")
    engine.tell_late = lambda facts: server.protocol.notify(LATE, facts)

    def read_gap(params: object) -> float:
        if not isinstance(params, dict) or not isinstance(params.get("gap_ms"), int | float):
            raise InputError("gap_ms must be a number")
        return float(params["gap_ms"])

    def take_gap(ls: CompletionServer, gap_ms: float) -> None:
        engine.gap_ms = gap_ms

    server.feature(KEY)(take_gap)
    server.strict.readers[KEY] = read_gap
    return serve_stdio(server)


if __name__ == "__main__":
    sys.exit(main())
