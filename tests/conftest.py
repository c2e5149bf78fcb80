"""Sets up every test process: one PyTorch thread, slow files first, shared test modules importable by their bare names.

Tiny tensors on two threads spend most of their time at barriers: eight slow files took 920 s with the default number of
threads and 211 s with one (2 cores, 2026-11). Child processes inherit the setting. (pytest's importlib mode leaves
sys.path alone, hence the part about paths.)
"""

import os
import sys
from pathlib import Path

import pytest

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch is imported anywhere

for folder in ("fetch", "model", "published"):
    sys.path.insert(0, str(Path(__file__).parent / folder))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files with tests marked slow come first: a worker that begins one last would keep the others waiting."""
    slow = {item.path for item in items if item.get_closest_marker("slow") is not None}
    items.sort(key=lambda item: item.path not in slow)  # otherwise the order stays
