"""For commands with a headless server: the option for the model, and explained answers."""

from pathlib import Path
from typing import Any

from ...fim.errors import CheckpointError, EngineError, InputError

_REFUSED = ("off", "closed")
_EXPLAINED = ("answered", "nothing", "unsure", "gated")


def check_explained(facts: dict[str, Any]) -> dict[str, Any]:
    """An explained answer, unless the question failed. Raises InputError, CheckpointError and EngineError."""
    if facts["cause"] in _REFUSED:
        raise InputError(f"no completion here: {facts['reason']}")
    if facts["cause"] == "checkpoint":
        raise CheckpointError(facts["reason"])
    if facts["cause"] not in _EXPLAINED:
        raise EngineError(facts["reason"])
    return facts


def model_options(model: Path | None) -> tuple[str, ...]:
    """Command line options of the server for a checkpoint folder."""
    return () if model is None else ("--model", str(model))
