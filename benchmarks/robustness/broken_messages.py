"""Messages that no editor should send: valid ones with something broken, and bytes that were never JSON-RPC.

None of them asks the server to end.
"""

import json
import random
from typing import Any

from ...lsp_server.protocol.framing import encode

URI = "file:///quicksilver/protocol.py"
_RANGE = {"start": {"line": 0, "character": 0}, "end": {"line": 0, "character": 1}}
_DOCUMENT = {"uri": URI, "version": 2}
_ITEM = {"insertText": "x", "command": {"command": "quicksilver.didAccept", "arguments": [{"id": "1", "index": 0}]}}
RIGHT: tuple[tuple[str, Any, bool], ...] = (
    ("textDocument/didOpen", {"textDocument": {**_DOCUMENT, "languageId": "python", "text": "a\n"}}, False),
    ("textDocument/didChange", {"textDocument": _DOCUMENT, "contentChanges": [{"range": _RANGE, "text": "b"}]}, False),
    ("textDocument/didClose", {"textDocument": {"uri": URI}}, False),
    ("textDocument/didSave", {"textDocument": {"uri": URI}}, False),
    (
        "textDocument/inlineCompletion",
        {"textDocument": {"uri": URI}, "position": {"line": 0, "character": 0}, "context": {"triggerKind": 1}},
        True,
    ),
    (
        "notebookDocument/didOpen",
        {
            "notebookDocument": {"uri": "file:///n.ipynb", "version": 1, "cells": [{"kind": 2, "document": "cell:a"}]},
            "cellTextDocuments": [{"uri": "cell:a", "version": 1, "languageId": "python", "text": "a\n"}],
        },
        False,
    ),
    (
        "notebookDocument/didChange",
        {
            "notebookDocument": {"uri": "file:///n.ipynb", "version": 2},
            "change": {"cells": {"structure": {"array": {"start": 0, "deleteCount": 1, "cells": []}}}},
        },
        False,
    ),
    ("textDocument/didShowCompletion", {"item": _ITEM}, False),
    ("textDocument/didPartiallyAcceptCompletion", {"item": _ITEM, "acceptedLength": 1}, False),
    ("workspace/executeCommand", {"command": "quicksilver.why", "arguments": [{"uri": URI}]}, True),
    ("workspace/executeCommand", {"command": "quicksilver.snooze", "arguments": [0]}, True),
    ("workspace/didChangeConfiguration", {"settings": {"quicksilver": {"max_steps": 8}}}, False),
    ("workspace/didChangeWatchedFiles", {"changes": [{"uri": URI, "type": 1}]}, False),
    ("quicksilver/explain", {"id": "1"}, True),
    ("quicksilver/warm", {"textDocument": {"uri": URI}, "position": {"line": 0, "character": 0}}, False),
    ("quicksilver/workspace", None, True),
    ("$/setTrace", {"value": "verbose"}, False),
    ("$/cancelRequest", {"id": 1}, False),
    ("initialize", {"capabilities": {}}, True),
    ("quicksilver/thereIsNoSuchMethod", {}, True),
)
_ODD: tuple[Any, ...] = (
    None, True, -1, 0, 2**31, 2**70, 1.5, float("inf"), "", "x" * 3000, "\ud800", "\0", [], {}, [[]], {"uri": 7},
    [None], {"start": None},
)  # fmt: skip


def broken_message(rng: random.Random, request_id: int) -> tuple[bytes, bool]:
    """Bytes of one frame, and whether it is a request with that id, which must be answered."""
    if rng.random() < 0.1:
        return _frame(_nonsense(rng)), False
    method, params, is_request = rng.choice(RIGHT)
    params = json.loads(json.dumps(params))
    for _ in range(rng.choice((0, 1, 1, 2, 4))):
        params = _broken(rng, params)
    message: dict[str, Any] = {"jsonrpc": "2.0", "method": method, "params": params}
    if is_request:
        message["id"] = request_id
    return encode(message), is_request


def _broken(rng: random.Random, value: Any) -> Any:  # noqa: ANN401 (JSON)
    """A value with one part of it replaced, taken away, or added."""
    if isinstance(value, dict) and value and rng.random() < 0.85:
        name = rng.choice(sorted(value))
        rest = {key: each for key, each in value.items() if key != name}
        return rest if rng.random() < 0.2 else {**rest, name: _broken(rng, value[name])}
    if isinstance(value, list) and value and rng.random() < 0.85:
        i = rng.randrange(len(value))
        return [*value[:i], _broken(rng, value[i]), *value[i:][rng.randrange(2) :]]
    return rng.choice(_ODD)


def _nonsense(rng: random.Random) -> bytes:
    """A body that is no JSON-RPC message."""
    return rng.choice(
        (
            b"", b"null", b"[]", b"7", b'"exit"', b"{", b"[" * 5000, b'{"jsonrpc":"1.0","method":"x"}', b"\xff\xfe\x00",
            b'{"jsonrpc":"2.0"}', b'{"jsonrpc":"2.0","method":7}', b'{"jsonrpc":"2.0","id":true,"method":"x"}',
            b'{"jsonrpc":"2.0","id":99999999,"result":null}', b'[{"jsonrpc":"2.0","method":"$/x"}]', rng.randbytes(50),
        )
    )  # fmt: skip


def _frame(body: bytes) -> bytes:
    return b"Content-Length: %d\r\n\r\n" % len(body) + body
