"""`quicksilver train run`: puts a run together from its size, device and folder, trains, and exports.

One call trains up to the end of the plan, or of the call; the same command resumes. Under torchrun every process runs
this.
"""

import fcntl
import hashlib
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from ...fim.errors import InputError
from ...fim.terminal.options import Option
from ..options import SizeOptions
from .config import RunCall, TrainConfig

if TYPE_CHECKING:
    import torch

    from ...model.network.denoiser import Denoiser
    from ...model.tokenizers.code_tokenizer import CodeTokenizer
    from ..data.workers import BatchSource
    from .distributed import Ranks
    from .recipes import Recipe
    from .trainer import RunEnd, Trainer

PLAN, LOCK = "plan.json", "run.lock"
N_PROBE_HOLES = 64
N_WORKERS_MAX = 14
MAX_NUMBER = 1_000_000_000  # of minutes, steps, tokens and seeds: more is a typing error


@dataclass(frozen=True, kw_only=True)
class RunOptions(SizeOptions):
    """What `quicksilver train run` was asked: minutes or steps, and what overrides the size's recipe."""

    minutes: Annotated[
        float | None,
        Option(
            "minutes after which to end, all calls together, export included", group="end", above=0, most=MAX_NUMBER
        ),
    ] = None
    steps: Annotated[int | None, Option("steps after which to end", group="end", above=0, most=MAX_NUMBER)] = None
    call_minutes: Annotated[
        float | None, Option("minutes after which this call ends; the same command goes on", above=0, most=MAX_NUMBER)
    ] = None
    seed: Annotated[int, Option("of weights and samples", least=0, most=MAX_NUMBER)] = 1
    device: Annotated[str | None, Option("cpu or cuda (default: cuda where there is one)")] = None
    batch_tokens: Annotated[
        int | None, Option("context tokens of a step (default: by size and device)", above=0, most=MAX_NUMBER)
    ] = None
    micro_tokens: Annotated[
        int | None,
        Option("context tokens of a forward on one device: bounds the memory", above=0, most=MAX_NUMBER),
    ] = None
    workers: Annotated[int | None, Option("processes that draw samples (default: by device)", least=0)] = None
    init_from: Annotated[Path | None, Option("begin with the weights of this checkpoint folder")] = None
    no_compile: Annotated[bool, Option("on a GPU: neither FlexAttention nor torch.compile")] = False
    export: Annotated[Path | None, Option("checkpoint folder to write (default: in the run)")] = None


def run(options: RunOptions, tokenizer_file: Path) -> None:
    """Train a size in its own folder, resuming if there is a state, then export the checkpoint."""
    call = RunCall(minutes=options.call_minutes)
    import torch

    from .distributed import joining_ranks

    device = options.device or ("cuda" if torch.cuda.is_available() else "cpu")
    if device not in ("cpu", "cuda") or (device == "cuda" and not torch.cuda.is_available()):
        raise InputError(f"there is no device {device!r} here: leave --device out, or say cpu")
    with joining_ranks(device) as (ranks, own_device), alone_in(options.folder / options.size, ranks.leads):
        _run(options, tokenizer_file, call, ranks, own_device)


@contextmanager
def alone_in(folder: Path, leads: bool) -> Iterator[None]:
    """Keep other runs out of folder while this lasts. Raises InputError when one is in it."""
    if not leads:
        yield
        return
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / LOCK).open("w") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise InputError(f"another run is training in {folder}: wait for it, or give another --folder") from None
        yield


