"""The HTTP API of a real engine process, over its UNIX socket and over TCP."""

import asyncio
import http.client
import json

import pytest
from quicksilver.fim.errors import EngineError, InputError
from quicksilver.serving.bounds import JUMP_CHARS, MAX_SIDE_CHARS
from quicksilver.serving.client.http import Endpoint, exchange
from quicksilver.serving.paths import EngineHome, EngineInfo, read_info
from quicksilver.serving.wire import MAX_BODY_BYTES


def engine_info(home: EngineHome) -> EngineInfo:
    info = read_info(home.info_file)
    assert info is not None
    return info


async def post(rig, value, target="/v1/completions", endpoint=None):
    body = value if isinstance(value, bytes) else json.dumps(value).encode()
    return await exchange(endpoint or Endpoint(socket=rig.home.socket), "POST", target, body, timeout_s=30)


def tcp(rig):
    info = engine_info(rig.home)
    assert info.port is not None
    return Endpoint(port=info.port, token=rig.home.token_file.read_text())


async def test_health(shared_rig):
    reply = await exchange(Endpoint(socket=shared_rig.home.socket), "GET", "/health", timeout_s=30)
    health = json.loads(reply.body)
    assert reply.status == 200
    assert health["status"] == "ok"
    assert (await exchange(Endpoint(socket=shared_rig.home.socket), "GET", "/v1/health", timeout_s=30)).status == 200
    assert health["model"] == "fake"
    assert health["facts"] == {"device": "none", "parameters": 0}
    assert health["version"] == shared_rig.home.version
    assert [health["pid"]] == [process.pid for process in shared_rig.processes()]
    assert health["uptime_s"] > 0


async def test_models(shared_rig):
    reply = await exchange(Endpoint(socket=shared_rig.home.socket), "GET", "/v1/models", timeout_s=30)
    found = json.loads(reply.body)
    assert found["object"] == "list"
    assert [(entry["id"], entry["object"]) for entry in found["data"]] == [("fake", "model")]


async def test_completion_has_the_shape_of_openai(shared_rig):
    asked = {"model": "fake", "prompt": "ab", "suffix": "cd", "max_tokens": 8, "temperature": 0.2, "n": 1, "top_p": 1}
    reply = await post(shared_rig, asked)
    found = json.loads(reply.body)
    assert reply.status == 200
    assert found["id"].startswith("cmpl-")
    assert found["object"] == "text_completion"
    assert isinstance(found["created"], int)
    assert found["model"] == "fake"
    assert found["choices"] == [{"text": "cdab", "index": 0, "logprobs": None, "finish_reason": "stop"}]
    assert found["usage"] == {"prompt_tokens": 7, "completion_tokens": 4, "total_tokens": 11}


async def test_stop_strings_end_the_text(shared_rig):
    for stop, text in (("cd", "ab"), (["x", "d", "c"], "ab"), (["nowhere"], "abcd"), (None, "abcd")):
        found = json.loads((await post(shared_rig, {"prompt": "cd", "suffix": "ab", "stop": stop})).body)
        assert found["choices"][0]["text"] == text


