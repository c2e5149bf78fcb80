"""`quicksilver train`: corpus, tokenizer, run. Each step reads what the one before wrote."""

import json
import random
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from ..fim.errors import InputError
from ..fim.terminal.arguments import Parser
from ..fim.terminal.options import Option, add_options, read_options
from .adapt import head_step, lora_step, ngram_step
from .corpus import code as code_corpus
from .corpus import corpus
from .corpus import steps as corpus_steps
from .heldout import step as heldout
from .options import FolderOptions, SizeOptions
from .progress import counting, progress
from .run import step as run_step

if TYPE_CHECKING:
    from ..model.ranking.prefix_confidence import PrefixRanker
    from ..model.ranking.ranker import Ranker

N_TOKENIZER_CHARS = 40_000_000
PREFIX_HOLES = 3  # for every hole that the ranker is fitted to: cheaper ones


@dataclass(frozen=True, kw_only=True)
class CurveOptions(FolderOptions):
    """What `quicksilver train curves` was asked."""

    run: Annotated[tuple[Path, ...], Option("runs to draw", metavar="FOLDER")]
    png: Annotated[Path, Option("picture to write")] = Path("curves.png")


@dataclass(frozen=True, kw_only=True)
class RankerOptions(FolderOptions):
    """What `quicksilver train ranker` was asked."""

    checkpoint: Annotated[Path, Option("the checkpoint's folder")]
    data: Annotated[
        tuple[Path, ...],
        Option(
            "corpora to cut holes in, about as many in each; valid split, else train split (the corpus of --folder)",
            metavar="FOLDER",
        ),
    ] = ()
    holes: Annotated[int, Option("holes to cut", least=1)] = 1000
    seed: Annotated[int, Option("of the holes that are cut", least=0)] = 0
    refine: Annotated[bool, Option("keep the candidates' ranker and refine the beginnings' one: fewer holes do")] = (
        False
    )
    calibrate: Annotated[
        tuple[Path, ...],
        Option(
            "only make the beginnings' ranker as sure as texts were right in replays (`bench replay --json`)",
            metavar="FILE",
        ),
    ] = ()
    json: Annotated[Path | None, Option("write them there too, as `fetch` adds them to a body", metavar="FILE")] = None

    def __post_init__(self) -> None:
        if self.json is not None and (self.json.is_dir() or not self.json.parent.is_dir()):
            raise InputError(f"--json: {self.json} is a folder, or lies in none")


@dataclass(frozen=True, kw_only=True)
class CardOptions(SizeOptions):
    """What `quicksilver train card` was asked."""

    checkpoint: Annotated[Path, Option("the checkpoint's folder")]
    evaluation: Annotated[
        tuple[Path, ...],
        Option("what `quicksilver eval heldout --json` wrote, at once or in parts", metavar="FILE"),
    ]
    hardware: Annotated[str, Option("what the run ran on, in words")]


@dataclass(frozen=True, kw_only=True)
class AverageOptions(FolderOptions):
    """What `quicksilver train average` was asked."""

    checkpoints: Annotated[
        tuple[Path, ...], Option("two checkpoint folders or more", metavar="FOLDER", positional=True)
    ]
    export: Annotated[Path, Option("checkpoint folder to write")]


@dataclass(frozen=True)
class Step:
    """A step: its line in the help, the type of its options, and its function."""

    about: str
    options: type[Any]
    run: Callable[[Any], None]


def main(argv: list[str]) -> int:
    """Run one step of the pipeline. Raises InputError with one line for the person."""
    top = Parser(prog="quicksilver train", description="Build the embedded model from source code.")
    names = top.add_subparsers(title="steps", metavar="STEP", dest="step", required=True)
    for name, step in STEPS.items():
        add_options(names.add_parser(name, help=step.about), step.options)
    found = top.parse_args(argv)
    step = STEPS[found.step]
    try:
        step.run(read_options(step.options, found))
    except OSError as error:  # a full disk, a folder that cannot be written
        raise InputError(f"{error.strerror or error}: {error.filename or 'a file'}") from error
    return 0


