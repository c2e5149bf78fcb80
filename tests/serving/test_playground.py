"""The playground: its files, the engine's answers to the page, and the gateway that `quicksilver playground` opens."""

import asyncio
import json
import os
import re
import signal
import socket
import subprocess
import sys
import webbrowser
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from types import SimpleNamespace

import pytest
import uvicorn
from quicksilver.cli.playground import open_browser
from quicksilver.fim.errors import InputError
from quicksilver.fim.types import MAX_CANDIDATES
from quicksilver.serving.api.playground.fill import (
    PlaygroundHole,
    policies_of,
    read_examples,
    request_of,
    with_candidates,
)
from quicksilver.serving.api.playground.gateway import PlaygroundGateway
from quicksilver.serving.api.playground.pages import FOLDER, MEDIA_TYPES, PlaygroundPages
from quicksilver.serving.api.playground.sessions import CODE_S, MAX_CODES, MAX_SESSIONS, PlaygroundSessions
from quicksilver.serving.client.engine_client import EngineClient
from quicksilver.serving.paths import read_info
from quicksilver.serving.process.listener import listen_tcp
from quicksilver.serving.process.port_options import LOOPBACK

FILES = sorted(PlaygroundPages().files())


@dataclass
class Said:
    """An answer: status, headers by lower-case names, body."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def value(self):
        return json.loads(self.body)

    @property
    def events(self):
        return [json.loads(each.removeprefix(b"data: ")) for each in self.body.split(b"\n\n") if each]


async def ask(port: int, target: str, value: object = None, *, method: str | None = None, **headers: str) -> Said:
    """One request, as a browser's page on this port would send it; headers with underscores for dashes."""
    reader, writer = await begin(port, target, value, method=method, **headers)
    async with asyncio.timeout(30):
        head, _, body = (await reader.read()).partition(b"\r\n\r\n")
    writer.close()
    first, *lines = head.decode("latin-1").split("\r\n")
    named = {name.lower(): text for name, _, text in (line.partition(": ") for line in lines)}
    return Said(int(first.split()[1]), named, dechunk(body) if "transfer-encoding" in named else body)


async def begin(port: int, target: str, value: object = None, *, method: str | None = None, **headers: str):
    """Send a request; its reader and writer."""
    body = b"" if value is None else json.dumps(value).encode()
    sent = {"host": f"127.0.0.1:{port}", "connection": "close", "content-length": str(len(body)), **headers}
    lines = [f"{method or ('POST' if body else 'GET')} {target} HTTP/1.1"]
    lines += [f"{name.replace('_', '-')}: {text}" for name, text in sent.items()]
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write("\r\n".join([*lines, "", ""]).encode() + body)
    return reader, writer


def dechunk(body: bytes) -> bytes:
    parts = []
    while body:
        size, _, body = body.partition(b"\r\n")
        parts.append(body[: int(size, 16)])
        body = body[int(size, 16) + 2 :]
    return b"".join(parts)


@asynccontextmanager
async def opened(engine: EngineClient, sessions: PlaygroundSessions | None = None) -> AsyncIterator[tuple[int, str]]:
    """A gateway in this loop: its port and a session's token."""
    sessions = sessions or PlaygroundSessions()
    with closing(listen_tcp(LOOPBACK, 0)[0]) as listener:
        port = listener.getsockname()[1]
        app = PlaygroundGateway(engine=engine, sessions=sessions).app(port)
        server = uvicorn.Server(
            uvicorn.Config(app, log_config=None, lifespan="off", ws="none", timeout_graceful_shutdown=1)
        )
        server.capture_signals = lambda: closing(socket.socket())  # type: ignore[method-assign] # pytest has them
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        try:
            token = sessions.exchange(sessions.issue())
            assert token is not None
            yield port, f"Bearer {token}"
        finally:
            server.should_exit = True
            await serving


def tcp_port(rig) -> int:
    info = read_info(rig.home.info_file)
    assert info is not None and info.port is not None
    return info.port


