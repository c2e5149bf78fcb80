"""Which model names a request may use."""

from ..engine.worker_state import WorkerState
from .http import UnknownModelError

MODEL_ALIAS = "quicksilver"


def check_model(asked: str | None, state: WorkerState) -> None:
    """Raises UnknownModelError for a model that is not served. While one loads, any name passes."""
    if state.model and asked not in (None, "", MODEL_ALIAS, state.model):
        raise UnknownModelError(f"this engine serves the model {state.model}, not the one asked for")
