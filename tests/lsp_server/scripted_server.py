"""The real language server over stdio, with an engine that does as the command line says (run as a script).

Every request is recorded, one JSON line each, in the file --record: what was asked, and whether it was cancelled.
"""

import argparse
import asyncio
import json
import re
import sys
from collections.abc import Sequence
from pathlib import Path

from quicksilver.fim.errors import EngineUnavailable
from quicksilver.fim.terminal.logs import log_to_stderr
from quicksilver.fim.types import Alternative, Completion, TraceCell, TraceFrame
from quicksilver.lsp_server.server import CompletionServer
from quicksilver.lsp_server.stdio import run_stdio
from quicksilver.lsp_server.tcp import read_address, run_tcp
from quicksilver.serving.wire import EngineHealth, encode_request


class ScriptedEngine:
    """Answers "seen_N", N being the length of the prefix it was given; fails or waits when told to."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.n_asked = 0

    async def ensure_running(self, on_progress=None):
        if on_progress is not None:
            on_progress("loading the model")
        await asyncio.sleep(self.options.start_ms / 1000)
        if self.options.unavailable:
            raise EngineUnavailable("the engine cannot start: scripted")
        facts = {"languages": self.options.languages}
        return EngineHealth(status="ready", version="", pid=0, uptime_s=0.0, facts=facts)

    async def shutdown(self):
        self.n_asked = 0

    @property
    def log_file(self):
        return self.options.record

    async def complete(self, request):
        if self.options.crash_warm and request.warms:
            raise RuntimeError(request.hole.prefix)
        if request.warms:
            self.record("warmed", request)
            await asyncio.sleep(self.options.delay_ms / 1000)
            return self.completion(request)
        self.n_asked += 1
        self.record("asked", request)
        if self.options.unavailable or self.n_asked <= self.options.fail_first:
            raise EngineUnavailable("the engine died: scripted")
        if self.options.hold_lock:
            re.match("(a+)+$", 60 * "a" + "b")  # in C for years, with the interpreter lock held
        if self.options.crash:
            raise RuntimeError(request.hole.prefix)
        try:
            await asyncio.sleep(self.options.delay_ms / 1000)
        except asyncio.CancelledError:
            self.record("cancelled", request)
            raise
        self.record("answered", request)
        return self.completion(request)

    def completion(self, request):
        text = self.options.text or f"seen_{len(request.hole.prefix)}"
        if begun := re.search(r"\w+\Z", request.hole.prefix):  # the rest of a begun word, as a model answers
            text = text.removeprefix(begun[0])
        cells = (TraceCell(text=text, state="new"), TraceCell(text="", state="masked"))
        return Completion(
            text=text,
            range=request.hole.replaced,
            confidence=self.options.confidence,
            finish_reason="stop",
            steps=2,
            n_tokens=3,
            model="scripted",
            timings_ms={"queue": 0.0, "prefill": 1.0, "denoise": 2.0, "engine": self.options.delay_ms},
            alternatives=tuple(
                Alternative(text=other, confidence=self.options.confidence / 2, source="file", n_tokens=3)
                for other in self.options.other[: request.n_alternatives]
            ),
            trace=(TraceFrame(step=1, elapsed_ms=1.0, cells=cells),) if request.trace else (),
        )

    def record(self, event, request):
        if self.options.record is None:
            return
        hole = request.hole
        facts = {
            "event": event,
            "prefix": hole.prefix,
            "suffix": hole.suffix,
            "budget_ms": request.budget_ms,
            "max_tokens": request.max_tokens,
            "policy": request.policy,
            "path": request.path,
            "snippets": list(request.snippets),
            "all": encode_request(request).decode("utf-8", "surrogatepass"),
        }
        with self.options.record.open("a", encoding="utf-8") as file:
            file.write(json.dumps(facts) + "\n")


def read_options(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """What the engine does, from a command line (None: of this process)."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--delay-ms", type=float, default=0.0)
    parser.add_argument("--start-ms", type=float, default=0.0)
    parser.add_argument("--fail-first", type=int, default=0)
    parser.add_argument("--unavailable", action="store_true")
    parser.add_argument("--crash", action="store_true")
    parser.add_argument("--hold-lock", action="store_true")
    parser.add_argument("--crash-warm", action="store_true")
    parser.add_argument("--text")
    parser.add_argument("--other", action="append", default=[])
    parser.add_argument("--confidence", type=float, default=0.5)
    parser.add_argument("--languages", default="python")
    parser.add_argument("--record", type=Path)
    parser.add_argument("--tcp")
    return parser.parse_args(arguments)


def main() -> int:
    options = read_options()
    log_to_stderr("debug")
    if options.tcp is not None:
        return run_tcp(read_address(options.tcp), lambda: CompletionServer(ScriptedEngine(options), "0.0.test"))
    return run_stdio(ScriptedEngine(options), "0.0.test")


if __name__ == "__main__":
    sys.exit(main())
