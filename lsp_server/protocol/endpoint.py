"""pygls, with the parts replaced that lose, delay or distort what an editor says.

Everything that touches pygls's private side is here, so that a new pygls is checked here and nowhere else. What is
replaced, and why (docs/decisions/0004-language-server.md):

* text synchronisation: pygls splits lines where LSP does not, and reads unopened files from disk;
* decoding: malformed parameters are answered with −32602; pygls never answers them;
* dispatch: `readers` turn parameters into values when the message arrives, so a handler that runs later still sees the
  document of that moment;
* the loop over stdin: one thread, a few messages a turn of the loop (`inbox`), headers in any case, an end at `exit`
  and at end of file.
"""

import asyncio
import json
import logging
import os
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from ...fim.errors import InputError
from ...fim.text.printable import printable
from .framing import FrameReader
from .inbox import Inbox
from .quick_import import collector_paused

with collector_paused():
    from cattrs import Converter
    from lsprotocol import types as types
    from pygls.exceptions import (
        JsonRpcException as JsonRpcException,
    )
    from pygls.exceptions import (
        JsonRpcInvalidParams,
        JsonRpcInvalidRequest,
        JsonRpcMethodNotFound,
        JsonRpcParseError,
        JsonRpcServerNotInitialized,
    )
    from pygls.lsp.server import LanguageServer as LanguageServer
    from pygls.protocol import JsonRPCNotification, JsonRPCRequestMessage, LanguageServerProtocol, default_converter

log = logging.getLogger(__name__)

ParamsReader = Callable[[object], Any]
_REPLACED = (
    types.TEXT_DOCUMENT_DID_OPEN,
    types.TEXT_DOCUMENT_DID_CHANGE,
    types.TEXT_DOCUMENT_DID_CLOSE,
    types.NOTEBOOK_DOCUMENT_DID_OPEN,
    types.NOTEBOOK_DOCUMENT_DID_CHANGE,
    types.NOTEBOOK_DOCUMENT_DID_CLOSE,
    types.WORKSPACE_DID_CHANGE_WORKSPACE_FOLDERS,
    types.WORKSPACE_DID_CHANGE_CONFIGURATION,
    types.EXIT,
)
_READ_BYTES = 1 << 16
_ENDING_S = 0.75  # for an orderly end once the client's stream has ended


