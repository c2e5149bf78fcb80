"""The plan of a run: how long, how large, how fast it learns. Numbers only; built once at the edge."""

import time
from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """One run. Give steps or minutes. stages: (share of the run from which on, context tokens a sample).

    batch_tokens are the context tokens of an optimizer step, micro_tokens those of one forward on one device (None:
    the whole batch); canvases come on top. minutes is the time of all calls together, from the start of each command
    to its last save, and of the last one to the end of its export. valid_steps and sample_steps: steps from one
    validation, or one filling of the probe's holes, to the next (0: never). init_from is the SHA-256 of the weights
    that the run began with (None: random ones), tokenizer that of its tokenizer file.
    """

    steps: int | None = None
    minutes: float | None = None
    batch_tokens: int = 6144
    micro_tokens: int | None = None
    stages: tuple[tuple[float, int], ...] = ((0.0, 512), (0.6, 1024))
    matrix_rate: float = 0.02
    vector_rate: float = 5e-3
    weight_decay: float = 0.05
    warmup_steps: int = 60
    cooldown_share: float = 0.35
    canvas_share: float = 0.3
    clip: float = 1.0
    ema_decay: float = 0.999
    seed: int = 1
    save_minutes: float = 4.0
    valid_steps: int = 200
    valid_samples: int = 32
    sample_steps: int = 0
    init_from: str | None = None
    tokenizer: str | None = None

    def __post_init__(self) -> None:
        if (self.steps is None) == (self.minutes is None):
            raise ValueError("give either steps or minutes")
        if not self.stages or self.stages[0][0] != 0.0:
            raise ValueError("the first stage must begin at 0.0")
        if not 0 <= self.ema_decay < 1:
            raise ValueError(f"ema_decay must lie in [0, 1), not {self.ema_decay}")
        for name in ("batch_tokens", "micro_tokens", "warmup_steps", "valid_samples"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"{name} must be at least 1, not {value}")

    def done(self, step: int, elapsed_s: float, reserve_s: float = 0.0) -> float:
        """The share of the run that is done, in [0, 1]. reserve_s is kept for saving and the end."""
        if self.steps is not None:
            return min(1.0, step / self.steps)
        assert self.minutes is not None
        return min(1.0, elapsed_s / max(1e-9, 60 * self.minutes - reserve_s))

    def rate(self, step: int, done: float) -> float:
        """The learning rates' factor: linear warmup, flat, linear to zero (WSD)."""
        return min(1.0, (step + 1) / self.warmup_steps, (1.0 - done) / self.cooldown_share)

    def n_context(self, done: float) -> int:
        """Context tokens a sample at this share of the run."""
        return next(n for start, n in reversed(self.stages) if done >= start)

    def batches(self, n_context: int, n_ranks: int) -> tuple[int, int]:
        """Micro-batches of a step on each rank, and the samples of each."""
        share = max(1, self.batch_tokens // (n_ranks * n_context))  # samples of a step on each rank
        size = max(1, min(share, (self.micro_tokens or self.batch_tokens) // n_context))
        return max(1, round(share / size)), size


@dataclass(frozen=True, kw_only=True)
class RunCall:
    """One call of the command: when it began (on the clock of `time.monotonic`) and how long it may take."""

    started_s: float = field(default_factory=time.monotonic)
    minutes: float | None = None

    def left_s(self) -> float:
        """Seconds until this call must have ended."""
        return float("inf") if self.minutes is None else self.started_s + 60 * self.minutes - time.monotonic()
