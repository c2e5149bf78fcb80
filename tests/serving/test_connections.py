"""Connections within bounds: how many, how slow, half-closed, and a shortage of descriptors."""

import asyncio
import errno
import json
import logging
import socket
import sys
from contextlib import asynccontextmanager, suppress

import pytest
import uvicorn
from quicksilver.serving.client.http import Endpoint, exchange
from quicksilver.serving.paths import read_info
from quicksilver.serving.process import connections
from quicksilver.serving.process.connections import MAX_TCP_CONNECTIONS, BoundedConnection, report_once
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

REQUEST = b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\nhi"


class App:
    """An ASGI application that answers after a while, and notices when nobody waits any more."""

    def __init__(self) -> None:
        self.after_s = 0.0
        self.n_hung_up = 0

    async def __call__(self, scope, receive, send):
        while (await receive()).get("more_body"):
            pass
        gone = asyncio.create_task(receive())
        await asyncio.wait({gone}, timeout=self.after_s)
        if gone.done():
            self.n_hung_up += 1
            return
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
        await send({"type": "http.response.body", "body": b"ok"})
        gone.cancel()


@asynccontextmanager
async def serving(app, address):
    """The application behind a listening socket; gives a function that connects to it."""
    config = uvicorn.Config(app, http=BoundedConnection, ws="none", log_config=None, lifespan="off")
    config.load()
    state = ServerState()

    def protocol():
        return BoundedConnection(config=config, server_state=state, app_state={})

    loop = asyncio.get_running_loop()
    if address is None:
        server = await loop.create_server(protocol, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        connect = lambda: asyncio.open_connection("127.0.0.1", port)  # noqa: E731
    else:
        server = await loop.create_unix_server(protocol, address)
        connect = lambda: asyncio.open_unix_connection(address)  # noqa: E731
    async with server, asyncio.timeout(30):
        yield connect


@pytest.fixture(params=["unix", "tcp"])
def address(request, tmp_path):
    return str(tmp_path / "s") if request.param == "unix" else None


async def test_a_half_closed_connection_gets_its_answer_and_the_end(address):
    app = App()
    app.after_s = 0.2
    async with serving(app, address) as connect:
        reader, writer = await connect()
        writer.write(REQUEST)
        await asyncio.sleep(0.05)
        writer.write_eof()
        answer = await reader.read()
        writer.close()
    assert answer.endswith(b"\r\n\r\nok")
    assert app.n_hung_up == 0


async def test_closing_still_stops_the_work(address):
    app = App()
    app.after_s = 20
    async with serving(app, address) as connect:
        # A TCP connection that was closed for sending looks the same when it is closed altogether: it runs to its end.
        for half_first in (False, True) if address else (False,):
            _, writer = await connect()
            writer.write(REQUEST)
            await asyncio.sleep(0.05)
            if half_first:
                writer.write_eof()
                await asyncio.sleep(0.05)
                assert app.n_hung_up == 1
            writer.close()
            while app.n_hung_up <= half_first:
                await asyncio.sleep(0.01)


@pytest.mark.parametrize("begun", [b"", b"POST / HT", REQUEST[:-1]])
@pytest.mark.parametrize("n_before", [0, 1])
async def test_a_slow_request_is_cut_off(address, monkeypatch, begun, n_before):
    monkeypatch.setattr(connections, "HEADERS_S", 0.1)
    monkeypatch.setattr(connections, "BODY_S", 0.1)
    async with serving(App(), address) as connect:
        reader, writer = await connect()
        for _ in range(n_before if begun else 0):  # uvicorn's own clock runs between two requests
            writer.write(REQUEST)
            await reader.readuntil(b"\r\n\r\nok")
        writer.write(begun)
        with pytest.raises(asyncio.IncompleteReadError):  # the end, and no wait for it
            await reader.readexactly(1_000_000)
        writer.close()


async def test_a_slow_answer_is_not_cut_off(address, monkeypatch):
    monkeypatch.setattr(connections, "HEADERS_S", 0.1)
    monkeypatch.setattr(connections, "BODY_S", 0.1)
    app = App()
    app.after_s = 0.3
    async with serving(app, address) as connect:
        reader, writer = await connect()
        for _ in range(2):
            writer.write(REQUEST)
            await reader.readuntil(b"\r\n\r\n")
            assert await reader.readexactly(2) == b"ok"
        writer.close()


async def test_idle_connections_give_way_to_new_ones(shared_rig):
    info = read_info(shared_rig.home.info_file)
    assert info is not None
    idle = [socket.create_connection(("127.0.0.1", info.port)) for _ in range(3 * MAX_TCP_CONNECTIONS)]
    try:
        over_tcp = Endpoint(port=info.port or 0, token=shared_rig.home.token_file.read_text())
        for endpoint in (over_tcp, Endpoint(socket=shared_rig.home.socket)):
            assert (await exchange(endpoint, "GET", "/health", timeout_s=30)).status == 200
        assert sum(map(_is_closed, idle)) >= 2 * MAX_TCP_CONNECTIONS
    finally:
        for connection in idle:
            connection.close()


@pytest.mark.skipif(sys.platform != "linux", reason="limits of another process can be set on Linux only")
async def test_a_storm_of_connections_leaves_descriptors_for_others(rig):
    await rig.client("--port", "0").ensure_running()
    info = read_info(rig.home.info_file)
    assert info is not None
    resource = pytest.importorskip("resource")
    resource.prlimit(info.pid, resource.RLIMIT_NOFILE, (200, 200))
    storm = [socket.socket() for _ in range(400)]
    try:
        for connection in storm:
            connection.setblocking(False)
            connection.connect_ex(("127.0.0.1", info.port))
        for _ in range(20):
            endpoint = Endpoint(socket=rig.home.socket)
            assert (await exchange(endpoint, "GET", "/health", timeout_s=10)).status == 200
    finally:
        for connection in storm:
            connection.close()
    assert read_info(rig.home.info_file) == info
    assert "connections have to wait" not in rig.home.log_file.read_text()


def _is_closed(connection):
    connection.setblocking(False)
    try:
        return connection.recv(1) == b""
    except BlockingIOError:
        return False
    except ConnectionError:
        return True


async def test_a_shortage_of_descriptors_is_reported_once(caplog):
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(report_once())
    shortage = {"message": "socket.accept() out of system resource", "exception": OSError(errno.EMFILE, "Too many")}
    with caplog.at_level(logging.ERROR):
        for _ in range(100):
            loop.call_exception_handler(shortage)
        loop.call_exception_handler({"message": "something else", "exception": ValueError("seen")})
    assert [record.levelname for record in caplog.records] == ["ERROR", "ERROR"]
    assert "Too many" in caplog.text
    assert "something else" in caplog.text


class EndlessApp:
    """An ASGI application that answers without end, and tells when nobody waits any more."""

    def __init__(self) -> None:
        self.n_sent = 0
        self.ended = asyncio.Event()

    async def __call__(self, scope, receive, send):
        gone = asyncio.create_task(_gone(receive))
        await send({"type": "http.response.start", "status": 200, "headers": []})
        while not gone.done():
            await send({"type": "http.response.body", "body": 16_384 * b"x", "more_body": True})
            self.n_sent += 16_384
            await asyncio.sleep(0)
        self.ended.set()


async def _gone(receive):
    while (await receive())["type"] != "http.disconnect":
        pass


def connect_narrowly(address, port, n_bytes=4096):
    """A socket that takes little of what is sent to it before it is read."""
    client = socket.socket(socket.AF_UNIX if address else socket.AF_INET)
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, n_bytes)
    client.connect(address or ("127.0.0.1", port))
    client.setblocking(False)
    return client