async def test_streaming_ends_with_done(shared_rig):
    asked = {"prompt": "b", "suffix": "é\ud800", "stream": True, "stream_options": {"include_usage": True}}
    reply = await post(shared_rig, asked)
    events = reply.body.decode("ascii").split("\n\n")
    assert events[-2:] == ["data: [DONE]", ""]
    chunks = [json.loads(event.removeprefix("data: ")) for event in events[:-2]]
    assert "".join(choice["text"] for chunk in chunks for choice in chunk["choices"]) == "é\ud800b"
    reasons = [choice["finish_reason"] for chunk in chunks for choice in chunk["choices"]]
    assert len(reasons) == 4 and reasons[:-1] == [None] * 3 and reasons[-1] == "stop"
    assert chunks[-1]["usage"]["completion_tokens"] == 3
    assert len({chunk["id"] for chunk in chunks}) == 1


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (b"{", "not valid JSON"),
        (b"[1]", "must be an object"),
        ({}, "request.prompt is missing"),
        ({"prompt": 1}, "request.prompt must be a string"),
        ({"prompt": ["a", "b"]}, "request.prompt must be one string"),
        ({"prompt": [1, 2]}, "request.prompt must be a string: token ids"),
        ({"prompt": "a", "n": 0}, "request.n must be a whole number, at least 1"),
        ({"prompt": "a", "n": 1_000}, "1 to 16 answers"),
        ({"prompt": "a", "n": 2, "best_of": 1}, "best_of must be at least n"),
        ({"prompt": "a", "logprobs": 6}, "request.logprobs must be a whole number, at most 5"),
        ({"prompt": "a", "top_p": 1.5}, "top_p must be a number, at most 1"),
        ({"prompt": "a", "max_tokens": 10**9}, "1 to 131072 tokens"),
        ({"prompt": "a", "max_tokens": 10**30}, "1 to 131072 tokens"),
        ({"prompt": "a", "max_tokens": 0}, "max_tokens must be a whole number, at least 1"),
        ({"prompt": "a", "max_tokens": -4}, "max_tokens must be a whole number, at least 1"),
        ({"prompt": "a", "temperature": 3}, "temperature must be a number, at most 2"),
        (b'{"prompt": "a", "temperature": NaN}', "NaN is not a number"),
        ({"prompt": "a", "stop": ""}, "empty string"),
        ({"prompt": "a", "stream": "yes"}, "request.stream must be true or false"),
        ({"prompt": "raise-input"}, "the fake does not like this"),
    ],
)
async def test_bad_completion_request_is_a_400(shared_rig, value, words):
    reply = await post(shared_rig, value)
    error = json.loads(reply.body)["error"]
    assert reply.status == 400
    assert words in error["message"]
    assert error["type"] == "invalid_request_error"
    assert set(error) == {"message", "type", "param", "code"}


async def test_bad_fill_request_is_a_400(shared_rig):
    for body in (b"nonsense", b'{"hole": {}}', b'{"unknown": 1}'):
        reply = await post(shared_rig, body, "/v1/fill")
        assert reply.status == 400
        assert json.loads(reply.body)["error"]["message"]


async def test_unknown_model_is_a_404(shared_rig):
    reply = await post(shared_rig, {"prompt": "a", "model": "gpt-9"})
    assert reply.status == 404
    assert json.loads(reply.body)["error"]["code"] == "model_not_found"
    assert (await post(shared_rig, {"prompt": "a", "model": "quicksilver"})).status == 200


async def test_unknown_address_and_method(shared_rig):
    assert (await post(shared_rig, {}, "/nowhere")).status == 404
    reply = await exchange(Endpoint(socket=shared_rig.home.socket), "GET", "/v1/completions", timeout_s=30)
    assert reply.status == 405
    assert json.loads(reply.body)["error"]["type"] == "invalid_request_error"


async def test_failure_is_a_500_and_the_log_has_no_source_text(shared_rig, ask):
    client = shared_rig.client()
    with pytest.raises(EngineError, match="RuntimeError"):
        await client.complete(ask("raise-bug", "hunter2"))
    with pytest.raises(EngineError):
        await client.complete(ask("NaN"))  # an answer that cannot be sent
    log = shared_rig.home.log_file.read_text()
    assert "in begin" in log  # the traceback
    assert "hunter2" not in log
    assert (await client.complete(ask("still there"))).text == "still there"


async def test_metrics_count_what_happened_and_hold_no_source_text(shared_rig, ask):
    client = shared_rig.client()
    await client.complete(ask("hunter2 = ", "", n_steps=3))
    reply = await exchange(Endpoint(socket=shared_rig.home.socket), "GET", "/metrics", timeout_s=30)
    assert reply.status == 200
    numbers = reply.body.decode()
    assert 'quicksilver_completions_total{reason="stop",source="denoiser"}' in numbers
    assert "quicksilver_forward_requests_bucket" in numbers
    assert 'quicksilver_completion_seconds_count{part="queue"}' in numbers
    assert "hunter2" not in numbers


