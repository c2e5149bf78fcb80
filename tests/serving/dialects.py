"""What the contract tests of all dialects share: asking a real engine process, streams, shapes, and bad input."""

import json
from typing import Any

from quicksilver.serving.client.http import Endpoint, HttpReply, exchange

SHAPES = {str: "text", bool: "truth", int: "count", float: "number", type(None): "null"}


async def post(rig, target: str, value: object) -> HttpReply:
    """The engine's reply to a value, as JSON, or to bytes."""
    body = value if isinstance(value, bytes) else json.dumps(value).encode()
    return await exchange(Endpoint(socket=rig.home.socket), "POST", target, body, timeout_s=30)


async def get(rig, target: str) -> HttpReply:
    return await exchange(Endpoint(socket=rig.home.socket), "GET", target, timeout_s=30)


async def post_json(rig, target: str, value: object) -> Any:
    """The answer to a request that succeeds."""
    reply = await post(rig, target, value)
    assert reply.status == 200, reply.body
    return json.loads(reply.body)


async def events_of(rig, target: str, value: dict) -> list[Any]:
    """The chunks of a stream, which ends with [DONE]."""
    reply = await post(rig, target, value | {"stream": True})
    assert reply.status == 200, reply.body
    *events, done, rest = reply.body.decode("ascii").split("\n\n")
    assert (done, rest) == ("data: [DONE]", "")
    return [json.loads(event.removeprefix("data: ")) for event in events]


def shape_of(value: object) -> object:
    """The keys and types of a JSON value; a list is the shape of its first item."""
    if isinstance(value, dict):
        return {key: shape_of(each) for key, each in value.items()}
    if isinstance(value, list):
        return [shape_of(value[0])] if value else []
    return SHAPES[type(value)]


async def assert_error(rig, target: str, value: object, status: int, words: str) -> None:
    """The reply is an error in OpenAI's shape, of one line."""
    reply = await post(rig, target, value)
    assert reply.status == status, reply.body
    body = json.loads(reply.body)
    assert set(body) == {"error"} and set(body["error"]) == {"message", "type", "param", "code"}
    assert words in body["error"]["message"] and "\n" not in body["error"]["message"]
    assert "Traceback" not in body["error"]["message"]


# Bodies that no dialect takes, as (bytes, words of the error).
BAD_BYTES = [
    (b"", "not valid JSON"),
    (b"{", "not valid JSON"),
    (b"\xff\xfe", "not valid JSON"),
    (b"[]", "must be an object"),
    (b"null", "must be an object"),
    (b"[" * 10_000, "nested too deeply"),
    (b'{"a": ' * 10_000, "nested too deeply"),
    (b'{"prompt": NaN}', "NaN is not a number"),
    (b'{"messages": Infinity}', "Infinity is not a number"),
]
# Fields with which no dialect takes a request that is right otherwise.
BAD_FIELDS = [
    (b'"temperature": 1e400', "finite"),
    (b'"temperature": NaN', "NaN is not a number"),
    (b'"temperature": 2.5', "temperature must be a number"),
    (b'"temperature": -1', "temperature must be a number"),
    (b'"temperature": "1"', "temperature must be a number"),
    (b'"top_p": 1.5', "top_p must be a number"),
    (b'"top_p": true', "top_p must be a number"),
    (b'"max_tokens": 0', "max_tokens must be a whole number, at least 1"),
    (b'"max_tokens": 1.5', "max_tokens must be a whole number"),
    (b'"max_tokens": 1000000000', "1 to 131072 tokens"),
    (b'"max_tokens": 1' + b"0" * 30, "1 to 131072 tokens"),
    (b'"stop": ""', "empty string"),
    (b'"stop": ["a", ""]', "empty string"),
    (b'"stop": 1', "stop must be"),
    (b'"stop": ["a", 1]', "stop[1] must be a string"),
    (b'"stop": ["a","a","a","a","a","a","a","a","a","a","a","a","a","a","a","a","a"]', "at most 16"),
    (b'"stream": 1', "stream must be true or false"),
    (b'"diffusing": "yes"', "diffusing must be true or false"),
    (b'"seed": "a"', "seed must be a whole number"),
    (b'"seed": 1.5', "seed must be a whole number"),
    (b'"model": 1', "model must be a string"),
]
