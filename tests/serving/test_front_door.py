"""Keys, hosts and origins of `quicksilver serve --port`, and what the log says of requests: real engines, raw HTTP."""

import asyncio
import http.client
import json
import logging
import socket
import stat
import subprocess
from collections.abc import Iterator

import pytest
from quicksilver.cli.main import main
from quicksilver.cli.serve import parse_options
from quicksilver.fim.errors import InputError
from quicksilver.serving.api.access_log import MAX_LINES, WINDOW_S, AccessLog
from quicksilver.serving.api.chat import ChatDialect
from quicksilver.serving.api.error_shapes import error_shape
from quicksilver.serving.api.fim import FimDialect
from quicksilver.serving.api.http import openai_error
from quicksilver.serving.api.llamacpp import LlamaCppDialect
from quicksilver.serving.api.llamacpp.answer import llama_error
from quicksilver.serving.api.ollama import OllamaDialect
from quicksilver.serving.api.ollama.answer import ollama_error
from quicksilver.serving.api.openai import OpenAiDialect
from quicksilver.serving.client.http import Endpoint, EngineNotRunning, exchange
from quicksilver.serving.engine.worker import Worker
from quicksilver.serving.paths import read_info
from quicksilver.serving.process.listener import listen_tcp
from quicksilver.serving.process.port_options import KEY_VARIABLE
from starlette.applications import Starlette
from starlette.routing import Route

from .conftest import Rig

KEY = "correct-horse-battery"
ORIGIN = "http://localhost:3000"
WEB_VIEW = "vscode-webview://1f2e3d"


def port_of(rig: Rig) -> int:
    info = read_info(rig.home.info_file)
    assert info is not None and info.port is not None
    return info.port


def ask_engine(rig, headers=None, target="/v1/models", method="GET", body=None, at="127.0.0.1"):
    """Status, headers and body of the answer to exactly these headers (and Host, unless it is among them)."""
    headers = {} if headers is None else headers
    connection = http.client.HTTPConnection(at, port_of(rig), timeout=30)
    try:
        connection.putrequest(method, target, skip_host="Host" in headers, skip_accept_encoding=True)
        if body is not None:
            headers = {**headers, "Content-Length": str(len(body))}
        for name, value in headers.items():
            connection.putheader(name, value)
        connection.endheaders(body)
        response = connection.getresponse()
        return response.status, response.headers, response.read()
    finally:
        connection.close()


def error_of(answer):
    status, _, body = answer
    return status, json.loads(body)["error"]["code"]


@pytest.fixture(scope="module")
def keyed(tmp_path_factory) -> Iterator[Rig]:
    """An engine with a key and two allowed origins."""
    rig = Rig(tmp_path_factory.mktemp("engine"))
    options = ["--port", "0", "--api-key", KEY, "--allow-origin", ORIGIN, "--allow-origin", WEB_VIEW]
    try:
        asyncio.run(rig.client(*options).ensure_running())
        yield rig
    finally:
        rig.end()


BEARER = {"Authorization": f"Bearer {KEY}"}


@pytest.mark.parametrize(
    "headers",
    [
        BEARER,
        {"authorization": f"bearer  {KEY} "},
        {"X-Api-Key": KEY},
        {"api-key": KEY},
        {"Authorization": "Bearer of-something-else", "x-api-key": KEY},
        {"Authorization": f"Bearer {KEY}", "x-api-key": ""},
    ],
)
def test_the_key_is_taken_in_three_headers(keyed, headers):
    assert ask_engine(keyed, headers)[0] == 200


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "Bearer "},
        {"Authorization": KEY},
        {"Authorization": f"Basic {KEY}"},
        {"Authorization": f"Bearer {KEY[:-1]}"},
        {"x-api-key": KEY.upper()},
        {"api-key": f"Bearer {KEY}"},
        {"key": KEY},
        {"Cookie": f"api-key={KEY}"},
    ],
)
def test_whatever_else_is_no_key(keyed, headers):
    answer = ask_engine(keyed, headers)
    assert error_of(answer) == (401, "invalid_api_key")
    assert answer[1]["WWW-Authenticate"] == "Bearer"


