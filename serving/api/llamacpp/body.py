"""What llama.cpp's clients send: bodies of `/infill` and `/completion`, and the calls that they ask for."""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from msgspec import Meta

from ....fim.errors import InputError
from ....fim.text.printable import one_line
from ...json_values import read_json
from ..call import MAX_ANSWER_TOKENS, ApiCall, Int64, completion_request, sampling_of
from ..marks import ContextFile, MarkedPrompt, split_prompt
from ..openai import one_prompt, stops_of

# What reading a context may take beside t_max_predict_ms. Clients ask for 500 ms, which llama-server ignores: there,
# reading takes as long as it takes, and a line is always finished. 144 tokens that were not cached took coder 0.7 s on
# two cores, 2.8 s when these were busy; with 2 s, eight of ten answers were less than a line then (2026-11-30).
MIN_READING_MS, MAX_READING_MS = 5_000.0, 30_000.0
RANDOM_SEED = 2**32 - 1  # llama.cpp's word for none
MAX_COUNT = 2**31 - 1


@dataclass(frozen=True, kw_only=True)
class ExtraText:
    """An entry of `input_extra`: a text from another file."""

    text: str
    filename: str | None = None


@dataclass(frozen=True, kw_only=True)
class LlamaBody:
    """The fields that are read of every body."""

    n_predict: Annotated[int, Meta(ge=-1, le=MAX_COUNT)] | None = None
    max_tokens: Annotated[int, Meta(ge=-1, le=MAX_COUNT)] | None = None
    n_indent: Annotated[int, Meta(ge=0)] | None = None
    n_cmpl: Annotated[int, Meta(ge=1)] | None = None
    n: Annotated[int, Meta(ge=1)] | None = None
    t_max_prompt_ms: float | None = None
    t_max_predict_ms: float | None = None
    stop: str | tuple[str, ...] | None = None
    temperature: Annotated[float, Meta(le=2)] | None = None
    top_k: Int64 | None = None
    top_p: Annotated[float, Meta(ge=0, le=1)] | None = None
    seed: Int64 | None = None
    stream: bool | None = None
    response_fields: tuple[str, ...] | None = None
    id_slot: Int64 | None = None
    grammar: str | None = None
    json_schema: Any = None
    language: str | None = None
    path: str | None = None


@dataclass(frozen=True, kw_only=True)
class InfillBody(LlamaBody):
    """The body of `/infill`. prompt is the text between input_prefix and the cursor."""

    input_prefix: str
    input_suffix: str
    prompt: str | None = None
    input_extra: tuple[ExtraText, ...] | None = None


@dataclass(frozen=True, kw_only=True)
class PromptBody(LlamaBody):
    """The body of `/completion`."""

    prompt: str | tuple[str, ...]
    infilling_marks: bool | None = None


@dataclass(frozen=True, kw_only=True)
class LlamaCall:
    """A parsed body: the call, and the form of the answer. Every line but the first has n_indent blanks at least."""

    call: ApiCall
    n_indent: int
    response_fields: tuple[str, ...]
    settings: Mapping[str, object]
    id_slot: int


def parse_infill(data: bytes) -> LlamaCall:
    """The call in a body of `/infill`. Raises InputError."""
    body = read_json(data, InfillBody, "request", allows_more=True)
    files = tuple(file_of(each) for each in body.input_extra or ())
    prefix = body.input_prefix + (body.prompt or "")
    return _call(body, MarkedPrompt(prefix=prefix, suffix=body.input_suffix, files=files))


def parse_completion(data: bytes) -> LlamaCall:
    """The call in a body of `/completion`. Raises InputError."""
    body = read_json(data, PromptBody, "request", allows_more=True)
    return _call(body, split_prompt(one_prompt(body.prompt), infilling_marks=body.infilling_marks is not False))


def _call(body: LlamaBody, texts: MarkedPrompt) -> LlamaCall:
    for name, value in (("grammar", body.grammar), ("json_schema", body.json_schema)):
        if value:
            raise InputError(f"request.{name} is not supported: leave it out")
    n_predict = body.n_predict if body.n_predict is not None else body.max_tokens
    warms = n_predict == 0
    request = completion_request(
        prefix=texts.prefix,
        suffix=texts.suffix,
        language=body.language,
        path=body.path or texts.path,
        names=texts.names,
        snippets=texts.snippets,
        max_tokens=None if n_predict in (None, -1, 0) else min(n_predict, MAX_ANSWER_TOKENS),
        budget_ms=budget_of(body.t_max_predict_ms, body.t_max_prompt_ms, warms=warms),
        sampling=sampling_of(
            max(0.0, body.temperature or 0.0), body.top_p, body.top_k, None if body.seed == RANDOM_SEED else body.seed
        ),
        stop=stops_of(_without_empty(body.stop)),
    )
    call = ApiCall(
        request=dataclasses.replace(request, warms=warms),
        n=1 if warms else body.n_cmpl or body.n or 1,
        stream=body.stream or False,
    )
    return LlamaCall(
        call=call,
        n_indent=body.n_indent or 0,
        response_fields=body.response_fields or (),
        settings=settings_of(body, call, n_predict),
        id_slot=max(0, body.id_slot or 0),
    )


def budget_of(t_max_predict_ms: float | None, t_max_prompt_ms: float | None, *, warms: bool) -> float | None:
    """The budget in milliseconds; None, no deadline, without t_max_predict_ms.

    llama.cpp counts t_max_predict_ms from the first token, and reads the context however long that takes. Here both
    share a budget: reading may take t_max_prompt_ms, bounded by MIN_READING_MS and MAX_READING_MS. Reading ahead has
    the longest time in any case, since nobody waits for it.
    """
    if warms:
        return MAX_READING_MS
    if t_max_predict_ms is None or t_max_predict_ms <= 0:
        return None
    return t_max_predict_ms + min(max(t_max_prompt_ms or 0.0, MIN_READING_MS), MAX_READING_MS)


def file_of(extra: ExtraText) -> ContextFile:
    """A text from another file, with a name that stays in its line."""
    return ContextFile(name=one_line(extra.filename or ""), text=extra.text)


def _without_empty(stop: str | Sequence[str] | None) -> tuple[str, ...]:
    """The stop texts without empty ones, which llama.cpp ignores."""
    return tuple(each for each in ((stop,) if isinstance(stop, str) else stop or ()) if each)


def settings_of(body: LlamaBody, call: ApiCall, n_predict: int | None) -> dict[str, object]:
    """The `generation_settings` of an answer: what holds for it."""
    sampling = call.request.sampling
    n_tokens = -1 if n_predict is None else n_predict
    return {
        "seed": RANDOM_SEED if sampling is None or sampling.seed is None else sampling.seed,
        "temperature": 0.0 if sampling is None else sampling.temperature,
        "top_k": 0 if sampling is None else sampling.top_k,
        "top_p": 1.0 if sampling is None else sampling.top_p,
        "stop": list(call.request.stop),
        "max_tokens": n_tokens,
        "n_predict": n_tokens,
        "n_indent": body.n_indent or 0,
        "stream": call.stream,
        "grammar": "",
        "samplers": [] if sampling is None else ["top_k", "top_p", "temperature"],
        "lora": [],
    }
