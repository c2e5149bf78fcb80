"""Connections within bounds: how many, how slow, half-closed, and a shortage of descriptors."""

import asyncio
import errno
import logging
import socket
import sys
from contextlib import asynccontextmanager

import pytest
import uvicorn
from quicksilver.serving.client.http import Endpoint, exchange
from quicksilver.serving.paths import read_info
from quicksilver.serving.process import connections
from quicksilver.serving.process.connections import MAX_TCP_CONNECTIONS, BoundedConnection, report_once
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
