"""How much a completion may cost."""

import time
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Budget:
    """A monotonic deadline and a cap on function evaluations (denoiser forwards over the canvas).

    deadline_s is on the clock of `time.monotonic`, in seconds; None means no deadline.
    """

    deadline_s: float | None = None
    max_evaluations: int = 64

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
        """Whether nothing is left after n_evaluations forwards."""
        return n_evaluations >= self.max_evaluations or self.expired()
