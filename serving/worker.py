"""The asynchronous front of a blocking Infiller: one worker thread and a short, bounded queue before it.

Owns loading the model in that thread, waiting, cancellation and what an error in one request means. It does not know
HTTP, nor which of two requests is the newer one.
"""

import asyncio
import dataclasses
import logging
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field

from ..fim.engine import Infiller
from ..fim.errors import CheckpointError, EngineBusy, EngineError, EngineUnavailable, InputError, QuicksilverError
from ..fim.types import Completion, CompletionRequest
from .wire import EngineStatus, one_line

logger = logging.getLogger(__name__)


class EngineStopping(EngineUnavailable):
    """The engine is about to end and gives no answer any more; another one may."""


@dataclass(frozen=True, kw_only=True)
class WorkerState:
    """Where the worker stands; reason is for people and set when it failed, ready_s is on time.monotonic's clock."""

    status: EngineStatus
    model: str = ""
    reason: str = ""
    facts: Mapping[str, str | int | float] = field(default_factory=dict)
    ready_s: float = 0.0


@dataclass(kw_only=True, eq=False)
class _Job:
    request: CompletionRequest
    received_s: float
    cancelled: threading.Event = field(default_factory=threading.Event)
    answer: Future[Completion] = field(default_factory=Future)


class Worker:
    """Runs one request at a time in its own thread, in the order of arrival."""

    def __init__(self, load: Callable[[], Infiller], *, max_queued: int = 16) -> None:
        if max_queued < 1:
            raise ValueError(f"max_queued must be at least 1, not {max_queued}")
        self._load = load
        self._max_queued = max_queued
        self._state = WorkerState(status="loading")
        self._changed = threading.Condition()
        self._queue: deque[_Job] = deque()
        self._running: _Job | None = None
        self._last_used_s = time.monotonic()
        self._thread = threading.Thread(target=self._run, name="infiller", daemon=True)

    @property
    def state(self) -> WorkerState:
        """Where the worker stands now."""
        return self._state

    @property
    def n_jobs(self) -> int:
        """Requests waiting or running."""
        with self._changed:
            return len(self._queue) + (self._running is not None)

    def start(self) -> None:
        """Begin to load the model; requests may come already."""
        self._thread.start()

    def idle_s(self) -> float:
        """Seconds since the last request ended (or since the model was ready); 0 while there is work."""
        with self._changed:
            if self._queue or self._running is not None or self._state.status == "loading":
                return 0.0
            return time.monotonic() - max(self._last_used_s, self._state.ready_s)

    async def complete(self, request: CompletionRequest) -> Completion:
        """Run request when its turn comes. Cancelling drops a waiting job and stops a running one within one step.

        The budget counts from now, or from the end of loading where that is later. Raises InputError (from the
        model), CheckpointError, EngineBusy (queue full, nothing was run), EngineUnavailable (not loaded, stopping),
        EngineError.
        """
        job = _Job(request=request, received_s=time.monotonic())
        with self._changed:
            if self._state.status in ("refused", "failed", "stopping"):
                raise _refusal(self._state)
            if len(self._queue) >= self._max_queued:
                raise EngineBusy(f"the engine is busy: {len(self._queue)} requests wait already, ask again later")
            self._queue.append(job)
            self._changed.notify()
        try:
            return await asyncio.wrap_future(job.answer)
        finally:
            self._forget(job)

    def stop(self) -> None:
        """Cancel everything, take nothing more, let the thread end. Does not wait."""
        with self._changed:
            if self._running is not None:
                self._running.cancelled.set()
            self._give_up(WorkerState(status="stopping", reason="the engine is stopping", model=self._state.model))

    def join(self, timeout_s: float) -> bool:
        """Wait for the thread to end after stop(); whether it did."""
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _forget(self, job: _Job) -> None:
        job.cancelled.set()
        with self._changed:
            self._last_used_s = time.monotonic()
            if job in self._queue:
                self._queue.remove(job)

    def _give_up(self, state: WorkerState) -> None:
        """Enter a final state and turn down all who wait. The caller holds the lock."""
        self._state = state
        while self._queue:
            job = self._queue.popleft()
            if job.answer.set_running_or_notify_cancel():
                job.answer.set_exception(_refusal(state))
        self._changed.notify()

    def _run(self) -> None:
        infiller = self._load_infiller()
        while infiller is not None:
            job = self._next_job()
            if job is None:
                return
            self._answer(infiller, job)
            with self._changed:
                self._running = None
                self._last_used_s = time.monotonic()

    def _load_infiller(self) -> Infiller | None:
        start_s = time.monotonic()
        try:
            infiller = self._load()
            facts = dict(infiller.describe())
            model = infiller.name
        except Exception as error:  # whatever goes wrong while loading is the answer that people need
            self._note_failed_load(error)
            return None
        with self._changed:
            if self._state.status == "stopping":
                return None
            self._state = WorkerState(status="ready", model=model, facts=facts, ready_s=time.monotonic())
        logger.info("model %s ready after %.2f s", model, time.monotonic() - start_s)
        return infiller

    def _note_failed_load(self, error: Exception) -> None:
        if isinstance(error, QuicksilverError):
            reason = one_line(str(error))
        else:
            reason = f"the model cannot be loaded ({type(error).__name__}: {one_line(str(error))[:200]})"
            logger.error("loading failed\n%s", "".join(traceback.format_tb(error.__traceback__)))
        with self._changed:
            if self._state.status != "stopping":
                status: EngineStatus = "refused" if isinstance(error, CheckpointError) else "failed"
                self._give_up(WorkerState(status=status, reason=reason))

    def _next_job(self) -> _Job | None:
        """The next job that somebody still waits for, or None when it is time to end."""
        with self._changed:
            while True:
                if self._state.status == "stopping":
                    return None
                if not self._queue:
                    self._changed.wait()
                    continue
                job = self._queue.popleft()
                if job.answer.set_running_or_notify_cancel():
                    self._running = job
                    return job

    def _answer(self, infiller: Infiller, job: _Job) -> None:
        start_s = time.monotonic()
        was_cancelled = False
        queue_ms = (start_s - job.received_s) * 1000.0
        waited_ms = (start_s - max(job.received_s, self._state.ready_s)) * 1000.0
        try:
            completion = infiller.complete(_spend(job.request, waited_ms), job.cancelled.is_set)
            was_cancelled = job.cancelled.is_set()  # before the answer is out: whoever got it sets the flag too
            if self._state.status == "stopping":  # it cut the work short: not the answer that was asked for
                raise _refusal(self._state)
            timings_ms = {**completion.timings_ms, "queue": queue_ms}
            job.answer.set_result(dataclasses.replace(completion, timings_ms=timings_ms))
        except (InputError, EngineStopping) as error:
            job.answer.set_exception(error)
        except Exception as error:  # one request's failure must not end the worker
            job.answer.set_exception(self._note_failure(error))
            return
        logger.info(
            "request prefix=%d suffix=%d queue_ms=%.1f run_ms=%.1f cancelled=%s",
            len(job.request.hole.prefix),
            len(job.request.hole.suffix),
            queue_ms,
            (time.monotonic() - start_s) * 1000.0,
            was_cancelled,
        )

    def _note_failure(self, error: Exception) -> EngineError:
        """Log where it failed. The message may quote the user's text, so only the debug log has it."""
        kind = type(error).__name__
        logger.error("request failed (%s)\n%s%s", kind, "".join(traceback.format_tb(error.__traceback__)), kind)
        logger.debug("request failed: %s", error)
        return EngineError(f"the engine failed on this request ({kind}): its log says where")


def _refusal(state: WorkerState) -> QuicksilverError:
    if state.status == "refused":
        return CheckpointError(state.reason)
    return EngineStopping(state.reason) if state.status == "stopping" else EngineUnavailable(state.reason)


def _spend(request: CompletionRequest, waited_ms: float) -> CompletionRequest:
    if request.budget_ms is None:
        return request
    return dataclasses.replace(request, budget_ms=max(0.0, request.budget_ms - waited_ms))
