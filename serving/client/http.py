"""One HTTP/1.1 request to an engine over a fresh connection, and its answer.

With a connection per request, closing it means one thing: the request is cancelled. Nothing is sent before the engine
is proven to be this user's: by the system on a UNIX socket, by a proof over TCP.
"""

import asyncio
import os
import socket as sockets
import struct
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import aclosing, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import h11

from ...fim.errors import EngineUnavailable, InputError
from ..json_values import read_json
from ..peer import EngineNotOurs, check_folder, check_peer
from ..proof import NONCE_HEADER, PROOF_SCHEME, PROOF_TARGET, Challenge, new_nonce

_READ_BYTES = 65536
_RESET = struct.pack("ii", 1, 0)  # linger for no time


class EngineNotRunning(EngineUnavailable):
    """No engine listens, or it is stopping: nothing was run, so asking again is safe."""


class EngineSilent(EngineUnavailable):
    """Something holds the engine's socket and gives no answer: it is stopped, or starved of the processor."""


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    """Where an engine listens: a UNIX socket, or a port of 127.0.0.1 together with its token, which is never sent."""

    socket: Path | None = None
    port: int = 0
    token: str = ""


@dataclass(frozen=True, kw_only=True)
class HttpReply:
    """An answer: HTTP status and body."""

    status: int
    body: bytes


@dataclass(frozen=True, kw_only=True)
class OpenReply:
    """An answer that is still arriving: HTTP status, media type, and the parts of the body as they come."""

    status: int
    media_type: str
    parts: AsyncGenerator[bytes]


async def exchange(endpoint: Endpoint, method: str, target: str, body: bytes = b"", *, timeout_s: float) -> HttpReply:
    """Send one request and read its whole answer. Cancelling closes the connection at once.

    Raises EngineNotRunning when nobody listens or reads the request, EngineNotOurs when somebody else listens,
    EngineSilent when timeout_s passes and EngineUnavailable when the connection breaks later.
    """
    with _telling_what_broke(timeout_s):
        async with asyncio.timeout(timeout_s):
            reader, writer = await _connect(endpoint)
            try:
                headers = await _prove(endpoint, reader, writer)
                request = _request(endpoint, method, target, body, [("Connection", "close"), *headers])
                return await _converse(reader, writer, request, body)
            finally:
                _hang_up(writer)


@asynccontextmanager
async def open_exchange(
    endpoint: Endpoint, method: str, target: str, body: bytes = b"", *, timeout_s: float
) -> AsyncIterator[OpenReply]:
    """Send one request; its answer is read as it arrives. Leaving the block closes the connection at once.

    timeout_s is for the head of the answer, and for each part. Raises the errors of `exchange`, and so do the parts.
    """
    with _telling_what_broke(timeout_s):
        async with asyncio.timeout(timeout_s):
            reader, writer = await _connect(endpoint)
    try:
        with _telling_what_broke(timeout_s):
            async with asyncio.timeout(timeout_s):
                headers = await _prove(endpoint, reader, writer)
                request = _request(endpoint, method, target, body, [("Connection", "close"), *headers])
                events = _events(reader, _send(writer, request, body), timeout_s)
                head = await anext(events)
        assert isinstance(head, h11.Response)
        media_type = next((value.decode("latin-1") for name, value in head.headers if name == b"content-type"), "")
        async with aclosing(events), aclosing(_parts(events, timeout_s)) as parts:
            yield OpenReply(status=head.status_code, media_type=media_type, parts=parts)
    finally:
        _hang_up(writer)


async def _parts(events: AsyncGenerator[h11.Event], timeout_s: float) -> AsyncGenerator[bytes]:
    with _telling_what_broke(timeout_s):
        async for event in events:
            if isinstance(event, h11.Data):
                yield bytes(event.data)


@contextmanager
def _telling_what_broke(timeout_s: float) -> Iterator[None]:
    """Turn what can go wrong on a connection into the errors of `exchange`."""
    try:
        yield
    except TimeoutError as error:
        raise EngineSilent(f"the engine did not answer within {timeout_s:g} s") from error
    except (ConnectionResetError, BrokenPipeError) as error:
        # The kernel resets (rather than ends) a connection whose last bytes were never read: the request did not reach
        # the application. This happens to a client that connects while a killed engine is being torn down.
        raise EngineNotRunning("the engine went away before it read the request") from error
    except (OSError, h11.ProtocolError) as error:
        raise EngineUnavailable("the engine died while answering") from error


