"""Which web pages may talk to the engine: the Host and Origin headers, and the answers that browsers ask for (CORS).

A browser sends requests to 127.0.0.1 for any page that a person opens, so two headers that only the browser sets are
checked before the key.

*Host.* A page can let its own host name lead to 127.0.0.1 (DNS rebinding). The browser then takes engine and page for
one origin, but still names the page's host. A loopback port therefore takes loopback names only. A port that other
machines reach takes any name, since people give machines many. The key protects it: a page does not know the key, and a
browser has none that it would add by itself, as it adds cookies.

*Origin.* A request of a page names the page's origin. Only the engine's own, and those of `--allow-origin`, may go on.
Pages without an origin ("null": sandboxed frames, local files) and what another site embeds (`Sec-Fetch-Site`) may not.
"""

import re

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ...fim.text.printable import one_line
from ..admission import ANY_ORIGIN, Admission
from .auth import is_unix, refuse

_METHODS = "GET, HEAD, POST"
_HEADERS = "Authorization, Content-Type, X-Api-Key, Api-Key"
_HEADER_NAMES = re.compile(r"[A-Za-z0-9_, -]{1,2000}")
_PREFLIGHT_S = 600  # browsers remember the answer for that long
_MAX_SHOWN_CHARS = 200


class OriginGuard:
    """ASGI middleware: refuses what web pages send that were not named, and answers preflight requests."""

    def __init__(self, app: ASGIApp, *, admission: Admission) -> None:
        self._app = app
        self._admission = admission

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, answer a preflight with 204, or refuse with 403."""
        if scope["type"] != "http" or is_unix(scope):
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        own = f"{scope['scheme']}://{headers.get('host', '')}".lower()
        origins = [origin for origin in headers.getlist("origin") if origin != own]
        response = self._refusal(headers, origins, scope["path"])
        if origins and response is None:
            send = _with_permission(send, origins[0])
            if scope["method"] == "OPTIONS" and "access-control-request-method" in headers:
                response = _preflight(headers)
        await (self._app if response is None else response)(scope, receive, send)

    def _refusal(self, headers: Headers, origins: list[str], path: str) -> Response | None:
        names = self._admission.host_names
        if names is not None and _host_name(headers.get("host", "")) not in names:
            message = "the Host header must name this machine (127.0.0.1 or localhost)"
            return refuse(403, message, "forbidden", path=path)
        for origin in origins:
            if not self._may(origin):
                return refuse(403, _reason(origin), "forbidden_origin", path=path)
        if headers.get("sec-fetch-site") == "cross-site" and "origin" not in headers:
            return refuse(403, "what another site's page embeds is not served", "forbidden_origin", path=path)
        return None

    def _may(self, origin: str) -> bool:
        allowed = self._admission.origins
        return origin != "null" and (origin in allowed or ANY_ORIGIN in allowed)


def _reason(origin: str) -> str:
    if origin == "null":
        return "a page without an origin (a local file, a sandboxed frame) may not use this engine"
    return (
        f"pages of {one_line(origin[:_MAX_SHOWN_CHARS])} may not use this engine: start it with --allow-origin and"
        " that origin (web views of VS Code and Electron apps have origins too, such as vscode-webview://… or file://)"
    )


def _preflight(headers: Headers) -> Response:
    """Headers are granted as asked for: clients such as OpenAI's send many of their own."""
    asked = headers.get("access-control-request-headers", "")
    granted = {
        "Access-Control-Allow-Methods": _METHODS,
        "Access-Control-Allow-Headers": asked if _HEADER_NAMES.fullmatch(asked) else _HEADERS,
        "Access-Control-Max-Age": str(_PREFLIGHT_S),
    }
    return Response(status_code=204, headers=granted)


def _with_permission(send: Send, origin: str) -> Send:
    """send, with the header that lets a browser give the answer to the page. Credentials are never allowed."""

    async def send_with_permission(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            headers["Access-Control-Allow-Origin"] = origin
            headers.add_vary_header("Origin")
        await send(message)

    return send_with_permission


def _host_name(host: str) -> str:
    name, colon, port = host.rpartition(":")
    return name.lower() if colon and port.isdigit() else host.lower()
