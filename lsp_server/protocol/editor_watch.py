"""A small process beside the server that ends it once its editor has gone, even if the server is busy.

The server cannot do this by itself: a thread that holds the interpreter lock in one long call blocks all others,
including signal handlers and the thread that reads stdin. The process is forked from the server while that is small
(7 MB of its own; Linux, 2026-11-29), and sleeps until the kernel wakes it. It acts only on a hang-up that the kernel
reports, never on time, so it ends no server that is merely busy, stopped, or on a sleeping laptop. Linux only:
elsewhere such a server lives until its call is over.
"""

import contextlib
import gc
import logging
import os
import select
import signal
import sys
from pathlib import Path

log = logging.getLogger(__name__)

# Time for the server to end by itself. It takes less than 0.8 s once it runs, but 1.6 s from its start if all messages
# are piped in at once (busy 2-core AMD EPYC, 2026-11-30).
ENDING_MS = 5_000
_GONE = select.POLLHUP | select.POLLERR | getattr(select, "POLLRDHUP", 0) if hasattr(select, "poll") else 0


class EditorWatch:
    """Watches one editor's end of stdin; it ends with the process that made it."""

    def __init__(self, stdin_fd: int, ending_ms: float = ENDING_MS) -> None:
        """Start watching; the server gets ending_ms to end. Call it before any thread is started."""
        self._to_watch: int | None = None
        if sys.platform != "linux":
            return
        server, (from_server, to_watch) = os.getpid(), os.pipe()
        try:
            is_watch = os.fork() == 0
        except OSError as error:
            log.warning("cannot start a process to watch the editor (%s)", type(error).__name__)
            os.close(from_server)
            os.close(to_watch)
            return
        if is_watch:
            try:
                _watch(server, stdin_fd, from_server, ending_ms)
            finally:
                os._exit(0)
        os.close(from_server)
        self._to_watch = to_watch

    def ending(self) -> None:
        """The server is about to end: its ending_ms start now."""
        if self._to_watch is not None:
            with contextlib.suppress(BrokenPipeError):  # the watch was ended
                os.write(self._to_watch, b"e")


def _watch(server: int, stdin_fd: int, from_server: int, ending_ms: float) -> None:
    """In the new process: wait until the editor or the server has gone. If the editor has, end the server."""
    gc.disable()
    for entry in list(Path("/proc/self/fd").iterdir()):  # the editor waits for the end of stdout, so close it here
        if int(entry.name) not in (stdin_fd, from_server):
            with contextlib.suppress(OSError):
                os.close(int(entry.name))
    if _is_to_end(stdin_fd, from_server):
        _end(server, from_server, ending_ms)


def _is_to_end(stdin_fd: int, from_server: int) -> bool:
    """Wait. True once the editor has gone or the server says that it is ending, False once the server has ended."""
    poll = select.poll()
    poll.register(stdin_fd, _GONE)
    poll.register(from_server, select.POLLIN)
    while True:
        for fd, event in poll.poll():
            if fd == from_server:
                return bool(event & select.POLLIN)
            if event & _GONE:
                return True
            poll.unregister(stdin_fd)  # stdin cannot be watched


def _end(server: int, from_server: int, ending_ms: float) -> None:
    """Give the server ending_ms to close its end of the pipe, then kill it."""
    poll = select.poll()
    poll.register(from_server, 0)  # only a hang-up
    if not poll.poll(ending_ms) and os.getppid() == server:
        os.kill(server, signal.SIGKILL)
