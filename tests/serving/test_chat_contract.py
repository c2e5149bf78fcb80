"""OpenAI's chat dialect field by field."""

import json

import pytest

from .dialects import BAD_BYTES, BAD_FIELDS, assert_error, events_of, get, post_json, shape_of

ADDRESS = "/v1/chat/completions"
ENVELOPE = {"id": "text", "object": "text", "created": "count", "model": "text", "system_fingerprint": "text"}
USAGE = {"prompt_tokens": "count", "completion_tokens": "count", "total_tokens": "count"}
MESSAGE = {"role": "text", "content": "text", "refusal": "null"}
SCORE = {"token": "text", "logprob": "number", "bytes": ["count"]}
LOG_PROBS = {"content": [SCORE | {"top_logprobs": [SCORE]}], "refusal": "null"}
HELLO = [{"role": "user", "content": "hello"}]


def choice(log_probs: object = "null") -> dict[str, object]:
    return {"index": "count", "message": MESSAGE, "logprobs": log_probs, "finish_reason": "text"}


def chunk_choice(delta: dict, end: str = "null", log_probs: object = "null") -> dict[str, object]:
    return {"index": "count", "delta": delta, "logprobs": log_probs, "finish_reason": end}


async def test_the_answer(shared_rig):
    found = await post_json(shared_rig, ADDRESS, {"model": "fake", "messages": HELLO})
    assert shape_of(found) == ENVELOPE | {"choices": [choice()], "usage": USAGE}
    assert found["object"] == "chat.completion" and found["id"].startswith("chatcmpl-")
    message = {"role": "assistant", "content": "user: hello", "refusal": None}
    assert found["choices"][0]["message"] == message


async def test_the_stream(shared_rig):
    first, *middle, last = await events_of(shared_rig, ADDRESS, {"messages": HELLO})
    assert shape_of(first) == ENVELOPE | {"choices": [chunk_choice({"role": "text", "content": "text"})]}
    assert first["choices"][0]["delta"] == {"role": "assistant", "content": ""}
    assert all(shape_of(each) == ENVELOPE | {"choices": [chunk_choice({"content": "text"})]} for each in middle)
    assert shape_of(last) == ENVELOPE | {"choices": [chunk_choice({}, end="text")]}
    assert "".join(each["choices"][0]["delta"]["content"] for each in middle) == "user: hello"
    assert {each["object"] for each in (first, *middle, last)} == {"chat.completion.chunk"}


async def test_the_usage_of_a_stream_is_a_chunk_of_its_own(shared_rig):
    chunks = await events_of(shared_rig, ADDRESS, {"messages": HELLO, "stream_options": {"include_usage": True}})
    assert all(chunk["usage"] is None for chunk in chunks[:-1])
    assert shape_of(chunks[-1]) == ENVELOPE | {"choices": [], "usage": USAGE}


async def test_the_canvas_of_a_stream(shared_rig):
    first, *frames, last = await events_of(
        shared_rig, ADDRESS, {"messages": HELLO, "diffusing": True, "max_completion_tokens": 1}
    )
    assert first["choices"][0]["delta"]["role"] == "assistant"
    assert all(set(each["choices"][0]) == {*chunk_choice({}), "canvas"} for each in frames)
    assert last["choices"][0]["delta"] == {"content": "user: hello"}


async def test_log_probabilities(shared_rig):
    asked = {"messages": HELLO, "logprobs": True, "top_logprobs": 0, "stop": ":"}
    found = await post_json(shared_rig, ADDRESS, asked)
    assert shape_of(found["choices"][0]) == choice(LOG_PROBS)
    assert [each["token"] for each in found["choices"][0]["logprobs"]["content"]] == list("user")
    chunks = await events_of(shared_rig, ADDRESS, asked)
    assert shape_of(chunks[-1]["choices"][0]) == chunk_choice({}, "text", LOG_PROBS)