def make_shards(options: SizeOptions) -> None:
    """Write the corpus as token shards of a size's tokenizer."""
    corpus_steps.make_shards(options, tokenizer_path(options.folder, options.size))


def make_tokenizer(options: SizeOptions) -> None:
    """Learn the tokenizer of a size from a fair sample of the training documents."""
    from ..model.tokenizers.code_tokenizer import CodeTokenizer
    from .run.recipes import RECIPES

    documents = corpus.read(options.folder / "corpus", "train")
    random.Random(0).shuffle(documents)
    vocab_size = RECIPES[options.size]().shape.vocab_size
    n_chars = min(N_TOKENIZER_CHARS, sum(len(document.text) for document in documents))
    with counting("characters read", n_chars) as advance:
        texts = _first_chars(documents, N_TOKENIZER_CHARS, advance)
        tokenizer = CodeTokenizer.train(texts, vocab_size, show_progress=sys.stderr.isatty())
    path = tokenizer_path(options.folder, options.size)
    tokenizer.save(path)
    valid = [d.text for d in corpus.read(options.folder / "corpus", "valid")]
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


def run(options: run_step.RunOptions) -> None:
    """Train a size in its own folder, resuming if there is a state, then export the checkpoint."""
    run_step.run(options, tokenizer_path(options.folder, options.size))


def draw_curves(options: CurveOptions) -> None:
    """Write the loss curves of runs as a picture."""
    from .run import curves

    curves.draw_curves(options.run, options.png)
    print(f"wrote {options.png}")


def fit_ranker(options: RankerOptions) -> None:
    """Fit a checkpoint's ranker on the valid split and put it into the checkpoint's config."""
    from ..model.load_infiller import load_infiller
    from .fit.prefix_ranker import fit_prefixes
    from .fit.ranker import fit_to

    if options.calibrate:
        _write_rankers(options, *_calibrated(options.checkpoint, options.calibrate))
        return
    infiller = load_infiller(options.checkpoint)
    groups = [_documents(folder) for folder in options.data or (options.folder / "corpus",)]
    ranker, start = infiller.checkpoint.ranker, infiller.checkpoint.prefix_ranker
    if options.refine and (ranker is None or start is None):
        raise InputError("there is nothing to refine: the checkpoint has no rankers; run it without --refine")
    n = options.holes
    n_then = n if options.refine else PREFIX_HOLES * n
    with progress(True) as report:
        if ranker is None or not options.refine:
            start = None
            ranker = fit_to(
                infiller, groups, n, options.seed,
                lambda done: report(f"candidates, hole {done} of {n}", done / n / 2),
            )  # fmt: skip
            infiller.checkpoint = replace(infiller.checkpoint, ranker=ranker)
        prefix_ranker = fit_prefixes(
            infiller, groups, n_then, options.seed,
            lambda done: report(f"beginnings, hole {done} of {n_then}", 0.5 + done / n_then / 2), start,
        )  # fmt: skip
    _write_rankers(options, ranker, prefix_ranker)


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


def _write_rankers(options: RankerOptions, ranker: "Ranker", prefix_ranker: "PrefixRanker") -> None:
    """Print the rankers, and write them into a file if one is named and into the checkpoint's config."""
    from ..model.checkpoint import checkpoint

    for name, weights in (("candidates", ranker.weights), ("beginnings", prefix_ranker.weights)):
        print(f"{options.checkpoint}, {name}: " + ", ".join(f"{key} {value:+.2f}" for key, value in weights.items()))
    if options.json is not None:
        both = {"ranker": dict(ranker.weights), "prefix_ranker": dict(prefix_ranker.weights)}
        options.json.write_text(json.dumps(both, indent=1) + "\n", encoding="utf-8")
    checkpoint.save_rankers(options.checkpoint, ranker, prefix_ranker)


