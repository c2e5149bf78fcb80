"""The OpenAI shape of `POST /v1/completions`: its request, its answer, its chunks and its errors.

`prompt` and `suffix` become a Hole at the end of prompt. `language` is our optional field (default "python"); the hole
is always multi-line. `temperature` and the other sampling fields are accepted and change nothing: decoding is
deterministic. Without `max_tokens` the engine chooses the length. There is no deadline unless our optional field
`budget_ms` sets one. `prompt_tokens` counts the context (prompt, suffix and separators).
"""

import json
from dataclasses import dataclass
from typing import Annotated

from msgspec import Meta

from ...fim.errors import InputError
from ...fim.types import Completion, CompletionRequest, Hole, Number
from ..bounds import bound_hole
from ..json_values import read_json

MODEL_ALIAS = "quicksilver"
_MAX_STOPS = 16


@dataclass(frozen=True, kw_only=True)
class CompletionCall:
    """A parsed `POST /v1/completions`: what to fill, and the form of the answer."""

    request: CompletionRequest
    model: str | None
    stop: tuple[str, ...]
    stream: bool
    include_usage: bool


@dataclass(frozen=True, kw_only=True)
class _StreamOptions:
    include_usage: bool = False


@dataclass(frozen=True, kw_only=True)
class _Body:
    """The fields that are read."""

    prompt: str | tuple[str, ...]
    suffix: str | None = None
    language: str = "python"
    model: str | None = None
    max_tokens: Annotated[int, Meta(ge=1)] | None = None
    budget_ms: Number | None = None
    temperature: Annotated[float, Meta(ge=0, le=2)] | None = None
    stop: str | tuple[str, ...] | None = None
    stream: bool | None = None
    stream_options: _StreamOptions | None = None
    n: int | None = None
    best_of: int | None = None
    echo: bool | None = None
    logprobs: int | None = None

    def refuse_unsupported(self) -> None:
        """Raises InputError for what would change the answer's shape; ignoring it would be a wrong answer."""
        for name in ("n", "best_of"):
            if getattr(self, name) not in (None, 1):
                raise InputError(f"request.{name} must be 1: the engine gives one answer")
        if self.echo:
            raise InputError("request.echo is not supported")
        if self.logprobs:
            raise InputError("request.logprobs is not supported")

    def one_prompt(self) -> str:
        """The prompt. Raises InputError for a list of several."""
        if isinstance(self.prompt, str):
            return self.prompt
        if len(self.prompt) != 1:
            raise InputError(f"request.prompt must be one string, not a list of {len(self.prompt)}")
        return self.prompt[0]

    def stops(self) -> tuple[str, ...]:
        """The stop strings. Raises InputError for too many, or an empty one."""
        stops = (self.stop,) if isinstance(self.stop, str) else self.stop or ()
        if len(stops) > _MAX_STOPS:
            raise InputError(f"request.stop may hold at most {_MAX_STOPS} strings")
        if "" in stops:
            raise InputError("request.stop may not hold an empty string")
        return stops


def parse_call(data: bytes) -> CompletionCall:
    """The call in a request body. Unknown fields are ignored, as clients send many. Raises InputError."""
    body = read_json(data, _Body, "request", allows_more=True)
    body.refuse_unsupported()
    prompt = body.one_prompt()
    hole = Hole(
        prefix=prompt,
        suffix=body.suffix or "",
        language=body.language,
        replaced=(len(prompt), len(prompt)),
        multiline=True,
    )
    return CompletionCall(
        request=CompletionRequest(hole=bound_hole(hole), max_tokens=body.max_tokens, budget_ms=body.budget_ms),
        model=body.model,
        stop=body.stops(),
        stream=body.stream or False,
        include_usage=body.stream_options is not None and body.stream_options.include_usage,
    )


def completion_body(call: CompletionCall, completion: Completion, identity: str, created_s: int) -> dict[str, object]:
    """The text_completion object; the text ends before the first stop string."""
    text, finish_reason = _finish(call, completion)
    choice = {"text": text, "index": 0, "logprobs": None, "finish_reason": finish_reason}
    return {**_envelope(completion, identity, created_s), "choices": [choice], "usage": _usage(completion)}


def stream_chunks(call: CompletionCall, completion: Completion, identity: str, created_s: int) -> list[bytes]:
    """The answer as server-sent events: the text, the end, the usage if asked for, and [DONE].

    A canvas is filled everywhere at once, so no beginning is final before the whole is: the text is one chunk.
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
