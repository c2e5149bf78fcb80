"""An `Engine` over a server elsewhere: one HTTP request, its answer or a clear error.

The server is not trusted: its answer is bounded, and no message repeats a word of it that we sent. TLS is verified,
redirects are not followed, cookies are not kept, compressed answers are refused. Proxies and certificates are those of
the environment (HTTPS_PROXY, NO_PROXY, SSL_CERT_FILE, as httpx2 reads them), but this machine itself is asked directly.
"""

import asyncio
import json
import os
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Self

import httpx2

from ...fim.errors import EngineBusy, EngineError, EngineUnavailable, InputError
from ...fim.types import Completion, CompletionRequest
from ..json_values import read_json
from ..paths import package_version
from .dialects import SPEECHES, ForeignText, stops_of
from .endpoint import ForeignEndpoint
from .outgoing import clean_text, outgoing_request

MAX_ANSWER_BYTES = 8 * 1024 * 1024
MAX_ANSWER_CHARS = 16_384  # of its text: more than anybody reads, and quick to trim (2.3 s at 65,536, 2026-11-30)
CONNECT_S = 10.0
PATIENCE_S = 120.0  # with an answer, if the request has no budget
_IDLE_S = 60.0  # a connection is kept this long for the next request
_KEY = re.compile(r"[\x21-\x7e]{1,4096}")
_CODE = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{2,39}")


class KeyRefused(EngineUnavailable):
    """A server elsewhere does not accept the key, or the account behind it."""


@dataclass(frozen=True)
class _ForeignReply:
    status: int
    body: bytes