def bearer(rig) -> str:
    return f"Bearer {rig.home.token_file.read_text()}"


# The files


@pytest.mark.parametrize("address", FILES)
async def test_the_engine_serves_the_files_to_anybody_with_strict_headers(shared_rig, address):
    said = await ask(tcp_port(shared_rig), address)
    assert said.status == 200
    suffix = "." + address.rpartition(".")[2] if "." in address else ".html"
    assert said.headers["content-type"] == MEDIA_TYPES[suffix]
    policy = said.headers["content-security-policy"]
    assert policy.startswith("default-src 'self';") and "unsafe" not in policy and "http" not in policy
    assert said.headers["x-content-type-options"] == "nosniff"
    assert said.headers["cache-control"] == "no-cache"
    assert said.headers["referrer-policy"] == "no-referrer"
    head = await ask(tcp_port(shared_rig), address, method="HEAD")
    assert (head.status, head.body) == (200, b"")
    assert head.headers["content-length"] == said.headers["content-length"] == str(len(said.body))


@pytest.mark.parametrize(
    "target",
    [
        *("/playground/models", "/playground/fill", "/playground/session", "/health", "/v1/models", "/metrics"),
        *("/playground/../fill.py", "/playground/%2e%2e/fill.py", "/playground//etc/passwd", "/playground/app.css/"),
    ],
)
async def test_nothing_else_is_open(shared_rig, target):
    assert (await ask(tcp_port(shared_rig), target)).status == 401


async def test_the_files_take_no_other_method(shared_rig):
    assert (await ask(tcp_port(shared_rig), "/playground", {}, method="POST")).status == 401
    said = await ask(tcp_port(shared_rig), "/playground", {}, method="POST", authorization=bearer(shared_rig))
    assert said.status == 405


@pytest.mark.parametrize("name", ["../fill.py", "%2e%2e/fill.py", "..%2ffill.py", "/fill.py", "examples.toml", "x"])
async def test_no_path_leads_to_another_file(shared_rig, name):
    said = await ask(tcp_port(shared_rig), f"/playground/{name}", authorization=bearer(shared_rig))
    assert said.status == 404


def test_the_page_loads_only_its_own_files_and_has_no_code_or_style_in_it():
    page = (FOLDER / "index.html").read_text(encoding="utf-8")
    named = set(re.findall(r'(?:src|href)="(/[^"]+)"', page))
    imported = {
        f"/playground/{name}"
        for file in FOLDER.glob("*.js")
        for name in re.findall(r"from '\./([^']+)'", file.read_text(encoding="utf-8"))
    }
    assert named | imported == set(FILES) - {"/playground", "/playground/"}
    assert re.findall(r"<style|\sstyle=|\son\w+=|<script(?![^>]* src=)", page) == []
    for file in FOLDER.iterdir():
        text = file.read_text(encoding="utf-8")
        assert [each for each in re.findall(r"https?://[^'\"\s>]+", text) if "www.w3.org" not in each] == [], file.name
        assert "innerHTML" not in text and "eval(" not in text


def test_every_element_that_the_scripts_look_for_is_in_the_page():
    page = (FOLDER / "index.html").read_text(encoding="utf-8")
    wanted = set(re.findall(r"part\('([\w-]+)'\)", (FOLDER / "main.js").read_text(encoding="utf-8")))
    assert len(wanted) > 20 and wanted - set(re.findall(r'id="([\w-]+)"', page)) == set()


# What the page asks the engine


def test_each_example_has_a_hole():
    examples = read_examples()
    assert len(examples) == 3
    for example in examples:
        assert set(example) == {"title", "language", "path", "prefix", "hole", "suffix"}
        assert example["prefix"] and example["hole"].strip() and example["suffix"]


