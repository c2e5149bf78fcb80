"""A runnable engine whose model is a slow, obedient fake: the real command, server and worker around it.

It writes one JSON line per event to --fake-log. The prefix of a request may hold an order: "raise-input", "raise-bug",
"raise-exit", "NaN". The number of steps is the request's max_evaluations; the answer is what the fake was given, so
that tests can check the way there and back: suffix and prefix, the messages of a conversation, nothing for a warm-up.
Snippets, the path and the language come with the text if the prefix begins with "show:".
"""

import argparse
import json
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace

from quicksilver.cli.serve import main
from quicksilver.fim.engine import Watch
from quicksilver.fim.errors import CheckpointError, InputError
from quicksilver.fim.types import (
    Alternative,
    AnswerProgress,
    Completion,
    CompletionRequest,
    TokenScore,
    TraceCell,
    TraceFrame,
)
from quicksilver.serving.process import connections


def text_for(request: CompletionRequest) -> str:
    """The answer's text."""
    if request.messages:
        return "|".join(f"{message.role}: {message.content}" for message in request.messages)
    if request.warms:
        return ""
    hole = request.hole
    if hole.prefix.startswith("show:"):
        return json.dumps([hole.prefix, hole.suffix, hole.language, request.path, request.snippets])
    return hole.suffix + hole.prefix


class FakeInfiller:
    """Sleeps step_ms per forward, whoever shares it, and echoes suffix + prefix."""

    def __init__(self, log: Path, step_ms: float) -> None:
        self._log = log
        self._step_ms = step_ms

    @property
    def name(self) -> str:
        return "fake"

    def describe(self) -> Mapping[str, str | int | float]:
        return {"device": "none", "parameters": 0}

    def begin(
        self, request: CompletionRequest, is_cancelled: Callable[[], bool], watch: Watch | None = None
    ) -> SimpleNamespace:
        self._note("start", request, 0)
        if "raise-input" in (request.hole.prefix, *(message.content for message in request.messages)):
            raise InputError("the fake does not like this")
        if request.hole.prefix == "raise-bug":
            raise RuntimeError(f"secret source text: {request.hole.suffix}")
        if request.hole.prefix == "raise-exit":
            raise SystemExit(0)
        return SimpleNamespace(
            request=request, is_cancelled=is_cancelled, watch=watch, step=0, completion=None, error=None
        )

    def advance(self, jobs: Sequence[SimpleNamespace], n_waiting: int = 0) -> None:
        time.sleep(self._step_ms / 1000)
        for job in jobs:
            if job.is_cancelled():
                self._note("cancelled", job.request, job.step)
                job.completion = self._answer(job.request, "cancelled", job.step)
                continue
            job.step += 1
            self._tell(job)
            if job.step == job.request.max_evaluations:
                self._note("done", job.request, job.step)
                job.completion = self._answer(job.request, "stop", job.step)

    def _tell(self, job: SimpleNamespace) -> None:
        """Settle an equal part of the text in each step."""
        if job.watch is None:
            return
        text, n_steps = text_for(job.request), job.request.max_evaluations
        n = len(text) * job.step // n_steps
        frame = None
        if job.request.trace:
            cells = [TraceCell(text=c, state="kept", confidence=0.9) for c in text[:n]]
            cells += [TraceCell(text=c, state="provisional", confidence=0.4) for c in text[n : n + 1]]
            cells += [TraceCell(text="", state="masked") for _ in text[n + 1 :]]
            frame = TraceFrame(step=job.step, elapsed_ms=float(job.step), cells=tuple(cells))
        job.watch(AnswerProgress(settled=text[:n], steps=job.step, frame=frame))

    def _answer(self, request: CompletionRequest, reason, steps: int) -> Completion:
        text = text_for(request)
        frame = TraceFrame(step=1, elapsed_ms=0.5, cells=(TraceCell(text=text, state="new"),))
        return Completion(
            text=text,
            range=request.hole.replaced,
            confidence=float("nan") if request.hole.prefix == "NaN" else 0.5,
            finish_reason=reason,
            steps=steps,
            n_tokens=len(text),
            model=self.name,
            timings_ms={"engine": 1.0, "budget_left": request.budget_ms or 0.0},
            n_context=7,
            n_cached=5,
            alternatives=tuple(
                Alternative(text=f"other {i}", confidence=0.1, source="file", n_tokens=1)
                for i in range(min(2, request.n_alternatives))
            ),
            tokens=tuple(TokenScore(text=c, log_prob=-0.5) for c in text) if request.log_probs else (),
            trace=(frame,) if request.trace else (),
        )

    def _note(self, event: str, request: CompletionRequest, step: int) -> None:
        line = {"event": event, "prefix": request.hole.prefix, "step": step, "at_s": time.monotonic()}
        with self._log.open("a", encoding="ascii") as file:
            file.write(json.dumps(line) + "\n")


def run() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--fake-log", type=Path, required=True)
    parser.add_argument("--fake-step-ms", type=float, default=1)
    parser.add_argument("--fake-load-ms", type=float, default=0)
    parser.add_argument("--fake-load-fails", action="store_true")
    parser.add_argument("--fake-unread-s", type=float, default=connections.UNREAD_S)
    fake, rest = parser.parse_known_args()
    connections.UNREAD_S = fake.fake_unread_s

    def load(checkpoint: Path | None, n_threads: int | None) -> FakeInfiller:
        time.sleep(fake.fake_load_ms / 1000)
        if fake.fake_load_fails:
            raise CheckpointError("no checkpoint in the fake folder:\nrun the fake trainer")
        return FakeInfiller(fake.fake_log, fake.fake_step_ms)

    return main(rest, load=load)


if __name__ == "__main__":
    sys.exit(run())
