"""A background thread that works in small units, and rests while a person types or waits for an answer.

Logs name kinds of failures, never texts.
"""

import logging
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager

log = logging.getLogger(__name__)

QUIET_S = 0.1  # after an edit, before work goes on
LONGEST_ANSWER_S = 2.0  # an engine that takes longer to answer does not hold up work
TICK_S = 0.01  # between two checks whether it is quiet
N_FAILURES_MAX = 20  # in a row

Unit = Callable[[], float | None]


class BackgroundThread:
    """Calls a unit of work again and again.

    begin is called in the thread and returns the unit, which returns in how many seconds to call it again: 0.0 if there
    is more to do, None if there is nothing to do until `wake`. finish is called at the end.
    """

    def __init__(self, begin: Callable[[], Unit], finish: Callable[[], None]) -> None:
        self._begin, self._finish = begin, finish
        self._thread: threading.Thread | None = None
        self._wake, self._closing = threading.Event(), threading.Event()
        self._touched_s = self._asked_s = float("-inf")
        self._n_asking = 0

    @property
    def is_alive(self) -> bool:
        """Whether the thread runs."""
        return self._thread is not None and self._thread.is_alive()

    def start(self) -> None:
        """Start the thread; a daemon, so that it never delays the end of the process."""
        self._thread = threading.Thread(target=self._run, name="background", daemon=True)
        self._thread.start()

    def close(self, timeout_s: float = 0.3) -> None:
        """End the work; waits at most timeout_s for a unit in progress."""
        self._closing.set()
        self._wake.set()
        if self._thread is not None:
            self._thread.join(timeout_s)

    def wake(self) -> None:
        """There is something to do."""
        self._wake.set()

    def touch(self) -> None:
        """A person typed just now."""
        self._touched_s = time.monotonic()

    @contextmanager
    def question(self) -> Iterator[None]:
        """A person waits for an answer during the block."""
        self._asked_s = time.monotonic()
        self._n_asking += 1
        try:
            yield
        finally:
            self._n_asking -= 1

    def _run(self) -> None:
        try:
            self._work(self._begin())
        except Exception as error:  # last resort: the server goes on without this work
            log.error("background work has stopped (%s)\n%s", type(error).__name__, _places(error))
        finally:
            self._finish()

    def _work(self, unit: Unit) -> None:
        n_failures = 0
        while not self._closing.is_set():
            if not self._is_quiet():
                self._closing.wait(TICK_S)
                continue
            self._wake.clear()
            try:
                pause_s = unit()
                n_failures = 0
            except Exception as error:  # one bad file must not end all work
                n_failures += 1
                log.error("background work failed (%s)\n%s", type(error).__name__, _places(error))
                if n_failures > N_FAILURES_MAX:
                    raise
                pause_s = TICK_S
            if pause_s != 0.0:
                self._wake.wait(pause_s)

    def _is_quiet(self) -> bool:
        now_s = time.monotonic()
        if self._n_asking > 0 and now_s - self._asked_s < LONGEST_ANSWER_S:
            return False
        return now_s - self._touched_s >= QUIET_S


def _places(error: Exception) -> str:
    """The traceback of an error without its message, which may hold source text."""
    return "".join(traceback.format_tb(error.__traceback__))