def test_left_to_right_is_a_policy_and_candidates_compete():
    hole = PlaygroundHole(prefix="a", suffix="b", policy="entropy", max_tokens=7, multiline=False)
    asked = request_of(hole)
    assert (asked.policy, asked.max_tokens, asked.hole.multiline, asked.budget_ms) == ("entropy", 7, False, None)
    assert request_of(PlaygroundHole(prefix="a", mode="left-to-right", policy="entropy")).policy == "left"
    more = with_candidates(asked)
    assert more.is_choice and more.n_alternatives == MAX_CANDIDATES and more.lengths > 1
    with pytest.raises(InputError):
        request_of(PlaygroundHole(prefix="a", max_tokens=10**9))


def test_policies_fit_the_model():
    assert "verified" in policies_of({"canvases": 1}) and "left" in policies_of({})
    assert policies_of({"canvases": 0}) == []
    assert "verified" not in policies_of({"family": "dream"})


async def test_models_says_what_is_served(shared_rig):
    found = (await ask(tcp_port(shared_rig), "/playground/models", authorization=bearer(shared_rig))).value
    assert (found["status"], found["model"], found["facts"]["device"]) == ("ready", "fake", "none")
    assert found["examples"] == read_examples()
    assert "threshold" in found["policies"]


async def test_frames_come_first_then_the_answer_then_the_candidates(shared_rig):
    asked = {"prefix": "cd", "suffix": "ab", "candidates": True}
    said = await ask(tcp_port(shared_rig), "/playground/fill", asked, authorization=bearer(shared_rig))
    *frames, answer, candidates = said.events
    assert said.headers["content-type"].startswith("text/event-stream")
    assert {each["type"] for each in frames} == {"frame"} and len(frames) > 3
    assert [each["step"] for each in frames] == sorted(each["step"] for each in frames)
    assert [cell["state"] for cell in frames[0]["cells"]] == ["provisional", "masked", "masked", "masked"]
    assert "".join(cell["text"] for cell in frames[-1]["cells"]) == "abcd"
    assert (answer["type"], answer["text"], answer["finish_reason"], answer["n_context"]) == (
        "answer",
        "abcd",
        "stop",
        7,
    )
    assert answer["timings_ms"]["queue"] >= 0
    assert (candidates["type"], candidates["candidates"][0]["source"]) == ("candidates", "denoiser")


async def test_what_an_editor_would_cut_off_is_told(shared_rig):
    asked = {"prefix": "a\n", "multiline": False}  # the fake echoes it
    said = await ask(tcp_port(shared_rig), "/playground/fill", asked, authorization=bearer(shared_rig))
    answer = said.events[-1]
    assert (answer["text"], answer["inserted"]) == ("a\n", "a")


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ({}, "request.prefix is missing"),
        ({"prefix": "a", "mode": "up"}, "request.mode"),
        ({"prefix": "a", "policy": "best"}, "request.policy"),
        ({"prefix": "a", "max_tokens": 0}, "request.max_tokens"),
        ({"prefix": "a", "budget_ms": -1}, "request.budget_ms"),
        ({"prefix": "a", "nonsense": 1}, "nonsense"),
        ({"prefix": "raise-input"}, "the fake does not like this"),
    ],
)
async def test_a_bad_question_is_a_400(shared_rig, value, words):
    said = await ask(tcp_port(shared_rig), "/playground/fill", value, authorization=bearer(shared_rig))
    assert said.status == 400 and words in said.value["error"]["message"]


# Codes and sessions


def test_a_code_works_once():
    sessions = PlaygroundSessions()
    code = sessions.issue()
    token = sessions.exchange(code)
    assert token is not None and sessions.knows(token)
    assert sessions.exchange(code) is None
    assert sessions.knows(token)  # the session goes on


def test_a_code_expires():
    now_s = [0.0]
    sessions = PlaygroundSessions(lambda: now_s[0])
    early, late = sessions.issue(), sessions.issue()
    now_s[0] = CODE_S - 0.01
    assert sessions.exchange(early) is not None
    now_s[0] = CODE_S
    assert sessions.exchange(late) is None


