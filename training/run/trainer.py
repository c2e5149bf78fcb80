"""The trainer: one loop for every device, resumable to the step, ending on time.

Learning rates and context length follow the share of the run that is done, by steps or by minutes, whichever is set.
A step's samples depend on (seed, step, micro-batch, rank) alone. So a run of a number of steps, killed and resumed,
gives exactly the numbers of an uninterrupted one. A run of a number of minutes sees the same samples too; its rates
follow the clock, and steps lost with a kill are trained again.
"""

import math
import shutil
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import torch
from torch import nn

from ...fim.errors import InputError
from ...model.network.denoiser import Denoiser
from ..data.samples import SampleStream
from ..data.workers import BatchOrder, BatchSource, InProcess, draw
from ..interrupts import interruptible
from ..progress import ProgressReport, duration, progress
from .config import RunCall, TrainConfig
from .distributed import ALONE, Ranks
from .ema import AveragedWeights
from .log import LOG, SAMPLES, forget_after
from .loss import AS_WRITTEN, Losses, Passes, combined_loss
from .monitor import Monitor
from .optimizers import Optimizers
from .samples_page import Probe
from .state_file import STATE, NotSaved, read_state, unusable, write_state
from .throughput import peak_flops

__all__ = ["LOG", "STATE", "TrainConfig", "Trainer"]

N_SKIPPED_MAX = 5  # steps in a row whose gradients are not finite
RESERVE_FACTOR, RESERVE_S = 1.25, 1.0  # time kept for the end: what it took in rehearsal, times and plus these

RunEnd = Literal["done", "interrupted", "call over"]


@dataclass(frozen=True)
class StepPlan:
    """A step whose batches were ordered: context tokens a sample, micro-batches on this rank, samples of each."""

    n_context: int
    n_micro: int
    size: int


@dataclass(frozen=True)
class Final:
    """Losses on the valid split at the end, of the last weights and of their average; which were exported."""

    last: Losses
    averaged: Losses
    chosen: Literal["last", "averaged"]


def no_export(folder: Path) -> None:
    """For runs that leave a state and no checkpoint."""


