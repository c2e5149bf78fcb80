"""The worker's state, and the error for a request that it does not take."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from ...fim.errors import CheckpointError, EngineUnavailable, QuicksilverError
from ..wire import EngineStatus


class EngineStopping(EngineUnavailable):
    """The engine is about to end and gives no answer any more; another one may."""


@dataclass(frozen=True, kw_only=True)
class WorkerState:
    """Where the worker stands; reason is for people and set when it failed, ready_s is on time.monotonic's clock."""

    status: EngineStatus
    model: str = ""
    reason: str = ""
    facts: Mapping[str, str | int | float] = field(default_factory=dict)
    ready_s: float = 0.0


def refusal(state: WorkerState) -> QuicksilverError:
    if state.status == "refused":
        return CheckpointError(state.reason)
    return EngineStopping(state.reason) if state.status == "stopping" else EngineUnavailable(state.reason)