@pytest.mark.parametrize("wrong", ["", "x", "é\ud800", "x" * 10_000])
def test_what_was_never_issued_opens_nothing(wrong):
    sessions = PlaygroundSessions()
    assert sessions.exchange(wrong) is None and not sessions.knows(wrong)
    code = sessions.issue()
    assert sessions.exchange(wrong) is None and not sessions.knows(code)
    assert sessions.exchange(code) is not None


def test_codes_and_sessions_are_bounded():
    sessions = PlaygroundSessions()
    codes = [sessions.issue() for _ in range(MAX_CODES + 1)]
    assert len(set(codes)) == len(codes)
    assert sessions.exchange(codes[0]) is None and sessions.exchange(codes[1]) is not None
    tokens = [sessions.exchange(sessions.issue()) for _ in range(MAX_SESSIONS + 1)]
    assert not sessions.knows(tokens[0] or "") and sessions.knows(tokens[-1] or "")


# The gateway


async def test_the_gateway_serves_the_page_and_hands_questions_on(shared_rig):
    async with opened(shared_rig.client()) as (port, session):
        page = await ask(port, "/playground")
        assert page.status == 200 and "default-src 'self'" in page.headers["content-security-policy"]
        assert (await ask(port, "/playground/models", authorization=session)).value["model"] == "fake"
        said = await ask(port, "/playground/fill", {"prefix": "cd", "suffix": "ab"}, authorization=session)
        assert said.events[-1]["text"] == "abcd"
        bad = await ask(port, "/playground/fill", {"prefix": "raise-input"}, authorization=session)
        assert (bad.status, bad.value["error"]["message"]) == (400, "the fake does not like this")


@pytest.mark.parametrize("target", ["/v1/completions", "/v1/shutdown", "/health", "/playground/../health", "/"])
async def test_the_gateway_hands_on_nothing_else(shared_rig, target):
    async with opened(shared_rig.client()) as (port, session):
        assert (await ask(port, target, authorization=session)).status == 404
        assert (await ask(port, target, {}, authorization=session)).status == 404


async def test_a_page_exchanges_its_code_once(shared_rig):
    sessions = PlaygroundSessions()
    async with opened(shared_rig.client(), sessions) as (port, _):
        code = sessions.issue()
        origin = f"http://127.0.0.1:{port}"
        said = await ask(port, "/playground/session", {"code": code}, origin=origin, sec_fetch_site="same-origin")
        assert said.status == 200
        session = f"Bearer {said.value['token']}"
        assert (await ask(port, "/playground/models", authorization=session)).status == 200
        again = await ask(port, "/playground/session", {"code": code})
        assert (again.status, again.value["error"]["code"]) == (401, "invalid_code")
        for value in ({}, {"code": 1}, {"code": code, "more": 1}):
            assert (await ask(port, "/playground/session", value)).status == 400


@pytest.mark.parametrize("authorization", ["", "Bearer", "Bearer wrong", "Basic wrong", "Bearer é"])
async def test_without_a_session_nothing_is_asked(shared_rig, authorization):
    async with opened(shared_rig.client()) as (port, session):
        for target, value in (("/playground/models", None), ("/playground/fill", {"prefix": "secret"})):
            assert (await ask(port, target, value, authorization=authorization)).status == 401
        wrong_scheme = session.replace("Bearer", "Basic")
        assert (await ask(port, "/playground/models", authorization=wrong_scheme)).status == 401
    assert not [event for event in shared_rig.events("start") if event["prefix"] == "secret"]


@pytest.mark.parametrize(
    "headers",
    [
        {"host": "evil.example"},
        {"host": "127.0.0.1"},
        {"host": "127.0.0.1:1"},
        {"host": ""},
        {"origin": "http://evil.example"},
        {"origin": "null"},
        {"origin": "http://127.0.0.1:1"},
        {"sec_fetch_site": "cross-site"},
        {"sec_fetch_site": "same-site"},
    ],
)
async def test_other_pages_get_nothing_even_with_a_session(shared_rig, headers):
    async with opened(shared_rig.client()) as (port, session):
        for target in ("/playground", "/playground/models"):
            assert (await ask(port, target, authorization=session, **headers)).status == 403


