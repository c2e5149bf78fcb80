"""OpenAI's dialect: `POST /v1/completions` (also at `/beta/completions`, DeepSeek's address) and `GET /v1/models`.

`prompt` and `suffix` become a hole; without a suffix, infilling marks in the prompt are read (`marks`). Fields of our
own: `language` (guessed if it is not said), `path`, `budget_ms` (there is no deadline without), `diffusing` and
`infilling_marks`. Without `max_tokens` the engine chooses the length. Unknown fields are ignored, as clients send many;
so are penalties, `logit_bias` and `user`. `prompt_tokens` counts the context that the model read.
"""

import secrets
import time
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, field
from typing import Annotated

from msgspec import Meta
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ...fim.errors import InputError
from ...fim.types import MAX_STOPS, Number, TokenScore
from ..engine.worker import Worker
from ..json_values import read_json
from .answering import answers, pieces
from .call import ApiAnswer, ApiCall, CanvasPiece, TextPiece, completion_request, sampling_of
from .http import (
    UnknownModelError,
    answering_errors,
    event,
    json_response,
    openai_error,
    read_body,
    stream_response,
    unless_gone,
)
from .marks import split_prompt
from .models import check_model, is_one_of, names_of

MAX_LOG_PROBS = 5
DONE = b"data: [DONE]\n\n"


@dataclass(frozen=True, kw_only=True)
class StreamOptions:
    """OpenAI's `stream_options`."""

    include_usage: bool | None = None


@dataclass(frozen=True, kw_only=True)
class _Body:
    """The fields that are read."""

    prompt: str | tuple[str | int | tuple[int, ...], ...]
    suffix: str | None = None
    language: str | None = None
    path: str | None = None
    model: str | None = None
    max_tokens: Annotated[int, Meta(ge=1)] | None = None
    budget_ms: Number | None = None
    temperature: Annotated[float, Meta(ge=0, le=2)] | None = None
    top_p: Annotated[float, Meta(ge=0, le=1)] | None = None
    seed: int | None = None
    stop: str | tuple[str, ...] | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    diffusing: bool | None = None
    infilling_marks: bool | None = None
    n: Annotated[int, Meta(ge=1)] | None = None
    best_of: Annotated[int, Meta(ge=1)] | None = None
    echo: bool | None = None
    logprobs: Annotated[int, Meta(ge=0, le=MAX_LOG_PROBS)] | None = None


@dataclass(frozen=True, kw_only=True)
class TextCall:
    """A parsed body: the call, and the form of the answer."""

    call: ApiCall
    include_usage: bool = False
    log_probs: bool = False
    echo: str = ""


def parse_call(data: bytes) -> TextCall:
    """The call in a request body. Raises InputError."""
    body = read_json(data, _Body, "request", allows_more=True)
    prompt = one_prompt(body.prompt)
    if body.best_of is not None and body.best_of < (body.n or 1):
        raise InputError("request.best_of must be at least n")
    around = split_prompt(prompt, body.suffix, infilling_marks=body.infilling_marks is not False)
    request = completion_request(
        prefix=around.prefix,
        suffix=around.suffix,
        language=body.language,
        path=body.path or around.path,
        names=around.names,
        snippets=around.snippets,
        max_tokens=body.max_tokens,
        budget_ms=body.budget_ms,
        sampling=sampling_of(body.temperature, body.top_p, seed=body.seed),
        stop=stops_of(body.stop),
        log_probs=body.logprobs is not None,
    )
    call = ApiCall(
        request=request, model=body.model, n=body.n or 1, stream=body.stream or False, diffusing=body.diffusing or False
    )
    return TextCall(
        call=call,
        include_usage=wants_usage(body.stream_options),
        log_probs=body.logprobs is not None,
        echo=prompt if body.echo else "",
    )


def wants_usage(options: StreamOptions | None) -> bool:
    """Whether a stream ends with the usage."""
    return options is not None and options.include_usage is True


def one_prompt(prompt: str | Sequence[object]) -> str:
    """The prompt. Raises InputError for a list of several, or for token ids."""
    if isinstance(prompt, str):
        return prompt
    if prompt and not isinstance(prompt[0], str):
        raise InputError("request.prompt must be a string: token ids are not taken, since each model has its own")
    if len(prompt) != 1:
        raise InputError(f"request.prompt must be one string, not a list of {len(prompt)}")
    return str(prompt[0])


def stops_of(stop: str | Sequence[str] | None) -> tuple[str, ...]:
    """The stop texts. Raises InputError for too many, or an empty one."""
    stops = (stop,) if isinstance(stop, str) else tuple(stop or ())
    if len(stops) > MAX_STOPS:
        raise InputError(f"request.stop may hold at most {MAX_STOPS} strings")
    if "" in stops:
        raise InputError("request.stop may not hold an empty string")
    return stops


