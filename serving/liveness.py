"""Whether a process that wrote down its number still runs.

A number alone proves nothing: the system gives it to another process later.
"""

import os
import sys
from pathlib import Path

_PROC = Path("/proc")
_STATE, _STARTED = 0, 19  # fields of /proc/PID/stat behind the name, which is in parentheses
_SLACK_S = 0.02 if sys.platform == "linux" else 2.0  # elsewhere creation times are on the clock that people set


def birth_s(pid: int) -> float | None:
    """When the process was created; None if there is none, or if it has ended and only waits for its parent.

    On Linux in seconds since the system started, so that setting the clock changes nothing; elsewhere as psutil says.
    """
    if sys.platform == "linux":
        return _birth_by_proc(pid)
    import psutil  # late: front ends seldom need it

    try:
        process = psutil.Process(pid)
        return None if process.status() == psutil.STATUS_ZOMBIE else process.create_time()
    except psutil.Error:
        return None


def is_same(pid: int, started_s: float) -> bool:
    """Whether process pid runs and is the one that was created at started_s."""
    found_s = birth_s(pid)
    return found_s is not None and abs(found_s - started_s) <= _SLACK_S


def _birth_by_proc(pid: int) -> float | None:
    try:
        stat = (_PROC / str(pid) / "stat").read_bytes()
    except OSError:
        return None
    fields = stat.rpartition(b")")[2].split()
    return None if fields[_STATE] in b"ZX" else int(fields[_STARTED]) / os.sysconf("SC_CLK_TCK")
