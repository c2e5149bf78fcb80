"""The asynchronous front of a blocking Infiller: one worker thread, its slots, and a short, bounded queue before them.

Owns loading the model in that thread, slots, cancellation, and the effect of an error in one request. Jobs in slots
advance together, one forward at a time; a job joins and leaves between two forwards.
"""

import asyncio
import contextlib
import dataclasses
import logging
import threading
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from typing import Any

from ...fim.engine import Infiller
from ...fim.errors import EngineBusy, EngineError, InputError
from ...fim.types import AnswerProgress, Completion, CompletionRequest
from .metrics import Metrics
from .progress import ProgressQueue
from .queue import Job, Pace, WaitingRoom, unrun
from .worker_state import (
    EngineStopping,
    WorkerState,
    failure_of,
    refusal,
    state_after_death,
    try_to_load,
)

logger = logging.getLogger(__name__)

N_SLOTS, N_WAITING = 8, 64  # requests in one forward, and those that may wait


class Worker:
    """Runs up to n_slots requests at a time in its own thread."""

    def __init__(
        self, load: Callable[[], Infiller[Any]], *, max_queued: int = N_WAITING, n_slots: int = N_SLOTS
    ) -> None:
        if n_slots < 1:
            raise ValueError(f"n_slots must be at least 1, not {n_slots}")
        self._load = load
        self._n_slots = n_slots
        self._state = WorkerState(status="loading")
        self._changed = threading.Condition()
        self._waiting = WaitingRoom(max_queued)
        self._running: list[Job] = []
        self._pace = Pace()
        self._last_used_s = time.monotonic()
        self.metrics = Metrics()
        self._thread = threading.Thread(target=self._run, name="infiller", daemon=True)

    @property
    def state(self) -> WorkerState:
        """Where the worker stands now."""
        return self._state

    @property
    def n_jobs(self) -> int:
        """Requests waiting or running."""
        with self._changed:
            return len(self._waiting) + len(self._running)

    def start(self) -> None:
        """Begin to load the model; requests may come already."""
        self._thread.start()

    def has_died(self) -> bool:
        """Whether the thread ended without being stopped, and no state says why."""
        with self._changed:
            is_open = self._state.status in ("loading", "ready")
            return is_open and self._thread.ident is not None and not self._thread.is_alive()

    def idle_s(self) -> float:
        """Seconds since the last request ended (or since the model was ready); 0 while there is work."""
        with self._changed:
            if self._waiting or self._running or self._state.status == "loading":
                return 0.0
            return time.monotonic() - max(self._last_used_s, self._state.ready_s)

    async def complete(self, request: CompletionRequest) -> Completion:
        """Run request when its turn comes. Cancelling drops a waiting job and stops a running one within one step.

        The budget counts from now, or from the end of loading where that is later; once it is spent, a job that has not
        run is answered without being run. Raises InputError (from the model), CheckpointError, EngineBusy (queue full,
        or too long for the budget; nothing was run), EngineUnavailable (not loaded, stopping), EngineError.
        """
        job = Job(request=request)
        self._take_in(job)
        try:
            return await asyncio.wrap_future(job.answer)
        finally:
            self._forget(job)

    async def stream(self, request: CompletionRequest) -> AsyncGenerator[AnswerProgress | Completion]:
        """Run request as `complete` does, and tell how far its answer has come after every forward that brought it on;
        the completion comes last. Closing the iterator stops the job within one step. Raises the same errors."""
        waiting, loop = ProgressQueue(), asyncio.get_running_loop()

        def watch(progress: AnswerProgress) -> None:  # in the worker's thread
            with contextlib.suppress(RuntimeError):  # the loop has ended, and with it whoever waited
                loop.call_soon_threadsafe(waiting.put, progress)

        def end(answer: asyncio.Future[Completion]) -> None:
            waiting.end()
            if not answer.cancelled():
                answer.exception()  # seen, also if nobody waits any more

        job = Job(request=dataclasses.replace(request, streams=True), watch=watch)
        self._take_in(job)
        answer = asyncio.wrap_future(job.answer)
        answer.add_done_callback(end)
        try:
            while (progress := await waiting.next()) is not None:
                yield progress
            yield answer.result()
        finally:
            answer.cancel()
            self._forget(job)

    def _take_in(self, job: Job) -> None:
        """Let job wait for its turn, or answer it at once if it has no time. Raises the errors of `complete`."""
        with self._changed:
            if self._state.status in ("refused", "failed", "stopping"):
                raise refusal(self._state)
            if job.request.budget_ms == 0:
                job.answer.set_result(self._unrun(job))
                return
            if reason := self._reason_to_refuse(job):
                busy = EngineBusy(f"the engine is busy: {reason}, ask again later")
                self.metrics.note_failure(busy)
                raise busy
            self._waiting.add(job)
            self._changed.notify()

    def stop(self) -> None:
        """Cancel everything, take nothing more, let the thread end. Does not wait."""
        with self._changed:
            for job in self._running:
                job.cancelled.set()
            self._give_up(WorkerState(status="stopping", reason="the engine is stopping", model=self._state.model))

    def join(self, timeout_s: float) -> bool:
        """Wait for the thread to end after stop(); whether it did."""
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _reason_to_refuse(self, job: Job) -> str:
        """Why job is not taken in, "" if it is. The caller holds the lock."""
        n_waiting = len(self._waiting)
        if self._waiting.is_full or (job.request.warms and n_waiting):  # warm-ups come last
            return f"{n_waiting} requests wait already"
        if job.request.budget_ms is None or job.request.warms:
            return ""
        wait_ms = 1000 * self._pace.wait_s(self._running, self._waiting.n_before(job.deadline_s))
        return f"the wait is about {wait_ms:.0f} ms" if wait_ms > job.request.budget_ms else ""

    def _unrun(self, job: Job) -> Completion:
        completion = unrun(job, self._state.model)
        self.metrics.note_completion(completion)
        return completion

    def _forget(self, job: Job) -> None:
        job.cancelled.set()
        with self._changed:
            self._last_used_s = time.monotonic()
            self._waiting.leave(job)

    def _give_up(self, state: WorkerState) -> None:
        """Enter a final state and turn down all waiting jobs. The caller holds the lock."""
        self._state = state
        for job in self._waiting.empty():
            if job.answer.set_running_or_notify_cancel():
                job.answer.set_exception(refusal(state))
        self._changed.notify()

    def _run(self) -> None:
        try:
            infiller = self._load_infiller()
            while infiller is not None and self._admit(infiller):
                self._advance(infiller, self._running)
                for job in [job for job in self._running if _has_ended(job)]:
                    self._answer(job)
        except BaseException as error:  # a panic in a native library, SystemExit: no other request would be answered
            self._note_death(error)

    def _note_death(self, error: BaseException) -> None:
        """The thread ends: turn all jobs down, so that their clients ask another engine, and let the process end."""
        state = state_after_death(error)
        for job in list(self._running):
            self._free(job)
            job.answer.set_exception(refusal(state))
        with self._changed:
            self._give_up(self._state if self._state.status == "stopping" else state)

    def _load_infiller(self) -> Infiller[Any] | None:
        infiller, state = try_to_load(self._load)
        with self._changed:
            if self._state.status == "stopping":
                return None
            if infiller is None:
                self._give_up(state)
            else:
                self._state = state
                self._waiting.count_budgets_from(state.ready_s)
        return infiller

    def _admit(self, infiller: Infiller[Any]) -> bool:
        """Fill free slots, waiting for a job where none runs. False when it is time to end."""
        while True:
            with self._changed:
                while (job := self._take_next()) is None and not self._running and self._state.status != "stopping":
                    self._changed.wait()
                if job is None:
                    return bool(self._running)
                self._running.append(job)
            self._begin(infiller, job)

    def _take_next(self) -> Job | None:
        """The job to begin now, if there is one and room for it. The caller holds the lock."""
        now_s = time.monotonic()
        for job in self._waiting.take_expired(now_s):
            if job.answer.set_running_or_notify_cancel():
                job.answer.set_result(self._unrun(job))
        while len(self._waiting) and len(self._running) < self._n_slots:
            job = self._waiting.next(self._running, now_s + self._pace.job_s)
            if not self._pace.has_room(self._running, job, now_s):
                return None
            self._waiting.leave(job)
            if job.answer.set_running_or_notify_cancel():
                return job
        return None

    def _begin(self, infiller: Infiller[Any], job: Job) -> None:
        job.started_s = time.monotonic()
        waited_ms = (job.started_s - job.budget_from_s) * 1000.0
        try:
            job.work = infiller.begin(_spend(job.request, waited_ms), job.cancelled.is_set, job.watch)
        except Exception as error:
            self._fail(job, error)

    def _advance(self, infiller: Infiller[Any], jobs: Sequence[Job]) -> None:
        """One forward for all; if that fails, one for each, so that only the failing jobs fail."""
        start_s = time.monotonic()
        with self._changed:
            n_waiting = len(self._waiting)
        self.metrics.note_jobs(n_waiting, len(self._running))
        try:
            infiller.advance([job.work for job in jobs], n_waiting)
            took_s = time.monotonic() - start_s
            self.metrics.note_forward(len(jobs), took_s)
            for job in jobs:
                job.work_s += took_s / len(jobs)
        except Exception as error:
            if len(jobs) == 1:
                self._fail(jobs[0], error)
                return
            logger.warning("a forward for %d requests failed (%s): one by one now", len(jobs), type(error).__name__)
            for job in list(jobs):
                self._advance(infiller, [job])

    def _answer(self, job: Job) -> None:
        """Answer a job that has ended, and free its slot."""
        if job.work.error is not None:
            self._fail(job, job.work.error)
            return
        was_cancelled = job.cancelled.is_set()  # before the answer is out: its receiver sets the flag too
        queue_ms = (job.started_s - job.received_s) * 1000.0
        if self._state.status == "stopping":  # it was cut short: not the answer that was asked for
            self._fail(job, refusal(self._state))
            return
        completion = job.work.completion
        if completion.finish_reason != "cancelled" and not job.request.warms:
            self._pace.note(job, was_cut=completion.finish_reason == "budget")
        completion = dataclasses.replace(completion, timings_ms={**completion.timings_ms, "queue": queue_ms})
        self._free(job)
        self.metrics.note_completion(completion)
        job.answer.set_result(completion)
        logger.info(
            "request prefix=%d suffix=%d queue_ms=%.1f run_ms=%.1f cancelled=%s",
            len(job.request.hole.prefix),
            len(job.request.hole.suffix),
            queue_ms,
            (time.monotonic() - job.started_s) * 1000.0,
            was_cancelled,
        )

    def _fail(self, job: Job, error: Exception) -> None:
        """Answer with an error; one request's failure must not end the worker."""
        self._free(job)
        self.metrics.note_failure(error)
        is_told = isinstance(error, InputError | EngineStopping) or type(error) is EngineError
        job.answer.set_exception(error if is_told else failure_of(error))

    def _free(self, job: Job) -> None:
        with self._changed:
            self._running.remove(job)
            self._last_used_s = time.monotonic()
            self.metrics.note_jobs(len(self._waiting), len(self._running))


def _has_ended(job: Job) -> bool:
    return job.work.completion is not None or job.work.error is not None


def _spend(request: CompletionRequest, waited_ms: float) -> CompletionRequest:
    if request.budget_ms is None:
        return request
    return dataclasses.replace(request, budget_ms=max(0.0, request.budget_ms - waited_ms))
