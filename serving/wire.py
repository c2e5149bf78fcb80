"""How requests, completions and the engine's state travel: dataclasses to JSON bytes and back.

Owns the layout of `POST /v1/fill` and `GET /health`. Every Python string survives, lone surrogates included: the bytes
are UTF-8 with surrogates passed through, and escapes like \\ud800 are understood too. It does not know HTTP or sockets.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Literal, get_args

from ..fim.errors import InputError
from ..fim.text.printable import one_line
from ..fim.types import (
    MAX_OFFERS,
    MAX_SNIPPETS,
    Alternative,
    CellState,
    Completion,
    CompletionRequest,
    CompletionSource,
    FinishReason,
    Hole,
    Offer,
    OfferSource,
    PolicyName,
    TraceCell,
    TraceFrame,
)
from .bounds import MAX_PATH_CHARS, bound_hole
from .fields import (
    Fields,
    as_bool,
    as_count,
    as_fact,
    as_number,
    as_pair,
    as_text,
    list_of,
    mapping_of,
    one_of,
    optional,
    parse_object,
)

# A window of source text is a few hundred kilobytes at the very most; a 5 MB one-line file still fits.
MAX_BODY_BYTES = 8 * 1024 * 1024

# The error code of a 503 that a stopping engine answers: nothing was run for good, another engine may be asked.
STOPPING_CODE = "stopping"

# The error code of a 503 for weights that cannot be used: a person has to mend the checkpoint.
CHECKPOINT_CODE = "checkpoint"

# The fact about an engine that says, for people, which model it serves and why.
CHOICE = "choice"

EngineStatus = Literal["loading", "ready", "refused", "failed", "stopping"]


@dataclass(frozen=True, kw_only=True)
class EngineHealth:
    """What `GET /health` says: the engine's state and facts about it; reason is set when status is "refused"
    (the checkpoint cannot be used) or "failed" (anything else that kept the model from loading)."""

    status: EngineStatus
    version: str
    pid: int
    uptime_s: float
    n_jobs: int = 0
    model: str = ""
    reason: str = ""
    facts: Mapping[str, str | int | float] = field(default_factory=dict)


def encode(value: object) -> bytes:
    """value as JSON. Raises ValueError for NaN and infinities."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return text.encode("utf-8", "surrogatepass")


def encode_request(request: CompletionRequest) -> bytes:
    """request as the body of `POST /v1/fill`; an infinite budget travels as none."""
    hole = request.hole
    budget_ms = request.budget_ms if request.budget_ms is None or math.isfinite(request.budget_ms) else None
    return encode(
        {
            "hole": {
                "prefix": hole.prefix,
                "suffix": hole.suffix,
                "language": hole.language,
                "replaced": list(hole.replaced),
                "multiline": hole.multiline,
                "in_prose": hole.in_prose,
            },
            "path": request.path,
            "snippets": list(request.snippets),
            "budget_ms": budget_ms,
            "max_evaluations": request.max_evaluations,
            "max_tokens": request.max_tokens,
            "policy": request.policy,
            "drafts": request.drafts,
            "mends": request.mends,
            "lengths": request.lengths,
            "offers": [asdict(offer) for offer in request.offers],
            "n_alternatives": request.n_alternatives,
            "min_probability": request.min_probability,
            "trace": request.trace,
            "warms": request.warms,
        }
    )


def decode_request(data: bytes) -> CompletionRequest:
    """The request in the body of `POST /v1/fill`; all keys but hole may be left out. Raises InputError."""
    fields = parse_object(data, "request")
    try:
        request = CompletionRequest(
            hole=fields.take("hole", _as_hole),
            path=fields.take("path", as_text, "")[-MAX_PATH_CHARS:],
            snippets=fields.take("snippets", list_of(as_text, MAX_SNIPPETS), ()),
            budget_ms=fields.take("budget_ms", optional(as_number), 1000.0),
            max_evaluations=fields.take("max_evaluations", as_count, 64),
            max_tokens=fields.take("max_tokens", optional(as_count), None),
            policy=fields.take("policy", optional(one_of(get_args(PolicyName))), None),
            drafts=fields.take("drafts", as_count, 6),
            mends=fields.take("mends", as_count, 0),
            lengths=fields.take("lengths", as_count, 1),
            offers=fields.take("offers", list_of(_as_offer, MAX_OFFERS), ()),
            n_alternatives=fields.take("n_alternatives", as_count, 0),
            min_probability=fields.take("min_probability", as_number, 0.0),
            trace=fields.take("trace", as_bool, False),
            warms=fields.take("warms", as_bool, False),
        )
    except InputError:
        raise
    except ValueError as error:
        raise InputError(f"request: {one_line(str(error))}") from error
    fields.finish()
    return request


