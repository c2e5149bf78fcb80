"""The playground's own port: what `quicksilver playground` serves to the browser of this user.

It serves the page, exchanges a one-time code for a session, and hands the page's questions on to the engine, which need
not listen on any port itself. Requests must name this very port (a page elsewhere may let its own name lead here), and
come from this page or from no page at all.
"""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass

from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from ...client.engine_client import EngineClient
from ...client.http import OpenReply
from ...json_values import read_json
from ..http import (
    EVENTS,
    HttpError,
    answering_errors,
    error_response,
    json_response,
    openai_error,
    read_body,
    stream_response,
    unless_gone,
)
from .fill import FILL, MODELS
from .pages import PAGE, PlaygroundPages
from .sessions import PlaygroundSessions

SESSION = f"{PAGE}/session"


@dataclass(frozen=True, kw_only=True)
class PageCode:
    """The body of `POST /playground/session`."""

    code: str


@dataclass(frozen=True, kw_only=True)
class PlaygroundGateway:
    """The endpoints of the port, over a client of the engine."""

    engine: EngineClient
    sessions: PlaygroundSessions

    def app(self, port: int) -> Starlette:
        """The ASGI application for a listener on this port of 127.0.0.1."""
        return Starlette(
            routes=[
                *PlaygroundPages().routes(),
                Route(SESSION, answering_errors(self.open_session, openai_error), methods=["POST"]),
                Route(MODELS, answering_errors(self.forward, openai_error), methods=["GET"]),
                Route(FILL, answering_errors(self.forward, openai_error), methods=["POST"]),
            ],
            middleware=[Middleware(OwnPageOnly, port=port)],
        )

    async def open_session(self, request: Request) -> Response:
        """POST /playground/session: a one-time code for a token."""
        token = self.sessions.exchange(read_json(await read_body(request), PageCode, "request").code)
        if token is None:
            reason = "this address was used before, or is older than a minute: run `quicksilver playground` again"
            return _refuse(401, reason, "invalid_code")
        return json_response({"token": token})

    async def forward(self, request: Request) -> Response:
        """Ask the engine what the page asks. Closing the connection stops the engine's work."""
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not self.sessions.knows(token.strip()):
            return _refuse(401, "this page has no session: run `quicksilver playground` again", "invalid_api_key")
        parts = self._relayed(request.method, request.url.path, await read_body(request))
        head = await unless_gone(request, anext(parts))
        assert isinstance(head, OpenReply)
        if head.media_type.startswith(EVENTS):
            return await stream_response(request, _bytes_of(parts))
        async with aclosing(parts):
            body = b"".join([part async for part in _bytes_of(parts)])
        return Response(body, head.status, media_type=head.media_type)

    async def _relayed(self, method: str, target: str, body: bytes) -> AsyncGenerator[OpenReply | bytes]:
        """The engine's answer: its head, then its parts."""
        async with self.engine.relay(method, target, body) as reply:
            yield reply
            async for part in reply.parts:
                yield part


async def _bytes_of(parts: AsyncGenerator[OpenReply | bytes]) -> AsyncGenerator[bytes]:
    async with aclosing(parts):
        async for part in parts:
            assert isinstance(part, bytes)
            yield part


class OwnPageOnly:
    """ASGI middleware: refuses requests that name another host than this port, and those of other origins' pages."""

    def __init__(self, app: ASGIApp, *, port: int) -> None:
        self._app = app
        self._hosts = frozenset({f"127.0.0.1:{port}", f"localhost:{port}"})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer 403."""
        response = None
        if scope["type"] == "http":
            headers = Headers(scope=scope)
            host = headers.get("host", "").lower()
            is_own = all(origin == f"http://{host}" for origin in headers.getlist("origin"))
            if host not in self._hosts or not is_own or headers.get("sec-fetch-site") in ("cross-site", "same-site"):
                response = _refuse(403, "only the playground's own page may ask here", "forbidden")
        await (self._app if response is None else response)(scope, receive, send)


def _refuse(status: int, message: str, code: str) -> Response:
    return error_response(HttpError(status, message, "authentication_error", code))
