"""Where a replay's ghost text comes from: the language server as an editor sees it, or something that any editor has.

Owns the editor's side: documents, changes, requests, cancels. Knows neither typist nor metrics. A source is told of
every change at the cursor and says what is on offer then, or that the next key came first.
"""

import asyncio
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from ...fim.errors import CheckpointError
from ...lsp_server.protocol.headless import INLINE_COMPLETION, HeadlessClient, completion_params, server_command
from .blocks import TypedBlock
from .engine import DECIDED, KEY, LATE, WAIT

DID_ACCEPT = "quicksilver.didAccept"
WORKSPACE, WATCHED = "quicksilver/workspace", "workspace/didChangeWatchedFiles"
LOOK_S, N_LOOKS_MAX = 0.02, 3000
AT_ONCE_MS = 5.0  # what an answer takes that asks no engine, where times are fixed


@dataclass(frozen=True, kw_only=True)
class OfferReply:
    """What is on offer: text for the cursor ("": nothing), how long that took, and what the server says of it.

    cause, source and confidence as in `quicksilver/explain`; n_steps are forwards (0 where no engine was asked).
    """

    text: str
    latency_ms: float
    cause: str = "answered"
    source: str = ""
    confidence: float | None = None
    n_steps: int = 0
    is_reused: bool = False
    id: str = ""


@dataclass(frozen=True, kw_only=True)
class Late:
    """An answer that did not come before the next key: how long it would have taken and its forwards, if known."""

    latency_ms: float
    n_steps: int = 0


class TextSource(Protocol):
    """What offers text for a block that is being typed."""

    async def begin(self, block: TypedBlock, gap_ms: float) -> OfferReply | Late:
        """The file is open without the block, and the cursor stands where it was."""
        ...

    async def typed(self, start: int, end: int, gap_ms: float) -> OfferReply | Late:
        """The block's text from start to end has been typed or accepted; the next key comes in gap_ms."""
        ...

    async def accepted(self, reply: OfferReply, start: int, end: int, n_wrong: int, gap_ms: float) -> OfferReply | Late:
        """Of reply, text[start:end] was accepted, with n_wrong characters after it that were deleted again."""
        ...

    async def end(self) -> None:
        """The block is finished."""
        ...


