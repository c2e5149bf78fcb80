"""OpenAI's dialect field by field: what a request may hold, what an answer holds, and how errors look."""

import asyncio
import json

import pytest

from .dialects import BAD_BYTES, BAD_FIELDS, assert_error, events_of, get, post, post_json, shape_of

ADDRESS = "/v1/completions"
USAGE = {"prompt_tokens": "count", "completion_tokens": "count", "total_tokens": "count"}
ENVELOPE = {"id": "text", "object": "text", "created": "count", "model": "text", "system_fingerprint": "text"}
LOG_PROBS = {
    "tokens": ["text"],
    "token_logprobs": ["number"],
    "top_logprobs": [{"c": "number"}],
    "text_offset": ["count"],
}
MARKED = "<|fim_prefix|>a<|fim_suffix|>bc<|fim_middle|>"


def choice(log_probs: object = "null", end: str = "text") -> dict[str, object]:
    return {"text": "text", "index": "count", "logprobs": log_probs, "finish_reason": end}


@pytest.mark.parametrize("address", [ADDRESS, "/beta/completions"])
async def test_the_answer(shared_rig, address):
    found = await post_json(shared_rig, address, {"model": "fake", "prompt": "ab", "suffix": "cd"})
    assert shape_of(found) == ENVELOPE | {"choices": [choice()], "usage": USAGE}
    assert (found["object"], found["system_fingerprint"]) == ("text_completion", "quicksilver-fake")
    assert found["choices"][0]["text"] == "cdab"


async def test_the_stream(shared_rig):
    chunks = await events_of(shared_rig, ADDRESS, {"prompt": "ab", "suffix": "cd"})
    assert all(shape_of(chunk) == ENVELOPE | {"choices": [choice(end="null")]} for chunk in chunks[:-1])
    assert shape_of(chunks[-1]) == ENVELOPE | {"choices": [choice()]}
    assert "".join(chunk["choices"][0]["text"] for chunk in chunks) == "cdab"
    assert len({chunk["id"] for chunk in chunks}) == 1


async def test_the_usage_of_a_stream_is_a_chunk_of_its_own(shared_rig):
    asked = {"prompt": "ab", "stream_options": {"include_usage": True, "other": 1}}
    chunks = await events_of(shared_rig, ADDRESS, asked)
    assert all(chunk["usage"] is None for chunk in chunks[:-1])
    assert shape_of(chunks[-1]) == ENVELOPE | {"choices": [], "usage": USAGE}
    chunks = await events_of(shared_rig, ADDRESS, {"prompt": "ab", "stream_options": {"include_usage": None}})
    assert all("usage" not in chunk for chunk in chunks)


async def test_a_stream_that_begins_while_the_model_loads_names_it(rig):
    starting = asyncio.create_task(rig.client("--fake-load-ms", "1500").ensure_running())
    async with asyncio.timeout(30):
        while not rig.home.socket.exists():
            await asyncio.sleep(0.01)
    chunks = await events_of(rig, ADDRESS, {"prompt": "ab", "model": "any", "stream_options": {"include_usage": True}})
    assert {chunk["model"] for chunk in chunks} == {"fake"}
    assert (await starting).status == "ready"


async def test_the_canvas_of_a_stream(shared_rig):
    chunks = await events_of(shared_rig, ADDRESS, {"prompt": "ab", "suffix": "cd", "diffusing": True, "max_tokens": 1})
    canvas = {
        "step": "count",
        "elapsed_ms": "number",
        "cells": [{"text": "text", "state": "text", "confidence": "number"}],
    }
    assert all(shape_of(chunk["choices"][0]) == choice(end="null") | {"canvas": canvas} for chunk in chunks[:-1])
    states = {cell["state"] for chunk in chunks[:-1] for cell in chunk["choices"][0]["canvas"]["cells"]}
    assert states == {"settled", "provisional", "masked"}
    assert chunks[-1]["choices"][0] == {"text": "cdab", "index": 0, "logprobs": None, "finish_reason": "stop"}


