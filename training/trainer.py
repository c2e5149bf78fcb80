"""The trainer: one loop for every device, resumable to the step, ending on time.

The learning rates follow a warmup-stable-decay schedule over the share of the run that is done, by steps or by
minutes, whichever is set. Samples of a step depend only on (seed, step), so that a resumed run sees what an
uninterrupted one would have seen.
"""

import json
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from torch import nn

from ..fim.errors import InputError
from ..model.denoiser import Denoiser
from .loss import Losses, combined_loss
from .samples import SampleStream

STATE, LOG = "state.pt", "loss.jsonl"


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """One run. Give steps or minutes. stages: (share of the run from which on, context tokens a sample)."""

    steps: int | None = None
    minutes: float | None = None
    batch_tokens: int = 6144
    stages: tuple[tuple[float, int], ...] = ((0.0, 512), (0.6, 1024))
    matrix_rate: float = 0.02
    vector_rate: float = 5e-3
    weight_decay: float = 0.05
    warmup_steps: int = 60
    cooldown_share: float = 0.35
    canvas_share: float = 0.5
    clip: float = 1.0
    seed: int = 1
    save_minutes: float = 4.0
    valid_steps: int = 200

    def __post_init__(self) -> None:
        if (self.steps is None) == (self.minutes is None):
            raise ValueError("give either steps or minutes")
        if not self.stages or self.stages[0][0] != 0.0:
            raise ValueError("the first stage must begin at 0.0")

    def done(self, step: int, elapsed_s: float) -> float:
        """The share of the run that is done, in [0, 1]."""
        if self.steps is not None:
            return min(1.0, step / self.steps)
        assert self.minutes is not None
        return min(1.0, elapsed_s / (60 * self.minutes))

    def rate(self, step: int, done: float) -> float:
        """The learning rates' factor: linear warmup, flat, linear to zero (WSD)."""
        return min(1.0, (step + 1) / self.warmup_steps, (1.0 - done) / self.cooldown_share)

    def n_context(self, done: float) -> int:
        """Context tokens a sample at this share of the run."""
        return next(n for start, n in reversed(self.stages) if done >= start)


def optimizers(model: Denoiser, config: TrainConfig) -> list[torch.optim.Optimizer]:
    """Muon for the blocks' matrices (Jordan et al. 2024), AdamW for embeddings, norms and heads."""
    matrices = [p for block in model.blocks for p in block.parameters() if p.ndim == 2]
    chosen = set(map(id, matrices))
    others = [p for p in model.parameters() if id(p) not in chosen]
    return [
        torch.optim.Muon(matrices, lr=config.matrix_rate, momentum=0.95, weight_decay=config.weight_decay),
        torch.optim.AdamW(others, lr=config.vector_rate, betas=(0.9, 0.95), weight_decay=0.0),
    ]