async def _connect(endpoint: Endpoint) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    try:
        if endpoint.socket is not None:
            check_folder(endpoint.socket.parent)
            return await asyncio.open_unix_connection(str(endpoint.socket))
        return await asyncio.open_connection("127.0.0.1", endpoint.port)
    except (
        FileNotFoundError,
        NotADirectoryError,
        ConnectionError,
    ) as error:  # refused, or reset by an engine that is being torn down
        raise EngineNotRunning("no engine is running") from error
    except TimeoutError:
        raise
    except OSError as error:
        raise EngineUnavailable(f"cannot connect to the engine: {error.strerror or error}") from error


@dataclass(frozen=True)
class _Proof:
    nonce: str
    proof: str


async def _prove(
    endpoint: Endpoint, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> list[tuple[str, str]]:
    """Raise EngineNotOurs unless this user's engine is at the other end; the headers that prove us to it."""
    if endpoint.socket is not None:
        check_peer(writer.get_extra_info("socket"))
        return []
    nonce = new_nonce()
    asked = _request(endpoint, "GET", PROOF_TARGET, b"", [(NONCE_HEADER, nonce)])
    stranger = EngineNotOurs(f"what listens on port {endpoint.port} is not your engine: nothing was sent to it")
    try:
        reply = read_json((await _converse(reader, writer, asked, b"")).body, _Proof, "proof", allows_more=True)
        engine_nonce, proof = reply.nonce, reply.proof
    except InputError as error:
        raise stranger from error
    except h11.ProtocolError as error:
        raise EngineNotRunning("the engine went away before it read the request") from error
    challenge = Challenge(
        client_nonce=nonce,
        engine_nonce=engine_nonce,
        client_port=writer.get_extra_info("sockname")[1],
        engine_port=endpoint.port,
    )
    if not challenge.holds(proof, endpoint.token, "engine"):
        raise stranger
    return [("Authorization", f"{PROOF_SCHEME} {challenge.proof(endpoint.token, 'client')}")]


def _hang_up(writer: asyncio.StreamWriter) -> None:
    """Close at once: close() would first flush what is still unsent.

    A TCP connection is reset, so that the engine knows it from one that is only closed for sending.
    """
    connection = writer.get_extra_info("socket")
    if connection.family == sockets.AF_INET and os.name == "posix":
        with suppress(OSError):  # a connection that the other side has reset is closed already
            connection.setsockopt(sockets.SOL_SOCKET, sockets.SO_LINGER, _RESET)
    writer.transport.abort()


def _request(endpoint: Endpoint, method: str, target: str, body: bytes, more: list[tuple[str, str]]) -> h11.Request:
    host = "localhost" if endpoint.socket is not None else f"127.0.0.1:{endpoint.port}"
    headers = [("Host", host), ("Content-Length", str(len(body))), *more]
    if body:
        headers.append(("Content-Type", "application/json"))
    return h11.Request(method=method, target=target, headers=headers)


async def _converse(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: h11.Request, body: bytes
) -> HttpReply:
    """Send a request and read its whole answer; the connection stays open."""
    status = 0
    parts: list[bytes] = []
    async for event in _events(reader, _send(writer, request, body)):
        if isinstance(event, h11.Response):
            status = event.status_code
        elif isinstance(event, h11.Data):
            parts.append(bytes(event.data))
    return HttpReply(status=status, body=b"".join(parts))


def _send(writer: asyncio.StreamWriter, request: h11.Request, body: bytes) -> h11.Connection:
    connection = h11.Connection(h11.CLIENT)
    message = connection.send(request) or b""
    if body:
        message += connection.send(h11.Data(data=body)) or b""
    connection.send(h11.EndOfMessage())
    writer.write(message)  # at once: an engine that refuses by the headers alone may close before it reads a second one
    return connection


async def _events(
    reader: asyncio.StreamReader, connection: h11.Connection, timeout_s: float | None = None
) -> AsyncGenerator[h11.Event]:
    """The head of the answer and its data, to its end. timeout_s: for each read, None for no limit."""
    while True:
        event = connection.next_event()
        if event is h11.NEED_DATA:
            async with asyncio.timeout(timeout_s):
                connection.receive_data(await reader.read(_READ_BYTES))
        elif isinstance(event, h11.Response | h11.Data):
            yield event
        elif isinstance(event, h11.EndOfMessage):
            return
        elif isinstance(event, h11.ConnectionClosed):
            raise h11.RemoteProtocolError("closed before the answer")
