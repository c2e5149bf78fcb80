"""The engine's HTTP API as an ASGI application: which route answers what, and which error becomes which status.

Owns routing, reading bodies, noticing clients that disconnect, and the translation of the error tree. The layout of
bodies belongs to wire.py and openai.py.
"""

import asyncio
import logging
import os
import secrets
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from ...fim.errors import CheckpointError, EngineBusy, EngineError, EngineUnavailable, InputError
from ..admission import Admission
from ..engine.metrics import CONTENT_TYPE
from ..engine.worker import Worker
from ..engine.worker_state import EngineStopping
from ..wire import (
    CHECKPOINT_CODE,
    MAX_BODY_BYTES,
    STOPPING_CODE,
    EngineHealth,
    decode_request,
    encode_completion,
    encode_health,
)
from .access_log import AccessLog
from .auth import Guard
from .openai import (
    MODEL_ALIAS,
    CompletionCall,
    completion_body,
    encode_escaped,
    error_body,
    models_body,
    parse_call,
    stream_chunks,
)
from .origins import OriginGuard

logger = logging.getLogger(__name__)
T = TypeVar("T")


class _ClientGoneError(Exception):
    """The client closed the connection before the answer."""


class _BodyTooLargeError(InputError):
    """413."""


class _UnknownModelError(InputError):
    """404."""


@dataclass(frozen=True, kw_only=True)
class EngineApi:
    """The endpoints over one worker; stop is called when the engine is asked to end."""

    worker: Worker
    version: str
    stop: Callable[[], None]
    started_s: float = field(default_factory=time.monotonic)
    created_s: int = field(default_factory=lambda: int(time.time()))

    async def health(self, request: Request) -> Response:
        """GET /health: 200 when ready, else 503; the body says more either way."""
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

    async def models(self, request: Request) -> Response:
        """GET /v1/models, in OpenAI's shape."""
        return _json(encode_escaped(models_body(self.worker.state.model, self.created_s)))

    async def fill(self, request: Request) -> Response:
        """POST /v1/fill: a whole CompletionRequest, answered by a Completion (wire.py)."""
        asked = decode_request(await _read_body(request))
        return _json(encode_completion(await _unless_gone(request, self.worker.complete(asked))))

    async def completions(self, request: Request) -> Response:
        """POST /v1/completions, in OpenAI's shape (openai.py says how prompt and suffix become a Hole)."""
        call = parse_call(await _read_body(request))
        self._check_model(call)
        completion = await _unless_gone(request, self.worker.complete(call.request))
        self._check_model(call)  # while the model was loading its name was not known yet
        identity, created_s = f"cmpl-{secrets.token_hex(12)}", int(time.time())
        if call.stream:
            chunks = stream_chunks(call, completion, identity, created_s)
            return StreamingResponse(_each(chunks), media_type="text/event-stream")
        return _json(encode_escaped(completion_body(call, completion, identity, created_s)))

    async def shutdown(self, request: Request) -> Response:
        """POST /v1/shutdown: end the engine (private: for restart)."""
        self.stop()
        return _json(b'{"stopping":true}')

    def _check_model(self, call: CompletionCall) -> None:
        served = self.worker.state.model
        if served and call.model not in (None, "", MODEL_ALIAS, served):
            raise _UnknownModelError(f"this engine serves the model {served}, not the one asked for")


def create_app(api: EngineApi, *, admission: Admission) -> Starlette:
    """The ASGI application; admission is what TCP requests must bring."""

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        api.worker.start()
        yield
        api.worker.stop()

    return Starlette(
        routes=[
            Route("/health", api.health, methods=["GET"]),
            Route("/metrics", api.metrics, methods=["GET"]),
            Route("/v1/models", api.models, methods=["GET"]),
            Route("/v1/fill", api.fill, methods=["POST"]),
            Route("/v1/completions", api.completions, methods=["POST"]),
            Route("/v1/shutdown", api.shutdown, methods=["POST"]),
        ],
        middleware=[
            Middleware(AccessLog),
            Middleware(OriginGuard, admission=admission),
            Middleware(Guard, admission=admission),
        ],
        exception_handlers={
            InputError: _on_input_error,
            CheckpointError: _on_checkpoint_error,
            EngineError: _on_engine_error,
            HTTPException: _on_http_error,
            _ClientGoneError: _on_client_gone,
            ClientDisconnect: _on_client_gone,
            Exception: _on_unexpected,
        },
        lifespan=lifespan,
    )


async def _read_body(request: Request) -> bytes:
    declared = request.headers.get("content-length", "0")
    parts: list[bytes] = []
    size = int(declared) if declared.isdecimal() else 0
    if size <= MAX_BODY_BYTES:
        size = 0
        async for part in request.stream():
            size += len(part)
            if size > MAX_BODY_BYTES:
                break
            parts.append(part)
    if size > MAX_BODY_BYTES:
        raise _BodyTooLargeError(f"the request is larger than {MAX_BODY_BYTES // 2**20} MiB: send less of the document")
    return b"".join(parts)


async def _unless_gone(request: Request, work: Coroutine[Any, Any, T]) -> T:
    """The result of work, or _ClientGoneError: when the client closes the connection work is cancelled at once."""
    task = asyncio.create_task(work)
    watcher = asyncio.create_task(_client_leaves(request))
    try:
        await asyncio.wait({task, watcher}, return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            raise _ClientGoneError
        return task.result()
    finally:
        for pending in (task, watcher):
            pending.cancel()
        await asyncio.gather(task, watcher, return_exceptions=True)


async def _client_leaves(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


async def _each(chunks: list[bytes]) -> AsyncIterator[bytes]:
    for chunk in chunks:
        yield chunk


def _json(body: bytes, status: int = 200) -> Response:
    return Response(body, status, media_type="application/json")


def _error(status: int, message: str, kind: str, code: str | None = None) -> Response:
    return _json(encode_escaped(error_body(message, kind, code)), status)


async def _on_input_error(request: Request, error: Exception) -> Response:
    if isinstance(error, _UnknownModelError):
        return _error(404, str(error), "invalid_request_error", "model_not_found")
    return _error(413 if isinstance(error, _BodyTooLargeError) else 400, str(error), "invalid_request_error")


async def _on_checkpoint_error(request: Request, error: Exception) -> Response:
    return _error(503, str(error), "server_error", CHECKPOINT_CODE)


async def _on_engine_error(request: Request, error: Exception) -> Response:
    if isinstance(error, EngineBusy):
        response = _error(429, str(error), "rate_limit_error", "busy")
        response.headers["Retry-After"] = "1"
        return response
    if isinstance(error, EngineUnavailable):
        code = STOPPING_CODE if isinstance(error, EngineStopping) else "unavailable"
        return _error(503, str(error), "server_error", code)
    return _error(500, str(error), "server_error", "engine_failed")


async def _on_http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    response = _error(
        error.status_code, f"{error.detail}: {request.method} {request.url.path}", "invalid_request_error"
    )
    response.headers.update(error.headers or {})  # Allow, if the method is wrong
    return response


async def _on_client_gone(request: Request, error: Exception) -> Response:
    return Response(status_code=499)  # the client has gone


async def _on_unexpected(request: Request, error: Exception) -> Response:
    logger.error("answering %s failed (%s)", request.url.path, type(error).__name__)
    return _error(500, f"the engine failed ({type(error).__name__}): its log says more", "server_error")
