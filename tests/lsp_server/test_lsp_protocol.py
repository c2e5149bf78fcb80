"""The wire itself: malformed messages, order, the end of the process."""

import asyncio
import gc
import json
import subprocess
import sys

import pytest
from quicksilver.fim.errors import InputError
from quicksilver.lsp_server.protocol.framing import FrameReader, encode
from quicksilver.lsp_server.protocol.headless import INLINE_COMPLETION, AnswerError, HeadlessClient, completion_params
from quicksilver.lsp_server.protocol.quick_import import collector_paused

from .conftest import SCRIPT

URI = "file:///tmp/sample.py"
GOOD = completion_params(URI, (0, 8))

MALFORMED = {
    "negative line": {**GOOD, "position": {"line": -1, "character": 0}},
    "negative character": {**GOOD, "position": {"line": 0, "character": -5}},
    "huge line": {**GOOD, "position": {"line": 2**40, "character": 0}},
    "line is a string": {**GOOD, "position": {"line": "0", "character": 0}},
    "line is a fraction": {**GOOD, "position": {"line": 0.5, "character": 0}},
    "line is true": {**GOOD, "position": {"line": True, "character": 0}},
    "no position": {key: value for key, value in GOOD.items() if key != "position"},
    "trigger kind 0": {**GOOD, "context": {"triggerKind": 0}},
    "trigger kind text": {**GOOD, "context": {"triggerKind": "Invoked"}},
    "no context": {key: value for key, value in GOOD.items() if key != "context"},
    "no document": {key: value for key, value in GOOD.items() if key != "textDocument"},
    "uri is a number": {**GOOD, "textDocument": {"uri": 5}},
    "document is a list": {**GOOD, "textDocument": [URI]},
    "params is a list": [GOOD],
    "params is null": None,
}


async def test_malformed_requests_are_refused_and_the_server_goes_on(editor):
    async with editor() as client:
        client.open(URI, "value = \n")
        for name, params in MALFORMED.items():
            with pytest.raises(AnswerError) as error:
                await client.request(INLINE_COMPLETION, params, timeout_s=2)
            assert error.value.code == -32602, name
        for params in ({"id": 5}, [1], "x"):
            with pytest.raises(AnswerError) as error:
                await client.request("quicksilver/explain", params, timeout_s=2)
            assert error.value.code == -32602
        for params in (None, {}, {"a": 1}):
            with pytest.raises(AnswerError) as error:
                await client.request("no/such", params, timeout_s=2)
            assert error.value.code == -32601
        for strange in ({"id": ["x"]}, {"id": {}}):  # pygls uses the id as a key without looking at it
            client.notify("$/cancelRequest", strange)
            with pytest.raises(AnswerError) as error:
                await client.request("$/cancelRequest", strange, timeout_s=2)
            assert error.value.code == -32601  # a notification, so no such request
        with pytest.raises(AnswerError) as error:
            await client.request("workspace/executeCommand", {"nothing": 1}, timeout_s=2)
        assert error.value.code == -32602
        assert len(await client.complete(URI, (0, 8))) == 1


async def test_malformed_notifications_do_no_harm(editor, records):
    async with editor() as client:
        client.open(URI, "value = \n")
        for method in ("textDocument/didOpen", "textDocument/didClose", "textDocument/didChange", "$/cancelRequest"):
            for params in (None, [], {}, {"textDocument": None}, {"textDocument": {"uri": 5}}):
                client.notify(method, params)
        client.notify("textDocument/unheardOf", {})
        client.send(encode({"jsonrpc": "2.0", "id": 4711, "result": {"odd": 1}}))
        client.send(encode({"jsonrpc": "2.0", "id": 4712, "error": "odd"}))
        assert len(await client.complete(URI, (0, 8))) == 1