class ServerOffers:
    """`quicksilver lsp`, or that of `engine` where memory is given, in the workspace of one package.

    in_real_time: the answer is waited for until the next key, and not asked when it would have come. invokes: every
    question is one on request. In discrete time decided names the rules that decided anything in the latest block, and
    n_asked counts the answers so far that were not known before.
    """

    def __init__(
        self, client: HeadlessClient, *, in_real_time: bool, fixed_ms: float | None = None, invokes: bool = False
    ) -> None:
        self._client, self._in_real_time, self._fixed_ms, self._invokes = client, in_real_time, fixed_ms, invokes
        self._block: TypedBlock | None = None
        self._uri, self._version, self._inserted = "", 0, ""
        self.decided: frozenset[str] = frozenset()
        self.n_asked = 0
        self._now_ms = 0.0  # of the key that is asked after, in discrete time; an acceptance counts as a key

    @classmethod
    async def start(
        cls,
        root: Path,
        settings: Mapping[str, Any],
        model: Path | None,
        memory: Path | None,
        fixed_ms: float | None = None,
        environ: Mapping[str, str] | None = None,
        context_tokens: int | None = None,
        invokes: bool = False,
        sources: str = "",
    ) -> "ServerOffers":
        """Start a server. memory None: the plain server, in real time. Raises EngineUnavailable."""
        options = [] if model is None else ["--model", str(model)]
        if memory is None:
            command = server_command("--log-level", "warning", *options)
        else:
            command = [sys.executable, "-P", "-m", "quicksilver.benchmarks.replay.engine", "--memory", str(memory)]
            command += ["--sources", sources]
            numbers = {"--fixed-ms": fixed_ms, "--context-tokens": context_tokens}
            command += options + [f"{name}={value}" for name, value in numbers.items() if value is not None]
        client = await HeadlessClient.start(command, environ)
        await client.initialize(options=dict(settings), root=root, timeout_s=120)
        return cls(client, in_real_time=memory is None, fixed_ms=fixed_ms, invokes=invokes)

    async def stop(self) -> None:
        """End the server."""
        await self._client.stop()

    async def begin(self, block: TypedBlock, gap_ms: float) -> OfferReply | Late:
        """Open the file without the block and ask."""
        self._block, self._version, self._inserted = block, 1, ""
        self._uri = (block.root / block.path).as_uri()
        self._client.notify(WATCHED, {"changes": [{"uri": self._uri, "type": 2}]})
        self._client.open(self._uri, block.prefix + block.suffix, language=block.language)
        await self._workspace_settled()
        return await self._ask(gap_ms)

    async def typed(self, start: int, end: int, gap_ms: float) -> OfferReply | Late:
        """Send the change and ask."""
        assert self._block is not None
        self._insert(self._block.target[start:end])
        return await self._ask(gap_ms)

    async def accepted(self, reply: OfferReply, start: int, end: int, n_wrong: int, gap_ms: float) -> OfferReply | Late:
        """Send what an editor sends that accepts a text, and ask."""
        text = reply.text[: end - start + n_wrong]
        self._insert(text)
        if n_wrong:
            self._delete(n_wrong)
        elif text == reply.text and reply.id:
            params = {"command": DID_ACCEPT, "arguments": [{"id": reply.id}]}
            await self._client.request("workspace/executeCommand", params)
        return await self._ask(gap_ms)

    async def end(self) -> None:
        """Close the file."""
        self._client.notify("textDocument/didClose", {"textDocument": {"uri": self._uri}})
        if not self._in_real_time:
            facts = await self._client.request(DECIDED, None)
            self.decided, self.n_asked = frozenset(facts["rules"]), facts["n_asked"]

    async def _workspace_settled(self) -> None:
        """Wait until the workspace has been looked at: how long that takes is for another benchmark."""
        for _ in range(N_LOOKS_MAX):
            facts = await self._client.request(WORKSPACE, None)
            if not facts["is_on"] or (facts["is_ready"] and not facts["waiting"]):
                return
            await asyncio.sleep(LOOK_S)

    def _position(self) -> tuple[int, int]:
        assert self._block is not None
        before = self._block.prefix + self._inserted
        return before.count("\n"), len(before) - before.rfind("\n") - 1

    def _insert(self, text: str) -> None:
        self._version += 1
        self._client.insert(self._uri, self._version, self._position(), text)
        self._inserted += text

    def _delete(self, n: int) -> None:
        end = self._position()
        self._inserted = self._inserted[: len(self._inserted) - n]
        self._version += 1
        self._client.replace(self._uri, self._version, (self._position(), end), "")

    async def _ask(self, gap_ms: float) -> OfferReply | Late:
        params = completion_params(self._uri, self._position(), invoked=self._invokes)
        if self._in_real_time:
            return await self._ask_until(params, gap_ms)
        late = self._client.expect(LATE)
        self._client.notify(KEY, {"now_ms": self._now_ms, "gap_ms": min(gap_ms, 1e9)})
        self._now_ms += min(gap_ms, 1e9)
        request_id, answer = self._client.ask(INLINE_COMPLETION, params)
        await asyncio.wait([answer, late], return_when=asyncio.FIRST_COMPLETED)
        if answer.done():
            return await self._reply(answer.result())
        answer.cancel()
        self._client.notify("$/cancelRequest", {"id": request_id})
        return Late(latency_ms=late.result()["wait_ms"], n_steps=late.result()["steps"])

    async def _ask_until(self, params: dict[str, Any], gap_ms: float) -> OfferReply | Late:
        started = asyncio.get_running_loop().time()
        request_id, answer = self._client.ask(INLINE_COMPLETION, params)
        with suppress(TimeoutError):
            result = await asyncio.wait_for(answer, gap_ms / 1000)
            waited_ms = 1000 * (asyncio.get_running_loop().time() - started)
            return await self._reply(result, waited_ms)
        self._client.notify("$/cancelRequest", {"id": request_id})
        return Late(latency_ms=gap_ms)

    async def _reply(self, result: Mapping[str, Any], waited_ms: float | None = None) -> OfferReply:
        facts = await self._client.explain()
        if facts["cause"] == "checkpoint" and not self._in_real_time:
            raise CheckpointError(facts["reason"])
        timings = facts["timings_ms"]
        latency_ms = timings["total"] + timings.get(WAIT, 0.0) - timings.get("transport", 0.0)
        was_asked = "steps" in facts and not facts["reused"]
        if self._fixed_ms is not None:  # nothing of this machine's pace then
            latency_ms = self._fixed_ms if was_asked else min(self._fixed_ms, AT_ONCE_MS)
            latency_ms += timings.get("settle", 0.0)
        return OfferReply(
            text=self._text(result["items"]),
            latency_ms=latency_ms if waited_ms is None else waited_ms,
            cause=facts["cause"],
            source=facts.get("source", ""),
            confidence=facts.get("confidence"),
            n_steps=facts["steps"] if was_asked else 0,
            is_reused=facts["reused"],
            id=facts["id"],
        )

    def _text(self, items: list[dict[str, Any]]) -> str:
        """What an item writes at the cursor; the text right of it that it repeats does not count."""
        if not items:
            return ""
        text, where = items[0]["insertText"], items[0]["range"]
        n_replaced = where["end"]["character"] - where["start"]["character"]
        return text[: len(text) - n_replaced] if n_replaced else text
