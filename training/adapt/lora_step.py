"""`quicksilver train lora`: teaches a published body our layout, with a LoRA that is written every few minutes.

The same command with --resume goes on from the last state, also with other data. In its folder: state.pt,
latest.safetensors, loss.csv, heldout.csv and status.txt.
"""

import csv
import os
import threading
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from time import monotonic, strftime
from typing import TYPE_CHECKING, Annotated, Literal

from ...fim.errors import InputError
from ...fim.files.atomic_write import write_whole
from ...fim.terminal.options import Option
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
EXAM_TOKENS = 120  # of the windows of held-out holes: examining them must not take much of the training time
SMOOTHING = 20  # steps that the loss in the status is the mean of


@dataclass(frozen=True, kw_only=True)
class LoraOptions:
    """What `quicksilver train lora` was asked."""

    body: Annotated[Path, Option("GGUF file or checkpoint folder", metavar="FILE")]
    data: Annotated[
        tuple[Path, ...],
        Option("folders with train.jsonl.gz and, in one of them, heldout.jsonl.gz", metavar="FOLDER"),
    ]
    out: Annotated[Path, Option("where state and LoRA are kept", metavar="FOLDER")]
    minutes: Annotated[float, Option("of training, all calls together, pauses not counted", above=0, most=MAX_MINUTES)]
    resume: Annotated[bool, Option("go on from the state in --out")] = False
    pause_file: Annotated[Path | None, Option("stand still while this file exists", metavar="PATH")] = None
    device: Annotated[Literal["cpu", "cuda"], Option("where to train")] = "cpu"
    batch_tokens: Annotated[int, Option("tokens of a step")] = 1_100
    micro_tokens: Annotated[int, Option("tokens of a pass: bounds the memory")] = 280
    threads: Annotated[int, Option("passes side by side, on a CPU", least=1, most=MAX_COUNT)] = field(
        default_factory=lambda: os.cpu_count() or 1
    )
    rate: Annotated[float, Option("highest learning rate")] = 4e-4
    rank: Annotated[int, Option("of the LoRA", least=1, most=MAX_COUNT)] = 16
    seed: Annotated[int, Option("of weights and examples", least=0, most=MAX_COUNT)] = 1
    save_minutes: Annotated[float, Option("between two states", above=0, most=MAX_MINUTES)] = 5.0
    exam_minutes: Annotated[float, Option("between two looks at held-out holes", above=0, most=MAX_MINUTES)] = 30.0
    exam_holes: Annotated[int, Option("held-out holes", least=0, most=MAX_COUNT)] = 100


def run(options: LoraOptions) -> None:
    """Train a LoRA until its minutes are over. Raises InputError or CheckpointError."""
    with alone_in(options.out, True), interruptible() as interrupted:
        trainer, holes = _put_together(options, _Pause(options.pause_file, interrupted))
        has_state = trainer.resume(options.out) if options.resume else (options.out / STATE).is_file()
        if has_state and not options.resume:
            raise InputError(f"{options.out} holds a run: add --resume to go on, or give another --out")
        print(f"{trainer.step} steps, {trainer.n_tokens:,} tokens so far", flush=True)
        _train(options, trainer, holes, interrupted)


def _put_together(options: LoraOptions, pause: "_Pause") -> "tuple[LoraTrainer, list[LoraExample]]":
    import torch

    from .lora_body import load_body
    from .lora_examples import LoraExampleConfig, LoraStream
    from .lora_layers import add_lora
    from .lora_trainer import LoraPlan, LoraTrainer, held_out

    if options.device == "cuda" and not torch.cuda.is_available():
        raise InputError("there is no GPU here: leave --device out")
    try:
        plan = LoraPlan(
            minutes=options.minutes, rate=options.rate, rank=options.rank, seed=options.seed,
            batch_tokens=options.batch_tokens, micro_tokens=min(options.micro_tokens, options.batch_tokens),
            n_threads=options.threads if options.device == "cpu" else 1,
        )  # fmt: skip
    except ValueError as error:
        raise InputError(str(error)) from error
    train, held = (documents_of(options.data, split) for split in ("train", "heldout"))
    model, tokenizer = load_body(options.body)
    model.to(options.device)
    config = LoraExampleConfig()
    learnt = add_lora(model, plan.rank, plan.scale, plan.seed)
    trainer = LoraTrainer(model, learnt, LoraStream(train, tokenizer, config), plan, pause.wait, monotonic)
    short = replace(config, n_context_median=EXAM_TOKENS)
    holes = held_out(LoraStream(held, tokenizer, short), options.exam_holes) if held else []
    return trainer, holes


def documents_of(folders: Sequence[Path], split: corpus.Split) -> list[corpus.CorpusDocument]:
    """A split of all folders; held-out documents may be missing in some of them."""
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
    """What a run writes: its LoRA, losses, examinations of held-out holes, and a status line."""

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
    options: LoraOptions,
    trainer: "LoraTrainer",
    holes: "Sequence[LoraExample]",
    interrupted: threading.Event,
) -> None:
    record = _Recorder(trainer, holes, options.out)
    saved = examined = trainer.seconds
    for step in trainer.steps():
        record.add(asdict(step))
        if interrupted.is_set():
            break
        if trainer.seconds - examined >= 60 * options.exam_minutes:
            record.examine()
            examined = trainer.seconds
        if trainer.seconds - saved >= 60 * options.save_minutes:
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
