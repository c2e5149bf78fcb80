"""The server's status: one word and one line for people.

Owns the states, their order (off before snoozed before failed …) and when a change is worth a message.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType
from typing import Any, Literal, Protocol

State = Literal["starting", "ready", "busy", "off", "snoozed", "failed"]
EngineState = Literal["starting", "ready", "failed"]
BUSY_S = 0.15  # a question in flight for longer is shown
QUIET_S = 0.3  # between two messages with the same state: numbers change with every key


class Timer(Protocol):
    """A scheduled call."""

    def cancel(self) -> None: ...


class Status:
    """The server's status. tell gets its description after each change; later(seconds, call) schedules a call."""

    def __init__(
        self,
        tell: Callable[[Mapping[str, Any]], None],
        later: Callable[[float, Callable[[], None]], Timer],
        counts: Mapping[str, int] = MappingProxyType({}),
        clock_s: Callable[[], float] = time.time,
    ) -> None:
        self._tell, self._later, self._clock_s = tell, later, clock_s
        self._engine: EngineState = "ready"
        self._engine_message = "the engine starts with the first question"
        self._is_off = False
        self._snoozed_until_s = 0.0
        self._n_questions = 0
        self._is_busy = False
        self._latency_ms: float | None = None
        self._model: str | None = None
        self._languages: tuple[str, ...] | None = None
        self._choice: str | None = None
        self._unknown_language: str | None = None
        self._about_document = ""
        self._counts: Mapping[str, int] = dict(counts)
        self._told: Mapping[str, Any] = self.describe()
        self._quiet: Timer | None = None

    @property
    def is_snoozed(self) -> bool:
        """Whether automatic suggestions are snoozed now."""
        return self._clock_s() < self._snoozed_until_s

    @property
    def state(self) -> State:
        """The word for it."""
        if self._is_off:
            return "off"
        if self.is_snoozed:
            return "snoozed"
        if self._engine != "ready":
            return self._engine
        return "busy" if self._is_busy else "ready"

    def describe(self) -> dict[str, Any]:
        """The status as JSON values (docs/protocol.md)."""
        until_ms = round(1000 * self._snoozed_until_s) if self.is_snoozed else None
        return {
            "state": self.state,
            "message": self._message(),
            "latency_ms": self._latency_ms,
            "model": self._model,
            "languages": None if self._languages is None else list(self._languages),
            "choice": self._choice,
            "unknown_language": self._unknown_language,
            "snoozed_until_ms": until_ms,
            "counts": dict(self._counts),
        }

    def switch(self, *, on: bool) -> None:
        """Completions are on or off."""
        self._is_off = not on
        self._publish()

    def snooze(self, seconds: float) -> None:
        """No automatic suggestions for some seconds; 0 ends that."""
        self._snoozed_until_s = self._clock_s() + seconds if seconds > 0 else 0.0
        if seconds > 0:
            self._later(seconds + 0.05, self._publish)
        self._publish()

    def engine(self, state: EngineState, message: str = "") -> None:
        """The engine is starting (message: its progress), ready, or failed (message: why)."""
        self._engine, self._engine_message = state, message
        self._publish()

    def serves(self, choice: str) -> None:
        """The engine is ready; choice says which model it serves and why, "" for nothing."""
        self._choice = choice or None
        self.engine("ready")

    def answered(self, latency_ms: float, model: str, counts: Mapping[str, int]) -> None:
        """A question was answered with a text."""
        self._latency_ms, self._model, self._counts = round(latency_ms, 1), model, dict(counts)
        if self._choice is not None and not self._choice.startswith(f"{model}: "):
            self._choice = None  # another engine has started since
        self._engine, self._engine_message = "ready", ""
        self._publish()

    def document(self, language: str, about: str | None, known: tuple[str, ...] | None) -> None:
        """A document is opened or asked about; about is one line on its language if the model does not know it.
        known are the model's languages, None until the engine has said which."""
        self._languages = known
        self._unknown_language, self._about_document = (None, "") if about is None else (language, about)
        self._publish()

    def counted(self, counts: Mapping[str, int]) -> None:
        """An outcome was counted."""
        self._counts = dict(counts)
        self._publish()

    @contextmanager
    def question(self) -> Iterator[None]:
        """A question is in flight during the block."""
        self._n_questions += 1
        timer = self._later(BUSY_S, self._note_busy) if self._n_questions == 1 else None
        try:
            yield
        finally:
            self._n_questions -= 1
            if timer is not None:
                timer.cancel()
            if not self._n_questions and self._is_busy:
                self._is_busy = False
                self._publish()

    def _note_busy(self) -> None:
        if self._n_questions:
            self._is_busy = True
            self._publish()

    def _message(self) -> str:
        state = self.state
        if state == "off":
            return "completions are switched off"
        if state == "snoozed":
            return f"snoozed until {time.strftime('%H:%M', time.localtime(self._snoozed_until_s))}"
        if state == "starting":
            return f"starting: {self._engine_message}" if self._engine_message else "the engine is starting"
        if state == "failed":
            return self._engine_message
        if state == "busy":
            return "working on an answer"
        if self._about_document:
            return self._about_document
        if self._latency_ms is None:
            return self._engine_message or self._choice or "ready"
        return f"{self._model}, last answer in {self._latency_ms:.0f} ms"

    def _publish(self) -> None:
        """Tell of a change: a new state now, new numbers a little later, together."""
        described = self.describe()
        if described == self._told:
            return
        if described["state"] != self._told.get("state"):
            self._tell_now()
        elif self._quiet is None:
            self._quiet = self._later(QUIET_S, self._tell_now)

    def _tell_now(self) -> None:
        if self._quiet is not None:
            self._quiet.cancel()
            self._quiet = None
        described = self.describe()
        if described != self._told:
            self._told = described
            self._tell(described)
