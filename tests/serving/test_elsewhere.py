"""Servers elsewhere: what each kind is sent, what comes of its answers, and that nobody is asked who was not named."""

import asyncio
import contextlib
import gzip
import json
import os
import shutil
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from quicksilver.cli.main import main
from quicksilver.fim.errors import EngineBusy, EngineError, EngineUnavailable, InputError
from quicksilver.fim.types import Sampling
from quicksilver.serving.elsewhere import foreign_engine
from quicksilver.serving.elsewhere.endpoint import ForeignEndpoint
from quicksilver.serving.elsewhere.foreign_engine import ForeignEngine, KeyRefused
from quicksilver.serving.paths import package_version, read_token, running_info

KEY = "sk-live-0123456789"
SOURCE = "password_of_nobody"
DRAWN = Sampling(temperature=0.3, top_p=0.9, top_k=40, seed=7)


@dataclass
class Heard:
    """One request: its target, its headers with names in lower case, and its JSON."""

    target: str
    headers: dict[str, str]
    body: Any


@dataclass
class ForeignServer:
    """answer is what comes back: JSON, raw bytes, or a function that writes with the handler; status its status."""

    port: int = 0
    status: int = 200
    answer: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    heard: list[Heard] = field(default_factory=list)
    n_connections: int = 0
    is_closed_early: threading.Event = field(default_factory=threading.Event)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def body(self) -> Any:
        """What the only request held."""
        (only,) = self.heard
        return only.body

    def reply(self, handler: BaseHTTPRequestHandler) -> None:
        if callable(self.answer):
            self.answer(handler)
            return
        data = self.answer if isinstance(self.answer, bytes) else json.dumps(self.answer).encode()
        handler.send_response(self.status)
        for name, value in {"Content-Length": str(len(data)), **self.headers}.items():
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(data)

    def wait_for_the_end(self, handler: BaseHTTPRequestHandler) -> None:
        """Answer nothing until the other side hangs up."""
        handler.connection.settimeout(20)
        if handler.connection.recv(1) == b"":
            self.is_closed_early.set()


@contextmanager
def foreign_server(context: ssl.SSLContext | None = None) -> Iterator[ForeignServer]:
    server = ForeignServer()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def setup(self) -> None:
            server.n_connections += 1
            super().setup()

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            headers = {name.lower(): value for name, value in self.headers.items()}
            server.heard.append(Heard(target=self.path, headers=headers, body=json.loads(body)))
            server.reply(self)

        def do_CONNECT(self) -> None:
            self.send_error(502)

        def log_message(self, format: str, *args: object) -> None:
            pass

    class Http(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, request: object, client_address: object) -> None:
            """Nothing: a client that hangs up is what some tests are about."""

    http = Http(("127.0.0.1", 0), Handler)
    if context is not None:
        http.socket = context.wrap_socket(http.socket, server_side=True)
    server.port = http.server_address[1]
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        http.shutdown()
        http.server_close()
        thread.join()


@pytest.fixture
def server():
    with foreign_server() as server:
        server.answer = CHOICE
        yield server


CHOICE = {
    "id": "1", "object": "text_completion", "created": 1, "model": "other",
    "choices": [{"index": 0, "text": "1 + 2", "finish_reason": "stop", "logprobs": None}],
    "usage": {"prompt_tokens": 12, "completion_tokens": 3, "total_tokens": 15, "cached_input_tokens": 4},
}  # fmt: skip
CHAT = {
    "id": "1", "object": "chat.completion", "created": 1, "model": "other",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "1 + 2"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 12, "completion_tokens": 3, "total_tokens": 15},
}  # fmt: skip
INFILLED = {
    "content": "1 + 2", "tokens": [], "stop": True, "stop_type": "eos", "stopping_word": "", "tokens_cached": 15,
    "tokens_evaluated": 12, "truncated": False, "timings": {"prompt_n": 2, "predicted_n": 3, "predicted_ms": 9.5},
}  # fmt: skip
GENERATED = {
    "model": "other", "created_at": "2026-11-30T00:00:00Z", "response": "1 + 2", "done": True, "done_reason": "stop",
    "total_duration": 5, "prompt_eval_count": 12, "eval_count": 3,
}  # fmt: skip


