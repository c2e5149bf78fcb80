"""A bounded queue of jobs, and which job is next.

Answers go before warm-ups, and jobs that can still be in time before those that cannot. Documents take turns: a job of
the document with the fewest running jobs goes first, then the one with the earliest deadline, then the oldest.
"""

import threading
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

from ...fim.engine import Watch
from ...fim.types import Completion, CompletionRequest

_WEIGHT = 0.2  # of the newest answer in the average


@dataclass(kw_only=True, eq=False)
class Job:
    """A request in the engine; work is the infiller's, once it runs. watch is told how far the answer has come.

    Times are on the clock of time.monotonic. The budget counts from budget_from_s; work_s is what the model has spent.
    """

    request: CompletionRequest
    watch: Watch | None = None
    received_s: float = field(default_factory=time.monotonic)
    started_s: float = 0.0
    cancelled: threading.Event = field(default_factory=threading.Event)
    answer: Future[Completion] = field(default_factory=Future)
    work: Any = None
    work_s: float = 0.0
    budget_from_s: float = 0.0

    def __post_init__(self) -> None:
        self.budget_from_s = self.received_s

    @property
    def goes_on(self) -> bool:
        """Whether a client waits for it: not for a warm-up or a cancelled job, which may end at the next step."""
        return not (self.request.warms or self.cancelled.is_set())

    @property
    def deadline_s(self) -> float:
        """When its budget ends, infinity without one."""
        budget_ms = self.request.budget_ms
        return float("inf") if budget_ms is None else self.budget_from_s + budget_ms / 1000.0


def unrun(job: Job, model: str) -> Completion:
    """The answer to a job whose budget was spent before it could run."""
    return Completion(
        text="",
        range=job.request.hole.replaced,
        confidence=0.0,
        finish_reason="budget",
        steps=0,
        n_tokens=0,
        model=model,
        timings_ms={"queue": (time.monotonic() - job.received_s) * 1000.0},
    )


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
        """Whether no further job is accepted."""
        return len(self._jobs) >= self.n_max

    def add(self, job: Job) -> None:
        """Add job; the caller has checked that there is room."""
        self._jobs.append(job)

    def leave(self, job: Job) -> None:
        """Remove job, if it waits."""
        if job in self._jobs:
            self._jobs.remove(job)

    def count_budgets_from(self, now_s: float) -> None:
        """Let all budgets begin now: the model was not loaded before."""
        for job in self._jobs:
            job.budget_from_s = now_s

    def n_before(self, deadline_s: float) -> int:
        """How many jobs wait whose deadline is not later."""
        return sum(not job.request.warms and job.deadline_s <= deadline_s for job in self._jobs)

    def take_expired(self, now_s: float) -> list[Job]:
        """Remove and return the jobs whose budget is spent."""
        expired = [job for job in self._jobs if job.deadline_s <= now_s]
        self._jobs = [job for job in self._jobs if job.deadline_s > now_s]
        return expired

    def next(self, running: Iterable[Job], in_time_s: float) -> Job:
        """The job whose turn it is, given those that run; one with a deadline before in_time_s will be late."""
        n_running: dict[str, int] = {}
        for job in running:
            if job.request.warms:
                continue
            n_running[job.request.path] = n_running.get(job.request.path, 0) + 1
        return min(
            self._jobs,
            key=lambda job: (
                job.request.warms, job.deadline_s < in_time_s, n_running.get(job.request.path, 0), job.deadline_s,
                job.received_s,
            ),
        )  # fmt: skip

    def empty(self) -> list[Job]:
        """Remove and return all jobs."""
        jobs, self._jobs = self._jobs, []
        return jobs


class Pace:
    """How long the model works for one answer, by the last ones: jobs are accepted only if they can be in time."""

    def __init__(self) -> None:
        self.job_s = 0.0

    def note(self, job: Job, *, was_cut: bool) -> None:
        """job was answered; one that was cut short by its budget would have taken longer."""
        if not was_cut or job.work_s > self.job_s:
            self.job_s = job.work_s if self.job_s == 0.0 else (1 - _WEIGHT) * self.job_s + _WEIGHT * job.work_s

    def has_room(self, running: Sequence[Job], job: Job, now_s: float) -> bool:
        """Whether job may join those that run: not if that makes one of them late, or if it would be late itself."""
        going_on = [each for each in running if each.goes_on]
        end_s = now_s + self.job_s * (len(going_on) + 1)
        return not going_on or all(end_s <= each.deadline_s for each in (*going_on, job))

    def wait_s(self, running: Iterable[Job], n_waiting: int) -> float:
        """How long the next job will probably wait behind that many; running ones count as half done."""
        return self.job_s * (sum(each.goes_on for each in running) / 2 + n_waiting)