@pytest.mark.parametrize("name", ["key", "api_key", "api-key", "x-api-key", "access_token", "authorization"])
def test_a_key_in_the_address_is_not_taken(keyed, name):
    assert error_of(ask_engine(keyed, target=f"/v1/models?{name}={KEY}")) == (401, "invalid_api_key")


def test_a_key_that_a_person_chose_proves_nothing(keyed):
    """A proof would let whoever reaches the port try out guesses, without asking the engine again."""
    for target in ("/v1/proof", "/v1/proof?key"):
        assert error_of(ask_engine(keyed, {"Quicksilver-Nonce": "1"}, target)) == (401, "invalid_api_key")
    assert ask_engine(keyed, {**BEARER, "Quicksilver-Nonce": "1"}, "/v1/proof")[0] == 404


async def test_a_given_key_is_written_nowhere_and_our_own_client_needs_none(keyed, ask):
    assert (await keyed.client().complete(ask("over the socket"))).text == "over the socket"
    assert ask_engine(keyed, BEARER)[0] == 200
    files = [path for path in keyed.folder.rglob("*") if path.is_file()]
    assert {keyed.home.info_file, keyed.home.log_file} <= set(files)
    assert not keyed.home.token_file.exists()
    assert [path for path in files if KEY.encode() in path.read_bytes()] == []


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({"Origin": "https://evil.example"}, "forbidden_origin"),
        ({"Origin": "null"}, "forbidden_origin"),
        ({"Origin": "http://localhost:3001"}, "forbidden_origin"),
        ({"Origin": "http://localhost:30000"}, "forbidden_origin"),
        ({"Origin": "https://localhost:3000"}, "forbidden_origin"),
        ({"Origin": "http://localhost:3000/"}, "forbidden_origin"),
        ({"Origin": "http://LOCALHOST:3000"}, "forbidden_origin"),
        ({"Origin": ""}, "forbidden_origin"),
        ({"Origin": "*"}, "forbidden_origin"),
        ({"Origin": f"{ORIGIN}, https://evil.example"}, "forbidden_origin"),
        ({"Origin": "vscode-webview://another"}, "forbidden_origin"),
        ({"Origin": "file://"}, "forbidden_origin"),
        ({"Sec-Fetch-Site": "cross-site"}, "forbidden_origin"),
        ({"Host": "evil.example", "Origin": "http://evil.example"}, "forbidden"),  # DNS rebinding
        ({"Host": "127.0.0.1.evil.example"}, "forbidden"),
        ({"Host": "192.168.1.2"}, "forbidden"),
    ],
)
def test_pages_that_were_not_named_are_refused_even_with_the_key(keyed, headers, code):
    for method in ("GET", "POST", "OPTIONS"):
        asked = {"Access-Control-Request-Method": "POST"} if method == "OPTIONS" else BEARER
        answer = ask_engine(keyed, {**headers, **asked}, method=method)
        assert error_of(answer) == (403, code)
        assert "Access-Control-Allow-Origin" not in answer[1]


def test_two_origins_are_as_good_as_the_worse(keyed):
    with socket.create_connection(("127.0.0.1", port_of(keyed))) as client:
        client.sendall(
            f"GET /v1/models HTTP/1.1\r\nHost: localhost\r\nOrigin: {ORIGIN}\r\nOrigin: https://evil.example\r\n"
            f"Authorization: Bearer {KEY}\r\nConnection: close\r\n\r\n".encode()
        )
        assert client.makefile("rb").readline().startswith(b"HTTP/1.1 403")


def test_the_refusal_says_what_to_do(keyed):
    message = json.loads(ask_engine(keyed, {"Origin": "vscode-webview://another"})[2])["error"]["message"]
    assert "pages of vscode-webview://another may not" in message
    assert "--allow-origin" in message
    long = json.loads(ask_engine(keyed, {"Origin": 8_000 * "x"})[2])["error"]["message"]
    assert len(long) < 500


def test_the_engines_own_pages_may_ask(keyed):
    for name in ("127.0.0.1", "localhost"):
        origin = f"{name}:{port_of(keyed)}"
        headers = {"Host": origin, "Origin": f"http://{origin}", "Sec-Fetch-Site": "same-origin"}
        answer = ask_engine(keyed, {**BEARER, **headers})
        assert answer[0] == 200
        assert "Access-Control-Allow-Origin" not in answer[1]
        assert error_of(ask_engine(keyed, headers)) == (401, "invalid_api_key")


