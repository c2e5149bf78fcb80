"""`quicksilver train lora`: teaches a published body our layout, with a LoRA that is written every few minutes.

The same command with --resume goes on from the last state, also with other data. In its folder: state.pt,
latest.safetensors, loss.csv, heldout.csv and status.txt.
"""

import argparse
import csv
import os
import threading
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from time import monotonic, strftime
from typing import TYPE_CHECKING

from ...fim.errors import InputError
from ...fim.files.atomic_write import write_whole
from ..corpus import corpus
from ..interrupts import interruptible
from ..run.state_file import STATE
from ..run.step import alone_in

if TYPE_CHECKING:
    from .lora_examples import LoraExample
    from .lora_trainer import LoraTrainer

LORA, CURVE, EXAMS, STATUS = "latest.safetensors", "loss.csv", "heldout.csv", "status.txt"
PAUSE_S = 0.5
MAX_MINUTES = 100_000
MAX_COUNT = 1_000_000
EXAM_TOKENS = 120  # of the windows of held-out holes: a look at them must not cost much of the training
SMOOTHING = 20  # steps that the loss in the status is the mean of


def add_arguments(lora: argparse.ArgumentParser) -> None:
    """The arguments of `lora`."""
    lora.add_argument("--body", type=Path, required=True, metavar="FILE", help="GGUF file or checkpoint folder")
    lora.add_argument(
        "--data", type=Path, nargs="+", required=True, metavar="FOLDER",
        help="folders with train.jsonl.gz and, in one of them, heldout.jsonl.gz",
    )  # fmt: skip
    lora.add_argument("--out", type=Path, required=True, metavar="FOLDER", help="where state and LoRA are kept")
    lora.add_argument(
        "--minutes", type=float, required=True, help="of training, all calls together, pauses not counted"
    )
    lora.add_argument("--resume", action="store_true", help="go on from the state in --out")
    lora.add_argument("--pause-file", type=Path, metavar="PATH", help="stand still while this file exists")
    lora.add_argument("--device", choices=("cpu", "cuda"), default="cpu", help="where to train (cpu)")
    lora.add_argument("--batch-tokens", type=int, default=1_100, help="tokens of a step (1100)")
    lora.add_argument("--micro-tokens", type=int, default=280, help="tokens of a pass: bounds the memory (280)")
    lora.add_argument("--threads", type=int, default=os.cpu_count() or 1, help="passes side by side, on a CPU")
    lora.add_argument("--rate", type=float, default=4e-4, help="highest learning rate (4e-4)")
    lora.add_argument("--rank", type=int, default=16, help="of the LoRA (16)")
    lora.add_argument("--seed", type=int, default=1, help="of weights and examples (1)")
    lora.add_argument("--save-minutes", type=float, default=5, help="between two states (5)")
    lora.add_argument("--exam-minutes", type=float, default=30, help="between two looks at held-out holes (30)")
    lora.add_argument("--exam-holes", type=int, default=100, help="held-out holes (100)")


def run(arguments: argparse.Namespace) -> None:
    """Train a LoRA until its minutes are over. Raises InputError or CheckpointError."""
    for name in ("minutes", "save_minutes", "exam_minutes"):
        if not 0 < getattr(arguments, name) <= MAX_MINUTES:
            raise InputError(f"--{name.replace('_', '-')} must be positive and at most {MAX_MINUTES:,}")
    for name, least in (("rank", 1), ("threads", 1), ("exam_holes", 0), ("seed", 0)):
        if not least <= getattr(arguments, name) <= MAX_COUNT:
            raise InputError(f"--{name.replace('_', '-')} must be from {least} to {MAX_COUNT:,}")
    with alone_in(arguments.out, True), interruptible() as interrupted:
        trainer, holes = _put_together(arguments, _Pause(arguments.pause_file, interrupted))
        has_state = trainer.resume(arguments.out) if arguments.resume else (arguments.out / STATE).is_file()
        if has_state and not arguments.resume:
            raise InputError(f"{arguments.out} holds a run: add --resume to go on, or give another --out")
        print(f"{trainer.step} steps, {trainer.n_tokens:,} tokens so far", flush=True)
        _train(arguments, trainer, holes, interrupted)


def _put_together(arguments: argparse.Namespace, pause: "_Pause") -> "tuple[LoraTrainer, list[LoraExample]]":
    import torch

    from .lora_body import load_body
    from .lora_examples import LoraExampleConfig, LoraStream
    from .lora_layers import add_lora
    from .lora_trainer import LoraPlan, LoraTrainer, held_out

    if arguments.device == "cuda" and not torch.cuda.is_available():
        raise InputError("there is no GPU here: leave --device out")
    try:
        plan = LoraPlan(
            minutes=arguments.minutes, rate=arguments.rate, rank=arguments.rank, seed=arguments.seed,
            batch_tokens=arguments.batch_tokens, micro_tokens=min(arguments.micro_tokens, arguments.batch_tokens),
            n_threads=arguments.threads if arguments.device == "cpu" else 1,
        )  # fmt: skip
    except ValueError as error:
        raise InputError(str(error)) from error
    train, held = (documents_of(arguments.data, split) for split in ("train", "heldout"))
    model, tokenizer = load_body(arguments.body)
    model.to(arguments.device)
    config = LoraExampleConfig()
    learnt = add_lora(model, plan.rank, plan.scale, plan.seed)
    trainer = LoraTrainer(model, learnt, LoraStream(train, tokenizer, config), plan, pause.wait, monotonic)
    short = replace(config, n_context_median=EXAM_TOKENS)
    holes = held_out(LoraStream(held, tokenizer, short), arguments.exam_holes) if held else []
    return trainer, holes


