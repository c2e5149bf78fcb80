"""Sets up every test process: one PyTorch thread, and shared test modules importable by their bare names.

Tiny tensors on two threads spend most of their time at barriers: eight slow files took 920 s with the default number of
threads and 211 s with one (2 cores, 2026-11). Child processes inherit the setting. (pytest's importlib mode leaves
sys.path alone, hence the second part.)
"""

import os
import sys
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch is imported anywhere

for folder in ("model", "published"):
    sys.path.insert(0, str(Path(__file__).parent / folder))
