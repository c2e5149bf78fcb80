"""The end of an engine that does not listen any more. Knows its info file and its process, no HTTP."""

import asyncio

from .home import EngineHome, read_info

_SAME_S = 1.0  # between two tellings of when a process was created
_GONE_S = 5.0


async def kill_engine(home: EngineHome) -> bool:
    """Kill the engine of home, and wait until it is gone; False when none is known, or it does not go.

    Its info file names process and creation time, so that nobody else's process is met.
    """
    import psutil  # late: front ends seldom need it

    info = read_info(home)
    if info is None:
        return False
    try:
        process = psutil.Process(info.pid)
        if abs(process.create_time() - info.started_s) > _SAME_S:
            return False
        process.kill()
        await asyncio.to_thread(process.wait, _GONE_S)
    except psutil.NoSuchProcess:
        return True
    except (psutil.Error, OSError):
        return False
    return True
