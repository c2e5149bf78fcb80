"""How each kind of server is asked to fill a hole, and how its answer is read: fields and shapes, no network.

A request without sampling asks for the likeliest tokens (temperature 0), where a server can be told so. Fields that a
server has not (Mercury's has no temperature and no seed, OpenAI's and Mistral's no top_k) are left out. A hole of one
line ends at the first line break.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from ...fim.errors import InputError
from ...fim.types import CompletionRequest, Count, FinishReason
from ..json_values import read_json
from .endpoint import ForeignDialect, ForeignEndpoint
from .marks import FAMILIES

LINE_TOKENS, BLOCK_TOKENS = 64, 256  # of an answer whose length is left open: one line, several lines
MAX_STOPS_SENT = 4  # OpenAI's limit; the answer is cut at all of them here
MERCURY_MAX_TOKENS = 8_192

ForeignBody = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class ForeignText:
    """What a server answered: the text, why it ended, and its tokens and the context's if the server counts them."""

    text: str
    finish_reason: FinishReason
    n_tokens: int = 0
    n_context: int = 0


@dataclass(frozen=True)
class Speech:
    """A dialect: the path at a server that says none, the body of a request, and the text in an answer's body.

    ask raises InputError for a hole that cannot be asked for, read for an answer of another shape.
    """

    path: str
    ask: Callable[[ForeignEndpoint, CompletionRequest], ForeignBody]
    read: Callable[[bytes], ForeignText]


def stops_of(endpoint: ForeignEndpoint, request: CompletionRequest) -> tuple[str, ...]:
    """The texts that end an answer, the surest first."""
    line_end = () if request.hole.multiline else ("\n",)
    ends = FAMILIES[endpoint.family].ends if endpoint.family else ()
    return tuple(dict.fromkeys((*line_end, *ends, *request.stop)))


def _ask_openai(endpoint: ForeignEndpoint, request: CompletionRequest) -> ForeignBody:
    asked = {**_prompt(endpoint, request), "max_tokens": _n_tokens(request), "stream": False}
    return asked | _likeliest_or(request, seed="seed") | _stop(endpoint, request)


def _ask_with_marks(endpoint: ForeignEndpoint, request: CompletionRequest) -> ForeignBody:
    prompt = FAMILIES[endpoint.family].prompt(request.hole.prefix, request.hole.suffix)
    asked = {"model": endpoint.model, "prompt": prompt, "max_tokens": _n_tokens(request), "stream": False}
    return asked | _likeliest_or(request, seed="seed") | _stop(endpoint, request)


def _ask_mistral(endpoint: ForeignEndpoint, request: CompletionRequest) -> ForeignBody:
    asked = {**_prompt(endpoint, request), "max_tokens": _n_tokens(request), "stream": False}
    return asked | _likeliest_or(request, seed="random_seed") | _stop(endpoint, request)


def _ask_inception(endpoint: ForeignEndpoint, request: CompletionRequest) -> ForeignBody:
    """Without stops of ours Mercury's server has its own (a blank line), and its own penalty on repetition."""
    n_tokens = min(_n_tokens(request), MERCURY_MAX_TOKENS)
    asked: ForeignBody = {**_prompt(endpoint, request), "max_tokens": n_tokens, "stream": False}
    if request.sampling is not None:
        asked["top_p"] = request.sampling.top_p
        if request.sampling.top_k:
            asked["top_k"] = min(request.sampling.top_k, 1_000)
    return asked | _stop(endpoint, request)


def _ask_llamacpp(endpoint: ForeignEndpoint, request: CompletionRequest) -> ForeignBody:
    asked: ForeignBody = {
        "input_prefix": request.hole.prefix,
        "input_suffix": request.hole.suffix,
        "input_extra": [{"filename": "snippet", "text": snippet} for snippet in request.snippets],
        "prompt": "",
        "n_predict": _n_tokens(request),
        "cache_prompt": True,
        "stream": False,
    }
    if endpoint.model:
        asked["model"] = endpoint.model
    if request.sampling is not None:
        asked |= {"top_k": request.sampling.top_k, "min_p": 0}
    return asked | _likeliest_or(request, seed="seed") | _stop(endpoint, request)


def _ask_ollama(endpoint: ForeignEndpoint, request: CompletionRequest) -> ForeignBody:
    options = {"num_predict": _n_tokens(request), **_likeliest_or(request, seed="seed"), **_stop(endpoint, request)}
    if request.sampling is not None:
        options["top_k"] = request.sampling.top_k
    return {**_prompt(endpoint, request), "stream": False, "options": options}