def engine(server, dialect="openai", **fields):
    named: dict[str, Any] = {"name": "arm", "dialect": dialect, "url": server.url, "model": "m-1"}
    return ForeignEngine(ForeignEndpoint(**named | fields), {"THE_KEY": KEY})


async def complete(server, request, dialect="openai", **fields):
    async with engine(server, dialect, **fields) as arm:
        return await arm.complete(request)


def marked(prefix, suffix):
    return f"<|fim_prefix|>{prefix}<|fim_suffix|>{suffix}<|fim_middle|>"


QWEN_ENDS = ["<|endoftext|>", "<|fim_pad|>", "<|file_sep|>"]
LIKELIEST = {"temperature": 0}
SAMPLED = {"temperature": 0.3, "top_p": 0.9}


@pytest.mark.parametrize(
    ("dialect", "target", "fields", "answer", "likeliest", "drawn"),
    [
        (
            "openai", "/v1/completions", {}, CHOICE,
            {"model": "m-1", "prompt": "x = ", "suffix": "\ny", "max_tokens": 256, "stream": False, "temperature": 0},
            {**SAMPLED, "seed": 7, "max_tokens": 9, "stop": ["END"]},
        ),
        (
            "marks", "/v1/completions", {"family": "qwen"}, CHOICE,
            {"model": "m-1", "prompt": marked("x = ", "\ny"), "max_tokens": 256, "stream": False, "temperature": 0,
             "stop": QWEN_ENDS},
            {**SAMPLED, "seed": 7, "max_tokens": 9, "stop": [*QWEN_ENDS, "END"]},
        ),
        (
            "mistral", "/v1/fim/completions", {}, CHAT,
            {"model": "m-1", "prompt": "x = ", "suffix": "\ny", "max_tokens": 256, "stream": False, "temperature": 0},
            {**SAMPLED, "random_seed": 7, "max_tokens": 9, "stop": ["END"]},
        ),
        (
            "inception", "/v1/fim/completions", {}, CHOICE,
            {"model": "m-1", "prompt": "x = ", "suffix": "\ny", "max_tokens": 256, "stream": False},
            {"top_p": 0.9, "top_k": 40, "max_tokens": 9, "stop": ["END"]},
        ),
        (
            "llamacpp", "/infill", {}, INFILLED,
            {"model": "m-1", "input_prefix": "x = ", "input_suffix": "\ny", "input_extra": [], "prompt": "",
             "n_predict": 256, "cache_prompt": True, "stream": False, "temperature": 0},
            {**SAMPLED, "top_k": 40, "min_p": 0, "seed": 7, "n_predict": 9, "stop": ["END"]},
        ),
        (
            "ollama", "/api/generate", {}, GENERATED,
            {"model": "m-1", "prompt": "x = ", "suffix": "\ny", "stream": False,
             "options": {"num_predict": 256, "temperature": 0}},
            {"options": {"num_predict": 9, **SAMPLED, "top_k": 40, "seed": 7, "stop": ["END"]}},
        ),
    ],
)  # fmt: skip
async def test_each_dialect_field_by_field(server, ask, dialect, target, fields, answer, likeliest, drawn):
    server.answer = answer
    request = ask("x = ", "\ny", path="/w/a.py", snippets=("snippet",))
    found = await complete(server, request, dialect, api_key_variable="THE_KEY", **fields)
    (heard,) = server.heard
    assert (heard.target, heard.body) == (target, likeliest)
    assert (found.text, found.finish_reason, found.n_tokens, found.n_context) == ("1 + 2", "stop", 3, 12)
    assert (found.confidence, found.range, found.model, found.source) == (0.0, (4, 4), "m-1", "elsewhere")
    assert list(found.timings_ms) == ["engine"] and 0 < found.timings_ms["engine"] < 60_000
    request = ask("x = ", "\ny", sampling=DRAWN, max_tokens=9, stop=("END",))
    await complete(server, request, dialect, **fields)
    without = {"temperature"} if "top_p" in drawn else set()
    assert server.heard[1].body == {name: value for name, value in likeliest.items() if name not in without} | drawn


