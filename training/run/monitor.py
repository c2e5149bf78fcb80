"""A run's reports: losses on the valid split, the log, samples, and a line for people.

It never changes the model.
"""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ...model.network.denoiser import Denoiser
from ..data.samples import Batch, SampleStream
from .config import TrainConfig
from .log import append
from .loss import Losses, combined_loss
from .samples_page import Probe
from .throughput import flops_per_context_token

VALID_SEED, N_VALID_ROWS = 0, 8


@dataclass
class Monitor:
    """Watches one model in training. peak: the device's FLOP/s, if its share is to be told."""

    model: Denoiser
    valid: SampleStream
    config: TrainConfig
    folder: Path
    probe: Probe | None = None
    peak: float | None = None

    @torch.no_grad()
    def validate(self) -> Losses:
        """Mean losses on fixed samples of the valid split."""
        self.model.eval()
        device = next(self.model.parameters()).device
        parts: list[Losses] = []
        for batch in self._valid_batches:
            with torch.autocast(device.type, torch.bfloat16):
                parts.append(combined_loss(self.model, batch, device, self.config.canvas_share))
        means = (torch.stack([getattr(p, n) for p in parts]).mean() for n in ("next_token", "canvas", "total"))
        return Losses(*means)

    @cached_property
    def _valid_batches(self) -> list[Batch]:
        """The fixed samples, drawn once: a GPU would wait for them at every validation."""
        n = self.config.valid_samples
        sizes = [min(N_VALID_ROWS, n - first) for first in range(0, n, N_VALID_ROWS)]
        return [self.valid.batch(np.random.default_rng((VALID_SEED, i)), size) for i, size in enumerate(sizes)]

    def record(self, step: int, elapsed_s: float, n_tokens: int, losses: Losses | None, tokens_per_s: float) -> None:
        """Log the step (losses None: skipped), with validation and samples where they are due."""
        entry: dict[str, int | float | bool] = {
            "step": step, "s": round(elapsed_s, 2), "tokens": n_tokens, "tokens_per_s": round(tokens_per_s),
        }  # fmt: skip
        if losses is None:
            entry["skipped"] = True
        else:
            entry |= {"next_token": _rounded(losses.next_token), "canvas": _rounded(losses.canvas)}
        if self.config.valid_steps and step % self.config.valid_steps == 0:
            valid = self.validate()
            entry |= {"valid_next": _rounded(valid.next_token), "valid_canvas": _rounded(valid.canvas)}
        try:
            append(self.folder, entry)
            if self.probe and self.config.sample_steps and step % self.config.sample_steps == 0:
                self.probe.record(self.model, self.folder, step)
        except OSError as error:  # a full disk must not end the run
            print(f"could not write the log of step {step} ({error.strerror or error}); going on", flush=True)

    def words(self, losses: Losses | None, n_context: int, tokens_per_s: float, n_ranks: int) -> str:
        """Losses, speed and share of the devices' peak of a step over samples of n_context tokens."""
        samples = self.valid.config
        loss = "skipped" if losses is None else f"next {losses.next_token:.3f} canvas {losses.canvas:.3f}"
        n_canvas_tokens = samples.n_canvas * samples.n_branches
        flops = tokens_per_s * flops_per_context_token(self.model.config, n_context, n_canvas_tokens)
        mfu = f" MFU {flops / (self.peak * n_ranks):.0%}" if self.peak else ""
        return f"{loss} {tokens_per_s:,.0f} tok/s{mfu}"


def _rounded(loss: Tensor) -> float:
    return round(float(loss), 4)
