"""`quicksilver train`: corpus, tokenizer, run. Each step reads what the one before wrote."""

import argparse
import json
import os
import random
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from ..fim.errors import InputError
from ..fim.terminal.arguments import Parser
from .adapt import head_step, lora_step, ngram_step
from .corpus import code as code_corpus
from .corpus import corpus
from .corpus import steps as corpus_steps
from .heldout import step as heldout
from .progress import counting, progress
from .run import step as run_step

if TYPE_CHECKING:
    from ..model.ranking.prefix_confidence import PrefixRanker
    from ..model.ranking.ranker import Ranker

PACKAGES = Path(__file__).parent / "corpus" / "packages.txt"
N_TOKENIZER_CHARS = 40_000_000
PREFIX_HOLES = 3  # for every hole that the ranker is fitted to: cheaper ones


def parser() -> argparse.ArgumentParser:
    """The command's arguments."""
    top = Parser(prog="quicksilver train", description="Build the embedded model from source code.")
    steps = top.add_subparsers(title="steps", metavar="STEP", dest="step", required=True)
    made = steps.add_parser("corpus", help="collect permissively licensed Python source")
    made.add_argument("--packages", type=Path, default=PACKAGES, help="pinned packages to fetch with pip")
    made.add_argument("--from-environment", action="store_true", help="also read the installed distributions")
    made.add_argument("--no-download", action="store_true", help="use the wheels that are already there")
    made.add_argument(
        "--decontaminate", type=Path, nargs="+", default=[], metavar="FILE",
        help="drop training documents that share 13 words in a row with these tasks (text, JSONL, either with .gz)",
    )  # fmt: skip
    made.add_argument("--processes", type=int, default=os.cpu_count() or 1, help="packages read at a time")
    held_out = steps.add_parser("heldout", help="fetch the held-out packages of 2026, sources by language")
    held_out.add_argument("--out", type=Path, required=True, help="folder to write, outside the checkout")
    held_out.add_argument("--packages", type=Path, default=PACKAGES, help="what is trained on: must name none of them")
    tokenizer = steps.add_parser("tokenizer", help="learn the byte-level BPE")
    shards = steps.add_parser("shards", help="pack the corpus as tokens, to train on another machine")
    run = steps.add_parser("run", help="train, or go on training, and export the checkpoint")
    run_step.add_arguments(run)
    curves = steps.add_parser("curves", help="draw the loss curves of runs")
    curves.add_argument("--run", type=Path, nargs="+", required=True, metavar="FOLDER", help="runs to draw")
    curves.add_argument("--png", type=Path, default=Path("curves.png"), help="picture to write")
    ranker = steps.add_parser("ranker", help="fit how a checkpoint's candidates are ranked, on the valid split")
    ranker.add_argument("--checkpoint", type=Path, required=True, help="the checkpoint's folder")
    ranker.add_argument(
        "--data", type=Path, nargs="+", metavar="FOLDER",
        help="corpora to cut holes in, about as many in each; valid split, else train split (the corpus of --folder)",
    )  # fmt: skip
    ranker.add_argument("--holes", type=int, default=1000, help="holes to cut (1000)")
    ranker.add_argument("--seed", type=int, default=0, help="of the holes that are cut (0)")
    ranker.add_argument(
        "--refine",
        action="store_true",
        help="keep the candidates' ranker and refine the beginnings' one: fewer holes do",
    )
    ranker.add_argument(
        "--calibrate", type=Path, nargs="+", metavar="FILE",
        help="only make the beginnings' ranker as sure as texts were right in replays (`bench replay --json`)",
    )  # fmt: skip
    ranker.add_argument(
        "--json", type=Path, metavar="FILE", help="write them there too, as `fetch` adds them to a body"
    )
    card = steps.add_parser("card", help="write MODEL_CARD.md beside a checkpoint")
    card.add_argument("--checkpoint", type=Path, required=True, help="the checkpoint's folder")
    card.add_argument(
        "--evaluation", type=Path, nargs="+", required=True, metavar="FILE",
        help="what `quicksilver eval heldout --json` wrote, at once or in parts",
    )  # fmt: skip
    card.add_argument("--hardware", required=True, help="what the run ran on, in words")
    average = steps.add_parser("average", help="average the weights of checkpoints of one shape")
    average.add_argument("checkpoints", type=Path, nargs="+", metavar="FOLDER", help="two checkpoint folders or more")
    average.add_argument("--export", type=Path, required=True, help="checkpoint folder to write")
    code = steps.add_parser("code", help="collect permissively licensed source in many languages")
    code.add_argument("--packages", type=Path, default=code_corpus.PACKAGES, help="pinned packages of npm and Debian")
    code.add_argument("--folder", type=Path, default=Path("runs"), help="where corpus and runs live")
    head_step.add_arguments(steps.add_parser("head", help="train a denoising head for a published body"))
    ngram_step.add_arguments(steps.add_parser("ngrams", help="count what follows runs of tokens, for a body's guesses"))
    lora_step.add_arguments(steps.add_parser("lora", help="teach a published body our layout, with a LoRA"))
    for step in (made, held_out, tokenizer, shards, run, curves, ranker, card, average):
        step.add_argument("--folder", type=Path, default=Path("runs"), help="where corpus and runs live")
    for step in (tokenizer, shards, run, card):
        step.add_argument("--size", choices=("nano", "base"), default="nano", help="of the model (nano)")
    return top