async def test_a_page_that_leaves_stops_the_engine_within_a_step(rig):
    await rig.client("--fake-step-ms", "20").ensure_running()
    async with opened(rig.client()) as (port, session):
        reader, writer = await begin(port, "/playground/fill", {"prefix": "long", "suffix": ""}, authorization=session)
        async with asyncio.timeout(30):
            await reader.readuntil(b'"step":3')
        writer.close()
        (event,) = await rig.event("cancelled")
    assert event["prefix"] == "long" and event["step"] < 200


async def test_an_engine_that_dies_is_told_within_the_stream(rig):
    await rig.client("--fake-step-ms", "20").ensure_running()
    async with opened(rig.client()) as (port, session):
        reader, writer = await begin(port, "/playground/fill", {"prefix": "long", "suffix": ""}, authorization=session)
        async with asyncio.timeout(30):
            await reader.readuntil(b'"step":3')
            for process in rig.processes():
                process.kill()
            rest = await reader.read()
        writer.close()
        assert b"the engine" in rest and b'"code":"unavailable"' in rest
        said = await ask(port, "/playground/models", authorization=session)  # the next question starts another
        assert said.value["status"] == "ready"


async def test_the_gateway_starts_an_engine_when_none_runs(rig):
    async with opened(rig.client()) as (port, session):
        assert (await ask(port, "/playground/models", authorization=session)).value["model"] == "fake"
    assert len(rig.processes()) == 1


async def test_an_engine_that_cannot_start_is_a_reason_and_no_crash(rig):
    async with opened(rig.client("--fake-load-fails")) as (port, session):
        said = await ask(port, "/playground/models", authorization=session)
    assert said.status == 503 and "run the fake trainer" in said.value["error"]["message"]


# The command


def command(rig, *arguments: str) -> subprocess.Popen[str]:
    environ = {**os.environ, "QUICKSILVER_HOME": str(rig.folder)}
    return subprocess.Popen(
        [sys.executable, "-P", "-m", "quicksilver.cli", "playground", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environ,
        text=True,
    )


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="Ctrl+C is a signal")
async def test_the_command_prints_an_address_that_works_once_and_ends_with_ctrl_c(rig):
    await rig.client().ensure_running()
    with command(rig, "--no-browser") as process:
        try:
            assert process.stdout is not None
            address = await asyncio.to_thread(process.stdout.readline)
            found = re.fullmatch(r"http://127\.0\.0\.1:(\d+)/playground#token=([\w-]{32})\n", address)
            assert found is not None
            port = int(found[1])
            for status in (200, 401):
                assert (await ask(port, "/playground/session", {"code": found[2]})).status == status
            process.send_signal(signal.SIGINT)
            assert await asyncio.to_thread(process.wait, 20) == 0
            assert process.stderr is not None
            assert "works once" in process.stderr.read()
        finally:
            process.kill()


@pytest.mark.parametrize(("name", "n_opened"), [("firefox", 1), ("w3m", 0), ("", 1)])
def test_only_a_browser_with_a_window_is_opened(monkeypatch, name, n_opened):
    opened = []
    monkeypatch.setattr(webbrowser, "get", lambda: SimpleNamespace(name=name, open=opened.append))
    open_browser("http://127.0.0.1/")
    assert opened == ["http://127.0.0.1/"] * n_opened


def test_no_browser_at_all_is_no_error(monkeypatch):
    def get():
        raise webbrowser.Error("could not locate runnable browser")

    monkeypatch.setattr(webbrowser, "get", get)
    open_browser("http://127.0.0.1/")


@pytest.mark.slow
def test_a_port_in_use_is_one_line(rig):
    with closing(listen_tcp(LOOPBACK, 0)[0]) as taken:
        process = command(rig, "--no-browser", "--port", str(taken.getsockname()[1]))
        out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (2, "")
    assert re.fullmatch(r"quicksilver: port \d+ is in use: choose another with --port\n", err)
