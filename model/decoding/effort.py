"""What work on one request may cost, and what it has cost so far."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Literal

from ...fim.budget import Budget, no_ceiling

Phase = Literal["prefill", "denoise", "verify"]


@dataclass
class Effort:
    """Counts forwards and times, also of work that is cut short."""

    budget: Budget
    is_cancelled: Callable[[], bool]
    ceiling: Callable[[], int | None] = no_ceiling
    n_forwards: int = 0
    timings_ms: dict[str, float] = field(default_factory=lambda: {"prefill": 0.0, "denoise": 0.0, "verify": 0.0})

    def is_spent(self) -> bool:
        """Whether the budget allows no further forward."""
        return self.budget.spent(self.n_forwards)

    @property
    def n_left(self) -> int:
        """The number of forwards that the budget still allows, if there is time."""
        return self.budget.max_evaluations - self.n_forwards

    @contextmanager
    def clock(self, phase: Phase) -> Iterator[None]:
        """Add the time until the end of the block to a phase."""
        start_s = time.monotonic()
        try:
            yield
        finally:
            self.timings_ms[phase] += 1000 * (time.monotonic() - start_s)
