"""What Ollama's clients send: bodies of `/api/generate`, `/api/chat` and `/api/show`, and the calls they ask for."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, cast

from msgspec import Meta

from ....fim.errors import InputError
from ....fim.types import ChatMessage, Role
from ...json_values import read_json
from ..call import MAX_ANSWER_TOKENS, ApiCall, Int64, completion_request, sampling_of
from ..marks import MarkedPrompt, split_prompt
from ..openai import stops_of


@dataclass(frozen=True, kw_only=True)
class OllamaOptions:
    """The `options` that are read."""

    temperature: Annotated[float, Meta(ge=0, le=2)] | None = None
    top_p: Annotated[float, Meta(ge=0, le=1)] | None = None
    top_k: Int64 | None = None
    seed: Int64 | None = None
    num_predict: Int64 | None = None
    stop: str | tuple[str, ...] | None = None


@dataclass(frozen=True, kw_only=True)
class OllamaBody:
    """The fields that are read of `/api/generate` and `/api/chat`."""

    model: str | None = None
    stream: bool | None = None
    options: OllamaOptions | None = None
    format: Any = None
    think: Any = None
    logprobs: bool | None = None


@dataclass(frozen=True, kw_only=True)
class GenerateBody(OllamaBody):
    """The body of `/api/generate`."""

    prompt: str | None = None
    suffix: str | None = None
    images: tuple[Any, ...] | None = None
    language: str | None = None
    path: str | None = None
    infilling_marks: bool | None = None


@dataclass(frozen=True, kw_only=True)
class OllamaMessage:
    """A message of `/api/chat`."""

    role: str
    content: str | None = None
    images: tuple[Any, ...] | None = None


@dataclass(frozen=True, kw_only=True)
class ChatBody(OllamaBody):
    """The body of `/api/chat`."""

    messages: tuple[OllamaMessage, ...] | None = None
    tools: tuple[Any, ...] | None = None


@dataclass(frozen=True, kw_only=True)
class ShowBody:
    """The body of `/api/show`; name is what clients used to send."""

    model: str | None = None
    name: str | None = None


@dataclass(frozen=True, kw_only=True)
class OllamaCall:
    """A parsed body: the call, the name that the client gave the model ("" for none), and the answer's form.

    loads: nothing is asked for but that the model is there.
    """

    call: ApiCall
    name: str
    chats: bool = False
    loads: bool = False


def parse_generate(data: bytes) -> OllamaCall:
    """The call in a body of `/api/generate`. Raises InputError."""
    body = read_json(data, GenerateBody, "request", allows_more=True)
    if body.images:
        raise InputError("request.images is not supported: leave it out")
    texts = split_prompt(body.prompt or "", body.suffix or None, infilling_marks=body.infilling_marks is not False)
    return _call(body, texts, language=body.language, path=body.path or "", loads=not body.prompt and not body.suffix)


def parse_chat(data: bytes) -> OllamaCall:
    """The call in a body of `/api/chat`. Raises InputError."""
    body = read_json(data, ChatBody, "request", allows_more=True)
    if body.tools:
        raise InputError("request.tools is not supported: leave it out")
    messages = [_message(i, each) for i, each in enumerate(body.messages or ())]
    return _call(body, MarkedPrompt(prefix="", suffix=""), messages=messages, loads=not messages, chats=True)


def _message(i: int, message: OllamaMessage) -> ChatMessage:
    role = message.role.lower()
    if role not in ("system", "user", "assistant"):
        raise InputError(f"request.messages[{i}].role must be system, user or assistant")
    if message.images:
        raise InputError(f"request.messages[{i}].images is not supported: leave it out")
    return ChatMessage(role=cast(Role, role), content=message.content or "")


def _call(
    body: OllamaBody,
    texts: MarkedPrompt,
    *,
    language: str | None = None,
    path: str = "",
    messages: Sequence[ChatMessage] = (),
    loads: bool,
    chats: bool = False,
) -> OllamaCall:
    if body.format not in (None, "", "text"):
        raise InputError("request.format is not supported: leave it out")
    if body.think not in (None, False):
        raise InputError("request.think is not supported: no model here thinks before it answers")
    options = body.options or OllamaOptions()
    n_predict = options.num_predict or 0
    request = completion_request(
        prefix=texts.prefix,
        suffix=texts.suffix,
        language=language,
        path=path or texts.path,
        names=texts.names,
        snippets=texts.snippets,
        messages=messages,
        max_tokens=min(n_predict, MAX_ANSWER_TOKENS) if n_predict > 0 else None,
        sampling=sampling_of(options.temperature, options.top_p, options.top_k, options.seed),
        stop=stops_of(options.stop),
        log_probs=body.logprobs or False,
    )
    call = ApiCall(
        request=dataclasses.replace(request, warms=loads),
        model=body.model,
        stream=body.stream is not False and not loads,
    )
    return OllamaCall(call=call, name=body.model or "", loads=loads, chats=chats)