async def test_the_headers_tell_who_asks_and_nothing_else(server, ask):
    await complete(server, ask(), api_key_variable="THE_KEY")
    await complete(server, ask())
    with_key, without = (dict(heard.headers) for heard in server.heard)
    assert with_key.pop("authorization") == f"Bearer {KEY}"
    assert with_key == without
    del without["content-length"]
    assert without == {
        "host": f"127.0.0.1:{server.port}",
        "user-agent": f"quicksilver/{package_version()}",
        "accept": "application/json",
        "accept-encoding": "identity",
        "connection": "keep-alive",
        "content-type": "application/json",
    }


async def test_snippets_go_along_where_the_file_says_so(server, ask):
    server.answer = INFILLED
    await complete(server, ask(snippets=("one", "two")), "llamacpp", model="", snippets=True)
    extra = [{"filename": "snippet", "text": "one"}, {"filename": "snippet", "text": "two"}]
    assert server.body["input_extra"] == extra and "model" not in server.body


async def test_a_hole_of_one_line_ends_at_its_end(server, ask):
    request = ask("x = ", "\ny")
    line = type(request)(hole=type(request.hole)(**{**vars(request.hole), "multiline": False}), budget_ms=None)
    server.answer = {"choices": [{"text": "1\nz = 2", "finish_reason": "length"}]}
    found = await complete(server, line)
    assert (server.body["stop"], server.body["max_tokens"]) == (["\n"], 64)
    assert (found.text, found.finish_reason, found.n_tokens) == ("1", "stop", 0)


async def test_the_text_ends_before_the_first_stop_even_if_the_server_does_not_care(server, ask):
    server.answer = {"choices": [{"text": "a<|endoftext|>END?", "finish_reason": "length"}]}
    stops = tuple(f"stop {n}" for n in range(5))
    found = await complete(server, ask(stop=(*stops, "END")))
    assert server.body["stop"] == list(stops[:4])
    assert (found.text, found.finish_reason) == ("a<|endoftext|>", "stop")
    found = await complete(server, ask(), "marks", family="qwen")
    assert found.text == "a"


@pytest.mark.parametrize(
    ("dialect", "answer", "expected"),
    [
        ("openai", {"choices": [{"text": "a", "finish_reason": "length"}]}, "length"),
        ("openai", {"choices": [{"text": "a", "finish_reason": None}], "usage": None}, "stop"),
        ("inception", {"choices": [{"text": "a", "finish_reason": "content_filter"}]}, "length"),
        ("mistral", {"choices": [{"message": {"content": "a"}, "finish_reason": "model_length"}]}, "length"),
        ("mistral", {"choices": [{"text": None, "message": {"content": "a"}, "finish_reason": "stop"}]}, "stop"),
        ("llamacpp", {"content": "a", "stop_type": "limit"}, "length"),
        ("llamacpp", {"content": "a", "stop_type": "word"}, "stop"),
        ("llamacpp", {"content": "a"}, "stop"),
        ("ollama", {"response": "a", "done": True, "done_reason": "length"}, "length"),
    ],
)
async def test_why_an_answer_ended(server, ask, dialect, answer, expected):
    server.answer = answer
    found = await complete(server, ask(), dialect)
    assert (found.text, found.finish_reason) == ("a", expected)


async def test_texts_of_others_are_made_harmless(server, ask):
    server.answer = b'{"choices": [{"text": "a\\r\\nb\\ud800", "finish_reason": "stop"}]}'
    assert (await complete(server, ask())).text == "a\nb\ufffd"
    server.answer = {"choices": [{"text": "a" * 20_000, "finish_reason": "stop"}]}
    found = await complete(server, ask())
    assert (len(found.text), found.finish_reason) == (16_384, "length")


