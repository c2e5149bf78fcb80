"""Core dumps are off: a crashed process would write the source text in its memory to disk.

The processes stay readable for their own user (PR_SET_DUMPABLE is left alone): py-spy and the checks of docs/privacy.md
need that.
"""

import sys


def no_core_dumps() -> None:
    """Let this process, and those that it starts, leave no core dumps. Nothing happens on Windows, which has none."""
    if sys.platform == "win32":
        return
    import resource

    # 1 byte is less than any dump, and Linux takes it for "none" also where dumps go to a program, which 0 does not.
    soft = 1 if sys.platform == "linux" else 0
    _, hard = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (0 if hard == 0 else soft, hard))
