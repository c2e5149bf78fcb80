"""`quicksilver train`: corpus, tokenizer, run. Each step reads what the one before wrote."""

import argparse
import json
import math
import random
from collections.abc import Iterator
from dataclasses import asdict, replace
from itertools import chain
from pathlib import Path
from typing import NoReturn

from ..fim.errors import InputError
from . import corpus

PACKAGES = Path(__file__).parent / "packages.txt"
N_TOKENIZER_CHARS = 40_000_000
PLAN = "plan.json"


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one line."""

    def error(self, message: str) -> NoReturn:
        raise InputError(f"train: {message}")


def parser() -> argparse.ArgumentParser:
    """The command's arguments."""
    top = _Parser(prog="quicksilver train", description="Build the embedded model from source code.")
    steps = top.add_subparsers(dest="step", required=True)
    made = steps.add_parser("corpus", help="collect permissively licensed Python source")
    made.add_argument("--packages", type=Path, default=PACKAGES, help="pinned packages to fetch with pip")
    made.add_argument("--from-environment", action="store_true", help="also read the installed distributions")
    made.add_argument("--no-download", action="store_true", help="use the wheels that are already there")
    tokenizer = steps.add_parser("tokenizer", help="learn the byte-level BPE")
    run = steps.add_parser("run", help="train, or go on training, and export the checkpoint")
    plan = run.add_mutually_exclusive_group(required=True)
    plan.add_argument("--minutes", type=float, help="end after this many minutes of training")
    plan.add_argument("--steps", type=int, help="end after this many steps")
    run.add_argument("--seed", type=int, default=1)
    run.add_argument("--device", default=None, help="cpu or cuda (default: cuda where there is one)")
    card = steps.add_parser("card", help="write MODEL_CARD.md beside a checkpoint")
    card.add_argument("--checkpoint", type=Path, required=True, help="the checkpoint's folder")
    card.add_argument("--evaluation", type=Path, required=True, help="what `quicksilver eval heldout --json` wrote")
    card.add_argument("--hardware", required=True, help="what the run ran on, in words")
    for step in (made, tokenizer, run, card):
        step.add_argument("--folder", type=Path, default=Path("runs"), help="where corpus and runs live")
    for step in (tokenizer, run, card):
        step.add_argument("--size", choices=("nano", "base"), default="nano")
    run.add_argument("--export", type=Path, default=None, help="checkpoint folder to write (default: in the run)")
    return top


def main(argv: list[str]) -> int:
    """Run one step of the pipeline. Raises InputError with one line for the person."""
    arguments = parser().parse_args(argv)
    steps = {"corpus": make_corpus, "tokenizer": make_tokenizer, "run": run, "card": make_card}
    try:
        steps[arguments.step](arguments)
    except OSError as error:  # a full disk, a folder that cannot be written
        raise InputError(f"{error.strerror or error}: {error.filename or arguments.folder}") from error
    return 0


def make_corpus(arguments: argparse.Namespace) -> None:
    """Collect, filter, split and write the corpus; print what went in and what did not."""
    wheels = arguments.folder / "wheels"
    (arguments.folder / "corpus").mkdir(parents=True, exist_ok=True)
    if not arguments.no_download:
        corpus.download(arguments.packages, wheels)
    installed = corpus.installed(frozenset({"quicksilver-lsp"})) if arguments.from_environment else iter(())
    packages = chain([corpus.standard_library()], corpus.wheels(wheels), installed)
    report = corpus.Report(from_environment=arguments.from_environment)
    corpus.write(corpus.collect(packages, report), report, arguments.folder / "corpus")
    for split in corpus.SPLITS:
        sources = [s for s in report.sources if s.split == split]
        n_chars, n_files = sum(s.n_chars for s in sources), sum(s.n_files for s in sources)
        print(f"{split}: {len(sources)} packages, {n_files:,} files, {n_chars:,} characters")
    for reason, count in report.drops.most_common():
        print(f"dropped {count:,}: {reason}")


