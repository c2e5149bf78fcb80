"""The engine's HTTP API as an ASGI application: which route answers what.

Routes of our own are here; a dialect's are in its module. `http` reads bodies and turns errors into answers.
"""

import logging
import os
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ..admission import Admission
from ..engine.metrics import CONTENT_TYPE
from ..engine.worker import Worker
from ..wire import EngineHealth, decode_request, encode_completion, encode_health
from .access_log import AccessLog
from .auth import Guard
from .chat import ChatDialect
from .error_shapes import error_shape, shown_path
from .fim import FimDialect
from .http import (
    HttpError,
    answering_errors,
    error_response,
    http_error,
    json_response,
    openai_error,
    read_body,
    unless_gone,
)
from .llamacpp import LlamaCppDialect
from .ollama import OllamaDialect
from .openai import OpenAiDialect
from .origins import OriginGuard
from .playground.fill import PlaygroundApi
from .playground.pages import PlaygroundPages

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class EngineApi:
    """Our own endpoints over one worker; stop is called when the engine is asked to end."""

    worker: Worker
    version: str
    stop: Callable[[], None]
    started_s: float = field(default_factory=time.monotonic)

    def routes(self) -> list[Route]:
        """Its addresses."""
        return [
            *(Route(path, self.health, methods=["GET"]) for path in ("/health", "/v1/health")),
            Route("/metrics", self.metrics, methods=["GET"]),
            Route("/v1/fill", answering_errors(self.fill, openai_error), methods=["POST"]),
            Route("/v1/shutdown", self.shutdown, methods=["POST"]),
        ]

    async def health(self, request: Request) -> Response:
        """GET /health: 200 when ready, else 503; the body says more either way. Also at llama-server's `/v1/health`."""
        state = self.worker.state
        health = EngineHealth(
            status=state.status,
            version=self.version,
            pid=os.getpid(),
            uptime_s=time.monotonic() - self.started_s,
            n_jobs=self.worker.n_jobs,
            model=state.model,
            reason=state.reason,
            facts=state.facts,
        )
        return _json(encode_health(health), 200 if state.status == "ready" else 503)

    async def metrics(self, request: Request) -> Response:
        """GET /metrics, in Prometheus's text format."""
        return Response(self.worker.metrics.text(), headers={"content-type": CONTENT_TYPE})

    async def fill(self, request: Request) -> Response:
        """POST /v1/fill: a whole CompletionRequest, answered by a Completion (wire.py)."""
        asked = decode_request(await read_body(request))
        return _json(encode_completion(await unless_gone(request, self.worker.complete(asked))))

    async def shutdown(self, request: Request) -> Response:
        """POST /v1/shutdown: end the engine (private: for restart)."""
        self.stop()
        return json_response({"stopping": True})


def create_app(api: EngineApi, *, admission: Admission) -> Starlette:
    """The ASGI application; admission is what TCP requests must bring."""

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        api.worker.start()
        yield
        api.worker.stop()

    pages = PlaygroundPages()
    return Starlette(
        routes=[
            *api.routes(),
            *OpenAiDialect(worker=api.worker).routes(),
            *FimDialect(worker=api.worker).routes(),
            *ChatDialect(worker=api.worker).routes(),
            *LlamaCppDialect(worker=api.worker, version=api.version).routes(),
            *OllamaDialect(worker=api.worker).routes(),
            *PlaygroundApi(worker=api.worker).routes(),
            *pages.routes(),
        ],
        middleware=[
            Middleware(AccessLog),
            Middleware(OriginGuard, admission=admission),
            Middleware(Guard, admission=admission, open_paths=frozenset(pages.files())),
        ],
        exception_handlers={HTTPException: _on_http_error, Exception: _on_unexpected},
        lifespan=lifespan,
    )


def _json(body: bytes, status: int = 200) -> Response:
    return Response(body, status, media_type="application/json")


async def _on_http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    path = request.scope["path"]
    message = f"{error.detail}: {request.method[:20]} {shown_path(path)}"
    response = error_response(HttpError(error.status_code, message, "invalid_request_error"), error_shape(path))
    response.headers.update(error.headers or {})  # Allow, if the method is wrong
    return response


async def _on_unexpected(request: Request, error: Exception) -> Response:
    logger.error("answering %s failed (%s)", request.url.path, type(error).__name__)
    return error_response(http_error(error), error_shape(request.scope["path"]))
