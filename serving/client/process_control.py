"""Ends an engine by its process number, even if its socket is gone."""

import asyncio
import os
import signal
import time
from pathlib import Path

from ...fim.errors import EngineUnavailable
from ..liveness import is_same
from ..paths import EngineInfo, running_info

_POLL_S = 0.02
_PATIENCE_S = 5.0  # an engine that was told to end lets requests in flight finish for two seconds
_GONE_S = 5.0


async def end_process(info_file: Path, *, patience_s: float = _PATIENCE_S) -> EngineInfo | None:
    """End the engine that info_file names and wait until it is gone; None if none runs.

    It is told to end, and killed if it still runs after patience_s. Number and creation time must both agree, so that
    no other process is ended. Raises EngineUnavailable if it cannot be ended.
    """
    info = running_info(info_file)
    if info is None:
        return None
    try:
        if patience_s > 0:
            os.kill(info.pid, signal.SIGTERM)
        if not await _gone(info, patience_s):
            os.kill(info.pid, getattr(signal, "SIGKILL", signal.SIGTERM))
            if not await _gone(info, _GONE_S):
                raise EngineUnavailable(f"the engine (process {info.pid}) does not end: the system holds it")
    except ProcessLookupError:
        return info
    except OSError as error:
        raise EngineUnavailable(f"cannot end the engine (process {info.pid}): {error.strerror}") from error
    return info


async def _gone(info: EngineInfo, wait_s: float) -> bool:
    deadline_s = time.monotonic() + wait_s
    while is_same(info.pid, info.started_s):
        if time.monotonic() >= deadline_s:
            return False
        await asyncio.sleep(_POLL_S)
    return True
