"""A queue of messages between the thread that reads stdin and the event loop."""

import asyncio
import logging
import threading
from collections import deque
from collections.abc import Callable

log = logging.getLogger(__name__)
N_A_TURN = 16


class Inbox:
    """Any number of messages, of which a turn of the event loop reads N_A_TURN.

    A client that is faster than the server is not held up: it may not read while it writes. Its messages wait as bytes.
    If all were read at once, each question would hold its own copy of the document, and a slow server would only fall
    further behind; a few at a time, questions about older texts turn out stale in between. Once the client has gone,
    all are read at once.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, receive: Callable[[bytes | None], None]) -> None:
        self._loop, self._receive = loop, receive
        self._waiting: deque[bytes | None] = deque()
        self._lock = threading.Lock()
        self._is_awake = False  # whether the loop will read from here

    def put(self, body: bytes | None) -> None:
        """Add a message, or None for the end. Thread-safe."""
        with self._lock:
            self._waiting.append(body)
            if self._is_awake:
                return
            self._is_awake = True
        try:
            self._loop.call_soon_threadsafe(self._read)
        except RuntimeError:
            log.debug("a message came after the end")

    def _read(self) -> None:
        with self._lock:
            has_ended = bool(self._waiting) and self._waiting[-1] is None  # nobody waits for the answers: end soon
            n = len(self._waiting) if has_ended else min(N_A_TURN, len(self._waiting))
            some = [self._waiting.popleft() for _ in range(n)]
            self._is_awake = bool(some)
        for body in some:
            self._loop.call_soon(self._receive, body)  # one callback each: one that fails does not affect the others
        if some:
            self._loop.call_soon(self._read)
