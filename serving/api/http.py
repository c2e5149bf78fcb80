"""What all dialects share of HTTP: bodies, JSON, errors and streams.

A dialect says how an error looks in its JSON; which error has which status is the same for all. A client that closes
the connection stops the engine's work within one step.
"""

import asyncio
import functools
import json
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, TypeVar

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from ...fim.errors import CheckpointError, EngineBusy, EngineError, EngineUnavailable, InputError, QuicksilverError
from ..engine.worker_state import EngineStopping
from ..wire import CHECKPOINT_CODE, MAX_BODY_BYTES, STOPPING_CODE

logger = logging.getLogger(__name__)
T = TypeVar("T")

EVENTS, LINES = "text/event-stream", "application/x-ndjson"
_RETRY_S = "1"


class BodyTooLargeError(InputError):
    """413."""


class UnknownModelError(InputError):
    """404."""


class ClientGoneError(Exception):
    """The client closed the connection before the answer."""


@dataclass(frozen=True)
class HttpError:
    """An error as a client is told: status, message, and OpenAI's words for its kind and its code."""

    status: int
    message: str
    kind: str
    code: str | None = None


ErrorShape = Callable[[HttpError], dict[str, object]]
Handler = Callable[[Request], Awaitable[Response]]


def openai_error(error: HttpError) -> dict[str, object]:
    """An error in OpenAI's shape."""
    return {"error": {"message": error.message, "type": error.kind, "param": None, "code": error.code}}


def http_error(error: Exception) -> HttpError:
    """What a client is told of an error of the error tree, or of a defect, whose message may quote source text."""
    match error:
        case UnknownModelError():
            return HttpError(404, str(error), "invalid_request_error", "model_not_found")
        case BodyTooLargeError():
            return HttpError(413, str(error), "invalid_request_error")
        case InputError():
            return HttpError(400, str(error), "invalid_request_error")
        case CheckpointError():
            return HttpError(503, str(error), "server_error", CHECKPOINT_CODE)
        case EngineBusy():
            return HttpError(429, str(error), "rate_limit_error", "busy")
        case EngineUnavailable():
            code = STOPPING_CODE if isinstance(error, EngineStopping) else "unavailable"
            return HttpError(503, str(error), "server_error", code)
        case EngineError():
            return HttpError(500, str(error), "server_error", "engine_failed")
    kind = type(error).__name__
    return HttpError(500, f"the engine failed ({kind}): its log says more", "server_error")


def answering_errors(endpoint: Handler, shape: ErrorShape) -> Handler:
    """The endpoint, answering its errors in a dialect's shape."""

    @functools.wraps(endpoint)
    async def answer(request: Request) -> Response:
        try:
            return await endpoint(request)
        except (ClientGoneError, ClientDisconnect):
            return Response(status_code=499)  # nobody reads it
        except Exception as error:
            if not isinstance(error, QuicksilverError):
                logger.error("answering %s failed (%s)", request.url.path, type(error).__name__)
            return error_response(http_error(error), shape)

    return answer


def error_response(error: HttpError, shape: ErrorShape = openai_error) -> Response:
    """An error as the answer to a request."""
    response = json_response(shape(error), error.status)
    if error.status == 429:
        response.headers["Retry-After"] = _RETRY_S
    return response


def json_response(value: object, status: int = 200) -> Response:
    """A JSON answer."""
    return Response(escaped_json(value), status, media_type="application/json")


def escaped_json(value: object) -> bytes:
    """value as JSON in pure ASCII, so that even lone surrogates are valid for every reader."""
    return json.dumps(value, ensure_ascii=True, allow_nan=False, separators=(",", ":")).encode("ascii")


def event(value: object) -> bytes:
    """A server-sent event with value as JSON."""
    return b"data: " + escaped_json(value) + b"\n\n"


async def read_body(request: Request) -> bytes:
    """The request's body. Raises BodyTooLargeError."""
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
        raise BodyTooLargeError(f"the request is larger than {MAX_BODY_BYTES // 2**20} MiB: send less of the document")
    return b"".join(parts)


async def unless_gone(request: Request, work: Coroutine[Any, Any, T]) -> T:
    """The result of work, or ClientGoneError: when the client closes the connection work is cancelled at once."""
    task = asyncio.create_task(work)
    watcher = asyncio.create_task(_client_leaves(request))
    try:
        await asyncio.wait({task, watcher}, return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            raise ClientGoneError
        return task.result()
    finally:
        for pending in (task, watcher):
            pending.cancel()
        await asyncio.gather(task, watcher, return_exceptions=True)


async def stream_response(
    request: Request,
    chunks: AsyncGenerator[bytes],
    *,
    encode: Callable[[object], bytes] = event,
    media_type: str = EVENTS,
    shape: ErrorShape = openai_error,
) -> Response:
    """The answer that sends chunks as they come, each at once.

    What fails before the first chunk is raised, so that it gets its own status; later errors are sent as a last chunk
    in the dialect's shape. chunks are closed when the client leaves.
    """
    try:
        first = await unless_gone(request, _next_or_none(chunks))
    except BaseException:
        await chunks.aclose()
        raise

    async def send() -> AsyncGenerator[bytes]:
        async with aclosing(chunks):
            try:
                if first is not None:
                    yield first
                async for chunk in chunks:
                    yield chunk
            except Exception as error:
                if not isinstance(error, QuicksilverError):
                    logger.error("streaming %s failed (%s)", request.url.path, type(error).__name__)
                yield encode(shape(http_error(error)))

    return _ChunkResponse(send(), media_type=media_type, headers={"Cache-Control": "no-cache"})


class _ChunkResponse(StreamingResponse):
    """A streaming response that closes its chunks however it ends, also while a slow client is waited for."""

    def __init__(self, chunks: AsyncGenerator[bytes], **rest: Any) -> None:  # noqa: ANN401 - Starlette's options
        super().__init__(chunks, **rest)
        self._chunks = chunks

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            await self._chunks.aclose()


async def _next_or_none(chunks: AsyncGenerator[bytes]) -> bytes | None:
    return await anext(chunks, None)


async def _client_leaves(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
