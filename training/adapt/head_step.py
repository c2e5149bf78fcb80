"""`quicksilver train head`: has a published body read texts, then trains its denoising head on what it read.

The same command with --resume goes on from the last state. In its folder: texts-… and exam-… (what the body read),
state.pt, head.safetensors, loss.csv and exam.csv. Without new texts no body is loaded but its embedding.
"""

import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Annotated, Literal

from ...fim.errors import InputError
from ...fim.terminal.options import Option
from ...model.checkpoint.checkpoint_files import StoredCheckpoint, as_float, read
from ...model.checkpoint.head_file import HEAD, WORDS, write_head
from ...model.network.head_config import MAX_WINDOW, HeadConfig
from ...model.tokenizers.body_tokenizer import BodyTokenizer
from ..corpus.corpus import Split
from ..interrupts import interruptible
from ..run.state_file import STATE
from ..run.step import alone_in
from .lora_step import MAX_COUNT, MAX_MINUTES, append_row, documents_of, forget_after

if TYPE_CHECKING:
    import threading

    from .head_texts import BodyText
    from .head_trainer import HeadExam, HeadTrainer

CURVE, EXAMS = "loss.csv", "exam.csv"
N_CONTEXT_MEDIAN, N_CONTEXT_MAX = 300, 440  # tokens of the contexts that are read
N_MIDDLE = (48, 72)
HOLE_MIX = (0.1, 0.3, 0.3, 0.3)


@dataclass(frozen=True, kw_only=True)
class HeadOptions:
    """What `quicksilver train head` was asked."""

    body: Annotated[Path, Option("the body's checkpoint folder", metavar="FOLDER")]
    data: Annotated[
        tuple[Path, ...],
        Option("folders with train.jsonl.gz and, in one of them, heldout.jsonl.gz", metavar="FOLDER"),
    ]
    out: Annotated[Path, Option("where texts and state are kept", metavar="FOLDER")]
    texts: Annotated[int, Option("texts that the body reads", least=1, most=MAX_COUNT)] = 2_000
    exam_texts: Annotated[int, Option("held-out texts", least=1, most=MAX_COUNT)] = 100
    minutes: Annotated[float, Option("of training, all calls together, without reading", above=0, most=MAX_MINUTES)]
    resume: Annotated[bool, Option("go on from the state in --out")] = False
    layers: Annotated[int, Option("of the head", least=1, most=16)] = 1
    ffn_width: Annotated[int, Option("of the head's layers", least=1, most=2**16)] = 4_096
    words: Annotated[int, Option("tokens that the head can say", least=1, most=MAX_COUNT)] = 16_384
    canvas: Annotated[int, Option("tokens of a canvas", least=3, most=MAX_WINDOW)] = 6
    window: Annotated[int, Option("tokens of the context that the head sees", least=1, most=MAX_WINDOW)] = 64
    batch: Annotated[int, Option("texts of a step", least=1, most=MAX_COUNT)] = 8
    anchors: Annotated[int, Option("canvases of each text of a step", least=1, most=MAX_COUNT)] = 24
    device: Annotated[Literal["cpu", "cuda"], Option("that reads and trains")] = "cpu"
    threads: Annotated[int, Option("of a CPU", least=1, most=MAX_COUNT)] = field(
        default_factory=lambda: os.cpu_count() or 1
    )
    seed: Annotated[int, Option("of weights, texts and canvases", least=0, most=MAX_COUNT)] = 1
    save_minutes: Annotated[float, Option("between two states", above=0, most=MAX_MINUTES)] = 5.0


def run(options: HeadOptions) -> None:
    """Read texts and train until the minutes are over. Raises InputError or CheckpointError."""
    if options.device == "cuda" and not _has_gpu():
        raise InputError("this machine has no GPU that PyTorch can use: leave --device out")
    with alone_in(options.out, True), interruptible() as interrupted:
        if not options.resume and (options.out / STATE).is_file():
            raise InputError(f"{options.out} holds a run: add --resume to go on, or give another --out")
        body = read(options.body)
        if not isinstance(body.tokenizer, BodyTokenizer):
            raise InputError(f"{options.body} is a model that was trained here: a head needs a published body")
        train, exam = _texts(options, body, interrupted)
        if interrupted.is_set():
            return
        trainer = _trainer(options, body, train)
        if options.resume:
            trainer.resume(options.out)
        _train(options, trainer, exam, interrupted)


def _has_gpu() -> bool:
    import torch

    return torch.cuda.is_available()