def encode_completion(completion: Completion) -> bytes:
    """completion as the answer of `POST /v1/fill`. Raises ValueError for NaN and infinities."""
    return encode(
        {
            "text": completion.text,
            "range": list(completion.range),
            "confidence": completion.confidence,
            "finish_reason": completion.finish_reason,
            "steps": completion.steps,
            "n_tokens": completion.n_tokens,
            "model": completion.model,
            "source": completion.source,
            "timings_ms": dict(completion.timings_ms),
            "n_context": completion.n_context,
            "n_cached": completion.n_cached,
            "prefixes": list(completion.prefixes),
            "alternatives": [asdict(alternative) for alternative in completion.alternatives],
            "trace": [_frame_value(frame) for frame in completion.trace],
        }
    )


def decode_completion(data: bytes) -> Completion:
    """The completion in an answer of `POST /v1/fill`. Raises InputError."""
    fields = parse_object(data, "completion")
    completion = Completion(
        text=fields.take("text", as_text),
        range=fields.take("range", as_pair),
        confidence=fields.take("confidence", as_number),
        finish_reason=fields.take("finish_reason", one_of(get_args(FinishReason))),
        steps=fields.take("steps", as_count),
        n_tokens=fields.take("n_tokens", as_count),
        model=fields.take("model", as_text),
        source=fields.take("source", one_of(get_args(CompletionSource)), "denoiser"),
        timings_ms=fields.take("timings_ms", mapping_of(as_number), {}),
        n_context=fields.take("n_context", as_count, 0),
        n_cached=fields.take("n_cached", as_count, 0),
        prefixes=fields.take("prefixes", list_of(_as_prefix), ()),
        alternatives=fields.take("alternatives", list_of(_as_alternative), ()),
        trace=fields.take("trace", list_of(_as_frame), ()),
    )
    fields.finish()
    return completion


def encode_health(health: EngineHealth) -> bytes:
    """health as the answer of `GET /health`."""
    return encode(
        {
            "status": health.status,
            "version": health.version,
            "pid": health.pid,
            "uptime_s": health.uptime_s,
            "n_jobs": health.n_jobs,
            "model": health.model,
            "reason": health.reason,
            "facts": dict(health.facts),
        }
    )


def decode_health(data: bytes) -> EngineHealth:
    """The state in an answer of `GET /health`. Raises InputError."""
    fields = parse_object(data, "health")
    health = EngineHealth(
        status=fields.take("status", one_of(get_args(EngineStatus))),
        version=fields.take("version", as_text),
        pid=fields.take("pid", as_count),
        uptime_s=fields.take("uptime_s", as_number),
        n_jobs=fields.take("n_jobs", as_count, 0),
        model=fields.take("model", as_text, ""),
        reason=fields.take("reason", as_text, ""),
        facts=fields.take("facts", mapping_of(as_fact), {}),
    )
    fields.finish()
    return health


def _as_hole(value: object, where: str) -> Hole:
    fields = Fields(value, where)
    hole = Hole(
        prefix=fields.take("prefix", as_text),
        suffix=fields.take("suffix", as_text),
        language=fields.take("language", as_text),
        replaced=fields.take("replaced", as_pair),
        multiline=fields.take("multiline", as_bool),
        in_prose=fields.take("in_prose", as_bool, False),
    )
    fields.finish()
    return bound_hole(hole)


def _as_offer(value: object, where: str) -> Offer:
    fields = Fields(value, where)
    offer = Offer(
        text=fields.take("text", as_text),
        source=fields.take("source", one_of(get_args(OfferSource))),
        n_before=fields.take("n_before", as_count),
        n_after=fields.take("n_after", as_count, 0),
    )
    fields.finish()
    return offer


def _as_alternative(value: object, where: str) -> Alternative:
    fields = Fields(value, where)
    alternative = Alternative(
        text=fields.take("text", as_text),
        confidence=fields.take("confidence", as_number),
        source=fields.take("source", one_of(get_args(CompletionSource))),
        n_tokens=fields.take("n_tokens", as_count),
        prefixes=fields.take("prefixes", list_of(_as_prefix), ()),
    )
    fields.finish()
    return alternative


def _as_prefix(value: object, where: str) -> tuple[int, float]:
    if not isinstance(value, list) or len(value) != 2:
        raise InputError(f"{where} must be a pair of numbers")
    return as_count(value[0], where), as_number(value[1], where)


def _frame_value(frame: TraceFrame) -> dict[str, object]:
    cells = [{"text": cell.text, "state": cell.state} for cell in frame.cells]
    return {"step": frame.step, "elapsed_ms": frame.elapsed_ms, "cells": cells}


def _as_frame(value: object, where: str) -> TraceFrame:
    fields = Fields(value, where)
    frame = TraceFrame(
        step=fields.take("step", as_count),
        elapsed_ms=fields.take("elapsed_ms", as_number),
        cells=fields.take("cells", list_of(_as_cell)),
    )
    fields.finish()
    return frame


def _as_cell(value: object, where: str) -> TraceCell:
    fields = Fields(value, where)
    cell = TraceCell(
        text=fields.take("text", as_text),
        state=fields.take("state", one_of(get_args(CellState))),
    )
    fields.finish()
    return cell
