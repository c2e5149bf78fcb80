"""Ollama's dialect: requests as Continue, Zed, twinny, vim-ollama and Ollama's Python client send them, answers as
Ollama gives them."""

import asyncio
import json
from datetime import datetime

import pytest
from quicksilver.fim.types import ChatMessage, Completion, Sampling, TokenScore
from quicksilver.serving.api.call import MAX_ANSWER_TOKENS, ApiAnswer
from quicksilver.serving.api.ollama.answer import last_body
from quicksilver.serving.api.ollama.body import parse_chat, parse_generate
from quicksilver.serving.api.ollama.dialect import TEMPLATE
from quicksilver.serving.client.http import Endpoint, exchange

ENDED = {
    "done_reason": str, "total_duration": int, "load_duration": int, "prompt_eval_count": int,
    "prompt_eval_duration": int, "eval_count": int, "eval_duration": int,
}  # fmt: skip
PIECE = {"model": str, "created_at": str, "response": str, "done": bool}
ANSWER = PIECE | ENDED
CHAT_PIECE = {"model": str, "created_at": str, "message": dict, "done": bool}
DETAILS = {
    "parent_model": str, "format": str, "family": str, "families": list, "parameter_size": str,
    "quantization_level": str,
}  # fmt: skip

# Continue, `Ollama._getGenerateOptions` of a FIM request: what is undefined is not sent.
CONTINUE = {
    "model": "fake", "prompt": "def f():\n", "suffix": "\n\nf()\n", "raw": True,
    "options": {"temperature": 0.01, "num_predict": 96, "stop": ["/src/", "#- coding: utf-8", "```"], "num_ctx": 8_192},
    "keep_alive": 1_800, "stream": True,
}  # fmt: skip
# Zed @01b31d40, `Ollama::request_prediction`.
ZED = {
    "model": "fake", "prompt": "<fim_prefix>a<fim_suffix>b<fim_middle>", "raw": True, "stream": False,
    "options": {
        "num_predict": 64, "temperature": 0.2,
        "stop": [
            "<|endoftext|>", "<|file_separator|>", "<|fim_pad|>", "<|fim_prefix|>", "<|fim_middle|>", "<|fim_suffix|>",
            "<fim_prefix>", "<fim_middle>", "<fim_suffix>", "<PRE>", "<SUF>", "<MID>", "[PREFIX]", "[SUFFIX]",
        ],
    },
}  # fmt: skip
# twinny @286b7511, `createStreamRequestBodyFim`.
TWINNY = {
    "model": "fake", "prompt": "<PRE> a <SUF> b <MID>", "stream": True, "keep_alive": "5m",
    "options": {"temperature": 0.2, "num_predict": 512, "stop": ["<EOT>"]},
}  # fmt: skip
# vim-ollama @0236aa50, `generate_code_completion`.
VIM = {
    "model": "fake", "prompt": "<PRE> a <SUF>b <MID>", "stream": False, "raw": True,
    "options": {"temperature": 0, "top_p": 0.95},
}  # fmt: skip
# Zed's assistant, `ChatRequest`.
ZED_CHAT = {
    "model": "fake", "messages": [{"role": "system", "content": "Be short."}, {"role": "user", "content": "Hello"}],
    "stream": True, "keep_alive": -1, "tools": [], "think": None,
    "options": {"num_ctx": 4_096, "num_predict": None, "stop": [], "temperature": 1.0, "top_p": None},
}  # fmt: skip


async def ask(rig, target, value=None, method="POST"):
    body = value if isinstance(value, bytes) else b"" if value is None else json.dumps(value).encode()
    reply = await exchange(Endpoint(socket=rig.home.socket), method, target, body, timeout_s=30)
    return reply.status, reply.body


async def answer_to(rig, target, value=None, method="POST"):
    status, body = await ask(rig, target, value, method)
    assert status == 200, body
    return json.loads(body)


async def lines_to(rig, target, value):
    status, body = await ask(rig, target, value)
    assert status == 200 and body.endswith(b"\n")
    return [json.loads(line) for line in body.splitlines()]


def types_of(value: dict) -> dict:
    return {key: type(each) for key, each in value.items()}


def test_a_request_of_continue_is_understood():
    asked = parse_generate(json.dumps(CONTINUE).encode())
    request = asked.call.request
    assert (request.hole.prefix, request.hole.suffix) == (CONTINUE["prompt"], CONTINUE["suffix"])
    assert request.max_tokens == 96 and request.sampling is None  # as good as zero
    assert request.stop == tuple(CONTINUE["options"]["stop"])
    assert asked.call.stream and not asked.loads and not asked.chats