@pytest.mark.parametrize("origin", [ORIGIN, WEB_VIEW])
def test_pages_that_were_named_may_read_the_answer_if_they_know_the_key(keyed, origin):
    headers = {"Origin": origin, "Sec-Fetch-Site": "cross-site"}
    for status, key in ((200, BEARER), (401, {})):
        answer = ask_engine(keyed, {**headers, **key})
        assert answer[0] == status
        assert (answer[1]["Access-Control-Allow-Origin"], answer[1]["Vary"]) == (origin, "Origin")
        assert "Access-Control-Allow-Credentials" not in answer[1]


def test_a_preflight_needs_no_key_and_grants_what_clients_send(keyed):
    asked = "authorization,content-type,x-stainless-os"
    headers = {"Origin": ORIGIN, "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": asked}
    status, granted, body = ask_engine(keyed, headers, "/v1/completions", "OPTIONS")
    assert (status, body) == (204, b"")
    assert granted["Access-Control-Allow-Origin"] == ORIGIN
    assert "POST" in granted["Access-Control-Allow-Methods"]
    assert granted["Access-Control-Allow-Headers"] == asked
    assert "Access-Control-Allow-Credentials" not in granted
    odd = {**headers, "Access-Control-Request-Headers": "a;b"}
    assert ask_engine(keyed, odd, method="OPTIONS")[1]["Access-Control-Allow-Headers"].startswith("Authorization")
    assert ask_engine(keyed, {"Origin": ORIGIN}, method="OPTIONS")[0] == 401  # no preflight


def test_other_methods_and_addresses(keyed):
    status, headers, _ = ask_engine(keyed, BEARER, "/v1/completions", "DELETE")
    assert (status, headers["Allow"]) == (405, "POST")
    assert ask_engine(keyed, BEARER, "/v1/models", "BREW")[0] == 405
    status, headers, body = ask_engine(keyed, BEARER, method="HEAD")
    assert (status, body) == (200, b"")
    assert int(headers["Content-Length"]) > 0
    status, _, body = ask_engine(keyed, BEARER, "/v1/nowhere")
    assert (status, json.loads(body)["error"]["type"]) == (404, "invalid_request_error")


@pytest.mark.parametrize(
    ("headers", "target", "method", "status"),
    [
        ({}, "/api/generate", "POST", 401),
        ({}, "/infill", "POST", 401),
        ({"Host": "evil.example"}, "/api/tags", "GET", 403),
        ({"x-api-key": KEY, "Origin": "https://evil.example"}, "/completion", "POST", 403),
        ({"x-api-key": KEY}, "/api/nowhere", "GET", 404),
        ({"x-api-key": KEY}, "/api/chat", "GET", 405),
        ({"x-api-key": KEY}, "/infill", "GET", 405),
    ],
)
def test_what_no_endpoint_sees_is_refused_in_the_shape_of_its_dialect(keyed, headers, target, method, status):
    found, _, body = ask_engine(keyed, headers, target, method, b"")
    error = json.loads(body)["error"]
    assert found == status
    if target.startswith("/api/"):
        assert isinstance(error, str)
    else:
        assert set(error) == {"code", "message", "type"} and error["code"] == status


def test_every_address_has_the_errors_of_its_dialect():
    worker = Worker(load=lambda: pytest.fail("nothing is loaded here"))
    for dialect, shape in (
        (OpenAiDialect(worker=worker), openai_error),
        (FimDialect(worker=worker), openai_error),
        (ChatDialect(worker=worker), openai_error),
        (LlamaCppDialect(worker=worker, version="1"), llama_error),
        (OllamaDialect(worker=worker), ollama_error),
    ):
        assert {error_shape(route.path) for route in dialect.routes() if route.path != "/"} == {shape}


def test_a_long_address_is_told_in_one_short_line(keyed):
    status, _, body = ask_engine(keyed, {"x-api-key": KEY}, "/" + "a%0a%E2%80%A8" * 5_000)
    message = json.loads(body)["error"]["message"]
    assert status == 404 and len(message) < 1_000 and message.isprintable()