@pytest.mark.parametrize("dialect", ["openai", "mistral", "inception", "llamacpp", "ollama"])
@pytest.mark.parametrize(
    "answer",
    [
        b"", b"no JSON", b"[]", b"null", b"{}", b'{"choices": []}', b'{"choices": [{}]}', b'{"choices": {"text": "a"}}',
        b'{"choices": [{"text": 3}]}', b'{"choices": [{"text": "a", "finish_reason": 1}]}',
        b'{"choices": [{"text": "a"}], "usage": {"completion_tokens": NaN}}', b'{"content": ["a"], "response": 1}',
        b'{"choices": [{"text": "a"}], "usage": {"completion_tokens": -1}, "tokens_evaluated": 1.5, "response": null}',
        b'{"choices": [{"message": {"content": [{"type": "text"}]}}], "content": "a", "response": "a", "x": Infinity}',
        b"[" * 100_000, b"\xff\xfe\xfa", b'{"choices": [{"text": "a"',
    ],
    ids=lambda answer: repr(answer)[:40],
)  # fmt: skip
async def test_an_answer_of_another_shape_is_an_error(server, ask, dialect, answer):
    server.answer = answer
    with pytest.raises(EngineError, match=r"^the answer of arm \(127.0.0.1:\d+\) makes no sense: "):
        await complete(server, ask(), dialect)


@pytest.mark.parametrize(
    ("status", "error", "message"),
    [
        (400, InputError, "check its url, dialect and model"),
        (401, KeyRefused, "check the key in THE_KEY and its account"),
        (402, KeyRefused, "check the key in THE_KEY and its account"),
        (403, KeyRefused, "check the key in THE_KEY and its account"),
        (404, InputError, "check its url"),
        (405, EngineError, "answered with status 405$"),
        (408, EngineUnavailable, "ask again later"),
        (413, InputError, "check"),
        (422, InputError, "check"),
        (429, EngineBusy, "ask again later"),
        (500, EngineUnavailable, "it is not well"),
        (503, EngineUnavailable, "it is not well"),
        (529, EngineUnavailable, "it is not well"),
    ],
)
async def test_statuses_become_errors_that_quote_neither_source_nor_key(server, ask, status, error, message):
    server.status = status
    server.answer = {"error": {"message": f"bad key {KEY} near {SOURCE}", "type": SOURCE, "code": None}}
    with pytest.raises(error, match=message) as raised:
        await complete(server, ask(f"x = {SOURCE}"), api_key_variable="THE_KEY")
    assert str(raised.value).startswith(f"arm (127.0.0.1:{server.port}) answered with status {status}")
    assert KEY not in str(raised.value) and SOURCE not in str(raised.value) and "\n" not in str(raised.value)


async def test_the_code_of_an_error_is_told_unless_it_may_be_ours(server, ask):
    server.status = 404
    for body, said in [
        ({"error": {"code": "model_not_found", "message": "x"}}, "status 404 (model_not_found): "),
        ({"error": {"type": "not_found", "code": 404}}, "status 404 (not_found): "),
        ({"error": {"code": "\x1b[31m", "type": "ok_then"}}, "status 404: "),
        ({"error": {"code": KEY}}, "status 404: "),
        ({"error": {"code": SOURCE}}, "status 404: "),
        ({"error": "words"}, "status 404: "),
        ([], "status 404: "),
    ]:
        server.answer = body
        with pytest.raises(InputError) as raised:
            await complete(server, ask(SOURCE), api_key_variable="THE_KEY")
        assert said in str(raised.value)


async def test_without_a_key_a_refusal_says_how_to_name_one(server, ask):
    server.status = 401
    with pytest.raises(KeyRefused, match="name its key with api_key_variable"):
        await complete(server, ask())


