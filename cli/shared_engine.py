"""The client of this user's engine, for every command."""

from pathlib import Path

from ..serving.client.engine_client import EngineClient
from ..serving.paths import find_home


def shared_engine(model: Path | None) -> EngineClient:
    """A client of the engine for a checkpoint folder (None: for the best one here); nothing is started yet."""
    return EngineClient(find_home(model))
