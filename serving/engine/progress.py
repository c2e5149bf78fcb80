"""What a streamed request's client has not read yet: the newest progress, and a bounded number of frames."""

import asyncio
from collections import deque

from ...fim.types import AnswerProgress

MAX_FRAMES = 64


class ProgressQueue:
    """AnswerProgress from the engine to one client, in order. For the event loop's thread.

    A client that reads slowly is told less often: progress without a frame replaces what waits, and of frames only the
    newest MAX_FRAMES are kept.
    """

    def __init__(self) -> None:
        self._waiting: deque[AnswerProgress] = deque(maxlen=MAX_FRAMES)
        self._has_ended = False
        self._changed = asyncio.Event()

    def put(self, progress: AnswerProgress) -> None:
        """Add progress."""
        if self._waiting and self._waiting[-1].frame is None:
            self._waiting.pop()
        self._waiting.append(progress)
        self._changed.set()

    def end(self) -> None:
        """Nothing more will come."""
        self._has_ended = True
        self._changed.set()

    async def next(self) -> AnswerProgress | None:
        """The oldest progress, waiting for one; None after the last."""
        while not self._waiting:
            if self._has_ended:
                return None
            self._changed.clear()
            await self._changed.wait()
        return self._waiting.popleft()
