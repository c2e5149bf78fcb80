"""The worker's state: how loading ends, what a failure is called, and the error for a request that it does not take."""

import logging
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ...fim.engine import Infiller
from ...fim.errors import CheckpointError, EngineError, EngineUnavailable, InputError, QuicksilverError
from ...fim.text.printable import one_line
from ..wire import EngineStatus

logger = logging.getLogger(__name__)


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


def try_to_load(load: Callable[[], Infiller[Any]]) -> tuple[Infiller[Any] | None, WorkerState]:
    """The model and the state "ready", or None and a state that says why there is none."""
    start_s = time.monotonic()
    try:
        infiller = load()
        state = WorkerState(
            status="ready", model=infiller.name, facts=dict(infiller.describe()), ready_s=time.monotonic()
        )
    except BaseException as error:  # any error while loading is what people need to see
        return None, _state_without_model(error)
    logger.info("model %s ready after %.2f s", state.model, state.ready_s - start_s)
    return infiller, state


def _state_without_model(error: BaseException) -> WorkerState:
    if isinstance(error, QuicksilverError):
        reason = one_line(str(error))
    else:
        reason = f"the model cannot be loaded ({type(error).__name__}: {one_line(str(error))[:200]})"
        logger.error("loading failed\n%s", "".join(traceback.format_tb(error.__traceback__)))
    is_refused = isinstance(error, CheckpointError | InputError)  # it is for a person to change, and no failure
    return WorkerState(status="refused" if is_refused else "failed", reason=reason)


def state_after_death(error: BaseException) -> WorkerState:
    """The state of a worker whose thread ends with error. Logs where."""
    kind = type(error).__name__
    logger.error("the worker failed (%s)\n%s%s", kind, "".join(traceback.format_tb(error.__traceback__)), kind)
    return WorkerState(status="failed", reason=f"the engine failed ({kind}): its log says where")


def failure_of(error: Exception) -> EngineError:
    """What a client is told of an error in its request. Logs where; the message may quote the user's text, so only the
    debug log has it."""
    kind = type(error).__name__
    logger.error("request failed (%s)\n%s%s", kind, "".join(traceback.format_tb(error.__traceback__)), kind)
    logger.debug("request failed: %s", error)
    return EngineError(f"the engine failed on this request ({kind}): its log says where")