def _texts(
    options: HeadOptions, body: StoredCheckpoint, interrupted: "threading.Event"
) -> "tuple[list[BodyText], list[BodyText]]":
    """What the body read of training and held-out documents; the body reads what is missing."""

    from ...model.load_infiller import load_infiller
    from .head_states import N_TEXTS, collect
    from .head_texts import load_texts
    from .lora_examples import LoraExampleConfig, LoraStream

    wanted: dict[str, tuple[Split, int]] = {
        "texts": ("train", options.texts), "exam": ("heldout", options.exam_texts),
    }  # fmt: skip
    found: dict[str, list[BodyText]] = {}
    infiller = None
    for name, (split, n) in wanted.items():
        paths = [options.out / f"{name}-{options.seed}-{i:05}.npz" for i in range(-(-n // N_TEXTS))]
        if not all(path.exists() for path in paths):
            infiller = infiller or load_infiller(options.body, n_threads=options.threads, device=options.device)
            assert isinstance(infiller.tokenizer, BodyTokenizer)
            config = LoraExampleConfig(
                n_context_median=N_CONTEXT_MEDIAN, n_context_max=N_CONTEXT_MAX, n_middle_min=N_MIDDLE[0],
                n_middle_max=N_MIDDLE[1], hole_mix=HOLE_MIX,
            )  # fmt: skip
            stream = LoraStream(documents_of(options.data, split), infiller.tokenizer, config)

            def is_over(n_read: int, name: str = name) -> bool:
                print(f"{name}: {n_read} read", flush=True)
                return interrupted.is_set()

            paths = collect(infiller, stream, options.out, name, n, options.seed, is_over)
        found[name] = [*load_texts(paths, body.sha256)][:n]
    return found["texts"], found["exam"]


def _trainer(options: HeadOptions, body: StoredCheckpoint, texts: "Sequence[BodyText]") -> "HeadTrainer":
    """A trainer of a new head. Its words are those of the state to go on from, if there is one."""
    import numpy as np
    import torch

    from ...model.checkpoint.checkpoint import load
    from ...model.network.denoising_head import DenoisingHead
    from ..run.state_file import read_state
    from .head_trainer import HeadPlan, HeadTrainer, words_of

    torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    embedding = torch.from_numpy(as_float(body.weights["embedding.weight"]))
    counts = np.zeros(len(embedding), dtype=np.int64)
    for text in texts:
        counts += np.bincount(np.concatenate([text.tokens, text.best[text.first :]]), minlength=len(embedding))
    n_words = min(options.words, int((counts > 0).sum()))
    words = torch.from_numpy(np.sort(np.argsort(-counts, kind="stable")[:n_words]))
    if options.resume and (state := read_state(options.out)) is not None:
        words = words_of(state, options.out)
    shape = body.shape
    config = HeadConfig(
        width=shape.width, n_layers=options.layers, n_heads=shape.n_heads, n_kv_heads=shape.n_kv_heads,
        head_size=shape.head_size, ffn_width=options.ffn_width, n_words=len(words), n_canvas=options.canvas,
        n_window=options.window,
    )  # fmt: skip
    plan = HeadPlan(minutes=options.minutes, seed=options.seed, n_texts=options.batch, n_anchors=options.anchors)
    head = DenoisingHead(config, words)
    head.start_as(torch.from_numpy(as_float(body.weights["norm.weight"])))
    device = torch.device(options.device)
    ngrams = load(body).ngrams
    return HeadTrainer(head.to(device), embedding.to(device), texts, plan, monotonic, body.sha256, ngrams)


def _train(
    options: HeadOptions,
    trainer: "HeadTrainer",
    exam: "Sequence[BodyText]",
    interrupted: "threading.Event",
) -> None:
    forget_after(options.out / CURVE, trainer.step)
    forget_after(options.out / EXAMS, trainer.step)
    saved, began_s = trainer.seconds, monotonic()
    for loss in trainer.steps():
        append_row(options.out / CURVE, {"step": trainer.step, "seconds": trainer.seconds, "nats": loss})
        if interrupted.is_set():
            break
        if trainer.seconds - saved >= 60 * options.save_minutes:
            _record(options.out, trainer, exam)
            saved = trainer.seconds
    _record(options.out, trainer, exam)
    print(f"{monotonic() - began_s:.0f} s", flush=True)


def _record(folder: Path, trainer: "HeadTrainer", exam: "Sequence[BodyText]") -> None:
    """Write the state, the head in the form of a body's folder, and its present quality."""
    trainer.save(folder)
    weights = {key: weight.detach().float().cpu().numpy() for key, weight in trainer.head.state_dict().items()}
    words = weights.pop(WORDS)
    write_head(folder / HEAD, trainer.head.config, weights, words, trainer.body)
    found = trainer.examine(exam)
    append_row(folder / EXAMS, {"step": trainer.step, "places": trainer.n_places, **_row(found)})
    print(f"step {trainer.step}, {trainer.seconds:.0f} s, {trainer.n_places:,} places: {asdict(found)}", flush=True)


def _row(exam: "HeadExam") -> dict[str, float]:
    rights = {f"right_{i}": right for i, right in enumerate(exam.right, 2)}
    return {**rights, "kept": exam.kept}