def documents_of(folders: Sequence[Path], split: corpus.Split) -> list[corpus.CorpusDocument]:
    """A split of all folders; folders without held-out documents are none the worse."""
    there = [folder for folder in folders if split == "train" or (folder / f"{split}.jsonl.gz").is_file()]
    return [document for folder in there for document in corpus.read(folder, split)]


class _Pause:
    """Waits while a file exists, unless the run is to end."""

    def __init__(self, path: Path | None, interrupted: threading.Event) -> None:
        self._path, self._interrupted = path, interrupted

    def wait(self) -> None:
        """Return once the file is gone."""
        while self._path is not None and self._path.exists() and not self._interrupted.wait(PAUSE_S):
            pass


class _Recorder:
    """What a run writes: its LoRA, its losses, its looks at held-out holes, and a line that says how it stands."""

    def __init__(self, trainer: "LoraTrainer", holes: "Sequence[LoraExample]", folder: Path) -> None:
        self._trainer, self._holes, self._folder = trainer, holes, folder
        self._losses: list[float] = []
        forget_after(folder / CURVE, trainer.step)
        exams = forget_after(folder / EXAMS, trainer.step)
        self._exam = _in_words(exams[-1]) if exams else "not yet"

    def add(self, step: Mapping[str, float]) -> None:
        """Keep a step's losses."""
        append_row(self._folder / CURVE, step)
        self._losses = [*self._losses, step["nats"]][-SMOOTHING:]

    def examine(self) -> None:
        """Look at the held-out holes, with the average of the weights."""
        from .lora_exam import examine

        if not self._holes:
            return
        with self._trainer.averaged():
            marks = asdict(examine(self._trainer.model, self._trainer.stream.tokenizer, self._holes))
        row = {"step": self._trainer.step, "n_tokens": self._trainer.n_tokens, **marks}
        append_row(self._folder / EXAMS, row)
        self._exam = _in_words(row)
        print(f"step {self._trainer.step}, held-out: {self._exam}", flush=True)

    def write(self) -> None:
        """Write state, LoRA and status."""
        from .lora_layers import write_lora

        trainer, plan = self._trainer, self._trainer.plan
        trainer.save(self._folder)
        recipe = (
            f"rate {plan.rate:g}, steps of {plan.batch_tokens} tokens, averaged over {1 / (1 - plan.averaging):.0f}"
        )
        facts = {"rank": str(plan.rank), "tokens": str(trainer.n_tokens), "recipe": recipe, "suffix_first": "true"}
        write_lora(self._folder / LORA, trainer.averages(), plan.scale, facts)
        loss = sum(self._losses) / len(self._losses) if self._losses else float("nan")
        speed = trainer.n_tokens / trainer.seconds if trainer.seconds else 0.0
        line = (
            f"{strftime('%H:%M:%S')} step {trainer.step}, {trainer.n_tokens:,} tokens, {speed:.0f} tokens/s, "
            f"{trainer.share_done:.0%} done; training loss {loss:.3f}; held-out: {self._exam}\n"
        )
        write_whole(self._folder / STATUS, line)
        print(line, end="", flush=True)


def _train(
    arguments: argparse.Namespace,
    trainer: "LoraTrainer",
    holes: "Sequence[LoraExample]",
    interrupted: threading.Event,
) -> None:
    record = _Recorder(trainer, holes, arguments.out)
    saved = examined = trainer.seconds
    for step in trainer.steps():
        record.add(asdict(step))
        if interrupted.is_set():
            break
        if trainer.seconds - examined >= 60 * arguments.exam_minutes:
            record.examine()
            examined = trainer.seconds
        if trainer.seconds - saved >= 60 * arguments.save_minutes:
            record.write()
            saved = trainer.seconds
    if not interrupted.is_set():
        record.examine()
    record.write()


def append_row(path: Path, row: Mapping[str, float]) -> None:
    """Add a row to a CSV file, which begins with the names."""
    is_new = not path.exists()
    with path.open("a", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, list(row))
        if is_new:
            writer.writeheader()
        writer.writerow(row)


def forget_after(path: Path, step: int) -> list[dict[str, str]]:
    """Drop the rows of steps that were lost with an interruption; returns the others."""
    if not path.is_file():
        return []
    head, *rows = path.read_text(encoding="utf-8").splitlines()
    kept = [row for row in rows if row.partition(",")[0].isdigit() and int(row.partition(",")[0]) <= step]
    write_whole(path, "\n".join([head, *kept]) + "\n")
    return [*csv.DictReader([head, *kept])]


def _in_words(exam: Mapping[str, float | str]) -> str:
    marks = (f"{name} {float(value):.3f}" for name, value in exam.items() if name not in ("step", "n_tokens"))
    return f"{', '.join(marks)} at step {exam['step']}"
