"""The language server over TCP: several editors at once, this machine and this user only."""

import asyncio
import json
import os
import signal
import sys
from contextlib import asynccontextmanager

import pytest
from quicksilver.fim.errors import InputError
from quicksilver.lsp_server.protocol.framing import FrameReader, encode
from quicksilver.lsp_server.tcp import is_ours, read_address

from .conftest import SCRIPT


@asynccontextmanager
async def listening():
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-P", str(SCRIPT), "--tcp", "127.0.0.1:0", stderr=asyncio.subprocess.PIPE
    )
    try:
        assert process.stderr is not None
        async with asyncio.timeout(30):
            while not (line := (await process.stderr.readline()).decode()).startswith("listening on "):
                assert line
        yield process, int(line.rpartition(":")[2])
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


class Client:
    def __init__(self, reader, writer):
        self.reader, self.writer, self.frames, self.bodies = reader, writer, FrameReader(), []

    async def ask(self, method, params, *, is_request=True):
        message = {"jsonrpc": "2.0", "method": method, "params": params}
        self.writer.write(encode({**message, "id": method} if is_request else message))
        while is_request:
            for body in self.bodies:
                if body.get("id") == method and "method" not in body:
                    return body["result"]
            async with asyncio.timeout(10):
                data = await self.reader.read(65536)
            assert data, "the server closed the connection"
            self.bodies += map(json.loads, self.frames.feed(data))
        return None

    async def start(self, uri):
        await self.ask("initialize", {"capabilities": {}})
        await self.ask("initialized", {}, is_request=False)
        item = {"uri": uri, "languageId": "python", "version": 1, "text": "value = "}
        await self.ask("textDocument/didOpen", {"textDocument": item}, is_request=False)

    async def complete(self, uri):
        params = {"textDocument": {"uri": uri}, "position": {"line": 0, "character": 8}, "context": {"triggerKind": 1}}
        result = await self.ask("textDocument/inlineCompletion", params)
        assert result is not None
        return result["items"]


@pytest.mark.slow
async def test_two_editors_at_once_and_an_end_that_takes_no_other_with_it():
    async with listening() as (process, port):
        one, two = [Client(*await asyncio.open_connection("127.0.0.1", port)) for _ in range(2)]
        await one.start("file:///one.py")
        await two.start("file:///two.py")
        assert len(await one.complete("file:///one.py")) == 1
        assert await two.complete("file:///one.py") == []  # each has documents of its own
        await one.ask("shutdown", None)
        await one.ask("exit", None, is_request=False)
        assert await one.reader.read() == b""
        two.bodies.clear()
        assert len(await two.complete("file:///two.py")) == 1
        two.writer.close()
        process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(10):
            assert await process.wait() == 0


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("7000", ("127.0.0.1", 7000)),
        ("localhost:0", ("127.0.0.1", 0)),
        ("[::1]:9", ("::1", 9)),
        ("127.0.0.2:1", ("127.0.0.2", 1)),
    ],
)
def test_addresses_of_this_machine(text, address):
    assert read_address(text) == address


@pytest.mark.parametrize("text", ["0.0.0.0:7000", "example.com:7000", "10.0.0.1:7000", "127.0.0.1:x", "70000", "", ":"])
def test_other_addresses_are_refused(text):
    with pytest.raises(InputError):
        read_address(text)


PEER, OWN = ("127.0.0.1", 0xC350), ("127.0.0.1", 0x1B58)
ROWS = {
    "0100007F:C350 0100007F:1B58 01": True,
    "0200007F:C350 0100007F:1B58 01": False,  # another address with these ports
    "0100007F:C350 0200007F:1B58 01": False,
    "0100007F:C350 0100007F:1B58 05": False,  # closed by its program: nobody's
    "0100007F:C350 0100007F:1B58 06": False,
}


def table_of(folder, row, uid):
    (folder / "tcp").write_text(f"head\n0: {row} 00000000:00000000 00:00000000 00000000 {uid} 0 1\n")
    return (str(folder / "tcp"),)


@pytest.mark.skipif(sys.byteorder != "little", reason="the rows are those of a little-endian machine")
@pytest.mark.parametrize(("row", "ours"), ROWS.items())
def test_whose_a_connection_is(tmp_path, row, ours):
    assert is_ours(PEER, OWN, table_of(tmp_path, row, os.geteuid())) is ours
    assert is_ours(PEER, OWN, table_of(tmp_path, row, os.geteuid() + 1)) is False
    assert is_ours(PEER, OWN, (str(tmp_path / "nothing"),)) is True


@pytest.mark.skipif(sys.byteorder != "little", reason="the rows are those of a little-endian machine")
def test_whose_a_connection_of_ipv6_is(tmp_path):
    row = "00000000000000000000000001000000:C350 00000000000000000000000001000000:1B58 01"
    table = table_of(tmp_path, row, os.geteuid())
    assert is_ours(("::1", 0xC350), ("::1", 0x1B58), table)
    assert not is_ours(PEER, OWN, table)


@pytest.mark.slow
async def test_what_a_web_page_sends_begins_no_session():
    body = encode({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {"capabilities": {}}})
    head = b"POST / HTTP/1.1\r\nHost: localhost\r\n"
    async with listening() as (_, port):
        for sent in (head + body, b"POST"):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(sent)
            async with asyncio.timeout(10):
                assert await reader.read() == b""
            writer.close()