def test_a_request_of_vim_ollama_takes_the_likeliest_tokens():
    asked = parse_generate(json.dumps(VIM).encode())
    assert asked.call.request.sampling is None and asked.call.request.max_tokens is None
    assert not asked.call.stream


def test_what_is_not_sent_is_left_to_the_engine():
    asked = parse_generate(b'{"prompt": "a"}')
    request = asked.call.request
    assert (request.sampling, request.max_tokens, request.budget_ms, request.stop) == (None, None, None, ())
    assert asked.call.stream, "streams are the default"
    nothing = dict.fromkeys(("suffix", "options", "format", "images", "think", "stream", "keep_alive", "model"))
    assert parse_generate(json.dumps({"prompt": "a"} | nothing).encode()) == asked
    assert parse_generate(b'{"prompt": "a", "suffix": "", "format": "", "images": [], "think": false}') == asked


def test_options():
    sent = {"temperature": 0.8, "top_k": 40, "top_p": 0.9, "seed": 7, "num_predict": 5, "stop": "x", "mirostat": 2}
    request = parse_generate(json.dumps({"prompt": "a", "options": sent}).encode()).call.request
    assert request.sampling == Sampling(temperature=0.8, top_k=40, top_p=0.9, seed=7)
    assert (request.max_tokens, request.stop) == (5, ("x",))
    for n, expected in ((-1, None), (-2, None), (0, None), (10**12, MAX_ANSWER_TOKENS)):
        asked = parse_generate(json.dumps({"prompt": "a", "options": {"num_predict": n}}).encode())
        assert asked.call.request.max_tokens == expected


@pytest.mark.parametrize(("sent", "hole"), [(ZED, ("a", "b")), (TWINNY, ("a", " b")), (VIM, ("a", "b"))])
def test_marks_in_a_prompt_say_where_the_hole_is(sent, hole):
    for suffix in ({}, {"suffix": ""}):
        request = parse_generate(json.dumps(sent | suffix).encode()).call.request
        assert (request.hole.prefix, request.hole.suffix) == hole
    for other in ({"infilling_marks": False}, {"suffix": "s"}):
        request = parse_generate(json.dumps(sent | other).encode()).call.request
        assert request.hole.prefix == sent["prompt"]


def test_a_conversation_is_understood():
    asked = parse_chat(json.dumps(ZED_CHAT).encode())
    assert asked.call.request.messages == (
        ChatMessage(role="system", content="Be short."),
        ChatMessage(role="user", content="Hello"),
    )
    assert asked.chats and asked.call.stream and asked.call.request.sampling == Sampling(temperature=1.0)
    spoken = parse_chat(b'{"messages": [{"role": "Assistant", "content": null}]}').call.request.messages
    assert spoken == (ChatMessage(role="assistant", content=""),)


def test_durations_are_nanoseconds():
    completion = Completion(
        text="ab", range=(0, 0), confidence=0.5, finish_reason="length", steps=1, n_tokens=4, model="m", n_context=30,
        timings_ms={"prefill": 50.0, "denoise": 60.0, "verify": 20.0, "queue": 0.25},
    )  # fmt: skip
    tokens = (TokenScore(text="ab", log_prob=-0.5),)
    answer = ApiAnswer(index=0, text="ab", end_reason="length", stopped_by=None, completion=completion, tokens=tokens)
    found = last_body(parse_generate(b'{"prompt": "a", "logprobs": true}'), answer, "ab", 0.0)
    assert found["prompt_eval_duration"] == 50_000_000 and found["eval_duration"] == 80_000_000
    assert (found["load_duration"], found["eval_count"], found["prompt_eval_count"]) == (250_000, 4, 30)
    assert (found["done_reason"], found["logprobs"]) == ("length", [{"token": "ab", "logprob": -0.5}])
    assert found["model"] == "m:latest"


async def test_the_answer_has_the_shape_of_ollama(shared_rig):
    for sent in (ZED | {"options": {}}, VIM, CONTINUE | {"stream": False}):
        found = await answer_to(shared_rig, "/api/generate", sent)
        assert types_of(found) == ANSWER
        assert (found["model"], found["done"]) == ("fake", True)
        assert datetime.fromisoformat(found["created_at"]).utcoffset() is not None
        assert found["created_at"].endswith("Z")
    assert found["response"] == CONTINUE["suffix"] + CONTINUE["prompt"]
    assert found["done_reason"] == "stop" and found["total_duration"] > 0