@pytest.mark.parametrize("key", [None, "", "  ", "two words", "käy", "a\nX-Injected: 1"])
def test_a_key_comes_from_its_variable_or_not_at_all(server, key):
    endpoint = ForeignEndpoint(name="arm", dialect="openai", url=server.url, model="m", api_key_variable="THE_KEY")
    with pytest.raises(InputError, match="variable THE_KEY") as raised:
        ForeignEngine(endpoint, {} if key is None else {"THE_KEY": key})
    assert not (key or "").strip() or (key or "") not in str(raised.value)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_redirects_are_not_followed(server, ask, status):
    with foreign_server() as other:
        server.status, server.headers = status, {"Location": f"{other.url}/v1/completions"}
        with pytest.raises(EngineError, match="another address"):
            await complete(server, ask(), api_key_variable="THE_KEY")
        assert (len(server.heard), other.n_connections) == (1, 0)


async def test_cookies_are_not_kept(server, ask):
    server.headers = {"Set-Cookie": "who=you; Path=/"}
    async with engine(server) as arm:
        for _ in range(3):
            await arm.complete(ask())
    assert server.n_connections == 1  # kept for the next request
    assert [heard.headers.get("cookie") for heard in server.heard] == [None] * 3


async def test_an_answer_is_read_up_to_8_mib(server, ask):
    n_parts = 0

    def endless(handler):
        nonlocal n_parts
        handler.send_response(200)
        handler.send_header("Transfer-Encoding", "chunked")
        handler.end_headers()
        with contextlib.suppress(OSError):
            for n_parts in range(10_000):  # noqa: B007
                handler.wfile.write(b"10000\r\n" + b" " * 0x10000 + b"\r\n")
        server.is_closed_early.set()

    server.answer = endless
    with pytest.raises(EngineError, match="larger than 8 MiB"):
        await complete(server, ask())
    assert await asyncio.to_thread(server.is_closed_early.wait, 20)
    assert 100 < n_parts < 1000


async def test_compressed_answers_are_not_unpacked(server, ask):
    server.headers = {"Content-Encoding": "gzip"}
    server.answer = gzip.compress(b" " * 100_000_000)
    with pytest.raises(EngineError, match="compressed its answer"):
        await complete(server, ask())


async def test_cancelling_closes_the_connection(server, ask):
    server.answer = server.wait_for_the_end
    async with engine(server) as arm:
        task = asyncio.create_task(arm.complete(ask()))
        while not server.heard:
            await asyncio.sleep(0.005)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await asyncio.to_thread(server.is_closed_early.wait, 20)
        server.answer = CHOICE
        assert (await arm.complete(ask())).text == "1 + 2"


@pytest.mark.parametrize("has_begun", [False, True])
async def test_a_spent_budget_is_an_empty_answer_and_hangs_up(server, ask, has_begun):
    def slow(handler):
        if has_begun:
            handler.send_response(200)
            handler.send_header("Content-Length", "100")
            handler.end_headers()
            handler.wfile.write(b'{"choices": [')
        server.wait_for_the_end(handler)

    server.answer = slow
    found = await complete(server, ask(budget_ms=200))
    assert (found.text, found.finish_reason, found.range) == ("", "budget", (4, 4))
    assert found.timings_ms["engine"] >= 200
    assert await asyncio.to_thread(server.is_closed_early.wait, 20)


async def test_without_a_budget_patience_ends_too(server, ask, monkeypatch):
    monkeypatch.setattr(foreign_engine, "PATIENCE_S", 0.2)
    server.answer = server.wait_for_the_end
    with pytest.raises(EngineUnavailable, match=r"did not answer within 0\.2 s"):
        await complete(server, ask())
    with pytest.raises(EngineUnavailable, match=r"did not answer within 0\.2 s"):
        await complete(server, ask(budget_ms=600_000))


async def test_what_needs_no_answer_is_not_sent(server, ask):
    assert (await complete(server, ask(budget_ms=0))).finish_reason == "budget"
    assert (await complete(server, ask(warms=True))).finish_reason == "stop"
    with pytest.raises(InputError, match="secrets"):
        await complete(server, ask(path="/w/.env"))
    with pytest.raises(InputError, match="spells a mark"):
        await complete(server, ask("a <|fim_middle|>"), "marks", family="qwen")
    assert server.n_connections == 0


