"""The language server in the test's own event loop, where HeadlessClient expects a process.

The bytes, the frames, the inbox and the exit codes are those of the real server; pipes, threads that read them and the
end of a process are not, so tests of these use `piped_editor`. It starts in milliseconds, a process takes a second.
"""

import asyncio
import logging
import time
from asyncio.subprocess import Process
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import cast

from quicksilver.lsp_server.engine_backoff import ManagedEngine
from quicksilver.lsp_server.protocol.framing import FrameReader
from quicksilver.lsp_server.protocol.headless import HeadlessClient
from quicksilver.lsp_server.protocol.inbox import Inbox
from quicksilver.lsp_server.server import CompletionServer

LEVELS = {"quicksilver": logging.DEBUG, "pygls": logging.CRITICAL + 1}  # as in the server's process


class _Log(logging.Handler):
    """Keeps what the process would write to stderr. Any thread may log."""

    def __init__(self, lines: deque[str]) -> None:
        super().__init__()
        self.lines = lines
        self.setFormatter(logging.Formatter("%(levelname)s %(name)s: %(message)s"))

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.extend(self.format(record).split("\n"))


class _Stdin:
    """What the client writes to."""

    def __init__(self, inbox: Inbox) -> None:
        self.inbox, self.frames, self.is_closed = inbox, FrameReader(), False

    def is_closing(self) -> bool:
        return self.is_closed

    def write(self, data: bytes) -> None:
        for body in self.frames.feed(data):
            self.inbox.put(body)

    def close(self) -> None:
        self.is_closed = True
        self.inbox.put(None)


class InProcessServer:
    """The parts of asyncio's Process that HeadlessClient uses, around a CompletionServer."""

    def __init__(self, engine: ManagedEngine) -> None:
        self.server = CompletionServer(engine, "0.0.test")
        self.returncode: int | None = None
        self.stdin = _Stdin(Inbox(asyncio.get_running_loop(), self._receive))
        self.stdout, self.stderr = asyncio.StreamReader(), asyncio.StreamReader()
        self.server.strict.set_writer(self)
        self._life = asyncio.create_task(self._live())

    async def wait(self) -> int:
        return await asyncio.shield(self._life)

    def kill(self) -> None:
        self.server.strict.stopped.set()

    def write(self, data: bytes) -> None:
        """What the server writes; nothing is written after its end."""
        if not self.server.strict.stopped.is_set():
            self.stdout.feed_data(data)

    def close(self) -> None:
        """pygls may close its writer."""

    async def idle(self) -> None:
        """Return when the server has nothing in flight in the background: nothing more is asked ahead or read ahead."""
        while self.server._tasks:
            await asyncio.wait(self.server._tasks)

    def _receive(self, body: bytes | None) -> None:
        if body is None:
            self.server.strict.stopped.set()
        elif not self.server.strict.stopped.is_set():
            self.server.strict.receive(body)

    async def _live(self) -> int:
        await self.server.strict.stopped.wait()
        self.server.close()
        await self.idle()
        self.returncode = 0 if self.server.strict.shut_down else 1
        self.stdout.feed_eof()
        self.stderr.feed_eof()
        return self.returncode


@contextmanager
def in_process_client(engine: ManagedEngine) -> Iterator[HeadlessClient]:
    """A client of a server in this event loop; the log is in its `stderr_lines`, as with a process."""
    client = HeadlessClient(cast(Process, InProcessServer(engine)), time.perf_counter())
    log, before = _Log(client.stderr_lines), {name: logging.getLogger(name).level for name in LEVELS}
    logging.getLogger().addHandler(log)
    for name, level in LEVELS.items():
        logging.getLogger(name).setLevel(level)
    try:
        yield client
    finally:
        logging.getLogger().removeHandler(log)
        for name, level in before.items():
            logging.getLogger(name).setLevel(level)