def _prompt(endpoint: ForeignEndpoint, request: CompletionRequest) -> ForeignBody:
    return {"model": endpoint.model, "prompt": request.hole.prefix, "suffix": request.hole.suffix}


def _n_tokens(request: CompletionRequest) -> int:
    return request.max_tokens or (BLOCK_TOKENS if request.hole.multiline else LINE_TOKENS)


def _likeliest_or(request: CompletionRequest, *, seed: str) -> ForeignBody:
    """Temperature 0, or how tokens are drawn; seed names the field for the seed."""
    sampling = request.sampling
    if sampling is None:
        return {"temperature": 0}
    drawn: ForeignBody = {"temperature": sampling.temperature, "top_p": sampling.top_p}
    return drawn if sampling.seed is None else {**drawn, seed: sampling.seed}


def _stop(endpoint: ForeignEndpoint, request: CompletionRequest) -> ForeignBody:
    stops = stops_of(endpoint, request)[:MAX_STOPS_SENT]
    return {"stop": list(stops)} if stops else {}


@dataclass(frozen=True, kw_only=True)
class _ForeignMessage:
    content: str | None = None


@dataclass(frozen=True, kw_only=True)
class _ForeignChoice:
    text: str | None = None
    message: _ForeignMessage | None = None
    finish_reason: str | None = None


@dataclass(frozen=True, kw_only=True)
class _ForeignUsage:
    prompt_tokens: Count | None = None
    completion_tokens: Count | None = None


@dataclass(frozen=True, kw_only=True)
class _ForeignChoices:
    choices: tuple[_ForeignChoice, ...]
    usage: _ForeignUsage | None = None


def _read_choices(data: bytes) -> ForeignText:
    """The first choice: its text as OpenAI writes it, or its message as Mistral does."""
    found = read_json(data, _ForeignChoices, "answer", allows_more=True)
    if not found.choices:
        raise InputError("answer.choices is empty")
    choice, usage = found.choices[0], found.usage or _ForeignUsage()
    text = choice.text
    if text is None:
        text = None if choice.message is None else choice.message.content
    if text is None:
        raise InputError("answer.choices[0] has no text")
    return ForeignText(
        text=text,
        finish_reason=_finish_reason(choice.finish_reason),
        n_tokens=usage.completion_tokens or 0,
        n_context=usage.prompt_tokens or 0,
    )


@dataclass(frozen=True, kw_only=True)
class _ForeignTimings:
    predicted_n: Count | None = None


@dataclass(frozen=True, kw_only=True)
class _ForeignInfill:
    content: str
    stop_type: str | None = None
    tokens_evaluated: Count | None = None
    timings: _ForeignTimings | None = None


def _read_llamacpp(data: bytes) -> ForeignText:
    found = read_json(data, _ForeignInfill, "answer", allows_more=True)
    return ForeignText(
        text=found.content,
        finish_reason=_finish_reason(found.stop_type),
        n_tokens=(found.timings or _ForeignTimings()).predicted_n or 0,
        n_context=found.tokens_evaluated or 0,
    )


@dataclass(frozen=True, kw_only=True)
class _ForeignGeneration:
    response: str
    done_reason: str | None = None
    prompt_eval_count: Count | None = None
    eval_count: Count | None = None


def _read_ollama(data: bytes) -> ForeignText:
    found = read_json(data, _ForeignGeneration, "answer", allows_more=True)
    return ForeignText(
        text=found.response,
        finish_reason=_finish_reason(found.done_reason),
        n_tokens=found.eval_count or 0,
        n_context=found.prompt_eval_count or 0,
    )


def _finish_reason(said: str | None) -> FinishReason:
    """Ours for a server's word: "stop" (llama.cpp's eos and word, too, or nothing said), "length" for all others."""
    return "stop" if said in (None, "stop", "eos", "word") else "length"


SPEECHES: Mapping[ForeignDialect, Speech] = MappingProxyType(
    {
        "openai": Speech("/v1/completions", _ask_openai, _read_choices),
        "marks": Speech("/v1/completions", _ask_with_marks, _read_choices),
        "mistral": Speech("/v1/fim/completions", _ask_mistral, _read_choices),
        "inception": Speech("/v1/fim/completions", _ask_inception, _read_choices),
        "llamacpp": Speech("/infill", _ask_llamacpp, _read_llamacpp),
        "ollama": Speech("/api/generate", _ask_ollama, _read_ollama),
    }
)
