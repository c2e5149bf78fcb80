"""The engine as the server sees it: started early, asked, and not started again and again if it cannot run.

Owns the pause between failed starts and whether the person was told.
"""

import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from ..fim.engine import Engine
from ..fim.errors import CheckpointError, EngineUnavailable, QuicksilverError
from ..fim.types import Completion, CompletionRequest
from ..serving.wire import CHOICE, EngineHealth

logger = logging.getLogger(__name__)

_FIRST_PAUSE_S = 1.0
_LONGEST_PAUSE_S = 30.0


class ManagedEngine(Engine, Protocol):
    """An engine that can be started ahead of time."""

    async def ensure_running(self, on_progress: Callable[[str], None] | None = None) -> EngineHealth:
        """Wait until it can answer; returns what it says of itself. on_progress gets a few words for people.

        Raises EngineUnavailable and CheckpointError.
        """
        ...

    async def shutdown(self) -> None:
        """End it, if it runs. Raises EngineUnavailable if it does not stop."""
        ...

    @property
    def log_file(self) -> Path | None:
        """Its log file; None if it has none."""
        ...


class EngineCare:
    """An Engine that rests after failures: the second in a row starts a pause, which doubles each time.

    A single failure does not, so an engine that was killed is back with the next request.
    """

    def __init__(self, engine: ManagedEngine, clock_s: Callable[[], float] = time.monotonic) -> None:
        self._engine = engine
        self._clock_s = clock_s
        self._n_failures = 0
        self._rests_until_s = 0.0
        self._last_reason = ""
        self._told = False
        self._has_worked = False
        self._languages: tuple[str, ...] | None = None

    @property
    def languages(self) -> tuple[str, ...] | None:
        """LSP ids of the languages that the model completes while a person types; None until the engine has said so."""
        return self._languages

    async def learn_languages(self) -> tuple[str, ...]:
        """The same, starting the engine if necessary. Raises EngineUnavailable and CheckpointError."""
        if self._languages is None:
            self._raise_if_resting()
            await self.start()
        return self._languages or ()

    async def start(self, on_progress: Callable[[str], None] | None = None) -> str:
        """Start the engine now. Returns what it says of its choice of a model, "" for nothing.

        Raises EngineUnavailable and CheckpointError.
        """
        try:
            health = await self._engine.ensure_running(on_progress)
        except (EngineUnavailable, CheckpointError) as error:
            self._note_failure(error)
            raise
        self._languages = tuple(str(health.facts.get("languages", "python")).split())
        self._note_success()
        return str(health.facts.get(CHOICE, "")) if isinstance(health, EngineHealth) else ""

    async def stop(self) -> None:
        """End the engine for all editors; the next question starts another. Raises EngineUnavailable."""
        self._has_worked, self._languages = False, None
        await self._engine.shutdown()

    @property
    def log_file(self) -> Path | None:
        """The engine's log file; None if it has none."""
        return self._engine.log_file

    async def warm(self, request: CompletionRequest) -> None:
        """Send a warm-up, if the engine works; its reply is ignored.

        An engine that is gone is not asked again until a question has started it.
        """
        if self._has_worked:
            try:
                await self._engine.complete(request)
            except (EngineUnavailable, CheckpointError):
                self._has_worked = False
            except QuicksilverError as error:
                logger.debug("reading ahead failed (%s)", type(error).__name__)

    async def complete(self, request: CompletionRequest) -> Completion:
        """Ask the engine; while it rests, raises EngineUnavailable at once."""
        self._raise_if_resting()
        await self.learn_languages()
        try:
            completion = await self._engine.complete(request)
        except (EngineUnavailable, CheckpointError) as error:
            self._note_failure(error)
            raise
        self._note_success()
        return completion

    def wake(self) -> None:
        """End a pause, since a person asked."""
        self._rests_until_s = 0.0

    def should_tell(self) -> bool:
        """Whether to tell the person: true once per series of failures."""
        told, self._told = self._told, True
        return not told

    def _raise_if_resting(self) -> None:
        if self._clock_s() < self._rests_until_s:
            raise EngineUnavailable(self._last_reason)

    def _note_success(self) -> None:
        self._n_failures, self._rests_until_s, self._told = 0, 0.0, False
        self._has_worked = True

    def _note_failure(self, error: QuicksilverError) -> None:
        self._n_failures += 1
        self._has_worked = False
        self._last_reason = str(error)
        if self._n_failures >= 2:
            pause_s = min(_LONGEST_PAUSE_S, _FIRST_PAUSE_S * 2 ** min(self._n_failures - 2, 10))
            self._rests_until_s = self._clock_s() + pause_s
