"""Which of the installed models is served where nobody names one: the best that is fast enough on this machine.

Whatever is wrong with a better one, the next is served, and the reason is a line for people. Without PyTorch: what
loads and times a model is passed in.
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
UNUSABLE = (CheckpointError, MemoryError, RuntimeError)  # RuntimeError: what runtimes raise, also without memory


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
    """The first of tiers that is fast enough, loaded; the last of those that can be used where none is.

    known: what was measured of a folder's model, None where it has to be measured, which timed does. Raises what the
    last of them raises where none can be used.
    """
    against: list[str] = []
    slow: list[Tier] = []
    error: BaseException = CheckpointError("no model came with this installation: reinstall, or pass --model FOLDER")
    for tier in tiers:
        is_last = tier is tiers[-1]
        try:
            model, speed = _tried(tier, is_last, load, known, timed)
        except UNUSABLE as failure:
            error = failure.with_traceback(None)  # which holds what was loaded
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


def _tried(
    tier: Tier,
    is_last: bool,
    load: Callable[[Path], T],
    known: Callable[[Path], ModelSpeed | None],
    timed: Callable[[Path, T], ModelSpeed],
) -> tuple[T | None, ModelSpeed]:
    """A tier's model and its speed; None for a model that is too slow, unless it is the last one."""
    speed = known(tier.folder)
    if speed is None or speed.is_fast or is_last:
        model = load(tier.folder)
        speed = timed(tier.folder, model)
        if speed.is_fast or is_last:
            return model, speed
    return None, speed


def _give_memory_back() -> None:
    """Free a model that is not served: loading freezes what it makes, and a model refers to itself."""
    gc.unfreeze()
    gc.collect()


def _remedy(tier: Tier) -> str:
    """What brings a damaged model back; "" for one that is whole or came with the package."""
    is_damaged = tier.name in FETCHED and not is_whole(tier.folder)
    return f"; `quicksilver fetch {tier.name}` brings it anew" if is_damaged else ""


def _fast(speed: ModelSpeed) -> str:
    return f"a warm key takes {speed.key_ms:.0f} ms here"
