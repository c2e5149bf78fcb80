"""`quicksilver train head`: has a published body read texts, then trains its denoising head on what it read.

The same command with --resume goes on from the last state. In its folder: texts-… and exam-… (what the body read),
state.pt, head.safetensors, loss.csv and exam.csv. Without new texts no body is loaded but its embedding.
"""

import argparse
import os
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING

from ...fim.errors import InputError
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


def add_arguments(head: argparse.ArgumentParser) -> None:
    """The arguments of `head`."""
    head.add_argument("--body", type=Path, required=True, metavar="FOLDER", help="the body's checkpoint folder")
    head.add_argument(
        "--data", type=Path, nargs="+", required=True, metavar="FOLDER",
        help="folders with train.jsonl.gz and, in one of them, heldout.jsonl.gz",
    )  # fmt: skip
    head.add_argument("--out", type=Path, required=True, metavar="FOLDER", help="where texts and state are kept")
    head.add_argument("--texts", type=int, default=2_000, help="texts that the body reads (2000)")
    head.add_argument("--exam-texts", type=int, default=100, help="held-out texts (100)")
    head.add_argument("--minutes", type=float, required=True, help="of training, all calls together, without reading")
    head.add_argument("--resume", action="store_true", help="go on from the state in --out")
    head.add_argument("--layers", type=int, default=1, help="of the head (1)")
    head.add_argument("--ffn-width", type=int, default=4_096, help="of the head's layers (4096)")
    head.add_argument("--words", type=int, default=16_384, help="tokens that the head can say (16384)")
    head.add_argument("--canvas", type=int, default=6, help="tokens of a canvas (6)")
    head.add_argument("--window", type=int, default=64, help="tokens of the context that the head sees (64)")
    head.add_argument("--batch", type=int, default=8, help="texts of a step (8)")
    head.add_argument("--anchors", type=int, default=24, help="canvases of each text of a step (24)")
    head.add_argument("--device", choices=("cpu", "cuda"), default="cpu", help="that reads and trains (cpu)")
    head.add_argument("--threads", type=int, default=os.cpu_count() or 1, help="of a CPU")
    head.add_argument("--seed", type=int, default=1, help="of weights, texts and canvases (1)")
    head.add_argument("--save-minutes", type=float, default=5, help="between two states (5)")


def run(arguments: argparse.Namespace) -> None:
    """Read texts and train until the minutes are over. Raises InputError or CheckpointError."""
    for name in ("minutes", "save_minutes"):
        if not 0 < getattr(arguments, name) <= MAX_MINUTES:
            raise InputError(f"--{name.replace('_', '-')} must be positive and at most {MAX_MINUTES:,}")
    least = {"texts": 1, "exam_texts": 1, "layers": 1, "ffn_width": 1, "words": 1, "canvas": 3, "window": 1, "batch": 1}
    least |= {"threads": 1, "seed": 0, "anchors": 1}
    for name, lowest in least.items():
        if not lowest <= getattr(arguments, name) <= MAX_COUNT:
            raise InputError(f"--{name.replace('_', '-')} must be from {lowest} to {MAX_COUNT:,}")
    for name, most in {"layers": 16, "ffn_width": 2**16, "window": MAX_WINDOW, "canvas": MAX_WINDOW}.items():
        if getattr(arguments, name) > most:
            raise InputError(f"--{name.replace('_', '-')} must be at most {most:,}")
    if arguments.device == "cuda" and not _has_gpu():
        raise InputError("this machine has no GPU that PyTorch can use: leave --device out")
    with alone_in(arguments.out, True), interruptible() as interrupted:
        if not arguments.resume and (arguments.out / STATE).is_file():
            raise InputError(f"{arguments.out} holds a run: add --resume to go on, or give another --out")
        body = read(arguments.body)
        if not isinstance(body.tokenizer, BodyTokenizer):
            raise InputError(f"{arguments.body} is a model that was trained here: a head needs a published body")
        train, exam = _texts(arguments, body, interrupted)
        if interrupted.is_set():
            return
        trainer = _trainer(arguments, body, train)
        if arguments.resume:
            trainer.resume(arguments.out)
        _train(arguments, trainer, exam, interrupted)


def _has_gpu() -> bool:
    import torch

    return torch.cuda.is_available()