async def test_whole_request_there_and_back(shared_rig, ask):
    client = shared_rig.client()
    prefix = "déf \ud83d\ud800😀\x00\r\n"
    completion = await client.complete(ask(prefix, "\udfff", trace=True, path="a/b.py", snippets=("s",)))
    assert completion.text == "\udfff" + prefix
    assert completion.range == (len(prefix), len(prefix))
    assert completion.trace[0].cells[0].text == completion.text
    assert completion.timings_ms["queue"] >= 0
    with pytest.raises(InputError, match="does not like"):
        await client.complete(ask("raise-input"))


async def test_body_may_be_large_but_not_endless(shared_rig, ask):
    client = shared_rig.client()
    line = "x" * 5_000_000  # what is far from the hole is left out
    assert MAX_SIDE_CHARS - JUMP_CHARS <= (await client.complete(ask(line))).n_tokens <= MAX_SIDE_CHARS
    with pytest.raises(InputError, match="8 MiB"):
        await client.complete(ask("x" * MAX_BODY_BYTES))
    status, error = plain_request(shared_rig, {"Content-Length": str(MAX_BODY_BYTES + 1)})
    assert (status, error["type"]) == (413, "invalid_request_error")


async def test_chunked_body_is_capped_too(shared_rig):
    reader, writer = await asyncio.open_unix_connection(str(shared_rig.home.socket))
    writer.write(b"POST /v1/fill HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n")
    block = b"%x\r\n%s\r\n" % (2**20, b" " * 2**20)
    for _ in range(MAX_BODY_BYTES // 2**20):
        writer.write(block)
    writer.write(b"1\r\n \r\n")  # one byte too many, and no end
    async with asyncio.timeout(30):
        assert (await reader.readline()).startswith(b"HTTP/1.1 413")
    writer.transport.abort()


def plain_request(rig, headers, target="/v1/completions"):
    """POST without a body, with exactly these headers on top of the token; (status, error)."""
    endpoint = tcp(rig)
    connection = http.client.HTTPConnection("127.0.0.1", endpoint.port, timeout=30)
    try:
        connection.putrequest("POST", target, skip_host="Host" in headers)
        for name, value in {"Authorization": f"Bearer {endpoint.token}", **headers}.items():
            connection.putheader(name, value)
        connection.endheaders()
        response = connection.getresponse()
        return response.status, json.loads(response.read())["error"]
    finally:
        connection.close()


async def test_tcp_needs_the_token(shared_rig):
    assert (await post(shared_rig, {"prompt": "a"}, endpoint=tcp(shared_rig))).status == 200
    for token in ("", "wrong", "é"):
        status, error = plain_request(shared_rig, {"Authorization": f"Bearer {token}".encode()})
        assert (status, error["code"]) == (401, "invalid_api_key")
    for target in ("/health", "/v1/shutdown", "/nowhere"):
        status, _ = plain_request(shared_rig, {"Authorization": ""}, target)
        assert status == 401


def test_tcp_takes_the_token_of_other_clients(shared_rig):
    status, error = plain_request(shared_rig, {"Content-Length": "0"})
    assert (status, error["type"]) == (400, "invalid_request_error")  # past the guard; the body is missing


@pytest.mark.parametrize("given", ["", "0" * 64, "é"])
def test_tcp_takes_no_proof_without_a_challenge(shared_rig, given):
    status, _ = plain_request(shared_rig, {"Authorization": f"Quicksilver {given}".encode()})
    assert status == 401


@pytest.mark.parametrize("host", ["evil.example", "evil.example:80", "127.0.0.1.evil.example", ""])
async def test_tcp_needs_a_loopback_name(shared_rig, host):
    status, error = plain_request(shared_rig, {"Host": host})
    assert (status, error["code"]) == (403, "forbidden")


async def test_tcp_accepts_loopback_names(shared_rig):
    port = engine_info(shared_rig.home).port
    for host in (f"localhost:{port}", "127.0.0.1", f"[::1]:{port}", "LOCALHOST"):
        status, error = plain_request(shared_rig, {"Host": host, "Content-Length": "0"})
        assert (status, error["type"]) == (400, "invalid_request_error")  # past the guard; the body is missing