async def test_log_probabilities(shared_rig):
    asked = {"prompt": "ab", "suffix": "cd", "logprobs": 0}
    found = await post_json(shared_rig, ADDRESS, asked)
    assert shape_of(found["choices"][0]) == choice(LOG_PROBS)
    assert found["choices"][0]["logprobs"]["text_offset"] == [0, 1, 2, 3]
    chunks = await events_of(shared_rig, ADDRESS, asked)
    assert shape_of(chunks[-1]["choices"][0]) == choice(LOG_PROBS)
    found = await post_json(shared_rig, ADDRESS, asked | {"echo": True, "stop": "a"})
    assert found["choices"][0]["text"] == "abcd"
    assert found["choices"][0]["logprobs"]["text_offset"] == [2, 3]


async def test_several_answers(shared_rig):
    asked = {"prompt": "ab", "n": 3}
    texts = ["ab", "other 0", "other 1"]
    found = await post_json(shared_rig, ADDRESS, asked)
    assert [(each["index"], each["text"]) for each in found["choices"]] == list(enumerate(texts))
    found = await post_json(shared_rig, ADDRESS, asked | {"temperature": 1, "seed": 10**30, "best_of": 3})
    assert [(each["index"], each["text"]) for each in found["choices"]] == [(0, "ab"), (1, "ab"), (2, "ab")]
    for extra, expected in (({}, texts), ({"temperature": 1}, ["ab"] * 3)):
        chunks = await events_of(shared_rig, ADDRESS, asked | extra)
        for index in range(3):
            mine = [each["choices"][0] for each in chunks if each["choices"][0]["index"] == index]
            assert "".join(each["text"] for each in mine) == expected[index]
            assert [each["finish_reason"] is None for each in mine] == [True] * (len(mine) - 1) + [False]


async def test_an_echo(shared_rig):
    assert (await post_json(shared_rig, ADDRESS, {"prompt": "ab", "echo": True}))["choices"][0]["text"] == "abab"
    chunks = await events_of(shared_rig, ADDRESS, {"prompt": "ab", "echo": True})
    assert "".join(chunk["choices"][0]["text"] for chunk in chunks) == "abab"


async def test_what_is_ignored(shared_rig):
    asked = {
        "prompt": ["ab"], "user": "me", "logit_bias": {"50256": -100}, "presence_penalty": 1.5, "frequency_penalty": 0,
        "repetition_penalty": 1, "min_p": 0.1, "keep_alive": 1800, "unknown": [{}],
    }  # fmt: skip
    asked |= dict.fromkeys(
        ("suffix", "stop", "n", "echo", "logprobs", "max_tokens", "temperature", "top_p", "seed", "model", "stream",
         "stream_options", "best_of", "language", "path", "budget_ms", "diffusing", "infilling_marks")
    )  # fmt: skip
    assert (await post_json(shared_rig, ADDRESS, asked))["choices"][0]["text"] == "ab"


async def shown(rig, prompt: str, **rest):
    """What became of a request: prefix, suffix, language, path, snippets."""
    found = await post_json(rig, ADDRESS, {"prompt": prompt} | rest)
    return json.loads(found["choices"][0]["text"])


async def test_marks_in_the_prompt(shared_rig):
    assert (await post_json(shared_rig, ADDRESS, {"prompt": MARKED}))["choices"][0]["text"] == "bca"
    for extra in ({"suffix": ""}, {"infilling_marks": False}):
        assert (await post_json(shared_rig, ADDRESS, {"prompt": MARKED} | extra))["choices"][0]["text"] == MARKED
    found = await post_json(shared_rig, ADDRESS, {"prompt": "a", "suffix": "<|endoftext|>"})
    assert found["choices"][0]["text"] == "a"
    prompt = "<|repo_name|>r\n<|file_sep|>a.go\nx\n<|file_sep|>b/c.rs\n<|fim_prefix|>show:<|fim_suffix|>s<|fim_middle|>"
    assert await shown(shared_rig, prompt) == ["show:", "s", "rust", "b/c.rs", ["// a.go\nx"]]
    assert (await shown(shared_rig, prompt, path="d.ts", language="py"))[2:4] == ["python", "d.ts"]