def _documents(folder: Path) -> list[corpus.CorpusDocument]:
    has_valid = (folder / "valid.jsonl.gz").exists() or not (folder / "train.jsonl.gz").exists()
    return corpus.read(folder, "valid" if has_valid else "train")


def make_average(options: AverageOptions) -> None:
    """Write the mean of several checkpoints' weights as a new checkpoint, without a ranker."""
    from ..model.checkpoint import checkpoint
    from .export.average import average_checkpoints
    from .run.step import exporter

    parts = [checkpoint.load(folder) for folder in options.checkpoints]
    mean = average_checkpoints(parts)
    exporter(mean.name, mean.model, mean.own_tokenizer, mean.averaged_from)(options.export)
    print(f"wrote {options.export}: now `quicksilver train ranker --checkpoint {options.export}`")


def make_card(options: CardOptions) -> None:
    """Write MODEL_CARD.md and sources.json into the checkpoint's folder."""
    from ..model.checkpoint import checkpoint
    from .export.model_card import merge_evaluations, model_card
    from .run.log import read_log
    from .run.recipes import RECIPES
    from .run.trainer import TrainConfig

    recipe = RECIPES[options.size]()
    folder = options.folder / recipe.name
    try:
        manifest = json.loads((options.folder / "corpus" / "manifest.json").read_text(encoding="utf-8"))
        evaluation = merge_evaluations([json.loads(file.read_text(encoding="utf-8")) for file in options.evaluation])
        config = TrainConfig(**json.loads((folder / run_step.PLAN).read_text(encoding="utf-8")))
        described = checkpoint.load(options.checkpoint)
        if evaluation["model"]["sha256"] != described.sha256:
            raise InputError(f"{options.evaluation[0]} is about other weights than those in {options.checkpoint}")
        shape = described.model.config
        if replace(shape, vocab_size=recipe.shape.vocab_size) != recipe.shape:
            raise InputError(f"{options.checkpoint} has not the shape of {recipe.name}'s recipe")
        text = model_card(
            recipe, config, manifest, read_log(folder), evaluation, options.hardware, described.averaged_from
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"the card lacks what it is written from: {error}") from error
    (options.checkpoint / "MODEL_CARD.md").write_text(text, encoding="utf-8")
    (options.checkpoint / "sources.json").write_text(json.dumps(manifest, indent=1) + "\n", encoding="utf-8")
    print(f"wrote {options.checkpoint / 'MODEL_CARD.md'}")


STEPS = {
    "corpus": Step("collect permissively licensed Python source", corpus_steps.CorpusOptions, corpus_steps.make_corpus),
    "heldout": Step(
        "fetch the held-out packages of 2026, sources by language", heldout.HeldOutStepOptions, heldout.make_heldout
    ),
    "tokenizer": Step("learn the byte-level BPE", SizeOptions, make_tokenizer),
    "shards": Step("pack the corpus as tokens, to train on another machine", SizeOptions, make_shards),
    "run": Step("train, or go on training, and export the checkpoint", run_step.RunOptions, run),
    "curves": Step("draw the loss curves of runs", CurveOptions, draw_curves),
    "ranker": Step("fit how a checkpoint's candidates are ranked, on the valid split", RankerOptions, fit_ranker),
    "card": Step("write MODEL_CARD.md beside a checkpoint", CardOptions, make_card),
    "average": Step("average the weights of checkpoints of one shape", AverageOptions, make_average),
    "code": Step(
        "collect permissively licensed source in many languages", code_corpus.CodeOptions, code_corpus.make_code
    ),
    "head": Step("train a denoising head for a published body", head_step.HeadOptions, head_step.run),
    "ngrams": Step("count what follows runs of tokens, for a body's guesses", ngram_step.NgramOptions, ngram_step.run),
    "lora": Step("teach a published body our layout, with a LoRA", lora_step.LoraOptions, lora_step.run),
}
