"""How fast models run on this machine: measured when they are first loaded, and kept in a user's file.

Owns the speed that a model must have to be served by default, and the file.
"""

import json
import logging
import math
import os
import platform
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from ..files.regular_file import read_regular
from ..files.user_folders import speeds_file

logger = logging.getLogger(__name__)

MOST_KEY_MS = 250.0  # of the 300 that an automatic suggestion may take (`budget_ms`): drafts are verified, too
N_MEASURED = 3  # times that a fast model is measured, on different days: the machine will be idle on one of them
_DAY_S = 86_400.0
_N_KEPT = 64
_MAX_BYTES = 2**18
_MAX_NAME = 200


@dataclass(frozen=True, kw_only=True)
class ModelSpeed:
    """The best measurements of a model: a warm key and a token of a cold context, in milliseconds.

    resident_mb is the memory of its engine, measured_s the Unix time of the latest measurement, the n_measured-th.
    """

    model: str
    device: str
    key_ms: float
    token_ms: float
    resident_mb: float
    measured_s: float
    n_measured: int = 1

    def __post_init__(self) -> None:
        numbers = (self.key_ms, self.token_ms, self.resident_mb, self.measured_s)
        if not all(isinstance(n, int | float) and math.isfinite(n) and 0 <= n < 1e12 for n in numbers):
            raise ValueError("a speed is made of numbers")
        if not all(isinstance(text, str) and text.isprintable() and text[_MAX_NAME:] == "" for text in self._texts):
            raise ValueError("a speed names a model and a device")
        if type(self.n_measured) is not int or self.n_measured < 1:
            raise ValueError("a speed was measured at least once")

    @property
    def is_fast(self) -> bool:
        """Whether it is fast enough to be served by default."""
        return self.key_ms <= MOST_KEY_MS

    def is_due(self, now_s: float) -> bool:
        """Whether to measure it again: a busy machine must not rule a model out for good."""
        if self.is_fast and self.n_measured >= N_MEASURED:
            return False
        return not 0 <= now_s - self.measured_s < _DAY_S  # a clock may have been set back

    @property
    def _texts(self) -> tuple[str, str]:
        return self.model, self.device


def speed_key(sha256: str, version: str, n_threads: int | None, device: str) -> str:
    """The key of a speed: the model's weights, our version, this processor, its threads, and the device."""
    threads = n_threads or os.environ.get("OMP_NUM_THREADS") or os.cpu_count()
    return " | ".join((sha256, version, _processor(), f"{threads} threads", device))


def known_speeds() -> dict[str, ModelSpeed]:
    """All speeds by their keys; empty if the file is missing, damaged or not ours."""
    try:
        content = read_regular(speeds_file(), _MAX_BYTES)
        found = json.loads(content or b"{}")
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, RecursionError) as error:
        logger.info("cannot read measured speeds (%s): models will be measured again", type(error).__name__)
        return {}
    if not isinstance(found, dict):
        return {}
    speeds = {str(key): _speed(value) for key, value in found.items()}
    return {key: speed for key, speed in speeds.items() if speed is not None}


def note_speed(key: str, speed: ModelSpeed) -> ModelSpeed:
    """Store a measurement; returns the best of it and earlier ones. If the file cannot be written, the log says so."""
    speeds = known_speeds()
    before = speeds.pop(key, None)
    if before is not None and before.device == speed.device:
        speed = replace(
            speed,
            key_ms=min(speed.key_ms, before.key_ms),
            token_ms=min(speed.token_ms, before.token_ms),
            n_measured=before.n_measured + 1,
        )
    _write({**speeds, key: speed})
    return speed


def retry_slow_models() -> None:
    """Have models that were too slow measured again when the next engine starts."""
    speeds = known_speeds()
    if any(not speed.is_fast for speed in speeds.values()):
        _write({key: speed if speed.is_fast else replace(speed, measured_s=0.0) for key, speed in speeds.items()})


def _write(speeds: Mapping[str, ModelSpeed]) -> None:
    path = speeds_file()
    latest = sorted(speeds.items(), key=lambda item: item[1].measured_s)[-_N_KEPT:]
    draft = path.with_name(f"{path.name}.{os.getpid()}-{time.monotonic_ns()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        draft.write_text(json.dumps({key: asdict(speed) for key, speed in latest}, indent=1), encoding="utf-8")
        draft.replace(path)
    except OSError as error:
        logger.warning("cannot store measured speeds (%s): they will be measured again", error.strerror or error)
        if draft.parent.is_dir():
            draft.unlink(missing_ok=True)


def _speed(value: Any) -> ModelSpeed | None:  # noqa: ANN401 (JSON)
    try:
        return ModelSpeed(**value)
    except (TypeError, ValueError):
        return None


def _processor() -> str:
    """The processor's name, if the system tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8", "replace").splitlines()
    except OSError:
        lines = []
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, "") or platform.processor() or platform.machine()
