"""Trains a LoRA: steps, their learning rate, averages of the weights, and a state to resume from exactly.

A step's examples depend on the seed and the step's number alone.
"""

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ...model.network.denoiser import Denoiser
from ..run.state_file import read_state, unusable, write_state
from .lora_examples import LoraExample, LoraStream
from .lora_pass import Asked, hidden_states, losses

EXAMINATION = 2**31  # the seed of held-out holes: no step has this number


@dataclass(frozen=True, kw_only=True)
class LoraPlan:
    """How long and how fast a LoRA is trained. decay_share: of the minutes, at the end, in which the rate falls to 0.

    A step has about batch_tokens tokens, micro_tokens of them in a pass; n_threads passes run side by side. What is
    written is an average of the weights, in which a step counts for 1 - averaging.
    """

    minutes: float
    rate: float = 4e-4
    rank: int = 16
    scale: float = 2.0
    n_warmup: int = 8
    decay_share: float = 0.3
    batch_tokens: int = 1_100
    micro_tokens: int = 300
    n_threads: int = 1
    averaging: float = 0.97
    gradient_norm: float = 1.0
    seed: int = 1

    def __post_init__(self) -> None:
        if not 0 < self.micro_tokens <= self.batch_tokens:
            raise ValueError(f"a pass must have 1 to {self.batch_tokens} tokens, not {self.micro_tokens}")

    def factor(self, step: int, share_done: float) -> float:
        """The learning rate of a step, as a share of the highest."""
        warm = min(1.0, (step + 1) / self.n_warmup)
        return warm * min(1.0, max(0.0, (1 - share_done) / self.decay_share))


@dataclass(frozen=True, kw_only=True)
class LoraStep:
    """What a step was: its number, tokens of all steps so far, seconds of all so far, the rate, and mean losses in nats
    of target tokens without their ends, and of ends."""

    step: int
    n_tokens: int
    seconds: float
    rate: float
    nats: float
    end_nats: float