async def test_an_impossible_change_closes_the_document_until_it_is_reopened(editor, records):
    async with editor() as client:
        client.open(URI, "value = \n")
        backwards = {"range": {"start": {"line": 0, "character": 5}, "end": {"line": 0, "character": 1}}, "text": "x"}
        client.notify(
            "textDocument/didChange", {"textDocument": {"uri": URI, "version": 2}, "contentChanges": [backwards]}
        )
        assert await client.complete(URI, (0, 8)) == []
        client.open(URI, "value = \n", version=3)
        assert len(await client.complete(URI, (0, 8))) == 1


@pytest.mark.slow
async def test_garbage_is_answered_with_json_rpc_errors(piped_editor):
    async with piped_editor() as client:
        for body in (
            b"{nonsense",
            b"[]",
            b"7",
            b'{"jsonrpc": "1.0", "id": 1}',
            b'{"jsonrpc":"2.0","id":{},"method":"x"}',
        ):
            client.send(b"Content-Length: %d\r\n\r\n%s" % (len(body), body))
        with pytest.raises(AnswerError) as error:
            await client.request("no/such/method", {})
        codes = [note["error"]["code"] for note in client.notifications if "error" in note]
    assert error.value.code == -32601
    assert codes == [-32700, -32600, -32600, -32600, -32600]


@pytest.mark.slow
async def test_headers_in_any_case_and_bodies_in_pieces(piped_editor):
    async with piped_editor() as client:
        client.open(URI, "value = \n")
        _, answer = client.ask("quicksilver/explain", {})
        assert await answer is None
        body = json.dumps({"jsonrpc": "2.0", "id": 77, "method": INLINE_COMPLETION, "params": GOOD}).encode()
        message = b"CONTENT-TYPE: x\r\ncontent-length:%d\r\n\r\n%s" % (len(body), body)
        for start in range(0, len(message), 40):
            client.send(message[start : start + 40])
            await asyncio.sleep(0.002)
        async with asyncio.timeout(5):
            while not any(note.get("id") == 77 for note in client.notifications):
                await asyncio.sleep(0.01)


async def test_odd_capabilities_do_not_lock_an_editor_out(editor):
    odd = {
        "general": {"positionEncodings": ["utf-8", 7, None]},
        "window": "yes",
        "textDocument": {"completion": {"completionItem": {"documentationFormat": ["carrier pigeon"]}}},
        "workspace": [1],
    }
    params = {"processId": "one", "rootUri": 5, "capabilities": odd, "workspaceFolders": "x", "clientInfo": 3}
    async with editor(initialize=False) as client:
        for hopeless in (None, [], {}, {"capabilities": []}):
            with pytest.raises(AnswerError) as error:
                await client.request("initialize", hopeless)
            assert error.value.code == -32602
        result = await client.request("initialize", params)
        assert result["capabilities"]["positionEncoding"] == "utf-8"
        client.open(URI, "value = \n")
        assert len(await client.complete(URI, (0, 8))) == 1


async def test_order_of_life(editor):
    async with editor(initialize=False) as client:
        with pytest.raises(AnswerError) as error:
            await client.request(INLINE_COMPLETION, GOOD)
        assert error.value.code == -32002
        await client.initialize()
        with pytest.raises(AnswerError) as error:
            await client.request("initialize", {"processId": None, "rootUri": None, "capabilities": {}})
        assert error.value.code == -32600
        assert await client.request("shutdown", None) is None
        with pytest.raises(AnswerError) as error:
            await client.request(INLINE_COMPLETION, GOOD)
        assert error.value.code == -32600


@pytest.mark.slow
@pytest.mark.parametrize(("how", "code"), [("shutdown and exit", 0), ("exit", 1), ("end of file", 1), ("garbage", 1)])
async def test_it_ends_at_once_even_while_it_works(piped_editor, how, code):
    async with piped_editor("--delay-ms", "60000", "--start-ms", "60000") as client:
        client.open(URI, "value = \n")
        client.ask(INLINE_COMPLETION, GOOD)
        await asyncio.sleep(0.1)
        if how == "shutdown and exit":
            await client.request("shutdown", None)
        if how == "end of file":
            client.process.stdin.close()
        elif how == "garbage":
            client.send(b"Content-Length: many\r\n\r\n")
        else:
            client.notify("exit", None)
        assert await client.wait(timeout_s=30) == code  # what hangs would take 60 s, and be killed
        assert not any("Traceback" in line for line in client.stderr_lines)


