"""OpenAI's chat dialect: `POST /v1/chat/completions`, for models that were taught conversations.

Messages are texts; pictures, tools and forced formats are refused. `diffusing`, a field of Inception's, makes each
chunk the whole canvas instead of the next part of the text. Several answers (`n`) are drawn with a temperature; without
one the likeliest tokens are taken, and there is one answer.
"""

import secrets
import time
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any

from msgspec import Meta
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ...fim.errors import InputError
from ...fim.types import ChatMessage, Role, TokenScore
from ..engine.worker import Worker
from ..json_values import read_json
from .answering import answers, pieces
from .call import ApiAnswer, ApiCall, CanvasPiece, TextPiece, completion_request, sampling_of
from .http import answering_errors, event, json_response, openai_error, read_body, stream_response, unless_gone
from .models import check_model
from .openai import DONE, Envelope, StreamOptions, canvas_of, models_body, stops_of, usage_of, wants_usage

MAX_TOP_LOG_PROBS = 20
_ROLES: dict[str, Role] = {"system": "system", "developer": "system", "user": "user", "assistant": "assistant"}


@dataclass(frozen=True, kw_only=True)
class _ContentPart:
    """A part of a message's content."""

    type: str
    text: str | None = None


@dataclass(frozen=True, kw_only=True)
class _SentMessage:
    """A message as it is sent."""

    role: str
    content: str | tuple[_ContentPart, ...] | None = None
    tool_calls: tuple[Any, ...] | None = None


@dataclass(frozen=True, kw_only=True)
class _ResponseFormat:
    """OpenAI's `response_format`."""

    type: str = "text"


@dataclass(frozen=True, kw_only=True)
class _ChatBody:
    """The fields that are read, or refused."""

    messages: tuple[_SentMessage, ...]
    model: str | None = None
    max_tokens: Annotated[int, Meta(ge=1)] | None = None
    max_completion_tokens: Annotated[int, Meta(ge=1)] | None = None
    temperature: Annotated[float, Meta(ge=0, le=2)] | None = None
    top_p: Annotated[float, Meta(ge=0, le=1)] | None = None
    seed: int | None = None
    stop: str | tuple[str, ...] | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    diffusing: bool | None = None
    n: Annotated[int, Meta(ge=1)] | None = None
    logprobs: bool | None = None
    top_logprobs: Annotated[int, Meta(ge=0, le=MAX_TOP_LOG_PROBS)] | None = None
    tools: tuple[Any, ...] | None = None
    functions: tuple[Any, ...] | None = None
    response_format: _ResponseFormat | None = None


@dataclass(frozen=True, kw_only=True)
class ChatCall:
    """A parsed body: the call, and the form of the answer."""

    call: ApiCall
    include_usage: bool = False
    log_probs: bool = False


def parse_chat_call(data: bytes) -> ChatCall:
    """The call in a request body. Raises InputError."""
    body = read_json(data, _ChatBody, "request", allows_more=True)
    if body.tools or body.functions:
        raise InputError("request.tools: tools are not supported, only texts")
    if body.response_format is not None and body.response_format.type != "text":
        raise InputError("request.response_format must be of the type text: no other format can be forced")
    if not body.messages:
        raise InputError("request.messages must hold at least one message")
    request = completion_request(
        messages=[_message(each, f"request.messages[{i}]") for i, each in enumerate(body.messages)],
        max_tokens=body.max_tokens if body.max_completion_tokens is None else body.max_completion_tokens,
        sampling=sampling_of(body.temperature, body.top_p, seed=body.seed),
        stop=stops_of(body.stop),
        log_probs=body.logprobs or False,
    )
    return ChatCall(
        call=ApiCall(
            request=request,
            model=body.model,
            n=body.n or 1,
            stream=body.stream or False,
            diffusing=body.diffusing or False,
        ),
        include_usage=wants_usage(body.stream_options),
        log_probs=body.logprobs or False,
    )