class LoraTrainer:
    """The LoRA, its optimizer and its average. wait is called before each step, and may take its time."""

    def __init__(
        self,
        model: Denoiser,
        lora: Mapping[str, nn.Parameter],
        stream: LoraStream,
        plan: LoraPlan,
        wait: Callable[[], None] = lambda: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.model, self.lora, self.stream, self.plan, self._wait, self._clock = model, lora, stream, plan, wait, clock
        self._optimizer = torch.optim.AdamW(lora.values(), lr=plan.rate, betas=(0.9, 0.99), weight_decay=0.0)
        self._average = {name: torch.zeros_like(weight) for name, weight in lora.items()}
        self.step, self.n_tokens, self.seconds = 0, 0, 0.0
        self._drawing = ThreadPoolExecutor(1)
        self._drawn: tuple[int, Future[list[LoraExample]]] | None = None
        # Whole passes side by side, each on one thread. Two threads for each matrix product would wait for each other a
        # thousand times a step, which costs most where other programs want the cores too.
        self._threads = ThreadPoolExecutor(plan.n_threads, initializer=torch.set_num_threads, initargs=(1,))

    @property
    def share_done(self) -> float:
        """How much of the plan's minutes is over. Waiting does not count."""
        return self.seconds / (60 * self.plan.minutes)

    def steps(self) -> Iterator[LoraStep]:
        """Train until the minutes are over; yields after each step."""
        while self.share_done < 1:
            yield self._step()

    def batch(self, step: int) -> list[LoraExample]:
        """A step's examples."""
        rng = np.random.default_rng((self.plan.seed, step))
        examples: list[LoraExample] = []
        while sum(len(example.tokens) for example in examples) < self.plan.batch_tokens:
            examples.append(self.stream.example(rng))
        return examples

    def _next_batch(self) -> list[LoraExample]:
        """This step's examples; the next step's are drawn meanwhile, for which a GPU would have to wait."""
        step, drawn = self._drawn or (None, None)
        examples = drawn.result() if drawn and step == self.step else self.batch(self.step)
        self._drawn = self.step + 1, self._drawing.submit(self.batch, self.step + 1)
        return examples

    def averages(self) -> dict[str, Tensor]:
        """The average of each weight over the last steps."""
        missing = 1 - self.plan.averaging**self.step
        return {name: weight / missing if self.step else weight for name, weight in self._average.items()}

    @contextmanager
    def averaged(self) -> Iterator[None]:
        """The model computes with the averages while this lasts."""
        own = {name: weight.detach().clone() for name, weight in self.lora.items()}
        if self.step:
            self._put(self.averages())
        try:
            yield
        finally:
            self._put(own)

    @torch.no_grad()
    def _put(self, tensors: Mapping[str, Tensor]) -> None:
        for name, weight in self.lora.items():
            weight.copy_(tensors[name])

    def _step(self) -> LoraStep:
        examples = self._next_batch()
        total = sum(float(example.weights.sum()) for example in examples)
        rate = self.plan.rate * self.plan.factor(self.step, self.share_done)
        self._wait()
        start = self._clock()
        parts = split(examples, self.plan.micro_tokens)
        found = [*self._threads.map(lambda part: self._pass(part, total), parts)]
        self._update(rate, [gradients for gradients, _ in found])
        self.seconds += self._clock() - start
        sums = torch.stack([each for _, each in found]).sum(0)
        self.step += 1
        self.n_tokens += sum(len(example.tokens) for example in examples)
        nats, n, end_nats, n_ends = sums.tolist()
        return LoraStep(
            step=self.step, n_tokens=self.n_tokens, seconds=self.seconds, rate=rate,
            nats=nats / n if n else math.nan, end_nats=end_nats / n_ends if n_ends else math.nan,
        )  # fmt: skip

    def _pass(self, examples: Sequence[LoraExample], total: float) -> tuple[Sequence[Tensor], Tensor]:
        """Gradients; and summed losses and counts: of target tokens but for ends, then of ends [4]."""
        device = self.model.embedding.weight.device
        rows = [torch.from_numpy(example.tokens[:-1]).to(device) for example in examples]
        asked = Asked.of(examples, device)
        found = losses(self.model, hidden_states(self.model, rows), asked)
        gradients = torch.autograd.grad((found * asked.weights).sum() / total, [*self.lora.values()])
        found = found.detach()
        is_end = asked.targets == self.stream.tokenizer.marks.end
        is_text = (asked.weights >= 1) & ~is_end
        sums = torch.stack([(found * is_text).sum(), is_text.sum(), (found * is_end).sum(), is_end.sum()]).cpu()
        return gradients, sums

    def _update(self, rate: float, gradients: Sequence[Sequence[Tensor]]) -> None:
        for weight, own in zip(self.lora.values(), zip(*gradients, strict=True), strict=True):
            weight.grad = torch.stack(own).sum(0)
        for group in self._optimizer.param_groups:
            group["lr"] = rate
        nn.utils.clip_grad_norm_(self.lora.values(), self.plan.gradient_norm)
        self._optimizer.step()
        self._optimizer.zero_grad(set_to_none=True)
        for name, weight in self.lora.items():
            self._average[name].lerp_(weight.detach(), 1 - self.plan.averaging)

    def save(self, folder: Path) -> None:
        """Write the state. Raises NotSaved."""
        write_state(
            folder,
            {
                "lora": {name: weight.detach() for name, weight in self.lora.items()},
                "average": self._average,
                "optimizer": self._optimizer.state_dict(),
                "step": self.step, "n_tokens": self.n_tokens, "seconds": self.seconds,
            },
        )  # fmt: skip

    def resume(self, folder: Path) -> bool:
        """Go on from the state in folder; False if there is none. Raises InputError for one of another LoRA."""
        state = read_state(folder)
        if state is None:
            return False
        try:
            self._restore(state)
        except (KeyError, ValueError, TypeError, RuntimeError) as error:
            raise unusable(folder, error) from error
        return True

    def _restore(self, state: Mapping[str, Any]) -> None:
        for own, stored in ((self.lora, state["lora"]), (self._average, state["average"])):
            if own.keys() != stored.keys():
                raise ValueError("it is the state of another model's LoRA")
            for name, tensor in own.items():
                with torch.no_grad():
                    tensor.copy_(stored[name])
        self._optimizer.load_state_dict(state["optimizer"])
        self.step, self.n_tokens, self.seconds = int(state["step"]), int(state["n_tokens"]), float(state["seconds"])


def split(examples: Sequence[LoraExample], n_tokens: int) -> list[list[LoraExample]]:
    """Examples in passes of about n_tokens: a pass ends with the example that reaches it."""
    parts: list[list[LoraExample]] = [[]]
    for example in examples:
        if sum(len(each.tokens) for each in parts[-1]) >= n_tokens:
            parts.append([])
        parts[-1].append(example)
    return parts


def held_out(stream: LoraStream, n: int) -> list[LoraExample]:
    """The same n examples at every call."""
    rng = np.random.default_rng((EXAMINATION, 0))
    return [stream.example(rng) for _ in range(n)]
