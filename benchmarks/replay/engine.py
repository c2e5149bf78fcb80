"""The language server of a replay in discrete time: the real one over stdio, before an engine that remembers.

Run as a script by `offers.ServerOffers`. Answers of the real engine are kept by request, with the time they
took, in a file that later replays read too: so hundreds of variants of typist, gate and trimming ask the model only
what it has not been asked yet, and no model is loaded where all is known. No time passes while the engine works or a
text is held back; the client says when a key came and when the next one comes (`replay/key`), and an answer that would
have come later never comes (`replay/late`): the key would have cancelled it. At the end of a block the client asks
which rules decided anything (`replay/decided`): without any other rule the block goes just the same.
"""

import argparse
import asyncio
import hashlib
import json
import os
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from ...fim.errors import CheckpointError, InputError
from ...fim.terminal.logs import log_to_stderr
from ...fim.types import Completion, CompletionRequest
from ...lsp_server.answering.settling import SettleClock
from ...lsp_server.engine_backoff import ManagedEngine
from ...lsp_server.server import CompletionServer
from ...lsp_server.stdio import serve_stdio
from ...serving.client.engine_client import EngineClient
from ...serving.client.starting import default_launch
from ...serving.paths import find_home
from ...serving.wire import (
    EngineHealth,
    decode_completion,
    decode_health,
    encode_completion,
    encode_health,
    encode_request,
)
from .deciding import watch_rules

KEY, LATE, DECIDED = "replay/key", "replay/late", "replay/decided"
WAIT = "wait"  # among an answer's timings: how long it was waited for, in ms


class AnswerMemory:
    """Answers by question, and what the engine said of itself, in a file of JSON lines that only grows.

    A question is known by the text around its hole and by what is asked, not by the texts from other files: which of
    these are at hand hangs on pauses in real time. sources names what is left out of them. Every line is written at
    once; one that a kill has cut short is passed over.
    """

    def __init__(self, path: Path, sources: str = "") -> None:
        self.path, self._sources = path, sources
        self.health: EngineHealth | None = None
        self._answers: dict[str, bytes] = {}
        self._is_cut = False
        if path.exists():
            text = path.read_text(encoding="utf-8")
            self._is_cut = not text.endswith("\n") and bool(text)
            for line in text.splitlines():
                self._read(line)

    def _read(self, line: str) -> None:
        try:
            entry = json.loads(line)
        except ValueError:
            return
        if "health" in entry:
            self.health = decode_health(entry["health"].encode())
        else:
            self._answers[entry["key"]] = entry["answer"].encode()

    def find(self, request: CompletionRequest) -> Completion | None:
        """What was answered to this question."""
        found = self._answers.get(self._key(request))
        return None if found is None else decode_completion(found)

    def keep(self, request: CompletionRequest, completion: Completion) -> None:
        """Remember an answer."""
        key, answer = self._key(request), encode_completion(completion)
        self._answers[key] = answer
        self._write({"key": key, "answer": answer.decode()})

    def keep_health(self, health: EngineHealth) -> None:
        """Remember what the engine says of itself."""
        self.health = health
        self._write({"health": encode_health(health).decode()})

    def _key(self, request: CompletionRequest) -> str:
        question = encode_request(replace(request, snippets=(), offers=()))
        return hashlib.sha256(question + self._sources.encode()).hexdigest()

    def _write(self, entry: Mapping[str, str]) -> None:
        line = "\n" * self._is_cut + json.dumps(entry) + "\n"
        self._is_cut = False
        with self.path.open("ab") as file:  # one write: others append to it too
            file.write(line.encode())


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
    """`ManagedEngine` over another one. fixed_ms: what every answer is said to take; None: what it took.

    The other one is started when it is first asked something new; n_asked counts such questions.
    """

    def __init__(self, engine: ManagedEngine, memory: AnswerMemory, time: KeyTime, fixed_ms: float | None) -> None:
        self._engine, self._memory, self._time, self._fixed_ms = engine, memory, time, fixed_ms
        self.n_asked = 0

    async def ensure_running(self, on_progress: Callable[[str], None] | None = None) -> EngineHealth:
        """What the engine says of itself, or said at first. Raises EngineUnavailable and CheckpointError."""
        if self._memory.health is None:
            self._memory.keep_health(await self._engine.ensure_running(on_progress))
        assert self._memory.health is not None
        return self._memory.health

    async def shutdown(self) -> None:
        """End the other one. Raises EngineUnavailable."""
        await self._engine.shutdown()

    @property
    def log_file(self) -> Path | None:
        """The other one's."""
        return self._engine.log_file

    async def complete(self, request: CompletionRequest) -> Completion:
        """The answer, at once where it is known; never where the next key would have come first.

        Raises what the other one raises, and CheckpointError where the known answers are another model's.
        """
        if request.warms:
            return await self._engine.complete(request) if self.n_asked else _nothing_read(request)
        completion = self._memory.find(request)
        if completion is None:
            await self._start()
            started_s = time.perf_counter()
            completion = await self._engine.complete(request)
            wait_ms = 1000 * (time.perf_counter() - started_s)
            completion = replace(completion, timings_ms={**completion.timings_ms, WAIT: wait_ms})
            self._memory.keep(request, completion)
        if self._fixed_ms is not None:
            completion = replace(completion, timings_ms={**completion.timings_ms, WAIT: self._fixed_ms})
        await self._time.take(completion.timings_ms[WAIT], completion.steps)
        return completion

    async def _start(self) -> None:
        """Have the other one running, and count a question to it."""
        known = await self.ensure_running()
        if not self.n_asked and (model := (await self._engine.ensure_running()).model) != known.model:
            raise CheckpointError(f"the answers in {self._memory.path} are of {known.model}, not of {model}")
        self.n_asked += 1


def _nothing_read(request: CompletionRequest) -> Completion:
    """What a warm-up is answered with where there is nothing to warm."""
    return Completion(
        text="", range=request.hole.replaced, confidence=0.0, finish_reason="stop", steps=0, n_tokens=0, model=""
    )


def replay_client(model: Path | None, context_tokens: int | None, environ: Mapping[str, str]) -> EngineClient:
    """The client of a replay's engine, which reads context_tokens of context and answer (None: as it measures)."""
    home = find_home(model, environ)
    options = [] if context_tokens is None else ["--context-tokens", str(context_tokens)]
    return EngineClient(home, [*default_launch(home), *options])


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
    parser.add_argument("--sources", default="")
    parser.add_argument("--fixed-ms", type=float)
    parser.add_argument("--model", type=Path)
    parser.add_argument("--context-tokens", type=int)
    options = parser.parse_args()
    log_to_stderr("warning")
    client = replay_client(options.model, options.context_tokens, os.environ)
    time_between = KeyTime()
    engine = RememberingEngine(client, AnswerMemory(options.memory, options.sources), time_between, options.fixed_ms)
    server = CompletionServer(engine, "replay")
    server.clock = SettleClock(time_between.now_s, time_between.sleep)
    time_between.tell_late = lambda facts: server.protocol.notify(LATE, facts)

    def press(ls: CompletionServer, key: tuple[float, float]) -> None:
        time_between.press(*key)

    decided = watch_rules()

    def tell_decided(ls: CompletionServer, params: None) -> dict[str, Any]:
        names = sorted(decided)
        decided.clear()
        return {"rules": names, "n_asked": engine.n_asked}

    server.feature(KEY)(press)
    server.feature(DECIDED)(tell_decided)
    server.strict.readers[KEY] = read_key
    server.strict.readers[DECIDED] = lambda params: None
    return serve_stdio(server)


if __name__ == "__main__":
    sys.exit(main())