def _run(options: RunOptions, tokenizer_file: Path, call: RunCall, ranks: "Ranks", device: "torch.device") -> None:
    from ...model.tokenizers.code_tokenizer import CodeTokenizer
    from ..data.documents import find_tokenizer
    from .gpu_loss import first_that_works, ways
    from .recipes import RECIPES

    say = partial(print, flush=True) if ranks.leads else _silent
    recipe = RECIPES[options.size]()
    tokenizer_file = find_tokenizer(options.folder, options.size, tokenizer_file, options.init_from)
    tokenizer = CodeTokenizer.load(tokenizer_file)
    model, init_from = first_model(options, recipe, tokenizer, tokenizer_file)
    config = config_of(options, recipe, device.type, init_from)
    config = replace(config, tokenizer=hashlib.sha256(tokenizer_file.read_bytes()).hexdigest())
    folder = options.folder / recipe.name
    source = batch_source(options, recipe, tokenizer_file, device.type, ranks)
    try:
        trainer = put_together(options, recipe, tokenizer, model.to(device), config, source, call, ranks)
        if trainer.resume():
            say(f"resumed at step {trainer.step}, {trainer.n_tokens:,} context tokens, {trainer.done():.0%} done")
            for change in changed_settings(folder, config):
                say(f"changed since the last call: {change}")
        if ranks.leads:
            _write_plan(folder, config)
        if not options.no_compile:
            start_s = time.monotonic()
            way = first_that_works(ways(device), trainer.trial, say)
            trainer.passes = way.passes
            say(f"{device.type}: {way.words} ({time.monotonic() - start_s:.0f} s to find out)")
        ending = trainer.run()
    finally:
        source.close()
    _end(trainer, ending, export_folder(options, recipe.name), say)


def export_folder(options: RunOptions, name: str) -> Path:
    """Where the checkpoint is written at the end."""
    return options.export or options.folder / name / "checkpoint"


def _silent(text: str) -> None:
    """Print nothing: for ranks other than the first."""


def first_model(
    options: RunOptions, recipe: "Recipe", tokenizer: "CodeTokenizer", tokenizer_file: Path
) -> "tuple[Denoiser, str | None]":
    """A fresh model, or that of --init-from and the SHA-256 of its weights. Raises InputError if it does not fit."""
    import torch

    from ...model.checkpoint import checkpoint
    from ...model.network.denoiser import Denoiser

    shape = replace(recipe.shape, vocab_size=tokenizer.vocab_size)
    torch.manual_seed(options.seed)
    if options.init_from is None:
        return Denoiser(shape), None
    loaded = checkpoint.load(options.init_from)
    theirs, ours = asdict(loaded.model.config), asdict(shape)
    learnable = {"marks_middle", "copies_matches"}  # may differ: the run teaches them
    different = [
        f"{name} {theirs[name]}, not {ours[name]}"
        for name in ours
        if name not in learnable and theirs[name] != ours[name]
    ]
    if different:
        raise InputError(f"{options.init_from} is no {recipe.name} of this recipe: it has {'; '.join(different)}")
    files = (options.init_from / checkpoint.TOKENIZER, tokenizer_file)
    theirs_bpe, ours_bpe = (json.loads(file.read_text(encoding="utf-8")) for file in files)
    if theirs_bpe != ours_bpe:
        raise InputError(f"{options.init_from} has another tokenizer than {tokenizer_file}: use {files[0]} there")
    model = Denoiser(shape)
    model.load_state_dict(model.state_dict() | loaded.model.state_dict())
    return model, loaded.sha256


def config_of(options: RunOptions, recipe: "Recipe", device: str, init_from: str | None) -> TrainConfig:
    """The run's plan: the recipe's for that device, with what the command line overrides."""
    from .recipes import train_config

    config = train_config(
        steps=options.steps, minutes=options.minutes, seed=options.seed, n_context=recipe.shape.n_context,
        size=recipe.name, device=device,
    )  # fmt: skip
    if options.batch_tokens:
        config = replace(config, batch_tokens=options.batch_tokens)
    if options.micro_tokens:
        config = replace(config, micro_tokens=options.micro_tokens)
    return replace(config, init_from=init_from)


