"""One line in the engine's log for each request: what was asked for and how it went, never what it said.

Paths are those of the routes, so neither queries nor what a stranger writes into an address is kept.
"""

import logging
import time
from collections.abc import Callable, Iterable

from starlette.routing import BaseRoute, Match, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ...fim.text.printable import printable
from ..proof import PROOF_TARGET

logger = logging.getLogger(__name__)

MAX_LINES = 200
WINDOW_S = 10.0
_MAX_AGENT_CHARS = 40
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT"})
_QUIET = frozenset({"/health", PROOF_TARGET})  # asked by those who watch, and before each request of our own client


class AccessLog:
    """ASGI middleware: notes every request when it has been answered, at most MAX_LINES in WINDOW_S seconds."""

    def __init__(self, app: ASGIApp, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._app = app
        self._clock = clock
        self._window_start_s = clock()
        self._n_lines = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, and note it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        start_s, status, n_in, n_out = self._clock(), 500, 0, 0

        async def counted_receive() -> Message:
            nonlocal n_in
            message = await receive()
            n_in += len(message.get("body", b""))
            return message

        async def counted_send(message: Message) -> None:
            nonlocal status, n_out
            status = message.get("status", status)
            n_out += len(message.get("body", b""))
            await send(message)

        try:
            await self._app(scope, counted_receive, counted_send)
        finally:
            path = _template(scope["path"], scope["app"].routes)
            took_ms = (self._clock() - start_s) * 1000.0
            facts = (_method(scope["method"]), path, status, took_ms, n_in, n_out, _agent(scope))
            self._note(logging.DEBUG if path in _QUIET else logging.INFO, facts)

    def _note(self, level: int, facts: tuple[object, ...]) -> None:
        if not logger.isEnabledFor(level):
            return
        now_s = self._clock()
        if now_s - self._window_start_s >= WINDOW_S:
            if self._n_lines > MAX_LINES:
                logger.info("%d more requests are not listed", self._n_lines - MAX_LINES)
            self._window_start_s, self._n_lines = now_s, 0
        self._n_lines += 1
        if self._n_lines <= MAX_LINES:
            logger.log(level, "%s %s %d in %.0f ms, %d bytes in, %d out, %s", *facts)


def _template(path: str, routes: Iterable[BaseRoute]) -> str:
    """The path of the route that path leads to, such as `/v1/models/{model}`."""
    scope = {"type": "http", "path": path, "method": "GET"}
    if path == PROOF_TARGET:  # answered before routes are looked at
        return path
    found = (route.path for route in routes if isinstance(route, Route) and route.matches(scope)[0] != Match.NONE)
    return next(found, "(unknown path)")


def _method(method: str) -> str:
    return method if method in _METHODS else "(unknown method)"


def _agent(scope: Scope) -> str:
    """The first word of the User-Agent header, such as `curl/8.5.0`."""
    agent = next((value for name, value in scope["headers"] if name == b"user-agent"), b"")
    words = agent.decode("latin-1").split()
    return printable(words[0])[:_MAX_AGENT_CHARS] if words else "-"
