"""Requests, completions and the engine's state on the wire: dataclasses to JSON bytes and back.

Owns the layout of `POST /v1/fill` and `GET /health`. Every Python string survives, lone surrogates included
(`json_values`).
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from ..fim.types import Completion, CompletionRequest, Count, Number
from .bounds import MAX_PATH_CHARS, bound_hole
from .json_values import as_json, read_json

# A window of source text is a few hundred kilobytes at the very most; a 5 MB one-line file still fits.
MAX_BODY_BYTES = 8 * 1024 * 1024

# The error code of a 503 that a stopping engine answers: nothing was run for good, another engine may be asked.
STOPPING_CODE = "stopping"

# The error code of a 503 for weights that cannot be used: a person has to mend the checkpoint.
CHECKPOINT_CODE = "checkpoint"

# The fact about an engine that says, for people, which model it serves and why.
CHOICE = "choice"

EngineStatus = Literal["loading", "ready", "refused", "failed", "stopping"]
READY = "ok"  # what `GET /health` says for "ready": clients of llama-server look for that word


@dataclass(frozen=True, kw_only=True)
class EngineHealth:
    """What `GET /health` says: the engine's state and facts about it; reason is set when status is "refused"
    (the checkpoint cannot be used) or "failed" (anything else that kept the model from loading)."""

    status: EngineStatus | Literal["ok"]
    version: str
    pid: Count
    uptime_s: Number
    n_jobs: Count = 0
    model: str = ""
    reason: str = ""
    facts: Mapping[str, str | int | float] = field(default_factory=dict)


def encode_request(request: CompletionRequest) -> bytes:
    """request as the body of `POST /v1/fill`; an infinite budget travels as none."""
    is_endless = request.budget_ms is not None and not math.isfinite(request.budget_ms)
    return as_json(replace(request, budget_ms=None) if is_endless else request)


def decode_request(data: bytes) -> CompletionRequest:
    """The request in the body of `POST /v1/fill`; all keys but hole may be left out. Raises InputError."""
    request = read_json(data, CompletionRequest, "request")
    return replace(request, hole=bound_hole(request.hole), path=request.path[-MAX_PATH_CHARS:])


def encode_completion(completion: Completion) -> bytes:
    """completion as the answer of `POST /v1/fill`. Raises ValueError for NaN and infinities."""
    return as_json(completion)


def decode_completion(data: bytes) -> Completion:
    """The completion in an answer of `POST /v1/fill`. Raises InputError."""
    return read_json(data, Completion, "completion")


def encode_health(health: EngineHealth) -> bytes:
    """health as the answer of `GET /health`, where "ready" is called READY."""
    return as_json(replace(health, status=READY) if health.status == "ready" else health)


def decode_health(data: bytes) -> EngineHealth:
    """The state in an answer of `GET /health`. Raises InputError."""
    health = read_json(data, EngineHealth, "health")
    return replace(health, status="ready") if health.status == READY else health
