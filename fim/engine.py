"""The interfaces between the domain and what fills holes: `Engine` and `Infiller`."""

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol, TypeVar

from .types import AnswerProgress, Completion, CompletionRequest

Watch = Callable[[AnswerProgress], None]


class Engine(Protocol):
    """Fills holes, asynchronously: the engine process's client, or a fake in tests."""

    async def complete(self, request: CompletionRequest) -> Completion:
        """Fill request.hole. Cancelling the awaiting task stops the work within one denoise step.

        Raises InputError (unusable request), CheckpointError, EngineBusy, EngineUnavailable, EngineError.
        """
        ...


class FillingJob(Protocol):
    """One request that an infiller works on."""

    @property
    def completion(self) -> Completion | None:
        """The answer, once there is one."""
        ...

    @property
    def error(self) -> Exception | None:
        """What ended it without an answer."""
        ...


JobT = TypeVar("JobT", bound=FillingJob)


class Infiller(Protocol[JobT]):
    """Fills holes, blocking, in this thread: a loaded model that works on several requests in step."""

    @property
    def name(self) -> str:
        """The model's name, as reports show it."""
        ...

    def describe(self) -> Mapping[str, str | int | float]:
        """Facts for people: device, dtype, parameters, checkpoint hash, context length, threads, languages (LSP ids
        separated by blanks, those that the model completes while a person types)."""
        ...

    def begin(self, request: CompletionRequest, is_cancelled: Callable[[], bool], watch: Watch | None = None) -> JobT:
        """A job for request; is_cancelled is called before every forward, watch after each one that brought the answer
        on. Raises InputError."""
        ...

    def advance(self, jobs: Sequence[JobT], n_waiting: int = 0) -> None:
        """Advance every unfinished job by one forward, all together; n_waiting more wait for a slot."""
        ...
