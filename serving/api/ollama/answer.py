"""What Ollama answers: objects, lines of JSON, errors, and descriptions of the served model."""

import time
from collections.abc import AsyncGenerator, Mapping
from datetime import UTC, datetime

from ...engine.worker import Worker
from ...engine.worker_state import WorkerState
from ..answering import pieces
from ..call import ApiAnswer, TextPiece
from ..http import HttpError, escaped_json
from .body import OllamaCall

TAG = ":latest"


def ollama_error(error: HttpError) -> dict[str, object]:
    """An error in Ollama's shape."""
    return {"error": error.message}


def last_body(asked: OllamaCall, answer: ApiAnswer, text: str, start_s: float) -> dict[str, object]:
    """The object that ends an answer, with text and what the answer took since start_s (`time.monotonic`)."""
    if asked.loads:
        return _body(asked, answer.completion.model, text) | {"done": True, "done_reason": "load"}
    completion, took = answer.completion, answer.completion.timings_ms
    ended: dict[str, object] = {
        "done": True,
        "done_reason": answer.end_reason,
        "total_duration": _nanoseconds(1000.0 * (time.monotonic() - start_s)),
        "load_duration": _nanoseconds(took.get("queue", 0.0)),
        "prompt_eval_count": completion.n_context,
        "prompt_eval_duration": _nanoseconds(took.get("prefill", 0.0)),
        "eval_count": completion.n_tokens,
        "eval_duration": _nanoseconds(took.get("denoise", 0.0) + took.get("verify", 0.0)),
    }
    if asked.call.request.log_probs:
        ended["logprobs"] = [{"token": token.text, "logprob": token.log_prob} for token in answer.tokens]
    return _body(asked, completion.model, text) | ended


def _body(asked: OllamaCall, model: str, text: str) -> dict[str, object]:
    """What all objects of an answer have: the model by the name that the client gave it, the time, and a text."""
    said = {"message": {"role": "assistant", "content": text}} if asked.chats else {"response": text}
    return {"model": asked.name or model + TAG, "created_at": now(), **said, "done": False}


async def lines_of(worker: Worker, asked: OllamaCall, start_s: float) -> AsyncGenerator[bytes]:
    """The answer as lines of JSON: texts, then one that ends it."""
    async for piece in pieces(worker, asked.call):
        if isinstance(piece, TextPiece):
            yield line(_body(asked, worker.state.model, piece.text))
        elif isinstance(piece, ApiAnswer):
            yield line(last_body(asked, piece, "", start_s))


def line(value: object) -> bytes:
    return escaped_json(value) + b"\n"


def details_of(state: WorkerState) -> dict[str, object]:
    """The `details` of the served model."""
    return {
        "parent_model": "",
        "format": "safetensors",
        "family": "quicksilver",
        "families": ["quicksilver"],
        "parameter_size": _human_number(state.facts),
        "quantization_level": str(state.facts.get("dtype", "")),
    }


def _human_number(facts: Mapping[str, str | int | float]) -> str:
    """The number of parameters as Ollama writes it, "" if it is not known."""
    n = facts.get("parameters")
    if not isinstance(n, int | float):
        return ""
    for unit, sign, digits in ((1e9, "B", 1), (1e6, "M", 2), (1e3, "K", 0)):
        if n >= unit:
            return f"{n / unit:.{digits}f}{sign}"
    return f"{n:.0f}"


def _nanoseconds(milliseconds: float) -> int:
    return round(1e6 * milliseconds)


def now() -> str:
    """The time in RFC 3339, UTC."""
    return datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