async def test_zed_and_its_many_stop_texts(shared_rig):
    found = await answer_to(shared_rig, "/api/generate", ZED)
    assert types_of(found) == ANSWER


@pytest.mark.parametrize("sent", [CONTINUE, TWINNY, {"prompt": "é\ud800", "suffix": "b"}])
async def test_streams_are_lines_of_json(shared_rig, sent):
    *texts, last = await lines_to(shared_rig, "/api/generate", sent)
    assert all(types_of(each) == PIECE and not each["done"] for each in texts)
    assert types_of(last) == ANSWER and last["done"] and last["response"] == ""
    if "suffix" in sent:
        assert "".join(each["response"] for each in texts) == sent["suffix"] + sent["prompt"]


async def test_a_stream_says_what_it_is(shared_rig):
    reader, writer = await asyncio.open_unix_connection(str(shared_rig.home.socket))
    body = json.dumps(TWINNY).encode()
    writer.write(b"POST /api/generate HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
    head = await reader.readuntil(b"\r\n\r\n")
    writer.close()
    assert b"content-type: application/x-ndjson" in head.lower()


async def test_an_empty_prompt_loads_the_model(shared_rig):
    for sent in ({"model": "fake"}, {"model": "fake:latest", "prompt": "", "keep_alive": 0}):
        found = await answer_to(shared_rig, "/api/generate", sent)
        assert types_of(found) == PIECE | {"done_reason": str}
        assert (found["done"], found["done_reason"], found["response"]) == (True, "load", "")
    found = await answer_to(shared_rig, "/api/chat", {"model": "fake", "messages": []})
    assert types_of(found) == CHAT_PIECE | {"done_reason": str}
    assert found["message"] == {"role": "assistant", "content": ""} and found["done_reason"] == "load"


async def test_conversations(shared_rig):
    *texts, last = await lines_to(shared_rig, "/api/chat", ZED_CHAT)
    assert all(types_of(each) == CHAT_PIECE for each in texts)
    assert all(each["message"]["role"] == "assistant" for each in texts)
    assert "".join(each["message"]["content"] for each in texts).endswith("|user: Hello")
    assert types_of(last) == CHAT_PIECE | ENDED and last["message"] == {"role": "assistant", "content": ""}
    found = await answer_to(shared_rig, "/api/chat", ZED_CHAT | {"stream": False})
    assert types_of(found) == CHAT_PIECE | ENDED and found["message"]["content"].endswith("|user: Hello")
    status, body = await ask(shared_rig, "/api/chat", {"messages": [{"role": "user", "content": "raise-input"}]})
    assert status == 400 and json.loads(body) == {"error": "the fake does not like this"}


async def test_what_clients_ask_before(shared_rig):
    assert types_of(await answer_to(shared_rig, "/api/version", method="GET")) == {"version": str}
    entry = {"name": str, "model": str, "size": int, "digest": str, "details": dict}
    (listed,) = (await answer_to(shared_rig, "/api/tags", method="GET"))["models"]
    assert types_of(listed) == entry | {"modified_at": str} and types_of(listed["details"]) == DETAILS
    assert listed["name"] == listed["model"] == "fake:latest"
    (running,) = (await answer_to(shared_rig, "/api/ps", method="GET"))["models"]
    assert types_of(running) == entry | {"expires_at": str, "size_vram": int, "context_length": int}
    for method in ("GET", "HEAD"):
        status, body = await ask(shared_rig, "/", method=method)
        assert status == 200 and body.startswith(b"Ollama is running" if method == "GET" else b"")


async def test_show_says_that_the_model_infills(shared_rig):
    for sent in ({"name": "fake"}, {"model": "fake:latest"}, {"model": "fake", "verbose": True}):
        found = await answer_to(shared_rig, "/api/show", sent)
        assert types_of(found) == {
            "license": str, "modelfile": str, "parameters": str, "template": str, "details": dict, "model_info": dict,
            "capabilities": list, "modified_at": str,
        }  # fmt: skip
        assert found["template"] == TEMPLATE and ".Suffix" in TEMPLATE
        assert found["capabilities"] == ["completion", "insert"]
        assert found["model_info"]["general.basename"] == "fake"
        assert datetime.fromisoformat(found["modified_at"])


DEEP = b'{"prompt": "a", "options": ' + b'{"stop":[' * 10_000 + b"]}" * 10_000 + b"}"
BAD = [
    ("generate", b"", "not valid JSON"),
    ("generate", b"[1]", "must be an object"),
    ("generate", DEEP, "request"),
    ("generate", {"prompt": 1}, "request.prompt must be"),
    ("generate", {"prompt": ["a"]}, "request.prompt must be"),
    ("generate", CONTINUE | {"suffix": 1}, "request.suffix must be"),
    ("generate", CONTINUE | {"stream": "no"}, "request.stream must be true or false"),
    ("generate", CONTINUE | {"options": []}, "request.options must be"),
    ("generate", CONTINUE | {"options": {"temperature": "x"}}, "temperature must be a number"),
    ("generate", CONTINUE | {"options": {"temperature": 5}}, "temperature must be a number, at most 2"),
    ("generate", b'{"prompt": "a", "options": {"temperature": NaN}}', "NaN is not a number"),
    ("generate", b'{"prompt": "a", "options": {"top_p": 1e400}}', "finite"),
    ("generate", CONTINUE | {"options": {"top_p": 1.5}}, "top_p must be a number, at most 1"),
    ("generate", CONTINUE | {"options": {"num_predict": 10**30}}, "num_predict"),
    ("generate", CONTINUE | {"options": {"seed": 1.5}}, "seed must be"),
    ("generate", CONTINUE | {"options": {"stop": ["x"] * 17}}, "at most 16"),
    ("generate", CONTINUE | {"format": "json"}, "format is not supported"),
    ("generate", CONTINUE | {"format": {"type": "object"}}, "format is not supported"),
    ("generate", CONTINUE | {"images": ["aGk="]}, "images is not supported"),
    ("generate", CONTINUE | {"think": True}, "think is not supported"),
    ("generate", CONTINUE | {"think": "high"}, "think is not supported"),
    ("generate", CONTINUE | {"model": 1}, "request.model must be"),
    ("generate", CONTINUE | {"suffix": None, "prompt": "raise-input"}, "the fake does not like this"),
    ("chat", {"messages": "hello"}, "request.messages must be"),
    ("chat", {"messages": [{"content": "a"}]}, "role is missing"),
    ("chat", {"messages": [{"role": "tool", "content": "a"}]}, "role must be system, user or assistant"),
    ("chat", {"messages": [{"role": "user", "content": ["a"]}]}, "content must be"),
    ("chat", {"messages": [{"role": "user", "content": "a", "images": ["aGk="]}]}, "images is not supported"),
    ("chat", {"messages": [{"role": "user", "content": "a"}] * 300}, "at most 256 messages"),
    ("chat", ZED_CHAT | {"tools": [{"type": "function"}]}, "tools is not supported"),
    ("show", {}, "model is required"),
    ("show", {"model": 1}, "request.model must be"),
]


@pytest.mark.parametrize(("target", "value", "words"), BAD)
async def test_a_bad_request_is_told_in_ollamas_shape(shared_rig, target, value, words):
    status, body = await ask(shared_rig, f"/api/{target}", value)
    error = json.loads(body)
    assert status == 400 and set(error) == {"error"}
    assert words in error["error"] and "\n" not in error["error"]


@pytest.mark.parametrize("name", ["gpt-9", "llama3:8b", "\ud800"])
async def test_an_unknown_model_is_a_404(shared_rig, name):
    for target, sent in (("generate", CONTINUE), ("chat", ZED_CHAT), ("show", {})):
        status, body = await ask(shared_rig, f"/api/{target}", sent | {"model": name})
        assert status == 404 and "serves" in json.loads(body)["error"]


async def test_a_failure_is_told_and_the_engine_goes_on(shared_rig):
    for stream in (True, False):
        status, body = await ask(shared_rig, "/api/generate", {"prompt": "raise-bug", "stream": stream})
        assert status == 500 and set(json.loads(body)) == {"error"}
    assert (await answer_to(shared_rig, "/health", method="GET"))["n_jobs"] == 0


async def test_models_are_not_changed_over_http(shared_rig):
    for target in ("pull", "push", "create", "copy", "delete", "embed", "embeddings"):
        status, body = await ask(shared_rig, f"/api/{target}", {"model": "fake"})
        assert status == 501 and set(json.loads(body)) == {"error"}
    assert (await ask(shared_rig, "/api/delete", {"model": "fake"}, method="DELETE"))[0] == 501
