"""The asynchronous front of a blocking Infiller: one worker thread, its slots, and a short, bounded queue before them.

Owns loading the model in that thread, slots, cancellation, and the effect of an error in one request. Jobs in slots
advance together, one forward at a time; a job joins and leaves between two forwards.
"""

import asyncio
import dataclasses
import logging
import threading
import time
import traceback
from collections.abc import Callable, Sequence
from typing import Any

from ...fim.engine import Infiller
from ...fim.errors import CheckpointError, EngineBusy, EngineError, InputError, QuicksilverError
from ...fim.text.printable import one_line
from ...fim.types import Completion, CompletionRequest
from ..wire import EngineStatus
from .metrics import Metrics
from .queue import Job, Pace, WaitingRoom, unrun
from .worker_state import EngineStopping, WorkerState, refusal

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
        with self._changed:
            if self._state.status in ("refused", "failed", "stopping"):
                raise refusal(self._state)
            if request.budget_ms == 0:
                return self._unrun(job)
            if reason := self._reason_to_refuse(job):
                busy = EngineBusy(f"the engine is busy: {reason}, ask again later")
                self.metrics.note_failure(busy)
                raise busy
            self._waiting.add(job)
            self._changed.notify()
        try:
            return await asyncio.wrap_future(job.answer)
        finally:
            self._forget(job)

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
                    self._settle(job)
        except BaseException as error:  # a panic in a native library, SystemExit: no other request would be answered
            self._note_death(error)

    def _note_death(self, error: BaseException) -> None:
        """The thread ends: turn all jobs down, so that their clients ask another engine, and let the process end."""
        kind = type(error).__name__
        logger.error("the worker failed (%s)\n%s%s", kind, "".join(traceback.format_tb(error.__traceback__)), kind)
        state = WorkerState(status="failed", reason=f"the engine failed ({kind}): its log says where")
        for job in list(self._running):
            self._free(job)
            job.answer.set_exception(refusal(state))
        with self._changed:
            self._give_up(self._state if self._state.status == "stopping" else state)

    def _load_infiller(self) -> Infiller[Any] | None:
        start_s = time.monotonic()
        try:
            infiller = self._load()
            facts = dict(infiller.describe())
            model = infiller.name
        except BaseException as error:  # any error while loading is what people need to see
            self._note_failed_load(error)
            return None
        with self._changed:
            if self._state.status == "stopping":
                return None
            self._state = WorkerState(status="ready", model=model, facts=facts, ready_s=time.monotonic())
            self._waiting.count_budgets_from(self._state.ready_s)
        logger.info("model %s ready after %.2f s", model, time.monotonic() - start_s)
        return infiller

    def _note_failed_load(self, error: BaseException) -> None:
        if isinstance(error, QuicksilverError):
            reason = one_line(str(error))
        else:
            reason = f"the model cannot be loaded ({type(error).__name__}: {one_line(str(error))[:200]})"
            logger.error("loading failed\n%s", "".join(traceback.format_tb(error.__traceback__)))
        with self._changed:
            if self._state.status != "stopping":
                status: EngineStatus = "refused" if isinstance(error, CheckpointError) else "failed"
                self._give_up(WorkerState(status=status, reason=reason))

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
            job.work = infiller.begin(_spend(job.request, waited_ms), job.cancelled.is_set)
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

    def _settle(self, job: Job) -> None:
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
        job.answer.set_exception(error if is_told else self._note_failure(error))

    def _free(self, job: Job) -> None:
        with self._changed:
            self._running.remove(job)
            self._last_used_s = time.monotonic()
            self.metrics.note_jobs(len(self._waiting), len(self._running))

    def _note_failure(self, error: Exception) -> EngineError:
        """Log where it failed. The message may quote the user's text, so only the debug log has it."""
        kind = type(error).__name__
        logger.error("request failed (%s)\n%s%s", kind, "".join(traceback.format_tb(error.__traceback__)), kind)
        logger.debug("request failed: %s", error)
        return EngineError(f"the engine failed on this request ({kind}): its log says where")


def _has_ended(job: Job) -> bool:
    return job.work.completion is not None or job.work.error is not None


def _spend(request: CompletionRequest, waited_ms: float) -> CompletionRequest:
    if request.budget_ms is None:
        return request
    return dataclasses.replace(request, budget_ms=max(0.0, request.budget_ms - waited_ms))