def _texts(
    arguments: argparse.Namespace, body: StoredCheckpoint, interrupted: "threading.Event"
) -> "tuple[list[BodyText], list[BodyText]]":
    """What the body read of training and of held-out documents; read now what is not there yet."""

    from ...model.load_infiller import load_infiller
    from .head_states import N_TEXTS, collect
    from .head_texts import load_texts
    from .lora_examples import LoraExampleConfig, LoraStream

    wanted: dict[str, tuple[Split, int]] = {
        "texts": ("train", arguments.texts), "exam": ("heldout", arguments.exam_texts),
    }  # fmt: skip
    found: dict[str, list[BodyText]] = {}
    infiller = None
    for name, (split, n) in wanted.items():
        paths = [arguments.out / f"{name}-{arguments.seed}-{i:05}.npz" for i in range(-(-n // N_TEXTS))]
        if not all(path.exists() for path in paths):
            infiller = infiller or load_infiller(arguments.body, n_threads=arguments.threads, device=arguments.device)
            assert isinstance(infiller.tokenizer, BodyTokenizer)
            config = LoraExampleConfig(
                n_context_median=N_CONTEXT_MEDIAN, n_context_max=N_CONTEXT_MAX, n_middle_min=N_MIDDLE[0],
                n_middle_max=N_MIDDLE[1], hole_mix=HOLE_MIX,
            )  # fmt: skip
            stream = LoraStream(documents_of(arguments.data, split), infiller.tokenizer, config)

            def is_over(n_read: int, name: str = name) -> bool:
                print(f"{name}: {n_read} read", flush=True)
                return interrupted.is_set()

            paths = collect(infiller, stream, arguments.out, name, n, arguments.seed, is_over)
        found[name] = [*load_texts(paths, body.sha256)][:n]
    return found["texts"], found["exam"]


def _trainer(arguments: argparse.Namespace, body: StoredCheckpoint, texts: "Sequence[BodyText]") -> "HeadTrainer":
    """A trainer of a new head. Its words are those of the state to go on from, if there is one."""
    import numpy as np
    import torch

    from ...model.checkpoint.checkpoint import load
    from ...model.network.denoising_head import DenoisingHead
    from ..run.state_file import read_state
    from .head_trainer import HeadPlan, HeadTrainer, words_of

    torch.set_num_threads(arguments.threads)
    torch.manual_seed(arguments.seed)
    embedding = torch.from_numpy(as_float(body.weights["embedding.weight"]))
    counts = np.zeros(len(embedding), dtype=np.int64)
    for text in texts:
        counts += np.bincount(np.concatenate([text.tokens, text.best[text.first :]]), minlength=len(embedding))
    n_words = min(arguments.words, int((counts > 0).sum()))
    words = torch.from_numpy(np.sort(np.argsort(-counts, kind="stable")[:n_words]))
    if arguments.resume and (state := read_state(arguments.out)) is not None:
        words = words_of(state, arguments.out)
    shape = body.shape
    config = HeadConfig(
        width=shape.width, n_layers=arguments.layers, n_heads=shape.n_heads, n_kv_heads=shape.n_kv_heads,
        head_size=shape.head_size, ffn_width=arguments.ffn_width, n_words=len(words), n_canvas=arguments.canvas,
        n_window=arguments.window,
    )  # fmt: skip
    plan = HeadPlan(
        minutes=arguments.minutes, seed=arguments.seed, n_texts=arguments.batch, n_anchors=arguments.anchors
    )
    head = DenoisingHead(config, words)
    head.start_as(torch.from_numpy(as_float(body.weights["norm.weight"])))
    device = torch.device(arguments.device)
    ngrams = load(body).ngrams
    return HeadTrainer(head.to(device), embedding.to(device), texts, plan, monotonic, body.sha256, ngrams)


def _train(
    arguments: argparse.Namespace,
    trainer: "HeadTrainer",
    exam: "Sequence[BodyText]",
    interrupted: "threading.Event",
) -> None:
    forget_after(arguments.out / CURVE, trainer.step)
    forget_after(arguments.out / EXAMS, trainer.step)
    saved, began_s = trainer.seconds, monotonic()
    for loss in trainer.steps():
        append_row(arguments.out / CURVE, {"step": trainer.step, "seconds": trainer.seconds, "nats": loss})
        if interrupted.is_set():
            break
        if trainer.seconds - saved >= 60 * arguments.save_minutes:
            _record(arguments.out, trainer, exam)
            saved = trainer.seconds
    _record(arguments.out, trainer, exam)
    print(f"{monotonic() - began_s:.0f} s", flush=True)


def _record(folder: Path, trainer: "HeadTrainer", exam: "Sequence[BodyText]") -> None:
    """Write the state, the head as a body's folder holds it, and what it is worth now."""
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