async def test_a_server_that_is_not_there(ask):
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{bound.getsockname()[1]}"
        endpoint = ForeignEndpoint(name="arm", dialect="openai", url=url, model="m")
        async with ForeignEngine(endpoint, {}) as arm:
            with pytest.raises(EngineUnavailable, match="cannot be reached: is it running"):
                await arm.complete(ask())


@pytest.mark.parametrize("host", ["256.256.256.256", "[1.2.3.4]", "a..invalid", "a" * 70 + ".invalid", "-.invalid"])
async def test_an_address_that_is_none(ask, host, monkeypatch):
    monkeypatch.setenv("NO_PROXY", "*")
    endpoint = ForeignEndpoint(name="arm", dialect="openai", url=f"https://{host}", model="m")
    async with ForeignEngine(endpoint, {}) as arm:
        with pytest.raises(EngineUnavailable, match="cannot be reached"):
            await arm.complete(ask())


@pytest.mark.parametrize("content", [None, "no certificate"])
async def test_certificates_that_cannot_be_read(ask, tmp_path, monkeypatch, content):
    file = tmp_path / "certificates"
    if content is not None:
        file.write_text(content)
    monkeypatch.setenv("SSL_CERT_FILE", str(file))
    endpoint = ForeignEndpoint(name="arm", dialect="openai", url="https://far.invalid", model="m")
    async with ForeignEngine(endpoint, {}) as arm:
        with pytest.raises(
            EngineUnavailable, match=r"cannot read the certificates to trust \(SSL_CERT_FILE\): (No such file|.*X509)"
        ):
            await arm.complete(ask())


@pytest.mark.parametrize("answer", [b"", b"SSH-2.0-OpenSSH\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n{}"])
async def test_a_server_that_breaks_off_or_speaks_something_else(server, ask, answer):
    def raw(handler):
        handler.wfile.write(answer)
        handler.close_connection = True

    server.answer = raw
    with pytest.raises(EngineUnavailable, match="broke off before it had answered") as raised:
        await complete(server, ask())
    assert "SSH" not in str(raised.value)


async def test_this_machine_is_asked_directly_whatever_proxy_is_named(server, ask, monkeypatch):
    with foreign_server() as proxy:
        for name in ("http_proxy", "https_proxy", "all_proxy"):
            monkeypatch.setenv(name, proxy.url)
            monkeypatch.setenv(name.upper(), proxy.url)
        assert (await complete(server, ask())).text == "1 + 2"
        assert proxy.n_connections == 0
        endpoint = ForeignEndpoint(name="far", dialect="openai", url="https://far.invalid", model="m")
        async with ForeignEngine(endpoint, {}) as arm:
            with pytest.raises(EngineUnavailable, match="the proxy refuses"):
                await arm.complete(ask(SOURCE))
        assert (proxy.n_connections, proxy.heard) == (1, [])  # it was asked for a tunnel, and told no text


