"""One HTTP/1.1 request over one fresh connection to an engine, and its answer.

A connection per request keeps the meaning of closing it plain: the request is cancelled. It does not know what the
bodies say, nor how an engine is started.
"""

import asyncio
from dataclasses import dataclass
from pathlib import Path

import h11

from ..fim.errors import EngineUnavailable

_READ_BYTES = 65536


class EngineNotRunning(EngineUnavailable):
    """Nobody listens (or the engine is stopping): nothing was run, so asking again is safe."""


class EngineSilent(EngineUnavailable):
    """Something holds the engine's socket and gives no answer: it is stopped, or starved of the processor."""


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    """Where an engine listens: a UNIX socket, or a port of 127.0.0.1 together with its token."""

    socket: Path | None = None
    port: int = 0
    token: str = ""


@dataclass(frozen=True, kw_only=True)
class Reply:
    """An answer: HTTP status and body."""

    status: int
    body: bytes


async def exchange(endpoint: Endpoint, method: str, target: str, body: bytes = b"", *, timeout_s: float) -> Reply:
    """Send one request and read its whole answer. Cancelling closes the connection at once.

    Raises EngineNotRunning when nobody listens or reads the request, EngineSilent when timeout_s passes and
    EngineUnavailable when the connection breaks later.
    """
    try:
        async with asyncio.timeout(timeout_s):
            reader, writer = await _connect(endpoint)
            try:
                return await _converse(reader, writer, _request_headers(endpoint, method, target, body), body)
            finally:
                writer.transport.abort()  # at once: close() would first flush what is still unsent
    except TimeoutError as error:
        raise EngineSilent(f"the engine did not answer within {timeout_s:g} s") from error
    except (ConnectionResetError, BrokenPipeError) as error:
        # The kernel resets (rather than ends) a connection whose last bytes nobody has read: the request never reached
        # the application. It is what a client meets that connects while a killed engine is being torn down.
        raise EngineNotRunning("the engine went away before it read the request") from error
    except (OSError, h11.ProtocolError) as error:
        raise EngineUnavailable("the engine died while answering") from error


async def _connect(endpoint: Endpoint) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    try:
        if endpoint.socket is not None:
            return await asyncio.open_unix_connection(str(endpoint.socket))
        return await asyncio.open_connection("127.0.0.1", endpoint.port)
    except (FileNotFoundError, ConnectionError) as error:  # refused, or reset by an engine that is being torn down
        raise EngineNotRunning("no engine is running") from error
    except TimeoutError:
        raise
    except OSError as error:
        raise EngineUnavailable(f"cannot connect to the engine: {error.strerror or error}") from error


def _request_headers(endpoint: Endpoint, method: str, target: str, body: bytes) -> h11.Request:
    host = "localhost" if endpoint.socket is not None else f"127.0.0.1:{endpoint.port}"
    headers = [("Host", host), ("Connection", "close"), ("Content-Length", str(len(body)))]
    if body:
        headers.append(("Content-Type", "application/json"))
    if endpoint.token:
        headers.append(("Authorization", f"Bearer {endpoint.token}"))
    return h11.Request(method=method, target=target, headers=headers)


async def _converse(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: h11.Request, body: bytes
) -> Reply:
    connection = h11.Connection(h11.CLIENT)
    message = connection.send(request) or b""
    if body:
        message += connection.send(h11.Data(data=body)) or b""
    connection.send(h11.EndOfMessage())
    writer.write(message)  # at once: an engine that refuses by the headers alone may close before it reads a second one
    status = 0
    parts: list[bytes] = []
    while True:
        event = connection.next_event()
        if event is h11.NEED_DATA:
            connection.receive_data(await reader.read(_READ_BYTES))
        elif isinstance(event, h11.Response):
            status = event.status_code
        elif isinstance(event, h11.Data):
            parts.append(bytes(event.data))
        elif isinstance(event, h11.EndOfMessage):
            return Reply(status=status, body=b"".join(parts))
        elif isinstance(event, h11.ConnectionClosed):
            raise h11.RemoteProtocolError("closed before the answer")
