"""Runs an engine process: from open sockets to the last request, and every way it ends.

Owns uvicorn's settings, signals and the idle stop.
"""

import asyncio
import logging
import signal
import socket
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import FrameType

import uvicorn

from ..api.app import EngineApi, create_app
from ..engine.worker import Worker
from .connections import BoundedConnection, report_once
from .listener import BACKLOG, Address

logger = logging.getLogger(__name__)

_WATCH_S = 0.1
_LAST_CALL_S = 0.3  # after the socket file is gone: time for a client that had just connected
_GRACE_S = 2
_ACCEPT_BURST = 16  # a storm of connections must not take all descriptors before the first is turned away


@dataclass(kw_only=True)
class EngineEnd:
    """Whether and why the engine is to end; set from signal handlers and requests."""

    requested: bool = False
    reason: str = ""
    exit_code: int = field(default=0)

    def request(self, reason: str, exit_code: int = 0) -> None:
        """End soon; the first reason stands."""
        if not self.requested:
            self.reason, self.exit_code, self.requested = reason, exit_code, True


def run_engine(worker: Worker, address: Address, *, idle_s: float | None) -> int:
    """Serve until a signal, a request, idle_s without work (None: never), a lost socket or a worker that failed.

    Returns the exit code. The address is withdrawn before the listeners close, so that no client is cut off, and none
    reaches the next process on that port.
    """
    ending = EngineEnd()
    api = EngineApi(worker=worker, version=address.home.version, stop=lambda: ending.request("asked to stop"))
    config = uvicorn.Config(
        create_app(api, admission=address.admission),
        loop="asyncio",
        http=BoundedConnection,
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        proxy_headers=False,  # they would let a request claim where it came from
        server_header=False,
        backlog=_ACCEPT_BURST,
        timeout_graceful_shutdown=_GRACE_S,
    )
    with _signals(ending):
        asyncio.run(_serve(_Server(config), worker, address, ending, idle_s))
    worker.stop()
    if not worker.join(_GRACE_S):
        logger.warning("the model did not stop within %d s", _GRACE_S)
    if ending.exit_code == 0:
        logger.info("stopped: %s", ending.reason or "signal")
    else:
        logger.error("%s", ending.reason)
    return ending.exit_code


class _Server(uvicorn.Server):
    """uvicorn's server, which leaves signals to us: it would close the listeners before the address is withdrawn.

    Its backlog is how many connections are accepted at once, before any of them is looked at; the system's queue is
    longer.
    """

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        for listener in sockets or []:
            listener.listen(BACKLOG)

    @contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        yield


async def _serve(
    server: uvicorn.Server, worker: Worker, address: Address, ending: EngineEnd, idle_s: float | None
) -> None:
    asyncio.get_running_loop().set_exception_handler(report_once())
    async with asyncio.TaskGroup() as tasks:
        watcher = tasks.create_task(_watch(server, worker, address, ending, idle_s))
        await server.serve(sockets=address.listeners)
        watcher.cancel()


async def _watch(
    server: uvicorn.Server, worker: Worker, address: Address, ending: EngineEnd, idle_s: float | None
) -> None:
    while not (ending.requested or server.should_exit):
        await asyncio.sleep(_WATCH_S)
        if worker.has_died():
            ending.request("the worker thread ended", exit_code=1)
        elif worker.state.status in ("refused", "failed"):
            ending.request(worker.state.reason, exit_code=2 if worker.state.status == "refused" else 1)
        elif not address.is_ours():
            ending.request("its socket, info file or token was removed or replaced")
        elif idle_s is not None and worker.idle_s() >= idle_s:
            address.withdraw()
            await asyncio.sleep(_LAST_CALL_S)
            while worker.n_jobs:
                await asyncio.sleep(_WATCH_S)
            ending.request(f"no request for {idle_s:g} s")
    address.withdraw()
    worker.stop()  # waiting requests get an answer, so that their connections end by themselves
    server.should_exit = True


@contextmanager
def _signals(ending: EngineEnd) -> Iterator[None]:
    """Turn the ending signals into a request."""

    def on_signal(number: int, frame: FrameType | None) -> None:
        ending.request(signal.Signals(number).name)

    numbers = [signal.SIGINT, signal.SIGTERM]
    if hasattr(signal, "SIGHUP"):
        numbers.append(signal.SIGHUP)
    previous = {number: signal.signal(number, on_signal) for number in numbers}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
