"""The OpenAI shape of `POST /v1/completions`: reading its request, writing its answer, its chunks and its errors.

Owns the mapping between that shape and our nouns. It does not know HTTP, queues or models.

`prompt` and `suffix` become a Hole at the end of prompt. `language` is our optional field (default "python"); the hole
is always multi-line. `temperature` and the other sampling fields are accepted and change nothing: decoding is
deterministic. `max_tokens` left out leaves the length to the engine. There is no deadline unless our optional field
`budget_ms` sets one. `prompt_tokens` counts the context (prompt, suffix and separators).
"""

import json
from dataclasses import dataclass

from ...fim.errors import InputError
from ...fim.types import Completion, CompletionRequest, Hole
from ..bounds import bound_hole
from ..fields import Fields, as_bool, as_count, as_number, as_text, list_of, optional, parse_object

MODEL_ALIAS = "quicksilver"
_MAX_STOPS = 16


@dataclass(frozen=True, kw_only=True)
class CompletionCall:
    """A parsed `POST /v1/completions`: what to fill, and how the answer is to look."""

    request: CompletionRequest
    model: str | None
    stop: tuple[str, ...]
    stream: bool
    include_usage: bool


def parse_call(data: bytes) -> CompletionCall:
    """The call in a request body. Unknown fields are ignored, as clients send many. Raises InputError."""
    fields = parse_object(data, "request")
    _refuse_unsupported(fields)
    prompt = fields.take("prompt", _as_prompt)
    max_tokens = fields.take("max_tokens", optional(as_count), None)
    if max_tokens == 0:
        raise InputError("request.max_tokens must be at least 1")
    temperature = fields.take("temperature", optional(as_number), None)
    if temperature is not None and temperature > 2:
        raise InputError("request.temperature must be at most 2")
    hole = Hole(
        prefix=prompt,
        suffix=fields.take("suffix", optional(as_text), None) or "",
        language=fields.take("language", as_text, "python"),
        replaced=(len(prompt), len(prompt)),
        multiline=True,
    )
    stream_options = fields.take("stream_options", optional(Fields), None)
    return CompletionCall(
        request=CompletionRequest(
            hole=bound_hole(hole), max_tokens=max_tokens, budget_ms=fields.take("budget_ms", optional(as_number), None)
        ),
        model=fields.take("model", optional(as_text), None),
        stop=fields.take("stop", optional(_as_stops), None) or (),
        stream=fields.take("stream", optional(as_bool), None) or False,
        include_usage=stream_options is not None and stream_options.take("include_usage", as_bool, False),
    )


def completion_body(call: CompletionCall, completion: Completion, identity: str, created_s: int) -> dict[str, object]:
    """The text_completion object; the text ends before the first stop string."""
    text, finish_reason = _finish(call, completion)
    choice = {"text": text, "index": 0, "logprobs": None, "finish_reason": finish_reason}
    return {**_envelope(completion, identity, created_s), "choices": [choice], "usage": _usage(completion)}


def stream_chunks(call: CompletionCall, completion: Completion, identity: str, created_s: int) -> list[bytes]:
    """The answer as server-sent events: the text, the end, the usage if asked for, and [DONE].

    A canvas is filled everywhere at once, so no left part is final before the whole is: the text is one chunk.
    """
    text, finish_reason = _finish(call, completion)
    envelope = _envelope(completion, identity, created_s)
    choices = [
        {"text": text, "index": 0, "logprobs": None, "finish_reason": None},
        {"text": "", "index": 0, "logprobs": None, "finish_reason": finish_reason},
    ]
    events: list[dict[str, object]] = [{**envelope, "choices": [choice]} for choice in choices]
    if call.include_usage:
        events.append({**envelope, "choices": [], "usage": _usage(completion)})
    return [b"data: " + encode_escaped(event) + b"\n\n" for event in events] + [b"data: [DONE]\n\n"]


def models_body(model: str, created_s: int) -> dict[str, object]:
    """The answer of `GET /v1/models`; the list is empty before the model's name is known."""
    entry = {"id": model, "object": "model", "created": created_s, "owned_by": "quicksilver"}
    return {"object": "list", "data": [entry] if model else []}


def error_body(message: str, kind: str, code: str | None = None) -> dict[str, object]:
    """An error in OpenAI's shape."""
    return {"error": {"message": message, "type": kind, "param": None, "code": code}}


def encode_escaped(value: object) -> bytes:
    """value as JSON in pure ASCII, so that even lone surrogates are valid for every reader."""
    return json.dumps(value, ensure_ascii=True, allow_nan=False, separators=(",", ":")).encode("ascii")


def _refuse_unsupported(fields: Fields) -> None:
    """Refuse what would change the answer's shape; ignoring it would be a wrong answer."""
    for key in ("n", "best_of"):
        if fields.take(key, optional(as_count), 1) not in (None, 1):
            raise InputError(f"request.{key} must be 1: the engine gives one answer")
    if fields.take("echo", optional(as_bool), False):
        raise InputError("request.echo is not supported")
    if fields.take("logprobs", optional(as_count), None):
        raise InputError("request.logprobs is not supported")


def _as_prompt(value: object, where: str) -> str:
    if isinstance(value, list):
        texts = list_of(as_text)(value, where)
        if len(texts) != 1:
            raise InputError(f"{where} must be one string, not a list of {len(texts)}")
        return texts[0]
    return as_text(value, where)


def _as_stops(value: object, where: str) -> tuple[str, ...]:
    stops = (value,) if isinstance(value, str) else list_of(as_text)(value, where)
    if len(stops) > _MAX_STOPS:
        raise InputError(f"{where} may hold at most {_MAX_STOPS} strings")
    if "" in stops:
        raise InputError(f"{where} may not hold an empty string")
    return stops


def _finish(call: CompletionCall, completion: Completion) -> tuple[str, str]:
    ends = [end for end in (completion.text.find(stop) for stop in call.stop) if end >= 0]
    if ends:
        return completion.text[: min(ends)], "stop"
    return completion.text, "stop" if completion.finish_reason == "stop" else "length"


def _envelope(completion: Completion, identity: str, created_s: int) -> dict[str, object]:
    return {"id": identity, "object": "text_completion", "created": created_s, "model": completion.model}


def _usage(completion: Completion) -> dict[str, int]:
    prompt, answer = completion.n_context, completion.n_tokens
    return {"prompt_tokens": prompt, "completion_tokens": answer, "total_tokens": prompt + answer}
