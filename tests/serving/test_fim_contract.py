"""Mistral's and Inception's dialect field by field: one answer for both kinds of clients."""

import json

import pytest

from .dialects import BAD_BYTES, BAD_FIELDS, assert_error, events_of, get, post_json, shape_of

ADDRESS = "/v1/fim/completions"
ENVELOPE = {"id": "text", "object": "text", "created": "count", "model": "text", "system_fingerprint": "text"}
USAGE = dict.fromkeys(
    ("prompt_tokens", "completion_tokens", "total_tokens", "reasoning_tokens", "cached_input_tokens"), "count"
)
MESSAGE = {"role": "text", "content": "text"}


def chunk_choice(end: str = "null") -> dict[str, object]:
    return {"index": "count", "text": "text", "delta": MESSAGE, "finish_reason": end}


@pytest.mark.parametrize("address", [ADDRESS, "/fim/completions"])
async def test_the_answer(shared_rig, address):
    found = await post_json(shared_rig, address, {"model": "fake", "prompt": "ab", "suffix": "cd"})
    choice = {"index": "count", "text": "text", "message": MESSAGE, "finish_reason": "text"}
    assert shape_of(found) == ENVELOPE | {"choices": [choice], "usage": USAGE}
    assert found["object"] == "chat.completion" and found["usage"]["cached_input_tokens"] == 5
    (only,) = found["choices"]
    assert only["text"] == only["message"]["content"] == "cdab" and only["message"]["role"] == "assistant"


async def test_the_stream(shared_rig):
    chunks = await events_of(shared_rig, ADDRESS, {"prompt": "ab", "suffix": "cd", "stream_options": {}})
    assert all(shape_of(chunk) == ENVELOPE | {"choices": [chunk_choice()]} for chunk in chunks[:-1])
    assert shape_of(chunks[-1]) == ENVELOPE | {"choices": [chunk_choice("text")], "usage": USAGE}
    assert {chunk["object"] for chunk in chunks} == {"chat.completion.chunk"}
    for read in (lambda choice: choice["text"], lambda choice: choice["delta"]["content"]):
        assert "".join(read(chunk["choices"][0]) for chunk in chunks) == "cdab"


async def test_the_canvas_of_a_stream(shared_rig):
    chunks = await events_of(shared_rig, ADDRESS, {"prompt": "ab", "suffix": "cd", "diffusing": True, "max_tokens": 1})
    assert all(set(chunk["choices"][0]) == {*chunk_choice(), "canvas"} for chunk in chunks[:-1])
    assert all(chunk["choices"][0]["text"] == chunk["choices"][0]["delta"]["content"] for chunk in chunks)
    assert "canvas" not in chunks[-1]["choices"][0] and chunks[-1]["choices"][0]["text"] == "cdab"


async def test_everything_that_clients_send(shared_rig):
    mistral = {
        "model": "quicksilver", "prompt": "ab", "suffix": "cd", "temperature": 0.7, "top_p": 1, "max_tokens": 64,
        "min_tokens": 0, "stop": "d", "random_seed": 0, "metadata": {"a": 1}, "prompt_cache_key": "x", "stream": False,
    }  # fmt: skip
    assert (await post_json(shared_rig, ADDRESS, mistral))["choices"][0]["text"] == "c"
    inception = {
        "model": "quicksilver", "prompt": "ab", "suffix": "cd", "max_tokens": 512, "presence_penalty": 1.5,
        "frequency_penalty": 0, "repetition_penalty": 1, "top_k": -1, "top_p": 1.0, "stop": ["\n\n", "\n \n"],
        "diffusing": False, "seed": 7,
    }  # fmt: skip
    assert (await post_json(shared_rig, ADDRESS, inception))["choices"][0]["text"] == "cdab"
    assert (await post_json(shared_rig, ADDRESS, inception | {"top_k": 1_000, "temperature": 1}))["choices"]
    nulls = dict.fromkeys((*mistral, *inception)) | {"prompt": "a"}
    assert (await post_json(shared_rig, ADDRESS, nulls))["choices"][0]["text"] == "a"


async def test_no_stop_is_set_unasked(shared_rig):
    assert (await post_json(shared_rig, ADDRESS, {"prompt": "a\n\nb"}))["choices"][0]["text"] == "a\n\nb"


async def test_marks_are_read_and_the_language_is_guessed(shared_rig):
    prompt = "[SUFFIX]s[PREFIX]+++++ a.go\nx\n\n+++++ b.rs\nshow:"
    found = await post_json(shared_rig, ADDRESS, {"prompt": prompt})
    assert json.loads(found["choices"][0]["text"]) == ["show:", "s", "rust", "b.rs", ["// a.go\nx"]]
    assert (await post_json(shared_rig, ADDRESS, {"prompt": prompt, "suffix": ""}))["choices"][0]["text"] == prompt


async def test_models(shared_rig):
    reply = await get(shared_rig, f"{ADDRESS}/models")
    assert reply.status == 200 and [each["id"] for each in json.loads(reply.body)["data"]] == ["fake"]


@pytest.mark.parametrize(
    ("value", "words"),
    [
        *BAD_BYTES,
        *((b'{"prompt": "a", ' + field + b"}", words) for field, words in BAD_FIELDS),
        ({}, "request.prompt is missing"),
        ({"prompt": ["a"]}, "request.prompt must be a string"),
        ({"prompt": "a", "suffix": 1}, "request.suffix must be a string"),
        ({"prompt": "a", "top_k": 0}, "top_k must be -1"),
        ({"prompt": "a", "top_k": 1_001}, "top_k must be a whole number, at most 1000"),
        ({"prompt": "a", "top_k": -2}, "top_k must be a whole number"),
        ({"prompt": "a", "random_seed": "a"}, "random_seed must be a whole number"),
        ({"prompt": "raise-input"}, "the fake does not like this"),
        ({"prompt": "raise-input", "stream": True}, "the fake does not like this"),
    ],
)  # fmt: skip
async def test_bad_input(shared_rig, value, words):
    await assert_error(shared_rig, ADDRESS, value, 400, words)


async def test_odd_texts_are_answered(shared_rig):
    assert (await post_json(shared_rig, ADDRESS, {"prompt": "\ud800"}))["choices"][0]["text"] == "\ud800"
    await assert_error(shared_rig, ADDRESS, {"prompt": "a", "model": "codestral-latest"}, 404, "serves fake")