def main(argv: list[str]) -> int:
    """Run one step of the pipeline. Raises InputError with one line for the person."""
    arguments = parser().parse_args(argv)
    steps = {"corpus": corpus_steps.make_corpus, "tokenizer": make_tokenizer, "shards": make_shards, "run": run}
    steps |= {
        "curves": draw_curves,
        "ranker": fit_ranker,
        "card": make_card,
        "average": make_average,
        "heldout": heldout.make_heldout,
        "head": head_step.run,
        "ngrams": ngram_step.run,
        "lora": lora_step.run,
        "code": code_corpus.make_code,
    }
    try:
        steps[arguments.step](arguments)
    except OSError as error:  # a full disk, a folder that cannot be written
        raise InputError(f"{error.strerror or error}: {error.filename or 'a file'}") from error
    return 0


def make_shards(arguments: argparse.Namespace) -> None:
    """Write the corpus as token shards of a size's tokenizer."""
    corpus_steps.make_shards(arguments, tokenizer_path(arguments.folder, arguments.size))


def make_tokenizer(arguments: argparse.Namespace) -> None:
    """Learn the tokenizer of a size from a fair sample of the training documents."""
    from ..model.tokenizers.code_tokenizer import CodeTokenizer
    from .run.recipes import RECIPES

    documents = corpus.read(arguments.folder / "corpus", "train")
    random.Random(0).shuffle(documents)
    vocab_size = RECIPES[arguments.size]().shape.vocab_size
    n_chars = min(N_TOKENIZER_CHARS, sum(len(document.text) for document in documents))
    with counting("characters read", n_chars) as advance:
        texts = _first_chars(documents, N_TOKENIZER_CHARS, advance)
        tokenizer = CodeTokenizer.train(texts, vocab_size, show_progress=sys.stderr.isatty())
    path = tokenizer_path(arguments.folder, arguments.size)
    tokenizer.save(path)
    valid = [d.text for d in corpus.read(arguments.folder / "corpus", "valid")]
    if not any(valid):
        raise InputError("the valid split of the corpus holds no text: build the corpus again")
    ratio = sum(map(len, valid)) / sum(len(tokenizer.encode(text)) for text in valid)
    print(f"{path}: {tokenizer.vocab_size} ids, {ratio:.3f} characters a token on the valid split")


def _first_chars(
    documents: list[corpus.CorpusDocument], n_chars: int, advance: Callable[[int], None] = lambda n: None
) -> Iterator[str]:
    for document in documents:
        if n_chars <= 0:
            return
        n_chars -= len(document.text)
        yield document.text
        advance(len(document.text))


def tokenizer_path(folder: Path, size: str) -> Path:
    """Where the tokenizer of a size lies before it is exported with a checkpoint."""
    return folder / f"tokenizer-{size}.json"


def run(arguments: argparse.Namespace) -> None:
    """Train a size in its own folder, resuming if there is a state, then export the checkpoint."""
    run_step.run(arguments, tokenizer_path(arguments.folder, arguments.size))


def draw_curves(arguments: argparse.Namespace) -> None:
    """Write the loss curves of runs as a picture."""
    from .run import curves

    curves.draw_curves(arguments.run, arguments.png)
    print(f"wrote {arguments.png}")


def fit_ranker(arguments: argparse.Namespace) -> None:
    """Fit a checkpoint's ranker on the valid split and put it into the checkpoint's config."""
    from ..model.load_infiller import load_infiller
    from .fit.prefix_ranker import fit_prefixes
    from .fit.ranker import fit_to

    if arguments.holes < 1 or arguments.seed < 0:
        raise InputError("--holes must be at least 1, --seed 0 or more")
    if arguments.json is not None and (arguments.json.is_dir() or not arguments.json.parent.is_dir()):
        raise InputError(f"--json: {arguments.json} is a folder, or lies in none")
    if arguments.calibrate:
        _write_rankers(arguments, *_calibrated(arguments.checkpoint, arguments.calibrate))
        return
    infiller = load_infiller(arguments.checkpoint)
    groups = [_documents(folder) for folder in arguments.data or [arguments.folder / "corpus"]]
    ranker, start = infiller.checkpoint.ranker, infiller.checkpoint.prefix_ranker
    if arguments.refine and (ranker is None or start is None):
        raise InputError("there is nothing to refine: the checkpoint has no rankers; run it without --refine")
    n = arguments.holes
    n_then = n if arguments.refine else PREFIX_HOLES * n
    with progress(True) as report:
        if ranker is None or not arguments.refine:
            start = None
            ranker = fit_to(
                infiller, groups, n, arguments.seed,
                lambda done: report(f"candidates, hole {done} of {n}", done / n / 2),
            )  # fmt: skip
            infiller.checkpoint = replace(infiller.checkpoint, ranker=ranker)
        prefix_ranker = fit_prefixes(
            infiller, groups, n_then, arguments.seed,
            lambda done: report(f"beginnings, hole {done} of {n_then}", 0.5 + done / n_then / 2), start,
        )  # fmt: skip
    _write_rankers(arguments, ranker, prefix_ranker)


