"""Who may talk to the engine over TCP: loopback host names only, and only clients that know the token.

A UNIX socket is guarded by its file permissions, so requests through one pass. Our own client proves that it knows the
token without sending it (`proof`); other clients send it as a Bearer token. Without a token nothing passes.
"""

import json
import secrets
from dataclasses import dataclass
from typing import Any

from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from ..proof import MAX_NONCE_CHARS, NONCE_HEADER, PROOF_SCHEME, PROOF_TARGET, Challenge, new_nonce
from .http import HttpError, error_response

LOOPBACK_NAMES = frozenset({"127.0.0.1", "localhost", "[::1]"})
PROOF_STATE = "proof"  # the key of a connection's ConnectionProof in an ASGI scope's state


@dataclass
class ConnectionProof:
    """What one connection's client was asked to prove, if it was."""

    challenge: Challenge | None = None


class Guard:
    """ASGI middleware: refuses requests over TCP that have not proved to know the token.

    open_paths hold nothing secret: they may be read (GET, HEAD) without.
    """

    def __init__(self, app: ASGIApp, *, token: str | None, open_paths: frozenset[str] = frozenset()) -> None:
        self._app = app
        self._open_paths = open_paths
        self._token = token or ""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, prove the engine, or answer 400, 401 or 403."""
        response = None if scope["type"] == "lifespan" or _is_unix(scope) else self._response(scope)
        await (self._app if response is None else response)(scope, receive, send)

    def _response(self, scope: Scope) -> Response | None:
        headers = Headers(scope=scope)
        # A web page can make a browser reach 127.0.0.1 under its own name (DNS rebinding): check the name first.
        if _host_name(headers.get("host", "")) not in LOOPBACK_NAMES:
            return _refuse(403, "the Host header must name this machine (127.0.0.1 or localhost)", "forbidden")
        if self._token and scope["path"] == PROOF_TARGET:
            return self._prove(scope, headers.get(NONCE_HEADER, ""))
        if scope["path"] in self._open_paths and scope["method"] in ("GET", "HEAD"):
            return None
        if not self._knows_token(scope, headers.get("authorization", "")):
            return _refuse(401, "missing or wrong token: send 'Authorization: Bearer <token>'", "invalid_api_key")
        return None

    def _prove(self, scope: Scope, nonce: str) -> Response:
        if not 0 < len(nonce) <= MAX_NONCE_CHARS:
            return _refuse(400, f"{NONCE_HEADER} must have 1 to {MAX_NONCE_CHARS} characters", "bad_nonce")
        challenge = Challenge(
            client_nonce=nonce,
            engine_nonce=new_nonce(),
            client_port=scope["client"][1],
            engine_port=scope["server"][1],
        )
        scope["state"][PROOF_STATE].challenge = challenge
        proof = {"nonce": challenge.engine_nonce, "proof": challenge.proof(self._token, "engine")}
        return Response(json.dumps(proof), media_type="application/json")

    def _knows_token(self, scope: Scope, authorization: str) -> bool:
        scheme, _, given = authorization.partition(" ")
        challenge: Challenge | None = scope["state"][PROOF_STATE].challenge
        if not self._token:
            return False
        if scheme.lower() == "bearer":
            return secrets.compare_digest(given.strip().encode(), self._token.encode())
        if scheme.lower() == PROOF_SCHEME.lower() and challenge is not None:
            return challenge.holds(given.strip(), self._token, "client")
        return False


def _is_unix(scope: Scope) -> bool:
    """uvicorn gives (path, None) as the server of a UNIX connection, (address, port) otherwise."""
    server: Any = scope.get("server")
    return server is not None and server[1] is None


def _host_name(host: str) -> str:
    name, colon, port = host.rpartition(":")
    return name.lower() if colon and port.isdigit() else host.lower()


def _refuse(status: int, message: str, code: str) -> Response:
    return error_response(HttpError(status, message, "authentication_error", code))