async def port_of(connect, address):
    """The port that connect() leads to."""
    if address:
        return None
    _, writer = await connect()
    port = writer.get_extra_info("peername")[1]
    writer.close()
    return port


async def test_who_never_reads_an_answer_is_hung_up_on(address, monkeypatch):
    monkeypatch.setattr(connections, "UNREAD_S", 0.1)
    app = EndlessApp()
    async with serving(app, address) as connect:
        with connect_narrowly(address, await port_of(connect, address)) as client:
            client.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
            await app.ended.wait()
            n_sent = app.n_sent
            await asyncio.sleep(0.05)
            assert app.n_sent == n_sent


async def test_the_work_for_a_stream_that_nobody_reads_ends(rig):
    await rig.client("--fake-unread-s", "0.3").ensure_running()
    asked = {"prompt": 2_000 * "x", "max_tokens": 2_000, "stream": True, "diffusing": True}
    body = json.dumps(asked).encode()
    with connect_narrowly(str(rig.home.socket), None) as client:
        head = b"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % len(body)
        client.sendall(head + body)
        (event,) = await rig.event("cancelled")
        assert 1 < event["step"] < 4_000
        assert client.recv(16).startswith(b"HTTP/1.1 200")
    async with asyncio.timeout(30):
        while (await rig.client().health()).n_jobs:
            await asyncio.sleep(0.01)