def _calibrated(folder: Path, replays: Sequence[Path]) -> "tuple[Ranker, PrefixRanker]":
    from ..model.checkpoint import checkpoint
    from .fit.prefix_ranker import Promise, calibrate

    loaded = checkpoint.load(folder)
    if loaded.ranker is None or loaded.prefix_ranker is None:
        raise InputError("there is nothing to calibrate: the checkpoint has no rankers")
    shown: list[Promise] = []
    for path in replays:
        try:
            bins = json.loads(path.read_text(encoding="utf-8"))["reliability"]["default"]
            shown += [Promise(int(b["texts"]), float(b["promised"]), float(b["right"])) for b in bins]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise InputError(f"{path} is not what `bench replay --json` writes ({type(error).__name__})") from error
    return loaded.ranker, calibrate(loaded.prefix_ranker, shown)


def _write_rankers(arguments: argparse.Namespace, ranker: "Ranker", prefix_ranker: "PrefixRanker") -> None:
    """In words, into a file where it is wanted, and into the checkpoint's config."""
    from ..model.checkpoint import checkpoint

    for name, weights in (("candidates", ranker.weights), ("beginnings", prefix_ranker.weights)):
        print(f"{arguments.checkpoint}, {name}: " + ", ".join(f"{key} {value:+.2f}" for key, value in weights.items()))
    if arguments.json is not None:
        both = {"ranker": dict(ranker.weights), "prefix_ranker": dict(prefix_ranker.weights)}
        arguments.json.write_text(json.dumps(both, indent=1) + "\n", encoding="utf-8")
    checkpoint.save_rankers(arguments.checkpoint, ranker, prefix_ranker)


def _documents(folder: Path) -> list[corpus.CorpusDocument]:
    has_valid = (folder / "valid.jsonl.gz").exists() or not (folder / "train.jsonl.gz").exists()
    return corpus.read(folder, "valid" if has_valid else "train")


def make_average(arguments: argparse.Namespace) -> None:
    """Write the mean of several checkpoints' weights as a checkpoint of its own, without a ranker."""
    from ..model.checkpoint import checkpoint
    from .export.average import average_checkpoints
    from .run.step import exporter

    parts = [checkpoint.load(folder) for folder in arguments.checkpoints]
    mean = average_checkpoints(parts)
    exporter(mean.name, mean.model, mean.own_tokenizer, mean.averaged_from)(arguments.export)
    print(f"wrote {arguments.export}: now `quicksilver train ranker --checkpoint {arguments.export}`")


def make_card(arguments: argparse.Namespace) -> None:
    """Write MODEL_CARD.md and sources.json into the checkpoint's folder."""
    from ..model.checkpoint import checkpoint
    from .export.model_card import merge_evaluations, model_card
    from .run.log import read_log
    from .run.recipes import RECIPES
    from .run.trainer import TrainConfig

    recipe = RECIPES[arguments.size]()
    folder = arguments.folder / recipe.name
    try:
        manifest = json.loads((arguments.folder / "corpus" / "manifest.json").read_text(encoding="utf-8"))
        evaluation = merge_evaluations([json.loads(file.read_text(encoding="utf-8")) for file in arguments.evaluation])
        config = TrainConfig(**json.loads((folder / run_step.PLAN).read_text(encoding="utf-8")))
        described = checkpoint.load(arguments.checkpoint)
        if evaluation["model"]["sha256"] != described.sha256:
            raise InputError(f"{arguments.evaluation[0]} is about other weights than those in {arguments.checkpoint}")
        shape = described.model.config
        if replace(shape, vocab_size=recipe.shape.vocab_size) != recipe.shape:
            raise InputError(f"{arguments.checkpoint} has not the shape of {recipe.name}'s recipe")
        text = model_card(
            recipe, config, manifest, read_log(folder), evaluation, arguments.hardware, described.averaged_from
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"the card lacks what it is written from: {error}") from error
    (arguments.checkpoint / "MODEL_CARD.md").write_text(text, encoding="utf-8")
    (arguments.checkpoint / "sources.json").write_text(json.dumps(manifest, indent=1) + "\n", encoding="utf-8")
    print(f"wrote {arguments.checkpoint / 'MODEL_CARD.md'}")
