"""state.pt: all that a run needs to resume. Written whole or not at all; nothing but tensors is unpickled."""

from pathlib import Path
from typing import Any

import torch

from ...fim.errors import InputError
from ...fim.files.atomic_write import replace_whole

STATE = "state.pt"


class NotSaved(InputError):
    """The state could not be written; the one before is still there."""


def write_state(folder: Path, state: dict[str, Any]) -> None:
    """Replace the state. Raises NotSaved, with one line, when the disk is full or the like."""
    part = folder / (STATE + ".part")
    try:
        torch.save(state, part)
        replace_whole(folder / STATE, part)
    except (OSError, RuntimeError) as error:  # torch says RuntimeError when it cannot write
        part.unlink(missing_ok=True)
        reason = getattr(error, "strerror", None) or str(error).split("\n")[0]
        raise NotSaved(f"could not write {folder / STATE} ({reason}): free some disk space") from error


def read_state(folder: Path) -> dict[str, Any] | None:
    """What was written, on the CPU, None if there is nothing. Raises InputError when it is damaged."""
    path = folder / STATE
    if not path.is_file():
        return None
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises many kinds for a damaged file
        raise unusable(folder, error) from error
    if not isinstance(state, dict):
        raise unusable(folder, TypeError("not a training state"))
    return state


def unusable(folder: Path, error: Exception) -> InputError:
    """The error for a state that cannot be resumed from."""
    reason = " ".join(str(error).split())[:300]
    return InputError(f"cannot resume from {folder / STATE} ({reason}): delete it to start over")