async def test_the_language_is_guessed(shared_rig):
    go = 'package main\n\nimport (\n\t"fmt"\n)\n\nfunc main() {\n\tx := 1\n'
    assert (await shown(shared_rig, "show:\n" + go))[2] == "go"
    assert (await shown(shared_rig, "show:"))[2] == "python"
    assert (await shown(shared_rig, "show:", path="a.java"))[2] == "java"
    assert (await shown(shared_rig, "show:\n" + go, language="c++"))[2] == "cpp"


async def test_models(shared_rig):
    model = {"id": "text", "object": "text", "created": "count", "owned_by": "text"}
    model |= {"type": "text", "capabilities": {"completion_fim": "truth"}}  # Mistral's
    listed = json.loads((await get(shared_rig, "/v1/models")).body)
    assert shape_of(listed) == {"object": "text", "data": [model]}
    for name in ("fake", "fake:latest", "quicksilver"):
        reply = await get(shared_rig, f"/v1/models/{name}")
        assert reply.status == 200 and json.loads(reply.body) == listed["data"][0]
    reply = await get(shared_rig, "/v1/models/gpt-9")
    assert reply.status == 404 and json.loads(reply.body)["error"]["code"] == "model_not_found"


@pytest.mark.parametrize(
    ("value", "words"),
    [
        *BAD_BYTES,
        *((b'{"prompt": "a", ' + field + b"}", words) for field, words in BAD_FIELDS),
        ({}, "request.prompt is missing"),
        ({"prompt": None}, "request.prompt must be"),
        ({"prompt": {}}, "request.prompt must be"),
        ({"prompt": []}, "one string, not a list of 0"),
        ({"prompt": ["a", "b"]}, "one string, not a list of 2"),
        ({"prompt": [1, 2]}, "token ids"),
        ({"prompt": [[1, 2]]}, "token ids"),
        (b'{"prompt": [1e400]}', "finite"),
        ({"prompt": "a", "suffix": ["b"]}, "request.suffix must be a string"),
        ({"prompt": "a", "n": 1_000}, "1 to 16 answers"),
        ({"prompt": "a", "n": 0}, "request.n must be a whole number, at least 1"),
        ({"prompt": "a", "n": 2, "best_of": 1}, "best_of must be at least n"),
        ({"prompt": "a", "logprobs": 6}, "logprobs must be a whole number, at most 5"),
        ({"prompt": "a", "logprobs": True}, "logprobs must be a whole number"),
        ({"prompt": "a", "stream_options": 1}, "stream_options must be an object"),
        ({"prompt": "a", "budget_ms": -1}, "budget_ms must be a number, at least 0"),
        ({"prompt": "a", "infilling_marks": 1}, "infilling_marks must be true or false"),
        ({"prompt": "raise-input"}, "the fake does not like this"),
        ({"prompt": "raise-input", "stream": True}, "the fake does not like this"),
    ],
)  # fmt: skip
async def test_bad_input(shared_rig, value, words):
    await assert_error(shared_rig, ADDRESS, value, 400, words)


@pytest.mark.parametrize(
    "prompt", ["\ud800", MARKED.replace("a", "\udfff"), "<|fim_middle|>a<|fim_prefix|>b<|fim_suffix|>", "\0"]
)
async def test_odd_texts_are_answered(shared_rig, prompt):
    found = await post_json(shared_rig, ADDRESS, {"prompt": prompt})
    assert found["choices"][0]["text"] in (prompt, "bc\udfff")


async def test_other_errors(shared_rig):
    await assert_error(
        shared_rig, ADDRESS, {"prompt": "a", "model": "gpt-9"}, 404, "serves fake (also called quicksilver)"
    )
    await assert_error(shared_rig, ADDRESS, {"prompt": "raise-bug", "suffix": "hunter2"}, 500, "RuntimeError")
    assert b"hunter2" not in (await post(shared_rig, ADDRESS, {"prompt": "raise-bug", "suffix": "hunter2"})).body


async def test_an_error_with_an_echo_has_its_status(shared_rig):
    await assert_error(
        shared_rig, ADDRESS, {"prompt": "raise-input", "stream": True, "echo": True}, 400, "does not like"
    )
