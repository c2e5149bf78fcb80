"""The seam between the domain and whatever fills holes."""

from collections.abc import Callable, Mapping
from typing import Protocol

from .types import Completion, CompletionRequest


class Engine(Protocol):
    """Fills holes, asynchronously: the engine process's client, or a fake in tests."""

    async def complete(self, request: CompletionRequest) -> Completion:
        """Fill request.hole. Cancelling the awaiting task stops the work within one denoise step.

        Raises InputError (unusable request), CheckpointError, EngineBusy, EngineUnavailable, EngineError.
        """
        ...


class Infiller(Protocol):
    """Fills holes, blocking, in this thread: a loaded model. One call at a time."""

    @property
    def name(self) -> str:
        """The model's name, as reports show it."""
        ...

    def describe(self) -> Mapping[str, str | int | float]:
        """Facts for people: device, dtype, parameters, checkpoint hash, context length, threads."""
        ...

    def complete(self, request: CompletionRequest, is_cancelled: Callable[[], bool]) -> Completion:
        """Fill request.hole; is_cancelled is asked before every denoise step. Raises InputError."""
        ...
