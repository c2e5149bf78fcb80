"""Jobs that wait for their turn: a bounded room, and who is next.

Owns the order. Who wants an answer goes before who only wants a context read. Documents take turns: a job of the
document with the fewest running jobs goes first, then the one with the earliest deadline, then the one that came first.
Knows no threads and no models.
"""

import threading
import time
from collections.abc import Iterable
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

from ..fim.types import Completion, CompletionRequest


@dataclass(kw_only=True, eq=False)
class Job:
    """A request in the engine. received_s is on the clock of time.monotonic; work is the infiller's, once it runs."""

    request: CompletionRequest
    received_s: float = field(default_factory=time.monotonic)
    started_s: float = 0.0
    cancelled: threading.Event = field(default_factory=threading.Event)
    answer: Future[Completion] = field(default_factory=Future)
    work: Any = None

    @property
    def deadline_s(self) -> float:
        """When its budget ends, infinity without one."""
        budget_ms = self.request.budget_ms
        return float("inf") if budget_ms is None else self.received_s + budget_ms / 1000.0


class WaitingRoom:
    """At most n_max jobs."""

    def __init__(self, n_max: int) -> None:
        if n_max < 1:
            raise ValueError(f"max_queued must be at least 1, not {n_max}")
        self.n_max = n_max
        self._jobs: list[Job] = []

    def __len__(self) -> int:
        return len(self._jobs)

    @property
    def is_full(self) -> bool:
        """Whether nobody else may come in."""
        return len(self._jobs) >= self.n_max

    def add(self, job: Job) -> None:
        """Let job in; the caller asked whether there is room."""
        self._jobs.append(job)

    def leave(self, job: Job) -> None:
        """Forget job, if it is here."""
        if job in self._jobs:
            self._jobs.remove(job)

    def take(self, running: Iterable[Job]) -> Job:
        """The job whose turn it is beside those that run."""
        n_running: dict[str, int] = {}
        for job in running:
            if job.request.warms:
                continue
            n_running[job.request.path] = n_running.get(job.request.path, 0) + 1
        job = min(
            self._jobs,
            key=lambda job: (
                job.request.warms, n_running.get(job.request.path, 0), job.deadline_s, job.received_s
            ),
        )  # fmt: skip
        self._jobs.remove(job)
        return job