class Trainer:
    """A run in a folder: state.pt to resume from, loss.jsonl to read, samples.md to look at.

    train is a source of batches, or a stream that is drawn from in this process. export writes a checkpoint of the
    model's present weights into a folder.
    """

    def __init__(
        self,
        model: Denoiser,
        train: SampleStream | BatchSource,
        valid: SampleStream,
        config: TrainConfig,
        folder: Path,
        *,
        call: RunCall | None = None,
        ranks: Ranks = ALONE,
        passes: Passes = AS_WRITTEN,
        probe: Probe | None = None,
        export: Callable[[Path], None] = no_export,
        export_folder: Path | None = None,
    ) -> None:
        self.model, self.valid, self.config, self.folder = model, valid, config, folder
        self.source: BatchSource = InProcess(train) if isinstance(train, SampleStream) else train
        self.call, self.ranks, self.passes, self.export = call or RunCall(), ranks, passes, export
        self.export_folder = export_folder or folder / "checkpoint"
        self.monitor = Monitor(model, valid, config, folder, probe)
        self.device = next(model.parameters()).device
        self.optimizers = Optimizers.of(model, config)
        self.averaged = AveragedWeights(model, config.ema_decay)
        self.step, self.n_tokens, self.n_skipped, self.n_skipped_in_a_row = 0, 0, 0, 0
        self.reserve_s, self._earlier_s, self._step_s = 0.0, 0.0, 0.0
        self._planned: deque[StepPlan] = deque()
        folder.mkdir(parents=True, exist_ok=True)

    @property
    def elapsed_s(self) -> float:
        """Seconds of this run in all calls."""
        return self._earlier_s + time.monotonic() - self.call.started_s

    def done(self, step: int | None = None) -> float:
        """The share of the run that is done, or will be before the given step."""
        return self.config.done(self.step if step is None else step, self.elapsed_s, self.reserve_s)

    def run(self, show: bool = True) -> RunEnd:
        """Train to the end of the plan or of the call, and save; `finish` is still to come.

        An interrupt (Ctrl-C, SIGTERM) lets the step in hand end first, so that what is saved is what an uninterrupted
        run would have had there.
        """
        self.monitor.peak = peak_flops(self.device) if show else None
        with progress(show and self.ranks.leads) as report, interruptible() as interrupted:
            try:
                with self._memory_explained():
                    if self.config.minutes is not None or self.call.minutes is not None:
                        self._rehearse()
                    else:
                        self._rehearse_export()
                    ending = self._loop(report, interrupted)
            finally:
                self.source.close()
        self.save()
        return ending

    def _loop(self, report: ProgressReport, interrupted: threading.Event) -> RunEnd:
        saved_s = time.monotonic()
        n_ahead = math.ceil(self.source.n_ahead / self.config.batches(self.config.stages[-1][1], self.ranks.n)[0])
        for step in range(self.step, self.step + n_ahead):
            self._order(step, self.done(step))
        while True:
            done, ending = self.ranks.agree((self.done(), self._ending(interrupted)), self.device)
            if ending:
                return ("done", "call over", "interrupted")[int(ending) - 1]
            self._order(self.step + n_ahead, self.config.done(self.step + n_ahead, 0.0) if self.config.steps else done)
            start_s = time.monotonic()
            plan = self._planned.popleft()
            losses = self._train_step(plan, done)
            took_s = time.monotonic() - start_s
            self._step_s = took_s if not self._step_s else 0.8 * self._step_s + 0.2 * took_s
            n_tokens = plan.n_micro * plan.size * plan.n_context * self.ranks.n
            self.step, self.n_tokens = self.step + 1, self.n_tokens + n_tokens
            if self.ranks.leads:
                self._record(losses, plan, n_tokens / took_s, report)
            if time.monotonic() - saved_s > 60 * self.config.save_minutes:
                self._save_or_go_on()
                saved_s = time.monotonic()

    def _record(self, losses: Losses | None, plan: StepPlan, tokens_per_s: float, report: ProgressReport) -> None:
        """Log the step, look at the model where that is due, and report."""
        config = self.config
        self.monitor.record(self.step, self.elapsed_s, self.n_tokens, losses, tokens_per_s)
        left_s = (
            self._step_s * (config.steps - self.step) if config.steps else 60 * (config.minutes or 0) - self.elapsed_s
        )
        words = self.monitor.words(losses, plan.n_context, tokens_per_s, self.ranks.n)
        report(f"step {self.step} {words} {duration(left_s)} left", self.done())

    def _ending(self, interrupted: threading.Event) -> int:
        """0 to go on, 1 when the plan is done, 2 when the call is over, 3 when interrupted."""
        if interrupted.is_set():
            return 3
        config = self.config
        late = config.minutes is not None and self.elapsed_s + self._step_s + self.reserve_s > 60 * config.minutes
        if self.done() >= 1.0 or late:
            return 1
        return 2 if self._step_s + self.reserve_s > self.call.left_s() else 0

    def _order(self, step: int, done: float) -> None:
        """Ask for the batches of a step, with the context length of that share of the run."""
        n_context = self.config.n_context(done)
        n_micro, size = self.config.batches(n_context, self.ranks.n)
        self._planned.append(StepPlan(n_context, n_micro, size))
        for micro in range(n_micro):
            index = micro * self.ranks.n + self.ranks.rank
            self.source.ask(BatchOrder(seed=self.config.seed, step=step, index=index, n_context=n_context, size=size))

    def _train_step(self, plan: StepPlan, done: float) -> Losses | None:
        """One optimizer step; mean losses over all ranks, None when gradients were not finite and nothing changed."""
        self.model.train()
        sums = torch.zeros(3, device=self.device)
        for _ in range(plan.n_micro):
            with torch.autocast(self.device.type, torch.bfloat16):
                losses = combined_loss(
                    self.model, self.source.take(), self.device, self.config.canvas_share, self.passes
                )
            (losses.total / plan.n_micro).backward()
            sums += torch.stack((losses.next_token, losses.canvas, losses.total.detach())) / plan.n_micro
        parameters = [p for p in self.model.parameters() if p.grad is not None]
        self.ranks.average([sums, *(p.grad for p in parameters if p.grad is not None)])
        norm = nn.utils.clip_grad_norm_(parameters, self.config.clip)
        numbers = torch.cat((sums, norm.view(1))).tolist()  # the step's one wait for the device
        is_finite = all(map(math.isfinite, numbers))
        if is_finite:
            self.optimizers.step(self.config.rate(self.step, done))
            self.averaged.update(self.step)
        self.optimizers.zero_grad()
        self._count_skipped(is_finite)
        return Losses(*map(torch.tensor, numbers[:3])) if is_finite else None

    def _count_skipped(self, is_finite: bool) -> None:
        self.n_skipped_in_a_row = 0 if is_finite else self.n_skipped_in_a_row + 1
        self.n_skipped += not is_finite
        if self.n_skipped_in_a_row >= N_SKIPPED_MAX:
            raise InputError(
                f"the loss was not finite {N_SKIPPED_MAX} steps in a row, up to step {self.step + 1}: "
                "lower the learning rates; the last saved state is kept"
            )

    def _rehearse(self) -> None:
        """Do once what comes at the end: what fails then fails now, and the time it takes is kept for it.

        Raises InputError when that leaves no time to train.
        """
        took_s = 0.0
        if self.ranks.leads:
            start_s = time.monotonic()
            self.save()
            self._rehearse_export()
            validate_s = time.monotonic()
            self.monitor.validate()
            took_s = time.monotonic() - start_s + time.monotonic() - validate_s  # the end validates twice
        (self.reserve_s,) = self.ranks.agree((RESERVE_FACTOR * took_s + RESERVE_S,), self.device)
        plan_left_s = 60 * (self.config.minutes or float("inf")) - self.elapsed_s
        call_left_s, plan_left_s = self.ranks.agree((self.call.left_s(), plan_left_s), self.device)
        for name, left_s in (("--minutes", plan_left_s), ("--call-minutes", call_left_s)):
            is_over = self.step and plan_left_s < self.reserve_s  # a resumed run that only has to be exported
            if left_s < self.reserve_s and not is_over:
                raise InputError(
                    f"{max(0, left_s):.0f} s are left, and saving, validation and export take "
                    f"{self.reserve_s:.0f} s: give more {name}"
                )

    def _rehearse_export(self) -> None:
        """Write a checkpoint beside the place of the real one: what would fail after hours fails now."""
        if self.ranks.leads:
            rehearsal = self.export_folder.with_name(self.export_folder.name + ".rehearsal")
            try:
                self.export(rehearsal)
            finally:
                shutil.rmtree(rehearsal, ignore_errors=True)

    def trial(self, passes: Passes) -> None:
        """Run forwards and backwards of every stage in that way, compiling on the way; weights stay as they are."""
        for _, n_context in self.config.stages:
            _, size = self.config.batches(n_context, self.ranks.n)
            order = BatchOrder(seed=self.config.seed, step=0, index=0, n_context=n_context, size=size)
            try:
                with self._memory_explained():
                    with torch.autocast(self.device.type, torch.bfloat16):
                        losses = combined_loss(
                            self.model, draw(self.valid, order), self.device, self.config.canvas_share, passes
                        )
                    losses.total.backward()
                    float(losses.total.detach())  # errors of a GPU come late
            finally:
                self.optimizers.zero_grad()

    @contextmanager
    def _memory_explained(self) -> Iterator[None]:
        """Running out of GPU memory is one line that names the setting."""
        try:
            yield
        except torch.OutOfMemoryError as error:
            raise InputError(
                f"out of GPU memory with micro-batches of {self.config.micro_tokens or self.config.batch_tokens:,} "
                "context tokens: lower --micro-tokens; the last saved state is kept"
            ) from error

    def finish(self, folder: Path) -> Final | None:
        """Validate the last and the averaged weights and export the better ones into folder. Rank 0 only."""
        if not self.ranks.leads:
            return None
        last = self.monitor.validate()
        with self.averaged.applied():
            averaged = self.monitor.validate()
            is_better = float(averaged.total) < float(last.total)
            if is_better:
                self.export(folder)
        if not is_better:
            self.export(folder)
        return Final(last, averaged, "averaged" if is_better else "last")

    def save(self) -> None:
        """Write state.pt, whole or not at all. Raises NotSaved; rank 0 only."""
        if not self.ranks.leads:
            return
        write_state(
            self.folder,
            {
                "model": self.model.state_dict(),
                "averaged": self.averaged.state_dict(),
                "optimizers": self.optimizers.state_dict(),
                "step": self.step,
                "elapsed_s": self.elapsed_s,
                "n_tokens": self.n_tokens,
                "step_s": self._step_s,
                "n_skipped": self.n_skipped,
                "n_skipped_in_a_row": self.n_skipped_in_a_row,
                "seed": self.config.seed,
                "init_from": self.config.init_from,
                "tokenizer": self.config.tokenizer,
            },
        )

    def _save_or_go_on(self) -> None:
        try:
            self.save()
        except NotSaved as error:
            print(f"{error}; going on, the state before it is kept")

    def resume(self) -> bool:
        """Continue from state.pt if there is one, else start a new log.

        Raises InputError when it is damaged, of another shape, or of a run with another seed or other first weights.
        """
        state = read_state(self.folder)
        if state is not None:
            self._check_same_run(state)
            try:
                self.model.load_state_dict(state["model"])
                self.averaged.load_state_dict(state.get("averaged", state["model"]))
                self.optimizers.load_state_dict(state["optimizers"])
                self.step, self._earlier_s, self.n_tokens = state["step"], state["elapsed_s"], state["n_tokens"]
                self._step_s, self.n_skipped = state.get("step_s", 0.0), state.get("n_skipped", 0)
                self.n_skipped_in_a_row = state.get("n_skipped_in_a_row", 0)
            except (KeyError, ValueError, TypeError, RuntimeError) as error:
                raise unusable(self.folder, error) from error
        if self.ranks.leads:
            for log in (LOG, SAMPLES):
                forget_after(self.folder, self.step, log)
        return state is not None

    def _check_same_run(self, state: dict) -> None:
        for name in ("seed", "init_from", "tokenizer"):
            mine, kept = asdict(self.config)[name], state.get(name)
            if name in state and kept != mine:
                raise InputError(
                    f"the run in {self.folder} has {name} {kept}, not {mine}: give the same, or another --folder"
                )