class Trainer:
    """A run in a folder: state.pt to resume from, loss.jsonl to read."""

    def __init__(
        self, model: Denoiser, train: SampleStream, valid: SampleStream, config: TrainConfig, folder: Path
    ) -> None:
        self.model, self.train, self.valid, self.config, self.folder = model, train, valid, config, folder
        self.device = next(model.parameters()).device
        self.optimizers = optimizers(model, config)
        self.bases = [group["lr"] for optimizer in self.optimizers for group in optimizer.param_groups]
        self.step, self.elapsed_s, self.n_tokens = 0, 0.0, 0
        folder.mkdir(parents=True, exist_ok=True)

    def run(self, show: bool = True) -> bool:
        """Train to the end of the plan; whether it came to that.

        Saves on the way and at the end. An interrupt (Ctrl-C) lets the step in hand end first, so that what is saved is
        what an uninterrupted run would have had there.
        """
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        with Progress(*columns, disable=not show, refresh_per_second=1) as progress:
            task = progress.add_task("training", total=1000)
            with interruptible() as interrupted:
                self._loop(
                    lambda text, done: progress.update(task, description=text, completed=round(1000 * done)),
                    interrupted,
                )
        self.save()
        return not interrupted.is_set()

    def _loop(self, show: Callable[[str, float], None], interrupted: threading.Event) -> None:
        saved_s = self.elapsed_s
        while (done := self.config.done(self.step, self.elapsed_s)) < 1.0 and not interrupted.is_set():
            start_s = time.perf_counter()
            losses, n_tokens = self._train_step(done)
            took_s = time.perf_counter() - start_s
            self.step, self.elapsed_s, self.n_tokens = self.step + 1, self.elapsed_s + took_s, self.n_tokens + n_tokens
            self._log(losses, n_tokens / took_s)
            show(f"next {losses.next_token:.3f} canvas {losses.canvas:.3f} {n_tokens / took_s:,.0f} tok/s", done)
            if self.elapsed_s - saved_s > 60 * self.config.save_minutes:
                self.save()
                saved_s = self.elapsed_s

    def _train_step(self, done: float) -> tuple[Losses, int]:
        config = self.config
        n_context = config.n_context(done)
        size = max(1, config.batch_tokens // n_context)
        stream = replace(self.train, config=replace(self.train.config, n_context=n_context))
        batch = stream.batch(np.random.default_rng((config.seed, self.step)), size)
        factor = config.rate(self.step, done)
        groups = [group for optimizer in self.optimizers for group in optimizer.param_groups]
        for group, base in zip(groups, self.bases, strict=True):
            group["lr"] = base * factor
        self.model.train()
        with torch.autocast(self.device.type, torch.bfloat16):
            losses = combined_loss(self.model, batch, self.device, config.canvas_share)
        losses.total.backward()
        nn.utils.clip_grad_norm_(self.model.parameters(), config.clip)
        for optimizer in self.optimizers:
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        return losses, size * n_context

    @torch.no_grad()
    def validate(self, n_batches: int = 4) -> Losses:
        """Mean losses on fixed samples of the valid split."""
        self.model.eval()
        parts: list[Losses] = []
        for i in range(n_batches):
            batch = self.valid.batch(np.random.default_rng((0, i)), 8)
            with torch.autocast(self.device.type, torch.bfloat16):
                parts.append(combined_loss(self.model, batch, self.device, self.config.canvas_share))
        means = (torch.stack([getattr(p, n) for p in parts]).mean() for n in ("next_token", "canvas", "total"))
        return Losses(*means)

    def _log(self, losses: Losses, tokens_per_s: float) -> None:
        entry = {
            "step": self.step, "s": round(self.elapsed_s, 2), "tokens": self.n_tokens,
            "next_token": round(float(losses.next_token), 4), "canvas": round(float(losses.canvas), 4),
            "tokens_per_s": round(tokens_per_s),
        }  # fmt: skip
        if self.step % self.config.valid_steps == 0:
            valid = self.validate()
            entry |= {"valid_next": round(float(valid.next_token), 4), "valid_canvas": round(float(valid.canvas), 4)}
        with (self.folder / LOG).open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(entry) + "\n")

    def save(self) -> None:
        """Write state.pt, whole or not at all."""
        part = self.folder / (STATE + ".part")
        torch.save(
            {
                "model": self.model.state_dict(),
                "optimizers": [optimizer.state_dict() for optimizer in self.optimizers],
                "step": self.step,
                "elapsed_s": self.elapsed_s,
                "n_tokens": self.n_tokens,
            },
            part,
        )
        part.replace(self.folder / STATE)

    def resume(self) -> bool:
        """Continue from state.pt if there is one, else start a new log.

        Raises InputError when it is damaged or of another shape.
        """
        path = self.folder / STATE
        if not path.is_file():
            self._forget_after(0)
            return False
        try:
            state = torch.load(path, map_location=self.device, weights_only=True)
            self.model.load_state_dict(state["model"])
            for optimizer, kept in zip(self.optimizers, state["optimizers"], strict=True):
                optimizer.load_state_dict(kept)
            self.step, self.elapsed_s, self.n_tokens = state["step"], state["elapsed_s"], state["n_tokens"]
        except Exception as error:  # torch raises many kinds for a damaged file
            raise InputError(f"cannot resume from {path} ({error}): delete it to start over") from error
        self._forget_after(self.step)
        return True

    def _forget_after(self, step: int) -> None:
        """Drop log lines of steps that were lost with the interruption."""
        log = self.folder / LOG
        if log.is_file():
            lines = log.read_text(encoding="utf-8").split("\n")
            whole = lines[:-1]  # what stands after the last line break was cut off by the interruption
            kept = [line for line in whole if json.loads(line)["step"] <= step]
            log.write_text("".join(line + "\n" for line in kept), encoding="utf-8")


@contextmanager
def interruptible() -> Iterator[threading.Event]:
    """Turns Ctrl-C into an event while it lasts (only in the main thread, where signals arrive)."""
    interrupted = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield interrupted
        return
    before = signal.signal(signal.SIGINT, lambda number, frame: interrupted.set())
    try:
        yield interrupted
    finally:
        signal.signal(signal.SIGINT, before)