async def test_a_whole_answer_that_nobody_reads_holds_no_connection(address, monkeypatch):
    """The application is done; what is left waits in the transport, which closing alone would not end."""
    monkeypatch.setattr(connections, "UNREAD_S", 0.1)

    async def answer(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": 4_000_000 * b"x"})

    lost = asyncio.Event()

    def connection_lost(self, error):
        H11Protocol.connection_lost(self, error)
        lost.set()

    async with serving(answer, address) as connect:
        port = await port_of(connect, address)
        monkeypatch.setattr(BoundedConnection, "connection_lost", connection_lost)
        with connect_narrowly(address, port) as client:
            client.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            await lost.wait()


async def test_who_reads_slowly_gets_all(address, monkeypatch):
    monkeypatch.setattr(connections, "UNREAD_S", 1.0)

    async def answer(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": 6_000_000 * b"x"})

    loop, n_read = asyncio.get_running_loop(), 0
    async with serving(answer, address) as connect:
        with connect_narrowly(address, await port_of(connect, address), 65_536) as client:
            client.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            start_s = loop.time()
            while data := await loop.sock_recv(client, 65_536):
                n_read += len(data)
                if loop.time() < start_s + 2.2:
                    await asyncio.sleep(0.02)
    assert n_read > 6_000_000


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"nonsense\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",  # without Host
        b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nhi",
        b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: many\r\n\r\nhi",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + 70_000 * b"x",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + 600 * b"\x00",  # somebody speaks TLS
    ],
)
async def test_what_is_not_http_is_a_400_in_the_usual_shape(address, request_bytes):
    async with serving(App(), address) as connect:
        reader, writer = await connect()
        writer.write(request_bytes)
        head, _, body = (await reader.read()).partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 400")
        assert json.loads(body)["error"]["type"] == "invalid_request_error"
        writer.close()


async def test_more_than_the_declared_length_is_not_a_part_of_the_body(address):
    async with serving(App(), address) as connect:
        reader, writer = await connect()
        writer.write(REQUEST + b"and more than that\r\n\r\n")
        answers = await reader.read()
        assert b"\r\n\r\nokHTTP/1.1 400" in answers
        writer.close()


async def test_a_body_that_breaks_after_its_answer_ends_the_connection(address, caplog):
    async def refuse(scope, receive, send):
        await send({"type": "http.response.start", "status": 401, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body"})

    async with serving(refuse, address) as connect:
        reader, writer = await connect()
        writer.write(b"POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n")
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 401")
        writer.write(b"no chunk at all\r\n")
        with suppress(ConnectionError):
            assert await reader.read() == b""
        writer.close()
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []


async def test_a_body_without_end_is_cut_off_after_its_answer(address, monkeypatch):
    monkeypatch.setattr(connections, "HEADERS_S", 0.2)

    async def refuse(scope, receive, send):
        await send({"type": "http.response.start", "status": 413, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body"})

    async with serving(refuse, address) as connect:
        reader, writer = await connect()
        writer.write(b"POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n")
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 413")
        with suppress(ConnectionError):
            while not reader.at_eof():
                writer.write(b"400\r\n" + 1024 * b"x" + b"\r\n")
                await writer.drain()
                await asyncio.sleep(0.01)
        writer.close()


async def test_http_1_0_gets_its_answer_and_the_end(address):
    async with serving(App(), address) as connect:
        reader, writer = await connect()
        writer.write(b"POST / HTTP/1.0\r\nContent-Length: 2\r\n\r\nhi")
        head, _, body = (await reader.read()).partition(b"\r\n\r\n")
        assert (head[:12], body) == (b"HTTP/1.1 200", b"ok")
        writer.close()