def make_tokenizer(arguments: argparse.Namespace) -> None:
    """Learn the tokenizer of a size from a fair sample of the training documents."""
    from ..model.tokenizer import CodeTokenizer
    from .recipes import RECIPES

    documents = corpus.read(arguments.folder / "corpus", "train")
    random.Random(0).shuffle(documents)
    vocab_size = RECIPES[arguments.size]().shape.vocab_size
    tokenizer = CodeTokenizer.train(_first_chars(documents, N_TOKENIZER_CHARS), vocab_size)
    path = tokenizer_path(arguments.folder, arguments.size)
    tokenizer.save(path)
    valid = [d.text for d in corpus.read(arguments.folder / "corpus", "valid")]
    ratio = sum(map(len, valid)) / sum(len(tokenizer.encode(text)) for text in valid)
    print(f"{path}: {tokenizer.vocab_size} ids, {ratio:.3f} characters a token on the valid split")


def _first_chars(documents: list[corpus.Document], n_chars: int) -> Iterator[str]:
    for document in documents:
        if n_chars <= 0:
            return
        n_chars -= len(document.text)
        yield document.text


def tokenizer_path(folder: Path, size: str) -> Path:
    """Where the tokenizer of a size lies before it is exported with a checkpoint."""
    return folder / f"tokenizer-{size}.json"


def run(arguments: argparse.Namespace) -> None:
    """Train a size in its own folder, resuming if there is a state, then export the checkpoint."""
    import torch

    from ..model import checkpoint
    from ..model.denoiser import Denoiser
    from ..model.tokenizer import CodeTokenizer
    from .recipes import RECIPES, train_config
    from .samples import SampleStream
    from .trainer import Trainer

    amount = arguments.steps if arguments.minutes is None else arguments.minutes
    if not (math.isfinite(amount) and amount > 0):
        raise InputError("--minutes and --steps must be positive")
    device = arguments.device or ("cuda" if torch.cuda.is_available() else "cpu")
    if device not in ("cpu", "cuda") or (device == "cuda" and not torch.cuda.is_available()):
        raise InputError(f"there is no device {device!r} here: leave --device out, or say cpu")
    recipe = RECIPES[arguments.size]()
    tokenizer = CodeTokenizer.load(tokenizer_path(arguments.folder, arguments.size))
    torch.manual_seed(arguments.seed)
    model = Denoiser(replace(recipe.shape, vocab_size=tokenizer.vocab_size)).to(device)
    train, valid = (
        SampleStream(corpus.read(arguments.folder / "corpus", split), tokenizer, recipe.samples)
        for split in ("train", "valid")
    )
    config = train_config(
        steps=arguments.steps, minutes=arguments.minutes, seed=arguments.seed, n_context=recipe.shape.n_context
    )
    trainer = Trainer(model, train, valid, config, arguments.folder / recipe.name)
    if trainer.resume():
        print(f"resumed at step {trainer.step}, {trainer.n_tokens:,} context tokens")
    (arguments.folder / recipe.name / PLAN).write_text(json.dumps(asdict(config), indent=1) + "\n", encoding="utf-8")
    if not trainer.run():
        print(f"interrupted after step {trainer.step}: the same command goes on from there")
        return
    folder = arguments.export or arguments.folder / recipe.name / "checkpoint"
    checkpoint.save(folder, recipe.name, model, tokenizer)
    print(f"wrote {folder} after {trainer.step} steps, {trainer.n_tokens:,} context tokens")


def make_card(arguments: argparse.Namespace) -> None:
    """Write MODEL_CARD.md and sources.json into the checkpoint's folder."""
    from .model_card import model_card, read_log
    from .recipes import RECIPES
    from .trainer import TrainConfig

    recipe = RECIPES[arguments.size]()
    folder = arguments.folder / recipe.name
    try:
        manifest = json.loads((arguments.folder / "corpus" / "manifest.json").read_text(encoding="utf-8"))
        evaluation = json.loads(arguments.evaluation.read_text(encoding="utf-8"))
        config = TrainConfig(**json.loads((folder / PLAN).read_text(encoding="utf-8")))
        text = model_card(recipe, config, manifest, read_log(folder), evaluation, arguments.hardware)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"the card lacks what it is written from: {error}") from error
    if not (arguments.checkpoint / "config.json").is_file():
        raise InputError(f"no checkpoint in {arguments.checkpoint}")
    (arguments.checkpoint / "MODEL_CARD.md").write_text(text, encoding="utf-8")
    (arguments.checkpoint / "sources.json").write_text(json.dumps(manifest, indent=1) + "\n", encoding="utf-8")
    print(f"wrote {arguments.checkpoint / 'MODEL_CARD.md'}")
