"""Who may talk to the engine over TCP: loopback names only, and only with the token.

A UNIX socket is guarded by its file permissions, so requests that came through one pass. Everything else, known or not,
must carry the token; without a token nothing passes. It does not know what is asked.
"""

import secrets
from typing import Any

from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from .openai import encode_escaped, error_body

LOOPBACK_NAMES = frozenset({"127.0.0.1", "localhost", "[::1]"})


class Guard:
    """ASGI middleware: refuses what did not come through a UNIX socket and has no right to be here."""

    def __init__(self, app: ASGIApp, *, token: str | None) -> None:
        self._app = app
        self._token = token

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer 401 or 403."""
        refusal = None if scope["type"] == "lifespan" or _is_unix(scope) else self._refusal(Headers(scope=scope))
        await (self._app if refusal is None else refusal)(scope, receive, send)

    def _refusal(self, headers: Headers) -> Response | None:
        # A web page can make a browser reach 127.0.0.1 under a name of its own (DNS rebinding): check the name first.
        if _host_name(headers.get("host", "")) not in LOOPBACK_NAMES:
            return _refuse(403, "the Host header must name this machine (127.0.0.1 or localhost)", "forbidden")
        scheme, _, given = headers.get("authorization", "").partition(" ")
        expected = (self._token or "").encode()
        is_right = secrets.compare_digest(given.strip().encode(), expected)
        if not expected or scheme.lower() != "bearer" or not is_right:
            return _refuse(401, "missing or wrong token: send 'Authorization: Bearer <token>'", "invalid_api_key")
        return None


def _is_unix(scope: Scope) -> bool:
    """uvicorn gives (path, None) as the server of a UNIX connection, (address, port) otherwise."""
    server: Any = scope.get("server")
    return server is not None and server[1] is None


def _host_name(host: str) -> str:
    name, colon, port = host.rpartition(":")
    return name.lower() if colon and port.isdigit() else host.lower()


def _refuse(status: int, message: str, code: str) -> Response:
    content = encode_escaped(error_body(message, "authentication_error", code))
    return Response(content, status, media_type="application/json")
