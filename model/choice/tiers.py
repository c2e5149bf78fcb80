"""The model to serve if none is named: the best installed one that is fast enough on this machine.

If a better one cannot be used for any reason, the next is served, and a line for people says why. Without PyTorch: the
functions that load and time a model are passed in.
"""

import gc
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from ...fim.errors import CheckpointError
from ...fim.files.user_folders import models_folder
from ...fim.models.embedded import CHECKPOINTS, EMBEDDED, FETCHED
from ...fim.models.speeds import MOST_KEY_MS, ModelSpeed
from ..checkpoint.checkpoint_files import CONFIG
from ..gguf.cache import is_whole
from ..storage.folder_files import excerpt

logger = logging.getLogger(__name__)

T = TypeVar("T")
UNUSABLE = (CheckpointError, MemoryError, RuntimeError)  # RuntimeError: from runtimes, also when out of memory


@dataclass(frozen=True)
class Tier:
    """A model that may be served by default."""

    name: str
    folder: Path


@dataclass(frozen=True)
class Chosen(Generic[T]):
    """The model that is served, and why, in one line for people."""

    model: T
    reason: str


def installed_tiers() -> list[Tier]:
    """The models that are installed, best first."""
    fetched = [Tier(name, models_folder() / name) for name in FETCHED]
    tiers = [*fetched, *(Tier(name, CHECKPOINTS / name) for name in EMBEDDED)]
    return [tier for tier in tiers if (tier.folder / CONFIG).is_file()]


def choose(
    tiers: Sequence[Tier],
    load: Callable[[Path], T],
    known: Callable[[Path], ModelSpeed | None],
    timed: Callable[[Path, T], ModelSpeed],
) -> Chosen[T]:
    """The first of tiers that is fast enough, loaded; if none is, the last one that can be used.

    known gives the measured speed of a folder's model, or None if it has yet to be measured, which timed does. If none
    can be used, raises the last one's error.
    """
    against: list[str] = []
    slow: list[Tier] = []
    error: BaseException = CheckpointError("no model came with this installation: reinstall, or pass --model FOLDER")
    for tier in tiers:
        is_last = tier is tiers[-1]
        try:
            model, speed = _try(tier, is_last, load, known, timed)
        except UNUSABLE as failure:
            error = failure.with_traceback(None)  # a traceback would keep the model alive
            against.append(f"{tier.name} cannot be used: {excerpt(failure) or type(failure).__name__}{_remedy(tier)}")
            logger.warning("%s", against[-1])
        else:
            if model is not None:
                return Chosen(model, f"{tier.name}: {'; '.join(against) or _fast(speed)}")
            slow.append(tier)
            against.append(f"{tier.name} takes {speed.key_ms:.0f} ms a key here, more than {MOST_KEY_MS:.0f}")
        _give_memory_back()
    if not slow:
        raise error
    return Chosen(load(slow[-1].folder), f"{slow[-1].name}: {'; '.join(against)}")


def _try(
    tier: Tier,
    is_last: bool,
    load: Callable[[Path], T],
    known: Callable[[Path], ModelSpeed | None],
    timed: Callable[[Path, T], ModelSpeed],
) -> tuple[T | None, ModelSpeed]:
    """A tier's model and its speed; None for the model if it is too slow and not the last one."""
    speed = known(tier.folder)
    if speed is None or speed.is_fast or is_last:
        model = load(tier.folder)
        speed = timed(tier.folder, model)
        if speed.is_fast or is_last:
            return model, speed
    return None, speed


def _give_memory_back() -> None:
    """Free a model that is not served: loading freezes its objects, and a model has reference cycles."""
    gc.unfreeze()
    gc.collect()


def _remedy(tier: Tier) -> str:
    """How to repair a damaged model; "" for one that is intact or came with the package."""
    is_damaged = tier.name in FETCHED and not is_whole(tier.folder)
    return f"; `quicksilver fetch {tier.name}` gets it again" if is_damaged else ""


def _fast(speed: ModelSpeed) -> str:
    return f"a warm key takes {speed.key_ms:.0f} ms here"
