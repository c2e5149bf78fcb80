"""The budget of a completion: a deadline and a cap on forwards."""

import time
from collections.abc import Callable
from dataclasses import dataclass

STEPS_UNDER_LOAD = 16.0  # over the square root of the number of requests; chosen by eye, not measured yet
STEPS_MIN = 2


def step_ceiling(n_requests: int) -> int | None:
    """How many forwards one canvas may take while n_requests are being served: the more, the fewer.

    None for a request that has the engine to itself.
    """
    return None if n_requests <= 1 else max(STEPS_MIN, round(STEPS_UNDER_LOAD / n_requests**0.5))


def no_ceiling() -> int | None:
    """A ceiling for work that is never shortened under load."""
    return None


@dataclass(frozen=True, kw_only=True)
class Budget:
    """A monotonic deadline and a cap on function evaluations (denoiser forwards over the canvas).

    deadline_s is on the clock of `time.monotonic`, in seconds; None means no deadline. ceiling is called each
    time, and lowers the cap unless it returns None.
    """

    deadline_s: float | None = None
    max_evaluations: int = 64
    ceiling: Callable[[], int | None] = no_ceiling

    def __post_init__(self) -> None:
        if self.max_evaluations < 1:
            raise ValueError(f"max_evaluations must be at least 1, not {self.max_evaluations}")

    @classmethod
    def of(cls, budget_ms: float | None, max_evaluations: int = 64) -> "Budget":
        """A budget that starts now; budget_ms None means no deadline."""
        deadline_s = None if budget_ms is None else time.monotonic() + budget_ms / 1000.0
        return cls(deadline_s=deadline_s, max_evaluations=max_evaluations)

    def expired(self) -> bool:
        """Whether the deadline has passed."""
        return self.deadline_s is not None and time.monotonic() >= self.deadline_s

    def spent(self, n_evaluations: int) -> bool:
        """Whether the budget is spent after n_evaluations forwards."""
        ceiling = self.ceiling()
        is_capped = ceiling is not None and n_evaluations >= ceiling
        return is_capped or n_evaluations >= self.max_evaluations or self.expired()