def test_http_1_0_is_answered(keyed):
    with socket.create_connection(("127.0.0.1", port_of(keyed))) as client:
        client.sendall(f"GET /v1/models HTTP/1.0\r\nHost: localhost\r\nx-api-key: {KEY}\r\n\r\n".encode())
        answer = client.makefile("rb").read()
    assert answer.startswith(b"HTTP/1.1 200")
    assert b'"object":"list"' in answer


def access_lines(rig):
    lines = rig.home.log_file.read_text().splitlines()
    return [line.partition("INFO ")[2].partition(" ")[2] for line in lines if " bytes in, " in line]


def test_the_log_has_a_line_for_each_request_and_no_text(keyed):
    n_before = len(access_lines(keyed))
    body = b'{"prompt": "hunter2", "suffix": ""}'
    agent = "OpenAI/JS\x1b[31m" + 60 * "x" + " and more hunter2"
    ask_engine(keyed, {**BEARER, "User-Agent": agent}, "/v1/completions?hunter2", "POST", body)
    ask_engine(keyed, {"User-Agent": "curl/8.5.0", "Authorization": "Bearer hunter2"}, "/hunter2")
    ask_engine(keyed, BEARER, "/v1/models", "HUNTER2")
    ask_engine(keyed, BEARER, "/health")
    posted, unknown, odd = access_lines(keyed)[n_before:]
    assert posted.startswith("POST /v1/completions 200 in ")
    assert f"{len(body)} bytes in, " in posted
    assert posted.endswith(", OpenAI/JS\\x1b[31m" + 23 * "x")
    assert unknown.startswith("GET (unknown path) 401 in ")
    assert unknown.endswith(", curl/8.5.0")
    assert odd.startswith("(unknown method) /v1/models 405 in ")
    assert odd.endswith(", -")
    log = keyed.home.log_file.read_text()
    assert "hunter2" not in log.lower()
    assert KEY not in log


async def test_a_flood_of_requests_does_not_flood_the_log(caplog):
    now_s = 0.0

    async def answer(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"12345"})

    async def receive():
        return {"type": "http.request"}

    async def send(message):
        pass

    log = AccessLog(answer, clock=lambda: now_s)
    app = Starlette(routes=[Route("/v1/models/{model}", receive)])
    scope = {"type": "http", "method": "GET", "path": "/v1/models/secret", "headers": [], "app": app}
    with caplog.at_level(logging.INFO):
        for n_asked in (MAX_LINES + 50, 1):
            for _ in range(n_asked):
                await log(scope, receive, send)
            now_s += WINDOW_S
    line = "GET /v1/models/{model} 200 in 0 ms, 0 bytes in, 5 out, -"
    assert caplog.messages == MAX_LINES * [line] + ["50 more requests are not listed", line]


def run_serve(rig, *arguments, environ=None):
    command = rig.launch(*arguments)
    environ = {"PATH": "", **rig.home.environment(), **(environ or {})}
    return subprocess.run(command, env=environ, capture_output=True, text=True, timeout=60)


