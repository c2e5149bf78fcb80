"""Mistral's and Inception's dialect: `POST /v1/fim/completions`, also at `/fim/completions`.

Mistral's clients read `message` and `delta`, Inception's read `text`; an answer has all of them. Both send their key as
a bearer token, or as `x-api-key`. Fields of our own are those of `/v1/completions`. Penalties, `min_tokens` and
`metadata` are ignored. Inception's defaults (512 tokens, a stop at an empty line) do not hold, as Mistral has none:
without `max_tokens` the engine chooses the length.
"""

import secrets
import time
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from typing import Annotated

from msgspec import Meta
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ...fim.errors import InputError
from ...fim.types import Number
from ..engine.worker import Worker
from ..json_values import read_json
from .answering import answers, pieces
from .call import ApiAnswer, ApiCall, CanvasPiece, TextPiece, completion_request, sampling_of
from .http import answering_errors, event, json_response, openai_error, read_body, stream_response, unless_gone
from .marks import split_prompt
from .models import check_model
from .openai import DONE, Envelope, canvas_of, models_body, stops_of, usage_of

MAX_TOP_K = 1_000


@dataclass(frozen=True, kw_only=True)
class _FimBody:
    """The fields that are read. `random_seed` is Mistral's, `seed` everyone else's."""

    prompt: str
    suffix: str | None = None
    language: str | None = None
    path: str | None = None
    model: str | None = None
    max_tokens: Annotated[int, Meta(ge=1)] | None = None
    budget_ms: Number | None = None
    temperature: Annotated[float, Meta(ge=0, le=2)] | None = None
    top_p: Annotated[float, Meta(ge=0, le=1)] | None = None
    top_k: Annotated[int, Meta(ge=-1, le=MAX_TOP_K)] | None = None
    random_seed: int | None = None
    seed: int | None = None
    stop: str | tuple[str, ...] | None = None
    stream: bool | None = None
    diffusing: bool | None = None
    infilling_marks: bool | None = None


def parse_fim_call(data: bytes) -> ApiCall:
    """The call in a request body. Raises InputError."""
    body = read_json(data, _FimBody, "request", allows_more=True)
    if body.top_k == 0:
        raise InputError(f"request.top_k must be -1, for all tokens, or from 1 to {MAX_TOP_K}")
    around = split_prompt(body.prompt, body.suffix, infilling_marks=body.infilling_marks is not False)
    seed = body.seed if body.random_seed is None else body.random_seed
    request = completion_request(
        prefix=around.prefix,
        suffix=around.suffix,
        language=body.language,
        path=body.path or around.path,
        names=around.names,
        snippets=around.snippets,
        max_tokens=body.max_tokens,
        budget_ms=body.budget_ms,
        sampling=sampling_of(body.temperature, body.top_p, body.top_k, seed),
        stop=stops_of(body.stop),
    )
    return ApiCall(request=request, model=body.model, stream=body.stream or False, diffusing=body.diffusing or False)


@dataclass(frozen=True, kw_only=True)
class FimDialect:
    """The endpoints over one worker."""

    worker: Worker
    created_s: int = field(default_factory=lambda: int(time.time()))

    def routes(self) -> list[Route]:
        """Its addresses."""
        completions = answering_errors(self.completions, openai_error)
        return [
            Route("/v1/fim/completions/models", answering_errors(self.models, openai_error), methods=["GET"]),
            *(Route(path, completions, methods=["POST"]) for path in ("/v1/fim/completions", "/fim/completions")),
        ]

    async def models(self, request: Request) -> Response:
        """GET /v1/fim/completions/models."""
        return json_response(models_body(self.worker, self.created_s))

    async def completions(self, request: Request) -> Response:
        """POST /v1/fim/completions."""
        call = parse_fim_call(await read_body(request))
        check_model(call.model, self.worker.state)
        identity = f"fim-{secrets.token_hex(12)}"
        if call.stream:
            envelope = Envelope(kind="chat.completion.chunk", identity=identity)
            return await stream_response(request, _chunks(self.worker, call, envelope))
        (answer,) = await unless_gone(request, answers(self.worker, call))
        message = {"role": "assistant", "content": answer.text}
        choice = {"index": 0, "text": answer.text, "message": message, "finish_reason": answer.end_reason}
        envelope = Envelope(kind="chat.completion", identity=identity)
        return json_response(envelope.wrap(answer.completion.model, choices=[choice], usage=_usage(answer)))


async def _chunks(worker: Worker, call: ApiCall, envelope: Envelope) -> AsyncGenerator[bytes]:
    """The answer as server-sent events; the last one before [DONE] has the usage, as Mistral's has."""
    async for piece in pieces(worker, call):
        match piece:
            case TextPiece():
                choice, more = _chunk_choice(piece.text, None), {}
            case CanvasPiece():
                choice, more = _chunk_choice(piece.text, None) | {"canvas": canvas_of(piece)}, {}
            case ApiAnswer():
                choice = _chunk_choice(piece.text if call.diffusing else "", piece.end_reason)
                more = {"usage": _usage(piece)}
        yield event(envelope.wrap(worker.state.model, choices=[choice], **more))
    yield DONE


def _chunk_choice(text: str, finish_reason: str | None) -> dict[str, object]:
    delta = {"role": "assistant", "content": text}
    return {"index": 0, "text": text, "delta": delta, "finish_reason": finish_reason}


def _usage(answer: ApiAnswer) -> dict[str, int]:
    """OpenAI's counts and Inception's."""
    return usage_of([answer]) | {"reasoning_tokens": 0, "cached_input_tokens": answer.completion.n_cached}
