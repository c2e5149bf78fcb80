"""What llama-server answers: objects with every field or with chosen ones, server-sent events, and errors."""

from collections.abc import AsyncGenerator, Mapping, Sequence

from ...engine.worker import Worker
from ..answering import pieces
from ..call import ApiAnswer, TextPiece
from ..http import HttpError, event
from .body import LlamaCall
from .indented import cut_pieces

_KINDS = {404: "not_found_error", 429: "unavailable_error", 500: "server_error", 503: "unavailable_error"}


def llama_error(error: HttpError) -> dict[str, object]:
    """An error in llama-server's shape."""
    kind = _KINDS.get(error.status, error.kind)
    return {"error": {"code": error.status, "message": error.message, "type": kind}}


def answer_body(asked: LlamaCall, answer: ApiAnswer, *, was_streamed: bool = False) -> dict[str, object]:
    """The answer object, without its text if that was streamed, or those of its fields that were asked for."""
    completion = answer.completion
    found = {
        "index": answer.index,
        "content": "" if was_streamed else answer.text,
        "tokens": [],
        "id_slot": asked.id_slot,
        "stop": True,
        "model": completion.model,
        "tokens_predicted": completion.n_tokens,
        "tokens_evaluated": completion.n_context,
        "generation_settings": asked.settings,
        "prompt": asked.call.request.hole.prefix,
        "has_new_line": "\n" in answer.text,
        "truncated": False,
        "stop_type": "word" if answer.stopped_by is not None else _STOPS[answer.end_reason],
        "stopping_word": answer.stopped_by or "",
        "tokens_cached": completion.n_context + completion.n_tokens,
        "timings": _timings(answer),
    }
    return choose_fields(found, asked.response_fields)


_STOPS = {"stop": "eos", "length": "limit"}


def choose_fields(found: Mapping[str, object], fields: Sequence[str]) -> dict[str, object]:
    """Those fields of found, by their paths: `timings/prompt_n` comes as a key of that name. Unknown ones are left
    out; without any fields, found comes whole."""
    if not fields:
        return dict(found)
    chosen: dict[str, object] = {}
    for field in fields:
        value: object = found
        for key in field.split("/"):
            if not isinstance(value, Mapping) or key not in value:
                break
            value = value[key]
        else:
            chosen[field] = value
    return chosen


def _timings(answer: ApiAnswer) -> dict[str, float]:
    took, completion = answer.completion.timings_ms, answer.completion
    n_read = completion.n_context - completion.n_cached
    return {
        "cache_n": completion.n_cached,
        **_pace("prompt", n_read, took.get("prefill", 0.0)),
        **_pace("predicted", completion.n_tokens, took.get("denoise", 0.0) + took.get("verify", 0.0)),
    }


def _pace(name: str, n: int, took_ms: float) -> dict[str, float]:
    """A number of tokens, the milliseconds for all and for each, and how many there were a second."""
    return {
        f"{name}_n": n,
        f"{name}_ms": took_ms,
        f"{name}_per_token_ms": took_ms / n if n else 0.0,
        f"{name}_per_second": 1000.0 * n / took_ms if took_ms else 0.0,
    }


async def events_of(worker: Worker, asked: LlamaCall) -> AsyncGenerator[bytes]:
    """The answer as server-sent events: texts, then for each answer one with all fields and no text. There is no
    `[DONE]`."""
    async for piece in cut_pieces(pieces(worker, asked.call), asked.n_indent):
        if isinstance(piece, ApiAnswer):
            yield event(answer_body(asked, piece, was_streamed=True))
        elif isinstance(piece, TextPiece):
            yield event(
                {"index": piece.index, "content": piece.text, "tokens": [], "stop": False, "id_slot": asked.id_slot}
            )