async def test_several_answers(shared_rig):
    asked = {"messages": HELLO, "n": 2, "temperature": 1}
    found = await post_json(shared_rig, ADDRESS, asked)
    assert [each["index"] for each in found["choices"]] == [0, 1]
    chunks = [chunk["choices"][0] for chunk in await events_of(shared_rig, ADDRESS, asked)]
    for index in range(2):
        mine = [chunk for chunk in chunks if chunk["index"] == index]
        assert "role" in mine[0]["delta"] and mine[-1]["finish_reason"] == "stop"


async def test_all_roles_and_parts(shared_rig):
    messages = [
        {"role": "developer", "content": "a", "name": "x"},
        {"role": "system", "content": [{"type": "text", "text": "b"}, {"type": "text", "text": "c"}]},
        {"role": "assistant", "content": None, "tool_calls": []},
        {"role": "user", "content": "\ud800"},
    ]
    found = await post_json(shared_rig, ADDRESS, {"messages": messages})
    expected = "system: a|system: bc|assistant: |user: \ud800"
    assert found["choices"][0]["message"]["content"] == expected


async def test_what_is_ignored(shared_rig):
    nulls = dict.fromkeys(
        ("model", "max_tokens", "max_completion_tokens", "temperature", "top_p", "seed", "stop", "stream",
         "stream_options", "diffusing", "n", "logprobs", "top_logprobs", "tools", "functions", "response_format")
    )  # fmt: skip
    more = {
        "user": "me",
        "tool_choice": "auto",
        "store": False,
        "presence_penalty": 1,
        "logit_bias": {},
        "nextEdit": True,
    }
    for asked in (nulls, more, {"response_format": {"type": "text"}, "tools": [], "functions": []}):
        assert (await post_json(shared_rig, ADDRESS, {"messages": HELLO} | asked))["choices"]


async def test_models(shared_rig):
    reply = await get(shared_rig, f"{ADDRESS}/models")
    assert reply.status == 200 and [each["id"] for each in json.loads(reply.body)["data"]] == ["fake"]


def message(**fields):
    return {"messages": [{"role": "user", "content": "a"} | fields]}


@pytest.mark.parametrize(
    ("value", "words"),
    [
        *BAD_BYTES,
        *((json.dumps(message())[:-1].encode() + b", " + field + b"}", words) for field, words in BAD_FIELDS),
        ({}, "request.messages is missing"),
        ({"messages": []}, "at least one message"),
        ({"messages": "a"}, "request.messages must be a list"),
        ({"messages": ["a"]}, "request.messages[0] must be an object"),
        ({"messages": [{"content": "a"}]}, "request.messages[0].role is missing"),
        ({"messages": HELLO * 300}, "at most 256 messages"),
        (message(role="tool"), "messages[0].role must be system, developer, user or assistant"),
        (message(role="function"), "messages[0].role must be"),
        (message(role=1), "messages[0].role must be a string"),
        (message(content=None), "messages[0].content is missing"),
        (message(content=1), "messages[0].content must be"),
        (message(content=[{"type": "image_url", "image_url": {"url": "x"}}]), "only parts of the type text"),
        (message(content=[{"type": "text"}]), "only parts of the type text, with a text"),
        (message(content=[{}]), "content[0].type is missing"),
        (message(tool_calls=[{"id": "x"}]), "tools are not supported"),
        (message() | {"tools": [{"type": "function"}]}, "tools are not supported"),
        (message() | {"functions": [{}]}, "tools are not supported"),
        (message() | {"response_format": {"type": "json_object"}}, "response_format must be of the type text"),
        (message() | {"n": 1_000}, "1 to 16 answers"),
        (message() | {"n": 0}, "request.n must be"),
        (message() | {"top_logprobs": 21}, "top_logprobs must be"),
        (message() | {"logprobs": 1}, "logprobs must be true or false"),
        (message() | {"max_completion_tokens": 0}, "max_completion_tokens must be"),
        (message(content="raise-input"), "the fake does not like this"),
        (message(content="raise-input") | {"stream": True}, "the fake does not like this"),
    ],
)  # fmt: skip
async def test_bad_input(shared_rig, value, words):
    await assert_error(shared_rig, ADDRESS, value, 400, words)


async def test_unknown_model(shared_rig):
    await assert_error(shared_rig, ADDRESS, message() | {"model": "gpt-9"}, 404, "serves fake")
