"""The machine and the versions that a result names, and the percentile that all benchmarks use."""

import math
import os
import platform
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

_VERSIONS = ("quicksilver-lsp", "torch", "openvino", "pygls", "lsprotocol")


def machine(more: Sequence[str] = ()) -> dict[str, Any]:
    """System, processor, cores, Python and package versions, of more packages too."""
    return {
        "system": f"{platform.system()} {platform.machine()}",
        "processor": _processor(),
        "cpus": os.cpu_count(),
        "python": platform.python_version(),
        "versions": {name: _version(name) for name in (*_VERSIONS, *more)},
    }


def percentile(values: Sequence[float], share: float) -> float:
    """The nearest-rank percentile of at least one value; share is in (0, 1]."""
    return sorted(values)[max(0, math.ceil(share * len(values)) - 1)]


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8", errors="replace").splitlines() if info.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or "unknown"


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"


def count_cores() -> int:
    """Cores of this machine, as far as the system tells."""
    return os.cpu_count() or 1
