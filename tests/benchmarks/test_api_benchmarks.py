"""The benchmarks of the HTTP API: who is asked what, what counts as broken; their times are nobody's to assert."""

import asyncio
import json
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from quicksilver.benchmarks import bench as command
from quicksilver.benchmarks.api import streams
from quicksilver.benchmarks.api.infill_server import InfillAnswer, compare, file_of, filler, unseen
from quicksilver.benchmarks.api.served import ServerAddress, ask, read_address, served
from quicksilver.benchmarks.speed.llama import Point
from quicksilver.fim.errors import EngineError, EngineUnavailable, InputError
from quicksilver.fim.models.embedded import find_model
from quicksilver.serving.client.engine_client import EngineClient
from quicksilver.serving.paths import HOME_VARIABLE, find_home, read_token, running_info
from quicksilver.serving.process.port_options import KEY_VARIABLE

FAKE_ENGINE = Path(__file__).parents[1] / "serving" / "fake_engine.py"
Reply = tuple[int, bytes]


@contextmanager
def server(answer: Callable[[str, Any], Reply]) -> Iterator[ServerAddress]:
    """A server that answers path and body (None for GET) with status and bytes."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._say(*answer(self.path, None))

        def do_POST(self) -> None:
            self._say(*answer(self.path, json.loads(self.rfile.read(int(self.headers["Content-Length"])))))

        def _say(self, status: int, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    running = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=running.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield ServerAddress(host="127.0.0.1", port=running.server_port)
    finally:
        running.shutdown()
        running.server_close()
        thread.join()


def test_the_address_of_a_server_of_this_machine():
    assert read_address("http://localhost:8012/", "k") == ServerAddress(host="localhost", port=8012, key="k")
    assert ServerAddress(host="::1", port=1, key="k").headers["Authorization"] == "Bearer k"
    assert "Authorization" not in ServerAddress(host="::1", port=1).headers


@pytest.mark.parametrize(
    "url", ["127.0.0.1:8012", "https://127.0.0.1:8012", "http://10.0.0.1:8012", "http://localhost", "http://[::1",
            "http://127.0.0.1:99999", "http://127.0.0.1:8012/v1", ""],
)  # fmt: skip
def test_other_addresses_are_refused(url):
    with pytest.raises(InputError, match="no server of this machine"):
        read_address(url)


def test_what_is_no_answer():
    replies: dict[str, Reply] = {"/ok": (200, b'{"a": 1}'), "/words": (200, b"<html>"), "/no": (404, b"{}")}
    with server(lambda path, _: replies[path]) as address:
        assert ask(address, "GET", "/ok") == {"a": 1}
        with pytest.raises(EngineError, match="no JSON"):
            ask(address, "GET", "/words")
        with pytest.raises(EngineError, match="status 404"):
            ask(address, "GET", "/no")
    with pytest.raises(EngineUnavailable, match="is the server running"):
        ask(address, "GET", "/ok")


@pytest.mark.parametrize(
    ("props", "name"),
    [({"model_path": "/a/b.gguf"}, "b.gguf"), ({"model_path": "C:\\b.gguf"}, "b.gguf"), ({}, ""), ([], "")],
)
def test_the_file_that_a_llama_server_reads(props, name):
    assert file_of(props) == name


def test_a_request_is_what_the_plugins_send():
    asked = []

    def answer(path: str, body: Any) -> Reply:
        asked.append((path, body))
        return 200, json.dumps({"content": "b", "timings": {"prompt_n": 5, "predicted_n": 2}}).encode()

    with server(answer) as address:
        found = filler(address, ends_early=False)(Point("import a\nx = ", "\ny\n"), 8)
    assert (found.n_read, found.n_written, found.text) == (5, 2, "b") and found.ms > 0
    path, body = asked[0]
    assert path == "/infill" and body["ignore_eos"] is True and body["n_predict"] == 8 and body["temperature"] == 0
    assert (body["input_prefix"], body["prompt"], body["input_suffix"]) == ("import a\n", "x = ", "\ny\n")


def test_an_answer_without_timings_is_an_error():
    with server(lambda *_: (200, b'{"content": "x"}')) as address, pytest.raises(EngineError, match="timings"):
        filler(address, ends_early=True)(Point("a", "b"), 8)


def test_both_sides_get_the_same_holes_and_neither_has_seen_them():
    asked: dict[str, list[tuple[Point, int]]] = {"ours": [], "theirs": []}

    def side(name: str, ms: float) -> Callable[[Point, int], InfillAnswer]:
        def fill(point: Point, n: int) -> InfillAnswer:
            asked[name].append((point, n))
            return InfillAnswer(ms=ms, n_read=len(point.prefix), n_written=min(n, 3), text="x")

        return fill

    rows = compare(side("ours", 2.0), side("theirs", 5.0), [Point("a = ", "\nb"), Point("c = ", "")], (2, 8))
    assert [(row["cache"], row["at most"], row["written"]) for row in rows] == [
        ("warm", 2, 2), ("warm", 8, 3), ("cold", 2, 2), ("cold", 8, 3),
    ]  # fmt: skip
    assert {row["ratio"] for row in rows} == {2.5} and {row["same text"] for row in rows} == {2}
    assert [point for point, _ in asked["ours"]] == [point for point, _ in asked["theirs"]]
    assert {n for _, n in asked["theirs"]} == {1, 2, 3}  # as many tokens as ours wrote
    warm, cold = asked["ours"][:12], asked["ours"][12:]
    for (earlier, one), (point, _) in zip(warm[::2], warm[1::2], strict=True):
        assert one == 1 and point.prefix[:-1] == earlier.prefix and point.suffix == earlier.suffix
    beginnings = [point.prefix[:8] for point, _ in (*warm[1::2], *cold)]
    assert len(set(beginnings)) == len(beginnings) == 12


def test_a_marked_hole_keeps_its_text():
    assert unseen(Point("a = ", "\nb"), 7) == Point("# 000007\na = ", "\n# 000007\nb")


@pytest.mark.parametrize(
    ("argv", "error", "says"),
    [
        (["--llama-server", "http://127.0.0.1:8013", "--gguf", "/no/such.gguf"], InputError, "there is no file"),
        (["--llama-server", "http://example.org:80", "--gguf", __file__], InputError, "no server of this machine"),
        (["--llama-server", "http://127.0.0.1:9", "--gguf", __file__], EngineUnavailable, "does not answer"),
        (["--gguf", __file__], InputError, "--llama-server"),
    ],
)
def test_what_infill_server_refuses(argv, error, says):
    with pytest.raises(error, match=says):
        command.main(["infill-server", "--model", "nano", *argv])


def test_a_llama_server_with_another_file_is_refused():
    with server(lambda *_: (200, b'{"model_path": "/models/other.gguf"}')) as address:
        argv = ["--llama-server", f"http://127.0.0.1:{address.port}", "--gguf", __file__, "--model", "nano"]
        with pytest.raises(InputError, match=r"reads other\.gguf, not"):
            command.main(["infill-server", *argv])


HEAD = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
EVENT = b'2a\r\ndata: {"choices": [{"text": "a"}]}\n\n\r\n'


@pytest.mark.parametrize(
    ("said", "patience", "how", "n_events"),
    [
        (HEAD + EVENT + EVENT + b"data: [DONE]\n\n", streams.PATIENT, "ended", 2),
        (HEAD + EVENT + EVENT + EVENT, streams.Patience(n_events=2), "closed", 2),
        (HEAD + EVENT, streams.Patience(seconds=0.3), "closed", 1),
        (HEAD + EVENT, streams.PATIENT, "broken", 1),
        (HEAD + b"data: {no json\n\n", streams.PATIENT, "broken", 1),
        (b"HTTP/1.1 429 Too Many\r\n\r\n", streams.PATIENT, "refused", 0),
        (b"HTTP/1.1 500 Oh\r\n\r\n", streams.PATIENT, "broken", 0),
        (b"", streams.PATIENT, "broken", 0),
    ],
)
async def test_what_becomes_of_a_stream(said, patience, how, n_events):
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(said)
        if patience.seconds is not None:
            await reader.read()  # until the client goes
        writer.close()

    listening = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with listening:
        port = listening.sockets[0].getsockname()[1]
        found = await streams.follow(ServerAddress(host="127.0.0.1", port=port), {}, patience)
    assert (found.how, found.n_events) == (how, n_events)
    assert (found.first_ms is not None) == (EVENT in said)


async def test_a_server_that_is_not_there_breaks_a_stream():
    found = await streams.follow(ServerAddress(host="127.0.0.1", port=9), {})
    assert found.how == "broken"


def test_a_model_and_a_running_server_exclude_each_other():
    with pytest.raises(InputError, match="leave it out"):
        command.main(["streams", "--url", "http://127.0.0.1:8012", "--model", "nano"])


@pytest.fixture(scope="module")
def fake_engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerAddress]:
    """A real engine process with the fake model, on a free port."""
    folder = tmp_path_factory.mktemp("engine")
    home = find_home(environ={HOME_VARIABLE: str(folder)})
    launch = [sys.executable, "-P", str(FAKE_ENGINE), "--fake-log", str(folder / "fake.jsonl"), "--fake-step-ms", "0.2"]
    client = EngineClient(home, [*launch, "--detached", "--port", "0"])
    try:
        asyncio.run(client.ensure_running())
        info, token = running_info(home.info_file), read_token(home)
        assert info is not None and info.port is not None and token is not None
        yield ServerAddress(host="127.0.0.1", port=info.port, key=token)
    finally:
        asyncio.run(client.shutdown())


@pytest.mark.slow
@pytest.mark.parametrize("key", ["", "a-key-of-mine"])
def test_an_engine_of_its_own_lets_the_benchmark_in(key, monkeypatch):
    monkeypatch.setenv(KEY_VARIABLE, key)
    with served(find_model("nano"), threads=1) as address:
        health = ask(address, "GET", "/health")
        assert (health["model"], health["facts"]["threads"]) == ("nano", 1)
    with pytest.raises(EngineUnavailable):
        ask(address, "GET", "/health")


@pytest.mark.slow
def test_streams_that_are_closed_leave_no_job(fake_engine):
    plan = streams.StreamsPlan(n_streams=12, n_rounds=2, closed=0.5, n_tokens=8)
    found = streams.measure(fake_engine, plan)
    assert found["streams"] == 24 == found["ended"] + found["closed"]
    assert found["ended"] and found["closed"] and found["stuck"] == 0 and found["answers_after"]
    assert len(found["memory_mib"]) == 3 and found["first_ms"]["p50"] <= found["first_ms"]["p95"]


@pytest.mark.slow
def test_streams_through_the_command(fake_engine, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv(KEY_VARIABLE, fake_engine.key)
    file = tmp_path / "streams.json"
    url = f"http://127.0.0.1:{fake_engine.port}"
    argv = ["streams", "--url", url, "--streams", "8", "--rounds", "1", "--closed", "0", "--json", str(file)]
    assert command.main(argv) == 0
    result = json.loads(file.read_text())
    assert (result["ended"], result["stuck"], result["plan"]["model"]) == (8, 0, "fake")


@pytest.mark.slow
def test_a_wrong_key_is_said(fake_engine, monkeypatch):
    monkeypatch.setenv(KEY_VARIABLE, "not-the-key")
    with pytest.raises(EngineError, match="401: it wants another key"):
        command.main(["streams", "--url", f"http://127.0.0.1:{fake_engine.port}"])
