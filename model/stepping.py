"""What every infiller does alike: it works on several requests in step, one forward at a time, and one request's
failure leaves the others alone.

The work on a request is a generator. It yields what it asks of the model, is sent the replies, and returns the
completion.
"""

import logging
from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Sequence
from typing import Generic, TypeVar

from ..fim.engine import Watch
from ..fim.errors import EngineError
from ..fim.types import Completion, CompletionRequest
from .out_of_memory import is_out_of_memory

logger = logging.getLogger(__name__)

TOO_LITTLE_MEMORY = "there is not enough memory for this request: close something, or send less text"

AskT = TypeVar("AskT")
ReplyT = TypeVar("ReplyT")


class RunningJob(Generic[AskT, ReplyT]):
    """A request that is worked on: what it asks for next and, in the end, its completion or its error."""

    def __init__(self, request: CompletionRequest, work: Generator[AskT, ReplyT | None, Completion]) -> None:
        self.request = request
        self.ask: AskT | None = None  # None before it has begun
        self.completion: Completion | None = None
        self.error: Exception | None = None
        self._work = work

    @property
    def has_ended(self) -> bool:
        """Whether there is a completion or an error."""
        return self.completion is not None or self.error is not None

    def go_on(self, reply: ReplyT | None) -> None:
        """Send it the reply to its ask (None to begin)."""
        try:
            self.ask = self._work.send(reply)
        except StopIteration as end:
            self.completion = end.value
        except Exception as error:
            self.error = EngineError(TOO_LITTLE_MEMORY) if is_out_of_memory(error) else error


class SteppingInfiller(ABC, Generic[AskT, ReplyT]):
    """The skeleton of a `fim.engine.Infiller`. A model says what the work on a request is, and runs forwards."""

    def __init__(self) -> None:
        self.n_requests = 1  # that are worked on or wait, without warm-ups

    @abstractmethod
    def work_on(
        self, request: CompletionRequest, is_cancelled: Callable[[], bool], watch: Watch | None = None
    ) -> Generator[AskT, ReplyT | None, Completion]:
        """The work on request, not begun; is_cancelled is asked before every forward, watch is told how far the answer
        has come. Raises InputError."""

    @abstractmethod
    def forward(self, asks: Sequence[AskT]) -> list[ReplyT]:
        """The replies to asks, in one forward. Raises MemoryError or RuntimeError without the memory for them."""

    @abstractmethod
    def make_room(self) -> None:
        """Give up the memory that is held for speed alone, such as cached contexts."""

    def begin(
        self, request: CompletionRequest, is_cancelled: Callable[[], bool], watch: Watch | None = None
    ) -> RunningJob[AskT, ReplyT]:
        """A job for request, as `fim.engine.Infiller` says. Raises InputError."""
        return RunningJob(request, self.work_on(request, is_cancelled, watch))

    def advance(self, jobs: Sequence[RunningJob[AskT, ReplyT]], n_waiting: int = 0) -> None:
        """Take every job that has not ended one forward further, all together; n_waiting more wait for a slot.

        The more there are, the fewer steps each canvas gets (`fim.budget.step_ceiling`).
        """
        self.n_requests = n_waiting + sum(not job.request.warms for job in jobs)
        open_jobs = [job for job in jobs if not job.has_ended]
        new = [job for job in open_jobs if job.ask is None]
        asking = [(job, job.ask) for job in open_jobs if job.ask is not None]
        replies = self._try_forward([ask for _, ask in asking])
        if replies is None:
            self._advance_with_less(asking)
        else:
            for (job, _), reply in zip(asking, replies, strict=True):
                job.go_on(reply)
        for job in new:
            job.go_on(None)

    def complete(self, request: CompletionRequest, is_cancelled: Callable[[], bool]) -> Completion:
        """Fill request.hole, alone. Raises InputError."""
        job = self.begin(request, is_cancelled)
        while job.completion is None:
            self.advance([job])
            if job.error is not None:
                raise job.error
        return job.completion

    def _try_forward(self, asks: Sequence[AskT]) -> list[ReplyT] | None:
        """Replies to asks; None without the memory for them. What the failed forward held is free on return."""
        try:
            return self.forward(asks) if asks else []
        except (MemoryError, RuntimeError) as error:
            if not is_out_of_memory(error):
                raise
            return None

    def _advance_with_less(self, asking: Sequence[tuple[RunningJob[AskT, ReplyT], AskT]]) -> None:
        """One forward for each job by itself, all cached contexts given up; those fail that still want too much."""
        logger.warning("out of memory with %d requests in a forward: cached contexts are given up", len(asking))
        self.make_room()
        for job, ask in asking:
            replies = self._try_forward([ask])
            if replies is None:
                job.error = EngineError(TOO_LITTLE_MEMORY)
            else:
                job.go_on(replies[0])
