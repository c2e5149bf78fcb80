"""Who may talk to the engine over TCP: clients that send the key, and our own, which proves to know the token.

The key comes as `Authorization: Bearer KEY`, `x-api-key: KEY` or `api-key: KEY`, never in the address, which programs
keep in histories and logs. The token is not sent at all (`proof`), since what listens on a port may be another program.
The engine proves itself to whoever asks, and guesses could be tried out on that proof: so tokens are random, and a key
that a person chose takes no part in proofs.
"""

import json
import secrets
from dataclasses import dataclass
from typing import Any

from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from ..admission import Admission
from ..proof import MAX_NONCE_CHARS, NONCE_HEADER, PROOF_SCHEME, PROOF_TARGET, Challenge, new_nonce
from .error_shapes import error_shape
from .http import HttpError, error_response

PROOF_STATE = "proof"  # the key of a connection's ConnectionProof in an ASGI scope's state
_KEY_HEADERS = ("x-api-key", "api-key")


@dataclass
class ConnectionProof:
    """What one connection's client was asked to prove, if it was."""

    challenge: Challenge | None = None


class Guard:
    """ASGI middleware: refuses requests over TCP that bring neither key nor proof.

    open_paths hold nothing secret: they may be read (GET, HEAD) without.
    """

    def __init__(self, app: ASGIApp, *, admission: Admission, open_paths: frozenset[str] = frozenset()) -> None:
        self._app = app
        self._open_paths = open_paths
        self._key = admission.key or ""
        self._token = admission.token or ""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, prove the engine, or answer 400 or 401."""
        response = None if scope["type"] == "lifespan" or is_unix(scope) else self._response(scope)
        await (self._app if response is None else response)(scope, receive, send)

    def _response(self, scope: Scope) -> Response | None:
        headers = Headers(scope=scope)
        if self._token and scope["path"] == PROOF_TARGET:
            return self._prove(scope, headers.get(NONCE_HEADER, ""))
        if scope["path"] in self._open_paths and scope["method"] in ("GET", "HEAD"):
            return None
        if self._has_key(headers) or self._has_proof(scope, headers):
            return None
        message = "missing or wrong key: send 'Authorization: Bearer <key>'"
        refusal = refuse(401, message, "invalid_api_key", path=scope["path"])
        refusal.headers["WWW-Authenticate"] = "Bearer"
        return refusal

    def _prove(self, scope: Scope, nonce: str) -> Response:
        if not 0 < len(nonce) <= MAX_NONCE_CHARS:
            return refuse(400, f"{NONCE_HEADER} must have 1 to {MAX_NONCE_CHARS} characters", "bad_nonce")
        challenge = Challenge(
            client_nonce=nonce,
            engine_nonce=new_nonce(),
            client_port=scope["client"][1],
            engine_port=scope["server"][1],
        )
        scope["state"][PROOF_STATE].challenge = challenge
        proof = {"nonce": challenge.engine_nonce, "proof": challenge.proof(self._token, "engine")}
        return Response(json.dumps(proof), media_type="application/json")

    def _has_key(self, headers: Headers) -> bool:
        scheme, _, given = headers.get("authorization", "").partition(" ")
        found = [given] if scheme.lower() == "bearer" else []
        found += [headers.get(name, "") for name in _KEY_HEADERS]
        return bool(self._key) and any(
            secrets.compare_digest(each.strip().encode(), self._key.encode()) for each in found
        )

    def _has_proof(self, scope: Scope, headers: Headers) -> bool:
        scheme, _, given = headers.get("authorization", "").partition(" ")
        challenge: Challenge | None = scope["state"][PROOF_STATE].challenge
        if not self._token or challenge is None or scheme.lower() != PROOF_SCHEME.lower():
            return False
        return challenge.holds(given.strip(), self._token, "client")


def is_unix(scope: Scope) -> bool:
    """Whether the request came over a UNIX socket.

    uvicorn gives (path, None) as the server of such a connection, (address, port) otherwise.
    """
    server: Any = scope.get("server")
    return server is not None and server[1] is None


def refuse(status: int, message: str, code: str, kind: str = "authentication_error", path: str = "") -> Response:
    """A refusal in the shape of the dialect that path belongs to."""
    return error_response(HttpError(status, message, kind, code), error_shape(path))