PORT = ["--port", "0"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([*PORT, "--api-key", "short12"], "must have 8 to 1,024 characters, not 7"),
        ([*PORT, "--api-key", 1025 * "x"], "must have 8 to 1,024 characters, not 1,025"),
        ([*PORT, "--api-key", ""], "is empty"),
        ([*PORT, "--api-key", "two words here"], "has blanks or characters that are not ASCII"),
        ([*PORT, "--api-key", "a line\nand another"], "has blanks or characters that are not ASCII"),
        ([*PORT, "--api-key", "schlüsselwort"], "has blanks or characters that are not ASCII"),
        (["--api-key", KEY], "--host, --api-key and --allow-origin are for a port: name it with --port"),
        (["--host", "::1"], "are for a port"),
        (["--allow-origin", ORIGIN], "are for a port"),
        ([*PORT, "--host", "0.0.0.0"], "other machines can reach 0.0.0.0: choose a key"),
        ([*PORT, "--host", "::"], "other machines can reach ::: choose a key"),
        ([*PORT, "--host", "192.0.2.1"], "other machines can reach 192.0.2.1: choose a key"),
        ([*PORT, "--host", "::ffff:127.0.0.1"], "choose a key"),
        ([*PORT, "--host", "my.machine", "--api-key", KEY], "must be an IP address or localhost, not my.machine"),
        ([*PORT, "--host", ""], "must be an IP address or localhost"),
        ([*PORT, "--host", "127.1"], "must be an IP address or localhost"),
        ([*PORT, "--allow-origin", "*"], "lets every web page in: choose a key"),
        ([*PORT, "--allow-origin", "null"], "must be an origin such as http://localhost:3000"),
        ([*PORT, "--allow-origin", "localhost:3000"], "must be an origin"),
        ([*PORT, "--allow-origin", f"{ORIGIN}/"], "must be an origin"),
        ([*PORT, "--allow-origin", "HTTP://LOCALHOST"], "must be an origin"),
        ([*PORT, "--allow-origin", "http://a.example,http://b.example"], "must be an origin"),
    ],
)
def test_what_does_not_go_together_is_refused(arguments, words, monkeypatch):
    monkeypatch.delenv(KEY_VARIABLE, raising=False)
    with pytest.raises(InputError) as refusal:
        parse_options(arguments)
    assert words in str(refusal.value)
    given = arguments[arguments.index("--api-key") + 1] if "--api-key" in arguments else ""
    assert not given or given not in str(refusal.value)


def test_a_refusal_is_one_line_and_exit_code_2(rig):
    for arguments, environ in (
        (["--port", "0", "--host", "0.0.0.0"], {}),
        (["--port", "0"], {KEY_VARIABLE: "short"}),
    ):
        done = run_serve(rig, *arguments, environ=environ)
        assert done.returncode == 2
        assert done.stderr.startswith("quicksilver serve: ")
        assert done.stderr.count("\n") == 1
    assert not rig.home.info_file.exists()


def test_an_address_of_another_machine_is_one_line(rig):
    done = run_serve(rig, "--port", "0", "--host", "192.0.2.1", "--api-key", KEY)
    assert done.returncode == 2
    assert done.stderr == ("quicksilver serve: this machine has no address 192.0.2.1: choose another with --host\n")


def test_the_key_of_the_environment_is_for_a_port(monkeypatch):
    monkeypatch.setenv(KEY_VARIABLE, KEY)
    assert parse_options(["--port", "0"]).ports.api_key == KEY
    assert parse_options(["--port", "0", "--api-key", "another-key"]).ports.api_key == "another-key"
    assert parse_options([]).ports.api_key is None
    assert parse_options(["--port", "0", "--host", "0.0.0.0", "--allow-origin", "*"]).ports.host == "0.0.0.0"
    monkeypatch.setenv(KEY_VARIABLE, "")
    assert parse_options(["--port", "0"]).ports.api_key is None
    monkeypatch.setenv(KEY_VARIABLE, "short")
    assert parse_options([]).ports.api_key is None  # an editor starts an engine so: nothing there to refuse
    assert KEY not in repr(parse_options(["--port", "0", "--api-key", KEY]))


async def test_the_key_of_the_environment_is_taken(rig, monkeypatch):
    monkeypatch.setenv(KEY_VARIABLE, KEY)
    await rig.client("--port", "0").ensure_running()
    assert ask_engine(rig, BEARER)[0] == 200
    assert not rig.home.token_file.exists()
    assert KEY not in rig.home.log_file.read_text()


async def test_without_a_key_a_new_one_lies_in_the_file_that_is_named(rig):
    await rig.client("--port", "0").ensure_running()
    token = rig.home.token_file.read_text()
    assert f"key in {rig.home.token_file}" in rig.home.log_file.read_text()
    assert stat.S_IMODE(rig.home.token_file.stat().st_mode) == 0o600
    assert ask_engine(rig, {"x-api-key": token})[0] == 200
    assert ask_engine(rig, BEARER)[0] == 401


