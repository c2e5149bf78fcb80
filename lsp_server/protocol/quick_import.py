"""Imports without garbage collection.

lsprotocol builds 554 classes on import, and the garbage collector, which walks them again and again, doubles the time:
0.36 s with it, 0.18 s without (2-core AMD EPYC, Python 3.11, 2026-11-21).
"""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def collector_paused() -> Iterator[None]:
    """Pause automatic garbage collection, then restore its state."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