@pytest.mark.slow
async def test_a_client_that_stops_reading_and_goes_away(piped_editor):
    async with piped_editor() as client:
        client.process.stdout.feed_eof()
        client.process._transport.get_pipe_transport(1).close()
        for _ in range(20):
            client.ask("quicksilver/explain", {})
        client.process.stdin.close()
        await client.wait()
        assert [line for line in client.stderr_lines if "Traceback" in line or "Error" in line] == []


async def test_a_server_that_cannot_start_is_one_clear_error():
    async with await HeadlessClient.start([sys.executable, "-c", "raise SystemExit('broken: no brain')"]) as client:
        with pytest.raises(Exception, match="broken: no brain"):
            await client.initialize()


def test_the_server_imports_no_torch_and_little_else():
    script = (
        "import sys, quicksilver.lsp_server.server, quicksilver.cli.shared_engine, quicksilver.cli.main\n"
        "heavy = {'torch', 'transformers', 'numpy', 'rich', 'starlette', 'uvicorn', 'tokenizers'}\n"
        "heavy |= {'tree_sitter_python', 'sqlite3', 'pathspec', 'httpx2', 'quicksilver.serving.elsewhere'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    result = subprocess.run([sys.executable, "-P", "-c", script], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


def test_the_collector_is_left_as_it_was():
    with collector_paused():
        assert not gc.isenabled()
    assert gc.isenabled()
    gc.disable()
    try:
        with collector_paused():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()


def test_frames_in_every_cut():
    bodies = [b"{}", b'{"a": "' + b"x" * 300 + b'"}', b""]
    stream = b"".join(b"Content-Length: %d\r\nOther: 1\r\n\r\n%s" % (len(body), body) for body in bodies)
    for size in range(1, len(stream) + 1):
        frames, found = FrameReader(), []
        for start in range(0, len(stream), size):
            found += frames.feed(stream[start : start + size])
        assert found == bodies


@pytest.mark.parametrize(
    "head",
    [
        b"x" * 9000,
        b"A: 1\r\n\r\n",
        b"Content-Length: -1\r\n\r\n",
        b"Content-Length: 9999999999\r\n\r\n",
        b"GET / H",
        b"Content-Type: x\r\n\r\n",
    ],
)
def test_frames_that_cannot_be_followed(head):
    with pytest.raises(InputError):
        FrameReader().feed(head)


async def test_an_edit_that_cannot_be_read_closes_the_document(editor, records):
    """Answers from the text before it would be wrong, and nobody would know."""
    async with editor() as client:
        uri = "file:///tmp/odd.py"
        client.open(uri, "value = \n")
        assert len(await client.complete(uri, (0, 8))) == 1
        client.replace(uri, 2, ((0, -1), (0, 0)), "x")
        assert await client.complete(uri, (0, 8)) == []
        client.open(uri, "xvalue = \n")
        assert len(await client.complete(uri, (0, 9))) == 1
    assert [record["prefix"] for record in records.all("asked")] == ["value = ", "xvalue = "]


@pytest.mark.slow
def test_a_client_that_never_reads_cannot_keep_the_server_alive():
    """Its pipe is full, so the server stands still in a write; the end of its input ends it all the same."""
    pipe = subprocess.PIPE
    with subprocess.Popen(
        [sys.executable, "-P", str(SCRIPT)], stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL
    ) as server:
        assert server.stdin is not None
        server.stdin.write(encode({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": {"capabilities": {}}}))
        for i in range(1, 3000):
            server.stdin.write(encode({"jsonrpc": "2.0", "id": i, "method": "quicksilver/workspace", "params": None}))
        server.stdin.close()
        try:
            server.wait(timeout=20)
        finally:
            server.kill()