def _message(message: _SentMessage, where: str) -> ChatMessage:
    role = _ROLES.get(message.role)
    if role is None:
        raise InputError(f"{where}.role must be system, developer, user or assistant")
    if message.tool_calls:
        raise InputError(f"{where}.tool_calls: tools are not supported, only texts")
    if message.content is None and role != "assistant":
        raise InputError(f"{where}.content is missing")
    if isinstance(message.content, tuple):
        return ChatMessage(role=role, content="".join(_text(part, where) for part in message.content))
    return ChatMessage(role=role, content=message.content or "")


def _text(part: _ContentPart, where: str) -> str:
    if part.type != "text" or part.text is None:
        raise InputError(f"{where}.content may hold only parts of the type text, with a text")
    return part.text


@dataclass(frozen=True, kw_only=True)
class ChatDialect:
    """The endpoints over one worker."""

    worker: Worker
    created_s: int = field(default_factory=lambda: int(time.time()))

    def routes(self) -> list[Route]:
        """Its addresses."""
        return [
            Route("/v1/chat/completions", answering_errors(self.completions, openai_error), methods=["POST"]),
            Route("/v1/chat/completions/models", answering_errors(self.models, openai_error), methods=["GET"]),
        ]

    async def models(self, request: Request) -> Response:
        """GET /v1/chat/completions/models."""
        return json_response(models_body(self.worker, self.created_s))

    async def completions(self, request: Request) -> Response:
        """POST /v1/chat/completions."""
        asked = parse_chat_call(await read_body(request))
        check_model(asked.call.model, self.worker.state)
        identity = f"chatcmpl-{secrets.token_hex(12)}"
        if asked.call.stream:
            envelope = Envelope(kind="chat.completion.chunk", identity=identity)
            return await stream_response(request, _chunks(self.worker, asked, envelope))
        found = await unless_gone(request, answers(self.worker, asked.call))
        choices = [
            {
                "index": answer.index,
                "message": {"role": "assistant", "content": answer.text, "refusal": None},
                "logprobs": _log_probs(answer.tokens) if asked.log_probs else None,
                "finish_reason": answer.end_reason,
            }
            for answer in found
        ]
        envelope = Envelope(kind="chat.completion", identity=identity)
        return json_response(envelope.wrap(found[0].completion.model, choices=choices, usage=usage_of(found)))


async def _chunks(worker: Worker, asked: ChatCall, envelope: Envelope) -> AsyncGenerator[bytes]:
    """The answers as server-sent events: of each its role, texts and end; then the usage, if asked for, and [DONE]."""
    found: list[ApiAnswer] = []
    begun: set[int] = set()
    more = {"usage": None} if asked.include_usage else {}
    async for piece in pieces(worker, asked.call):
        if piece.index not in begun:
            begun.add(piece.index)
            first = _chunk_choice(piece.index, {"role": "assistant", "content": ""})
            yield event(envelope.wrap(worker.state.model, choices=[first], **more))
        match piece:
            case TextPiece():
                choice = _chunk_choice(piece.index, {"content": piece.text})
            case CanvasPiece():
                choice = _chunk_choice(piece.index, {"content": piece.text}) | {"canvas": canvas_of(piece)}
            case ApiAnswer():
                found.append(piece)
                delta: dict[str, object] = {"content": piece.text} if asked.call.diffusing else {}
                scores = _log_probs(piece.tokens) if asked.log_probs else None
                choice = _chunk_choice(piece.index, delta, piece.end_reason, scores)
        yield event(envelope.wrap(worker.state.model, choices=[choice], **more))
    if asked.include_usage:
        yield event(envelope.wrap(worker.state.model, choices=[], usage=usage_of(found)))
    yield DONE


def _chunk_choice(
    index: int, delta: dict[str, object], finish_reason: str | None = None, scores: dict[str, object] | None = None
) -> dict[str, object]:
    return {"index": index, "delta": delta, "logprobs": scores, "finish_reason": finish_reason}


def _log_probs(tokens: Sequence[TokenScore]) -> dict[str, object]:
    """The tokens in chat's shape; only the chosen ones are in `top_logprobs`."""
    scores = [
        {
            "token": token.text,
            "logprob": token.log_prob,
            "bytes": list(token.text.encode("utf-8", "surrogatepass")),
        }
        for token in tokens
    ]
    return {"content": [score | {"top_logprobs": [score]} for score in scores], "refusal": None}