@dataclass(frozen=True, kw_only=True)
class OpenAiDialect:
    """The endpoints over one worker."""

    worker: Worker
    created_s: int = field(default_factory=lambda: int(time.time()))

    def routes(self) -> list[Route]:
        """Its addresses."""
        completions = answering_errors(self.completions, openai_error)
        return [
            Route("/v1/models", answering_errors(self.models, openai_error), methods=["GET"]),
            Route("/v1/models/{name:path}", answering_errors(self.model, openai_error), methods=["GET"]),
            *(Route(path, completions, methods=["POST"]) for path in ("/v1/completions", "/beta/completions")),
        ]

    async def models(self, request: Request) -> Response:
        """GET /v1/models; the list is empty before the model's name is known."""
        return json_response(models_body(self.worker, self.created_s))

    async def model(self, request: Request) -> Response:
        """GET /v1/models/{name}, under any of the model's names."""
        name, served = request.path_params["name"], self.worker.state.model
        if not served or not is_one_of(name, names_of(served)):
            raise UnknownModelError("this engine serves no such model: GET /v1/models lists what it does")
        return json_response(_model_entry(served, self.created_s))

    async def completions(self, request: Request) -> Response:
        """POST /v1/completions."""
        asked = parse_call(await read_body(request))
        check_model(asked.call.model, self.worker.state)
        envelope = Envelope(kind="text_completion", identity=f"cmpl-{secrets.token_hex(12)}")
        if asked.call.stream:
            return await stream_response(request, _chunks(self.worker, asked, envelope))
        found = await unless_gone(request, answers(self.worker, asked.call))
        return json_response(completion_body(asked, found, envelope))


def models_body(worker: Worker, created_s: int) -> dict[str, object]:
    """OpenAI's list of models."""
    model = worker.state.model
    return {"object": "list", "data": [_model_entry(model, created_s)] if model else []}


def _model_entry(model: str, created_s: int) -> dict[str, object]:
    """OpenAI's fields, and the two without which Mistral's client refuses a list."""
    entry = {"id": model, "object": "model", "created": created_s, "owned_by": "quicksilver"}
    return {**entry, "type": "base", "capabilities": {"completion_fim": True}}


@dataclass(frozen=True, kw_only=True)
class Envelope:
    """What an answer and all its chunks have in common; kind is OpenAI's word for the object."""

    kind: str
    identity: str
    created_s: int = field(default_factory=lambda: int(time.time()))

    def wrap(self, model: str, **rest: object) -> dict[str, object]:
        """An object of the answer. The same fingerprint and seed give the same text."""
        return {
            "id": self.identity,
            "object": self.kind,
            "created": self.created_s,
            "model": model,
            "system_fingerprint": f"quicksilver-{model}",
            **rest,
        }


def completion_body(asked: TextCall, found: Sequence[ApiAnswer], envelope: Envelope) -> dict[str, object]:
    """The `text_completion` object with all answers."""
    choices = [
        _choice(
            answer.index,
            asked.echo + answer.text,
            answer.end_reason,
            log_probs_of(answer.tokens, len(asked.echo)) if asked.log_probs else None,
        )
        for answer in found
    ]
    return envelope.wrap(found[0].completion.model, choices=choices, usage=usage_of(found))


async def _chunks(worker: Worker, asked: TextCall, envelope: Envelope) -> AsyncGenerator[bytes]:
    """The answer as server-sent events: texts, ends, the usage if asked for, and [DONE]."""
    found: list[ApiAnswer] = []
    echoed: set[int] = set()
    more = {"usage": None} if asked.include_usage else {}
    async for piece in pieces(worker, asked.call):
        if asked.echo and piece.index not in echoed:
            echoed.add(piece.index)
            yield event(envelope.wrap(worker.state.model, choices=[_choice(piece.index, asked.echo)], **more))
        match piece:
            case TextPiece():
                choice = _choice(piece.index, piece.text)
            case CanvasPiece():
                choice = _choice(piece.index, piece.text) | {"canvas": canvas_of(piece)}
            case ApiAnswer():
                found.append(piece)
                tokens = log_probs_of(piece.tokens, len(asked.echo)) if asked.log_probs else None
                text = piece.text if asked.call.diffusing else ""
                choice = _choice(piece.index, text, piece.end_reason, tokens)
        yield event(envelope.wrap(worker.state.model, choices=[choice], **more))
    if asked.include_usage:
        yield event(envelope.wrap(worker.state.model, choices=[], usage=usage_of(found)))
    yield DONE


def canvas_of(piece: CanvasPiece) -> dict[str, object]:
    """A frame of the canvas, as `diffusing` streams it: a field of our own beside the text."""
    cells = [
        {"text": cell.text, "state": _STATES.get(cell.state, cell.state), "confidence": cell.confidence}
        for cell in piece.frame.cells
    ]
    return {"step": piece.frame.step, "elapsed_ms": piece.frame.elapsed_ms, "cells": cells}


_STATES = {"new": "settled", "kept": "settled"}


def usage_of(found: Sequence[ApiAnswer]) -> dict[str, int]:
    """OpenAI's `usage` of answers to one prompt."""
    prompt, n_tokens = found[0].completion.n_context, sum(answer.completion.n_tokens for answer in found)
    return {"prompt_tokens": prompt, "completion_tokens": n_tokens, "total_tokens": prompt + n_tokens}


def log_probs_of(tokens: Sequence[TokenScore], n_before: int) -> dict[str, object]:
    """OpenAI's `logprobs` of a text that begins after n_before characters; only chosen tokens are in `top_logprobs`."""
    offsets, at = [], n_before
    for token in tokens:
        offsets.append(at)
        at += len(token.text)
    return {
        "tokens": [token.text for token in tokens],
        "token_logprobs": [token.log_prob for token in tokens],
        "top_logprobs": [{token.text: token.log_prob} for token in tokens],
        "text_offset": offsets,
    }


def _choice(
    index: int, text: str, finish_reason: str | None = None, log_probs: dict[str, object] | None = None
) -> dict[str, object]:
    return {"text": text, "index": index, "logprobs": log_probs, "finish_reason": finish_reason}
