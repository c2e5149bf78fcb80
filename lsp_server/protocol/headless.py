"""A language client without an editor: starts `quicksilver lsp` and speaks raw JSON-RPC over its pipes.

With it the commands `complete`, `doctor`, `demo` and `bench` and the tests see what an editor sees.
"""

import asyncio
import json
import os
import sys
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from ...fim.errors import EngineUnavailable, QuicksilverError
from .framing import FrameReader, encode

INLINE_COMPLETION = "textDocument/inlineCompletion"
STATUS = "quicksilver/status"
_READ_BYTES = 1 << 16
_KEPT_LINES = 50


class AnswerError(QuicksilverError):
    """The server answered a request with a JSON-RPC error; code is its number."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


def server_command(*options: str) -> list[str]:
    """The command line of this installation's language server; -P keeps the current folder off its import path."""
    return [sys.executable, "-P", "-m", "quicksilver.cli", "lsp", *options]


class HeadlessClient:
    """One running server. Use as an async context manager; leaving it ends the server.

    notifications holds all that the server sent; requests_seen the methods that it requested from the client. on_status
    is called with each line of the server's status (initialize with status).
    """

    def __init__(self, process: asyncio.subprocess.Process, started_s: float) -> None:
        self.process = process
        self.started_s = started_s
        self.notifications: list[dict[str, Any]] = []
        self.requests_seen: list[str] = []
        self.on_status: Callable[[str], None] = lambda message: None
        self.stderr_lines: deque[str] = deque(maxlen=_KEPT_LINES)
        self._waiting: dict[int, asyncio.Future[Any]] = {}
        self._results: dict[str, Any] = {}  # by the method that the server requests
        self._expected: dict[str, asyncio.Future[Any]] = {}
        self._last_id = 0
        self._readers = [asyncio.create_task(self._read_messages()), asyncio.create_task(self._read_log())]

    @classmethod
    async def start(cls, command: Sequence[str], environ: Mapping[str, str] | None = None) -> Self:
        """Start a server. Raises EngineUnavailable if the command cannot be run."""
        started_s = time.perf_counter()
        pipe = asyncio.subprocess.PIPE
        env = dict(os.environ if environ is None else environ)
        try:
            process = await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe, stderr=pipe, env=env)
        except OSError as error:
            raise EngineUnavailable(f"cannot start {command[0]}: {error.strerror}") from error
        return cls(process, started_s)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    async def initialize(
        self,
        *,
        encodings: Sequence[str] | None = ("utf-32",),
        options: Mapping[str, Any] | None = None,
        root: Path | None = None,
        progress: bool = False,
        status: bool = False,
        configuration: Mapping[str, Any] | None = None,
        timeout_s: float = 30.0,
    ) -> dict[str, Any]:
        """The handshake; returns the server's capabilities. encodings None: the client names none.

        status: receive `quicksilver/status`. configuration: the client's answer when the server asks for it.
        """
        capabilities: dict[str, Any] = {
            "window": {"workDoneProgress": progress},
            "notebookDocument": {"synchronization": {}},
        }
        if status:
            capabilities["experimental"] = {"quicksilver": {"status": True}}
        if configuration is not None:
            capabilities["workspace"] = {"configuration": True}
            self._results["workspace/configuration"] = [configuration]
        if encodings is not None:
            capabilities["general"] = {"positionEncodings": list(encodings)}
        params = {
            "processId": os.getpid(),
            "rootUri": None if root is None else root.as_uri(),
            "capabilities": capabilities,
            "initializationOptions": options,
        }
        result = await self.request("initialize", params, timeout_s=timeout_s)
        self.notify("initialized", {})
        return result["capabilities"]

    def open(self, uri: str, text: str, *, version: int = 1, language: str = "python") -> None:
        """`textDocument/didOpen`."""
        item = {"uri": uri, "languageId": language, "version": version, "text": text}
        self.notify("textDocument/didOpen", {"textDocument": item})

    def insert(self, uri: str, version: int, position: tuple[int, int], text: str) -> None:
        """`textDocument/didChange` that types text at position (line, character)."""
        self.replace(uri, version, (position, position), text)

    def replace(self, uri: str, version: int, where: tuple[tuple[int, int], tuple[int, int]], text: str) -> None:
        """`textDocument/didChange` that puts text where the range (start, end) was."""
        start, end = map(_position, where)
        changes = [{"range": {"start": start, "end": end}, "text": text}]
        params = {"textDocument": {"uri": uri, "version": version}, "contentChanges": changes}
        self.notify("textDocument/didChange", params)

    async def complete(
        self, uri: str, position: tuple[int, int], *, invoked: bool = True, timeout_s: float = 30.0
    ) -> list[dict[str, Any]]:
        """The items of `textDocument/inlineCompletion` at position (line, character)."""
        result = await self.request(INLINE_COMPLETION, completion_params(uri, position, invoked), timeout_s=timeout_s)
        return result["items"]

    async def explain(self, answer_id: str | None = None) -> dict[str, Any]:
        """`quicksilver/explain`: all about an answer (None: the latest)."""
        return await self.request("quicksilver/explain", {} if answer_id is None else {"id": answer_id})

    async def request(self, method: str, params: object, *, timeout_s: float = 30.0) -> Any:  # noqa: ANN401 (JSON)
        """Send a request and wait for its result.

        Raises AnswerError (the server refused) and EngineUnavailable (it ended, or did not answer in time).
        """
        request_id, answer = self.ask(method, params)
        try:
            return await asyncio.wait_for(answer, timeout_s)
        except TimeoutError as error:
            raise EngineUnavailable(f"the language server did not answer {method} within {timeout_s:g} s") from error
        finally:
            self._waiting.pop(request_id, None)

    def next_id(self) -> int:
        """The id that the next request will have."""
        return self._last_id + 1

    def await_answer(self) -> asyncio.Future[Any]:
        """The future result of a request with the next id, which the caller sends."""
        self._last_id += 1
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._waiting[self._last_id] = answer
        if self._readers[0].done():
            answer.set_exception(self._end_error())
        return answer

    def ask(self, method: str, params: object) -> tuple[int, asyncio.Future[Any]]:
        """Send a request; returns its id and its future result."""
        answer = self.await_answer()
        self.send(encode({"jsonrpc": "2.0", "id": self._last_id, "method": method, "params": params}))
        return self._last_id, answer

    def expect(self, method: str) -> asyncio.Future[Any]:
        """The parameters of the next notification of that method."""
        self._expected[method] = asyncio.get_running_loop().create_future()
        return self._expected[method]

    def notify(self, method: str, params: object) -> None:
        """Send a notification."""
        self.send(encode({"jsonrpc": "2.0", "method": method, "params": params}))

    def send(self, data: bytes) -> None:
        """Send raw bytes."""
        assert self.process.stdin is not None
        if not self.process.stdin.is_closing():
            self.process.stdin.write(data)

    async def stop(self, timeout_s: float = 10.0) -> int:
        """`shutdown`, `exit`, and the server's exit code; a server that does not end is killed."""
        if self.process.returncode is None and not self._readers[0].done():
            self.ask("shutdown", None)
            self.notify("exit", None)
        return await self.wait(timeout_s)

    async def wait(self, timeout_s: float = 10.0) -> int:
        """Wait for the server's end, killing it after timeout_s. Returns its exit code."""
        try:
            await asyncio.wait_for(self.process.wait(), timeout_s)
        except TimeoutError:
            with suppress(ProcessLookupError):  # it has just ended
                self.process.kill()
            await self.process.wait()
        await asyncio.gather(*self._readers)
        for answer in self._waiting.values():
            answer.cancel()
        assert self.process.returncode is not None
        return self.process.returncode

    async def _read_messages(self) -> None:
        assert self.process.stdout is not None
        frames = FrameReader()
        while data := await self.process.stdout.read(_READ_BYTES):
            for body in frames.feed(data):
                self._receive(json.loads(body))
        await asyncio.wait(self._readers[1:], timeout=1.0)  # its last lines say why
        for answer in self._waiting.values():
            if not answer.done():
                answer.set_exception(self._end_error())
                answer.exception()  # an answer that nobody awaits is not an error here

    async def _read_log(self) -> None:
        assert self.process.stderr is not None
        rest = b""
        while data := await self.process.stderr.read(_READ_BYTES):
            *lines, rest = (rest + data).split(b"\n")
            self.stderr_lines.extend(line.decode("utf-8", "replace").rstrip() for line in lines)
        if rest:
            self.stderr_lines.append(rest.decode("utf-8", "replace"))

    def _receive(self, message: dict[str, Any]) -> None:
        if "method" in message and "id" in message:
            self.requests_seen.append(message["method"])
            result = self._results.get(message["method"])
            self.send(encode({"jsonrpc": "2.0", "id": message["id"], "result": result}))
        elif "method" in message:
            expected = self._expected.pop(message["method"], None)
            if expected is not None and not expected.done():
                expected.set_result(message.get("params"))
            self.notifications.append(message)
            if message["method"] == STATUS:
                self.on_status(message["params"]["message"])
        else:
            self._settle(message)

    def _settle(self, message: dict[str, Any]) -> None:
        answer = self._waiting.pop(message["id"], None) if message.get("id") is not None else None
        if answer is None or answer.done():
            self.notifications.append(message)
        elif "error" in message:
            answer.set_exception(AnswerError(message["error"]["code"], message["error"]["message"]))
            answer.exception()  # an answer that nobody awaits is not an error here
        else:
            answer.set_result(message.get("result"))

    def _end_error(self) -> EngineUnavailable:
        last = f": {self.stderr_lines[-1]}" if self.stderr_lines else ""
        return EngineUnavailable(f"the language server ended{last}")


def completion_params(uri: str, position: tuple[int, int], invoked: bool = True) -> dict[str, Any]:
    """Parameters of `textDocument/inlineCompletion`."""
    context = {"triggerKind": 1 if invoked else 2}
    return {"textDocument": {"uri": uri}, "position": _position(position), "context": context}


def _position(position: tuple[int, int]) -> dict[str, int]:
    return {"line": position[0], "character": position[1]}
