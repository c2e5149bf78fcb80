"""Makes the shared test modules importable by their bare names (pytest's importlib mode leaves sys.path alone)."""

import sys
from pathlib import Path

for folder in ("model", "published"):
    sys.path.insert(0, str(Path(__file__).parent / folder))