class StrictProtocol(LanguageServerProtocol):
    """A LanguageServerProtocol that is fed one JSON value at a time through `receive`.

    readers: for each method, the function that turns raw parameters into the feature's value; it raises InputError.
    client_said: the raw parameters of `initialize`.
    """

    def __init__(self, server: LanguageServer, converter: Converter) -> None:
        super().__init__(server, converter)
        self.readers: dict[str, ParamsReader] = {}
        self.stopped = asyncio.Event()
        self.client_said: Mapping[str, Any] = {}
        self._initialized = False
        for method in _REPLACED:
            self.fm.builtin_features.pop(method, None)

    @property
    def shut_down(self) -> bool:
        """Whether the client has sent `shutdown`."""
        return self._shutdown

    def receive(self, body: bytes) -> None:
        """Handle one message; errors in it are answered (requests) or logged (notifications)."""
        try:
            message = json.loads(body)
        except (ValueError, RecursionError):
            self._send_error(None, JsonRpcParseError("the body is not JSON"))
            return
        if not isinstance(message, dict) or message.get("jsonrpc") != self.VERSION:
            self._send_error(None, JsonRpcInvalidRequest("a message must be a JSON-RPC 2.0 object"))
            return
        method, msg_id = message.get("method"), message.get("id")
        if isinstance(msg_id, bool) or not isinstance(msg_id, int | str | None):
            self._send_error(None, JsonRpcInvalidRequest("id must be a number or a string"))
        elif method is None:
            self._receive_response(message)
        elif not isinstance(method, str):
            self._refuse(msg_id, JsonRpcInvalidRequest("method must be a string"))
        elif self._may_come_now(method, msg_id):
            self._receive_call(method, msg_id, message)

    def _execute_handler(self, msg_id: Any, handler: Any, *arguments: Any, **named: Any) -> None:  # noqa: ANN401
        """Forget a finished handler: pygls does so only if a client waits for it, so commands would pile up."""
        super()._execute_handler(msg_id, handler, *arguments, **named)
        future = self._request_futures.get(msg_id)
        if future is not None:
            future.add_done_callback(lambda _: self._request_futures.pop(msg_id, None))

    def _receive_call(self, method: str, msg_id: int | str | None, message: dict[str, Any]) -> None:
        if method == types.EXIT:
            self.stopped.set()
            return
        if msg_id is not None and not self._is_known(method):
            self._refuse(msg_id, JsonRpcMethodNotFound(f"there is no method {printable(method[:200])}"))
            return
        try:
            structured: Any = self._structure(method, msg_id, message)
            self.handle_message(structured)
        except InputError as error:
            self._refuse(msg_id, JsonRpcInvalidParams(f"{method}: {error}"))
        except JsonRpcException as error:
            self._initialized = self._initialized and method != types.INITIALIZE
            self._refuse(msg_id, JsonRpcInvalidParams(f"{method}: {error.message or 'malformed parameters'}"))
        except Exception as error:  # last resort: the text of a message that breaks pygls must not be logged
            log.error("cannot read a message of kind %s (%s)", method, type(error).__name__)
            self._refuse(msg_id, JsonRpcInvalidParams("malformed parameters"))

    def _is_known(self, method: str) -> bool:
        return any(method in known for known in (self.readers, self.fm.features, self.fm.builtin_features))

    def _structure(self, method: str, msg_id: int | str | None, message: dict[str, Any]) -> object:
        reader = self.readers.get(method)
        if method == types.INITIALIZE:
            reduced = _reduce(message)
            self.client_said = message["params"]
            return self.structure_message(reduced)
        if reader is None:
            return self.structure_message(message)
        params = reader(message.get("params"))
        if msg_id is None:
            return JsonRPCNotification(method=method, jsonrpc=self.VERSION, params=params)
        return JsonRPCRequestMessage(id=msg_id, method=method, jsonrpc=self.VERSION, params=params)

    def _receive_response(self, message: dict[str, Any]) -> None:
        try:
            structured: Any = self.structure_message(message)
            self.handle_message(structured)
        except (JsonRpcException, AttributeError) as error:
            log.warning("a response of the client could not be read (%s)", type(error).__name__)

    def _may_come_now(self, method: str, msg_id: int | str | None) -> bool:
        if method == types.EXIT:
            return True
        if method == types.INITIALIZE and not self._initialized:
            self._initialized = True
            return True
        if method == types.INITIALIZE:
            self._refuse(msg_id, JsonRpcInvalidRequest("initialize may be sent once"))
        elif not self._initialized:
            self._refuse(msg_id, JsonRpcServerNotInitialized("send initialize first"))
        elif self._shutdown:
            self._refuse(msg_id, JsonRpcInvalidRequest("the server is shutting down"))
        else:
            return True
        return False

    def _refuse(self, msg_id: int | str | None, error: JsonRpcException) -> None:
        """Answer a request with an error; a notification (id None) is only logged."""
        if msg_id is None:
            log.warning("dropped a notification: %s", error.message)
        else:
            self._send_error(msg_id, error)

    def _send_error(self, msg_id: int | str | None, error: JsonRpcException) -> None:
        log.warning("refused a message: %s", error.message)
        response = {"code": error.code, "message": error.message}
        self._send_data({"jsonrpc": self.VERSION, "id": msg_id, "error": response})