class ForeignEngine:
    """Asks one server elsewhere; close it, or use it as an async context manager. It belongs to one event loop.

    Its completions have confidence 0, because such servers tell none: a text whose probability nobody knows is shown on
    request only. source is "elsewhere", model the endpoint's, steps 0, and the only timing, "engine", is the whole time
    from request to answer, network included. Raises InputError if the variable of the key is not set.
    """

    def __init__(self, endpoint: ForeignEndpoint, environ: Mapping[str, str] = os.environ) -> None:
        self._endpoint = endpoint
        self._speech = SPEECHES[endpoint.dialect]
        self._who = f"{endpoint.name} ({endpoint.host})"
        self._key = _read_key(endpoint, environ)
        self._client: httpx2.AsyncClient | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exception: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections that are kept for later requests."""
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()

    async def complete(self, request: CompletionRequest) -> Completion:
        """Fill request.hole. Cancelling closes the connection.

        Requests without time (budget_ms 0) and those that only warm are not sent. When the budget is spent the answer
        is empty, and its finish reason "budget". Raises InputError (unusable or secret, or the server says so),
        KeyRefused, EngineBusy, EngineUnavailable (not reached, not well, no answer in PATIENCE_S) and EngineError (its
        answer makes no sense).
        """
        began_s = time.perf_counter()
        sent = outgoing_request(self._endpoint, request)
        budget_s = PATIENCE_S if request.budget_ms is None else request.budget_ms / 1000
        if request.warms or budget_s == 0:
            nothing = ForeignText(text="", finish_reason="stop" if request.warms else "budget")
            return self._completion(request, nothing, began_s)
        try:
            async with asyncio.timeout(min(budget_s, PATIENCE_S)):
                reply = await self._post(
                    json.dumps(self._speech.ask(self._endpoint, sent), ensure_ascii=False).encode()
                )
        except TimeoutError:
            if request.budget_ms is None or budget_s > PATIENCE_S:
                raise EngineUnavailable(f"{self._who} did not answer within {PATIENCE_S:g} s") from None
            return self._completion(request, ForeignText(text="", finish_reason="budget"), began_s)
        if reply.status != 200:
            raise self._error_of(reply, sent)
        try:
            answer = self._speech.read(reply.body)
        except InputError as error:
            raise EngineError(f"the answer of {self._who} makes no sense: {error}") from None
        return self._completion(request, self._cut(answer, sent), began_s)

    async def _post(self, body: bytes) -> _ForeignReply:
        """The whole answer. Raises EngineUnavailable and EngineError."""
        if self._client is None:
            self._client = self._open_client()
        headers = {"Content-Type": "application/json"}
        if self._key:
            headers["Authorization"] = f"Bearer {self._key}"
        url = self._endpoint.address(self._speech.path)
        try:
            async with self._client.stream("POST", url, content=body, headers=headers) as response:
                if response.headers.get("Content-Encoding", "identity").lower() != "identity":
                    raise EngineError(f"{self._who} compressed its answer, which nobody asked for")
                parts, n_bytes = [], 0
                async for part in response.aiter_raw():
                    parts.append(part)
                    n_bytes += len(part)
                    if n_bytes > MAX_ANSWER_BYTES:
                        raise EngineError(f"the answer of {self._who} is larger than {MAX_ANSWER_BYTES // 2**20} MiB")
                return _ForeignReply(response.status_code, b"".join(parts))
        except (httpx2.HTTPError, httpx2.InvalidURL) as error:
            raise EngineUnavailable(f"{self._who} {_trouble(error)}") from None

    def _open_client(self) -> httpx2.AsyncClient:
        try:
            return httpx2.AsyncClient(
                verify=httpx2.create_ssl_context(),
                trust_env=not self._endpoint.is_loopback,  # whether to ask through its proxies
                follow_redirects=False,
                cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
                headers={
                    "User-Agent": f"quicksilver/{package_version()}",
                    "Accept": "application/json",
                    "Accept-Encoding": "identity",
                },
                timeout=httpx2.Timeout(None, connect=CONNECT_S),
                limits=httpx2.Limits(keepalive_expiry=_IDLE_S),
            )
        except (ImportError, ValueError, httpx2.InvalidURL):  # SOCKS, which needs another package, or no address at all
            raise EngineUnavailable(
                f"{self._who} cannot be asked through the proxy that the environment names: take an http proxy, or add"
                " the server to NO_PROXY"
            ) from None
        except OSError as error:
            raise EngineUnavailable(
                f"cannot read the certificates to trust (SSL_CERT_FILE): {error.strerror or type(error).__name__}"
            ) from None

    def _cut(self, answer: ForeignText, sent: CompletionRequest) -> ForeignText:
        """The answer up to the first text that ends it."""
        text, reason = clean_text(answer.text[:MAX_ANSWER_CHARS]), answer.finish_reason
        if len(answer.text) > MAX_ANSWER_CHARS:
            reason = "length"
        ends = [end for stop in stops_of(self._endpoint, sent) if (end := text.find(stop)) >= 0]
        if ends:
            text, reason = text[: min(ends)], "stop"
        return ForeignText(text=text, finish_reason=reason, n_tokens=answer.n_tokens, n_context=answer.n_context)

    def _completion(self, request: CompletionRequest, answer: ForeignText, began_s: float) -> Completion:
        return Completion(
            text=answer.text,
            range=request.hole.replaced,
            confidence=0.0,
            finish_reason=answer.finish_reason,
            steps=0,
            n_tokens=answer.n_tokens,
            n_context=answer.n_context,
            model=self._endpoint.model or self._endpoint.name,
            source="elsewhere",
            timings_ms={"engine": (time.perf_counter() - began_s) * 1000},
        )

    def _error_of(self, reply: _ForeignReply, sent: CompletionRequest) -> Exception:
        """The error that an answer other than 200 stands for."""
        status = reply.status
        said = f"{self._who} answered with status {status}{self._code_of(reply, sent)}"
        if status in (401, 402, 403):
            variable = self._endpoint.api_key_variable
            key = f"check the key in {variable} and its account" if variable else "name its key with api_key_variable"
            return KeyRefused(f"{said}: {key}")
        if status == 429:
            return EngineBusy(f"{said}: it is busy, or has had enough requests for now; ask again later")
        if status in (400, 404, 413, 422):
            return InputError(f"{said}: check its url, dialect and model")
        if 300 <= status < 400:
            return EngineError(f"{said}: it sends us to another address, where nothing is sent; check its url")
        if status == 408 or status >= 500:
            return EngineUnavailable(f"{said}: it is not well, ask again later")
        return EngineError(said)

    def _code_of(self, reply: _ForeignReply, sent: CompletionRequest) -> str:
        """The error's code, for people, unless that may be ours: a server's sentences may quote what it was sent."""
        try:
            error = read_json(reply.body, _ForeignErrorBody, "error", allows_more=True).error
        except InputError:
            return ""
        code = error.code if isinstance(error.code, str) else error.type
        if not isinstance(code, str) or not _CODE.fullmatch(code):
            return ""
        ours = (self._key, sent.hole.prefix, sent.hole.suffix, *sent.snippets)
        return "" if any(code in text for text in ours) else f" ({code})"


@dataclass(frozen=True, kw_only=True)
class _ForeignError:
    code: str | int | None = None
    type: str | None = None


@dataclass(frozen=True, kw_only=True)
class _ForeignErrorBody:
    error: _ForeignError


def _read_key(endpoint: ForeignEndpoint, environ: Mapping[str, str]) -> str:
    """The key, "" if there is none. Raises InputError, and never quotes it."""
    variable = endpoint.api_key_variable
    if not variable:
        return ""
    key = environ.get(variable, "").strip()
    if not key:
        raise InputError(f"the variable {variable}, which holds the key of {endpoint.name}, is not set")
    if not _KEY.fullmatch(key):
        raise InputError(f"what is in the variable {variable} is no key: it has blanks, or signs that are not ASCII")
    return key


def _trouble(error: Exception) -> str:
    """What kept a server from answering, in our words: those of the library may quote the server."""
    if isinstance(error, httpx2.ProxyError):
        return "cannot be reached: the proxy refuses"
    if "CERTIFICATE_VERIFY_FAILED" in str(error):
        return "cannot be trusted: its certificate is not valid for it, so nothing was sent"
    if isinstance(error, httpx2.ConnectError | httpx2.ConnectTimeout | httpx2.InvalidURL):
        return "cannot be reached: is it running, and is its url right?"
    return "broke off before it had answered"