async def test_without_unix_sockets_key_and_token_are_two(rig, ask):
    """Our own client proves a token of its own; the key that a person chose is written nowhere."""
    rig.environ = {"QUICKSILVER_TRANSPORT": "tcp"}
    client = rig.client("--port", "0", "--api-key", KEY, "--host", "::1" if socket.has_ipv6 else "127.0.0.1")
    assert (await client.complete(ask("proven"))).text == "proven"
    token = rig.home.token_file.read_text()
    assert token != KEY
    assert ask_engine(rig, BEARER)[0] == 200
    assert ask_engine(rig, {"Authorization": f"Bearer {token}"})[0] == 401
    assert KEY not in rig.home.info_file.read_text() + rig.home.log_file.read_text()
    assert [line.split(" ")[1] for line in access_lines(rig)] == ["/v1/fill", "/v1/models", "/v1/models"]
    await client.shutdown()
    assert not rig.home.token_file.exists()


async def test_stop_ends_an_engine_with_a_key(rig, capsys, monkeypatch):
    await rig.client("--port", "0", "--api-key", KEY).ensure_running()
    monkeypatch.setenv("QUICKSILVER_HOME", str(rig.folder))
    assert await asyncio.to_thread(main, ["stop"]) == 0
    assert "stopped the engine" in capsys.readouterr().out
    with pytest.raises(EngineNotRunning):
        await rig.client().health()


def has_ipv6() -> bool:
    try:
        with socket.create_server(("::1", 0), family=socket.AF_INET6):
            return True
    except OSError:
        return False


needs_ipv6 = pytest.mark.skipif(not has_ipv6(), reason="no IPv6 here")


@needs_ipv6
def test_a_port_that_another_program_has_on_one_address_is_in_use():
    with socket.create_server(("::1", 0), family=socket.AF_INET6) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(InputError, match=f"port {port} is in use"):
            listen_tcp("localhost", port)
        with socket.socket() as free:  # the first address was given back
            free.bind(("127.0.0.1", port))


@needs_ipv6
async def test_localhost_is_both_addresses(rig):
    await rig.client("--port", "0", "--host", "localhost").ensure_running()
    headers = {"x-api-key": rig.home.token_file.read_text()}
    for address in ("127.0.0.1", "::1"):
        assert ask_engine(rig, headers, at=address)[0] == 200
    log = rig.home.log_file.read_text()
    assert f"http://[::1]:{port_of(rig)}/v1" in log
    assert "WARNING" not in log


@needs_ipv6
async def test_other_loopback_addresses_take_their_own_name(rig):
    await rig.client("--port", "0", "--host", "::1").ensure_running()
    headers = {"x-api-key": rig.home.token_file.read_text()}
    assert ask_engine(rig, headers, at="::1")[0] == 200
    with pytest.raises(ConnectionRefusedError):
        ask_engine(rig, headers, at="127.0.0.1")


@pytest.mark.parametrize("host", ["0.0.0.0", pytest.param("::", marks=needs_ipv6)])
async def test_a_port_for_other_machines_takes_any_name_and_warns(rig, host):
    await rig.client("--port", "0", "--host", host, "--api-key", KEY).ensure_running()
    for name in ("my-machine.lan", f"192.0.2.7:{port_of(rig)}", "localhost"):
        assert ask_engine(rig, {**BEARER, "Host": name})[0] == 200
        assert ask_engine(rig, {**BEARER, "Host": name, "Origin": f"http://{name}"})[0] == 200
        assert error_of(ask_engine(rig, {"Host": name})) == (401, "invalid_api_key")
        refused = ask_engine(rig, {**BEARER, "Host": name, "Origin": "http://evil.example"})
        assert error_of(refused) == (403, "forbidden_origin")
    log = rig.home.log_file.read_text()
    assert (
        f"WARNING {rig.processes()[0].pid} other machines can reach {host}: source text and key travel unencrypted"
        in log
    )
    assert (await exchange(Endpoint(socket=rig.home.socket), "GET", "/health", timeout_s=30)).status == 200


async def test_any_origin_can_be_let_in_but_for_pages_without_one(rig):
    await rig.client("--port", "0", "--api-key", KEY, "--allow-origin", "*").ensure_running()
    answer = ask_engine(rig, {**BEARER, "Origin": "https://any.example"})
    assert (answer[0], answer[1]["Access-Control-Allow-Origin"]) == (200, "https://any.example")
    assert ask_engine(rig, {"Origin": "https://any.example"})[0] == 401
    assert error_of(ask_engine(rig, {**BEARER, "Origin": "null"})) == (403, "forbidden_origin")