class StrictServer(LanguageServer):
    """A LanguageServer over StrictProtocol. `strict` is its protocol, typed."""

    def __init__(self, name: str, version: str) -> None:
        cells = types.NotebookDocumentFilterWithNotebook(notebook="*")
        super().__init__(
            name,
            version,
            protocol_cls=StrictProtocol,
            converter_factory=default_converter,
            notebook_document_sync=types.NotebookDocumentSyncOptions(notebook_selector=[cells]),
        )
        assert isinstance(self.protocol, StrictProtocol)
        self.strict = self.protocol

    def report_server_error(self, error: Exception, source: object) -> None:
        """Log where a handler failed; pygls would show the person the error's text, which may hold source code."""
        data = error.data if isinstance(error, JsonRpcException) else None
        frames = data.get("traceback", []) if isinstance(data, dict) else []
        log.error("a handler failed: %s\n%s", type(error).__name__, "".join(frames))


class _StdioWriter:
    """Writes to the client; if the client has gone, it stops the server without an error."""

    def __init__(self, stdout_fd: int, stopped: asyncio.Event) -> None:
        self._fd = stdout_fd
        self._stopped = stopped

    def close(self) -> None:
        os.close(self._fd)

    def write(self, data: bytes) -> None:
        rest = memoryview(data)
        try:
            while rest and not self._stopped.is_set():
                rest = rest[os.write(self._fd, rest) :]
        except (BrokenPipeError, ConnectionResetError):
            log.info("the client closed its end")
            self._stopped.set()


async def serve_streams(server: StrictServer, stdin_fd: int, stdout_fd: int) -> int:
    """Serve until `exit` or the end of stdin. Returns the exit code: 0 after a `shutdown`, else 1."""
    protocol = server.strict
    protocol.set_writer(_StdioWriter(stdout_fd, protocol.stopped))
    loop = asyncio.get_running_loop()

    def receive(body: bytes | None) -> None:
        if body is None:
            protocol.stopped.set()
        elif not protocol.stopped.is_set():
            protocol.receive(body)

    inbox = Inbox(loop, receive)

    def end() -> None:
        inbox.put(None)
        time.sleep(_ENDING_S)  # the loop may be stuck in a write to a client that never reads
        log.warning("the server was still busy when the client had gone")
        os._exit(0 if protocol.shut_down else 1)

    threading.Thread(target=_read, args=(stdin_fd, inbox.put, end), name="stdin", daemon=True).start()
    await protocol.stopped.wait()
    return 0 if protocol.shut_down else 1


def _read(fd: int, deliver: Callable[[bytes], None], end: Callable[[], None]) -> None:
    """Read fd to its end. Unbuffered: a daemon thread in a buffered read would keep the interpreter from ending."""
    frames = FrameReader()
    try:
        while data := os.read(fd, _READ_BYTES):
            for body in frames.feed(data):
                deliver(body)
    except InputError as error:
        log.error("%s", error)
    except OSError as error:
        log.info("stdin is gone (%s)", type(error).__name__)
    finally:
        end()


def _reduce(initialize: dict[str, Any]) -> dict[str, Any]:
    """`initialize` reduced to what is used: a capability unknown to lsprotocol must not lock an editor out."""
    params = initialize.get("params")
    if not isinstance(params, dict) or not isinstance(params.get("capabilities"), dict):
        raise JsonRpcInvalidParams("params.capabilities must be an object")
    general, window = (params["capabilities"].get(name) for name in ("general", "window"))
    offered = general.get("positionEncodings") if isinstance(general, dict) else None
    encodings = [name for name in offered if isinstance(name, str)] if isinstance(offered, list) else None
    progress = isinstance(window, dict) and window.get("workDoneProgress") is True
    process_id = params.get("processId")
    capabilities = {"general": {"positionEncodings": encodings}, "window": {"workDoneProgress": progress}}
    if isinstance(params["capabilities"].get("notebookDocument"), dict):
        capabilities["notebookDocument"] = {"synchronization": {}}
    reduced = {
        "processId": process_id if isinstance(process_id, int) else None,
        "rootUri": None,
        "capabilities": capabilities,
        "initializationOptions": params.get("initializationOptions"),
    }
    return {**initialize, "params": reduced}


def client_supports_progress(capabilities: types.ClientCapabilities) -> bool:
    """Whether the server may create work-done progress."""
    return bool(capabilities.window and capabilities.window.work_done_progress)