async def test_a_proxy_that_cannot_be_used_is_one_line(ask, monkeypatch):
    endpoint = ForeignEndpoint(name="far", dialect="openai", url="https://far.invalid", model="m")
    for proxy in ("socks5://127.0.0.1:1", "gopher://127.0.0.1:1"):
        monkeypatch.setenv("ALL_PROXY", proxy)
        async with ForeignEngine(endpoint, {}) as arm:
            with pytest.raises(EngineUnavailable, match="through the proxy"):
                await arm.complete(ask())


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl makes the certificate")
async def test_a_certificate_that_nobody_vouches_for_is_sent_nothing(ask, tmp_path, monkeypatch):
    key, certificate = tmp_path / "key", tmp_path / "certificate"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"]
    names = ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out", str(certificate)]
    subprocess.run([*command, *names], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    with foreign_server(context) as server:
        server.answer = CHOICE
        endpoint = ForeignEndpoint(name="arm", dialect="openai", url=f"https://127.0.0.1:{server.port}", model="m")
        async with ForeignEngine(endpoint, {}) as arm:
            with pytest.raises(EngineUnavailable, match="certificate is not valid for it, so nothing was sent"):
                await arm.complete(ask())
        assert server.heard == []
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        async with ForeignEngine(endpoint, {}) as arm:
            assert (await arm.complete(ask())).text == "1 + 2"


@pytest.mark.slow
async def test_another_quicksilver_is_asked_like_any_server(rig, ask):
    await rig.client("--port", "0").ensure_running()
    info, token = running_info(rig.home.info_file), read_token(rig.home)
    assert info is not None and token is not None
    url = f"http://127.0.0.1:{info.port}"
    endpoint = ForeignEndpoint(name="ours", dialect="openai", url=url, model="quicksilver", api_key_variable="TOKEN")
    async with ForeignEngine(endpoint, {"TOKEN": token}) as arm:
        found = await arm.complete(ask("left", "right"))
    assert (found.text, found.finish_reason, found.source) == ("rightleft", "stop", "elsewhere")
    async with ForeignEngine(endpoint, {"TOKEN": "wrong"}) as arm:
        with pytest.raises(KeyRefused, match="check the key in TOKEN"):
            await arm.complete(ask())


def test_an_engine_shows_its_key_to_nobody(server):
    arm = engine(server, api_key_variable="THE_KEY")
    assert KEY not in repr(arm) and KEY not in str(arm)


# The command line.


@pytest.fixture
def place(tmp_path):
    file = tmp_path / "some file.py"
    file.write_bytes(b"def add(a, b):\r\n    return \r\n\r\n\r\nprint(add(1, 2))\r\n")
    return f"{file}:2:12"


def arms_file(tmp_path, server, more="", name="mine.toml"):
    file = tmp_path / name
    file.write_text(f'[[arm]]\nname = "arm"\ndialect = "openai"\nurl = "{server.url}"\nmodel = "m-1"\n{more}')
    return str(file)


def test_complete_asks_a_server_that_a_file_names(server, place, tmp_path, capsys):
    server.answer = {"choices": [{"text": "a + b\n\n\nprint(add(1, 2))\n", "finish_reason": "stop"}]}
    assert main(["complete", place, "--elsewhere", "arm", "--arms", arms_file(tmp_path, server)]) == 0
    out, err = capsys.readouterr()
    assert out == "a + b\n"
    assert err.startswith(f"quicksilver: arm at 127.0.0.1:{server.port}, model m-1, ")
    assert err.endswith("; 26 characters left and 20 right of the cursor were sent\n") and err.count("\n") == 1
    assert server.body["prompt"] == "def add(a, b):\n    return "
    assert server.body["suffix"] == "\n\n\nprint(add(1, 2))\n"
    assert "some file" not in json.dumps(server.body)


def test_complete_elsewhere_as_json(server, place, tmp_path, capsys):
    arguments = ["complete", place, "--elsewhere", "arm", "--arms", arms_file(tmp_path, server), "--json"]
    assert main([*arguments, "--max-tokens", "5"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts.pop("timings_ms")["engine"] > 0
    assert facts == {
        "text": "1 + 2", "untrimmed": "1 + 2", "elsewhere": "arm", "host": f"127.0.0.1:{server.port}",
        "sent_chars": {"prefix": 26, "suffix": 20}, "model": "m-1", "finish_reason": "stop", "n_tokens": 3,
        "n_context": 12,
    }  # fmt: skip
    assert server.body["max_tokens"] == 5


def test_complete_elsewhere_says_what_went_wrong_in_one_line(server, place, tmp_path, capsys):
    arms = arms_file(tmp_path, server)
    keyed = arms_file(tmp_path, server, 'api_key_variable = "A_KEY_THAT_IS_NOT_SET"\n', name="keyed.toml")
    secret = tmp_path / ".env"
    secret.write_text("PASSWORD=")
    (tmp_path / "settings.txt").write_text("PASSWORD=")
    (tmp_path / "prod.env").symlink_to("settings.txt")
    (tmp_path / "innocent.txt").symlink_to(".env")
    for arguments, code, message in [
        ([place, "--elsewhere", "arm"], 2, "go together"),
        ([place, "--arms", arms], 2, "go together"),
        ([place, "--elsewhere", "other", "--arms", arms], 2, "no server called other: there is arm"),
        ([place, "--elsewhere", "arm", "--arms", str(tmp_path / "none.toml")], 2, "there is no file"),
        ([place, "--elsewhere", "arm", "--arms", arms, "--trace"], 2, "leave it out with --elsewhere"),
        (
            [place, "--elsewhere", "arm", "--arms", keyed],
            2,
            "A_KEY_THAT_IS_NOT_SET, which holds the key of arm, is not",
        ),
        ([f"{secret}:1:10", "--elsewhere", "arm", "--arms", arms], 2, "nothing is sent: the file"),
        ([f"{tmp_path}/prod.env:1:10", "--elsewhere", "arm", "--arms", arms], 2, "nothing is sent: the file"),
        ([f"{tmp_path}/innocent.txt:1:10", "--elsewhere", "arm", "--arms", arms], 2, "nothing is sent: the file"),
    ]:
        assert main(["complete", *arguments]) == code
        out, err = capsys.readouterr()
        assert (out, err.count("\n")) == ("", 1) and message in err
    assert server.n_connections == 0


def test_complete_elsewhere_when_the_server_fails_or_is_slow(server, place, tmp_path, capsys):
    arguments = ["complete", place, "--elsewhere", "arm", "--arms", arms_file(tmp_path, server)]
    server.status = 503
    assert main(arguments) == 1
    assert "it is not well" in capsys.readouterr().err
    server.answer = server.wait_for_the_end
    assert main([*arguments, "--budget-ms", "100"]) == 0
    assert "no answer of arm at 127.0.0.1" in capsys.readouterr().err
    assert main([*arguments, "--budget-ms", "60000", "--timeout-s", "0.2"]) == 1
    assert "no answer of arm within 0.2 s" in capsys.readouterr().err
    server.status, server.answer = 200, {"choices": [{"text": "", "finish_reason": "stop"}]}
    assert main(arguments) == 0
    assert "an empty answer: arm at" in capsys.readouterr().err


@pytest.mark.slow
def test_nobody_is_asked_who_was_not_named(server, rig, place, tmp_path):
    """Keys, proxies and files that other tools would heed lie about: server and engine do without them."""
    for folder in (tmp_path, tmp_path / ".config" / "quicksilver", rig.folder):
        folder.mkdir(parents=True, exist_ok=True)
        for name in ("arms.toml", "quicksilver.toml", ".arms.toml"):
            shutil.copyfile(arms_file(tmp_path, server), folder / name)
    names = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "OPENAI_BASE_URL", "OLLAMA_HOST", "MISTRAL_SERVER_URL")
    environ = {
        **os.environ, **dict.fromkeys(names, server.url), "OPENAI_API_KEY": KEY, "MISTRAL_API_KEY": KEY,
        "INCEPTION_API_KEY": KEY, "QUICKSILVER_HOME": str(rig.folder), "HOME": str(tmp_path),
        "XDG_CONFIG_HOME": str(tmp_path / ".config"),
    }  # fmt: skip
    asyncio.run(rig.client().ensure_running())
    command = [sys.executable, "-P", "-X", "importtime", "-m", "quicksilver.cli", "complete", place, "--invoke"]
    done = subprocess.run(command, env=environ, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert rig.events("start") and server.n_connections == 0
    assert "quicksilver.serving" in done.stderr
    assert "httpx2" not in done.stderr and "serving.elsewhere" not in done.stderr


def test_the_room_is_imported_by_the_command_alone():
    """Beside the contracts of import-linter: nobody imports it on the way to another command."""
    code = "import sys, quicksilver.cli.main, quicksilver.cli.complete; print('httpx2' in sys.modules)"
    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, check=True, cwd=Path("/"))
    assert done.stdout.strip() == "False"