def batch_source(
    options: RunOptions, recipe: "Recipe", tokenizer_file: Path, device: str, ranks: "Ranks"
) -> "BatchSource":
    """Worker processes beside a GPU; on a CPU, which has no core to spare, this process."""
    from ..data.documents import open_stream
    from ..data.workers import InProcess, Workers

    opener = partial(open_stream, options.folder, recipe.name, "train", tokenizer_file, recipe.samples)
    n_workers = options.workers
    if n_workers is None:
        n_cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        n_workers = 0 if device == "cpu" else max(1, min(N_WORKERS_MAX, n_cores - 2) // ranks.n)
    return Workers(opener, n_workers) if n_workers else InProcess(opener())


def put_together(
    options: RunOptions,
    recipe: "Recipe",
    tokenizer: "CodeTokenizer",
    model: "Denoiser",
    config: TrainConfig,
    source: "BatchSource",
    call: RunCall,
    ranks: "Ranks",
) -> "Trainer":
    """The trainer with everything it needs."""
    from ..data.documents import read_documents
    from ..data.samples import SampleStream
    from .samples_page import Probe, draw_holes
    from .trainer import Trainer

    documents = read_documents(options.folder, recipe.name, "valid")
    n_context = config.stages[-1][1]
    valid = SampleStream(documents, tokenizer, replace(recipe.samples, n_context=n_context))
    holes = draw_holes(documents, tokenizer, N_PROBE_HOLES, n_context) if ranks.leads and config.sample_steps else []
    return Trainer(
        model, source, valid, config, options.folder / recipe.name, call=call, ranks=ranks,
        probe=Probe(tokenizer, holes) if holes else None, export=exporter(recipe.name, model, tokenizer),
        export_folder=export_folder(options, recipe.name),
    )  # fmt: skip


def exporter(
    name: str, model: "Denoiser", tokenizer: "CodeTokenizer", averaged_from: Sequence[str] = ()
) -> Callable[[Path], None]:
    """A function that writes the model's present weights as a checkpoint, whole or not at all.

    It raises NotSaved, with one line, when they cannot be written.
    """
    from safetensors import SafetensorError

    from ...model.checkpoint import checkpoint
    from .state_file import NotSaved

    def export(folder: Path) -> None:
        part = folder.with_name(folder.name + ".part")
        shutil.rmtree(part, ignore_errors=True)
        try:
            checkpoint.save(part, name, model, tokenizer, averaged_from)
            folder.mkdir(parents=True, exist_ok=True)
            for file in (checkpoint.WEIGHTS, checkpoint.TOKENIZER, checkpoint.CONFIG):
                (part / file).replace(folder / file)
        except (OSError, SafetensorError) as error:
            reason = getattr(error, "strerror", None) or " ".join(str(error).split())
            raise NotSaved(f"could not write the checkpoint {folder} ({reason}): the state is kept") from error
        finally:
            shutil.rmtree(part, ignore_errors=True)

    return export


def changed_settings(folder: Path, config: TrainConfig) -> list[str]:
    """The differences between config and the plan of the call before, in words."""
    try:
        before = json.loads((folder / PLAN).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return []
    now = json.loads(json.dumps(asdict(config)))
    return [f"{name} {before[name]} to {now[name]}" for name in now if name in before and before[name] != now[name]]


def _write_plan(folder: Path, config: TrainConfig) -> None:
    (folder / PLAN).write_text(json.dumps(asdict(config), indent=1) + "\n", encoding="utf-8")


def _end(trainer: "Trainer", ending: "RunEnd", folder: Path, say: Callable[[str], None]) -> None:
    """Export unless the run was interrupted, and report the result."""
    if ending == "interrupted":
        say(f"interrupted after step {trainer.step}: the same command goes on from there")
        return
    final = trainer.finish(folder)
    if final is None:
        return
    for words, losses in (("last weights", final.last), ("averaged weights", final.averaged)):
        say(f"valid split, {words}: next {float(losses.next_token):.4f} canvas {float(losses.canvas):.4f} nats")
    if trainer.n_skipped:
        say(f"{trainer.n_skipped} steps were skipped: their gradients were not finite")
    if trainer.device.type == "cuda":
        import torch

        say(f"GPU memory at most {torch.cuda.max_memory_allocated() / 1e9:.0f} GB")
    say(
        f"wrote {folder} ({final.chosen} weights) after {trainer.step} steps, {trainer.n_tokens:,} context tokens, "
        f"{trainer.elapsed_s / 60:.1f} min; {trainer.done():.0%} of the plan is done"
        + (": the same command goes on from there" if ending == "call over" else "")
    )
