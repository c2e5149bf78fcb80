"""`quicksilver eval heldout`: how well a checkpoint fills holes in packages that training never saw.

Every decoder (`decoders`) sees the same holes (`holes`); no editor rules (trimming, gating) are applied. `--split
valid` measures on the split that tuning may look at. Owns the command line and the JSON of the results:

* format ("quicksilver-heldout-3"), date, machine {architecture, python, workers, threads}, model (what the infiller
  says of itself, and its name), split, seed, packages [name].
* scores: one object for each kind × decoder. kind; decoder (label), name, family (floor, causal, denoiser), max_steps
  (cap on evaluations, null for none); holes; exact_match and exact_match_95 [low, high]
  (percentile bootstrap, 2,000 resamples of the holes within each package: for these packages, not for others);
  first_line_match; edit_similarity (normalised Levenshtein; null without rapidfuzz); syntax_valid (share of the
  syntax_holes files that parsed before and parse with the answer in place; null for 0); mean_steps; median_ms (decoding
  after the context was read, on a machine that others may use). Of the confidence, null for floors: ece (15 bins of
  equal width), risk_coverage [[coverage, share wrong]], risk_area (mean risk over all coverages), precision_at_25, _50,
  _75 (exact share among the surest 25, 50, 75 per cent), reliability [{low, high, n, confidence, accuracy}].
"""

import json
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from fnmatch import fnmatchcase
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from ...fim.errors import InputError
from ...fim.files.atomic_write import write_whole
from ...fim.models.embedded import EMBEDDED
from ...fim.models.formats import Runtime
from ...fim.terminal.options import Option, model_option, read_command_line
from ...model.gguf.cache import checkpoint_folder
from ...model.runners.select import fastest_runtime
from ...training.corpus import corpus
from ...training.corpus.corpus import Split
from ..machine import count_cores
from ..progress import progress
from .answer_log import AnswerLog, code_digest, maker
from .decoders import CATALOGUE, NamedDecoder
from .evaluation import Dtype, Setup, catalogue_of, evaluate, filler_of, load
from .holes import KINDS, Kind, Task, draw
from .scores import JudgedAttempt, score
from .tables import show

FORMAT = "quicksilver-heldout-3"
DECODERS = "floor-*,invoked,causal,denoiser-*,ranked-*"  # those that answer in their own time
DTYPES: tuple[Dtype, ...] = ("bfloat16", "float32")
Named = TypeVar("Named")


@dataclass(frozen=True, kw_only=True)
class HeldoutPlan:
    """What to measure: holes of each kind, by which decoders, in how many processes."""

    setup: Setup
    kinds: tuple[Kind, ...]
    decoders: tuple[NamedDecoder, ...]
    corpus_folder: Path
    split: Split
    n_holes: int
    seed: int
    n_workers: int


def select(patterns: str, named: Sequence[tuple[str, Named]], what: str) -> tuple[Named, ...]:
    """Those of named that a comma-separated list of names or wildcards picks. Raises InputError for an unknown one."""
    wanted = [pattern.strip() for pattern in patterns.split(",")]
    for pattern in wanted:
        if not any(fnmatchcase(name, pattern) for name, _ in named):
            raise InputError(f"there is no {what} {pattern!r}: choose from {', '.join(name for name, _ in named)}")
    return tuple(value for name, value in named if any(fnmatchcase(name, pattern) for pattern in wanted))


def measure(plan: HeldoutPlan, log: AnswerLog, code: str) -> dict[str, Any]:
    """Draw the holes, fill them, judge the answers. Raises InputError, CheckpointError, QuicksilverError."""
    documents = corpus.read(plan.corpus_folder, plan.split)
    tasks = [task for kind in plan.kinds for task in draw(documents, kind, plan.n_holes, plan.seed)]
    filler, facts = filler_of(plan.setup, plan.n_workers)
    by = maker(str(facts["sha256"]), plan.setup.dtype, plan.setup.runtime, code)
    with progress("holes", len(tasks)) as advance:
        judged = evaluate(tasks, plan.decoders, log, by, partial(filler, by=by), advance)
    return result_of(plan, tasks, judged)


def result_of(
    plan: HeldoutPlan,
    tasks: Sequence[Task],
    judged: Mapping[str, Sequence[JudgedAttempt]],
) -> dict[str, Any]:
    """The results as data, in the form that the module describes."""
    scores = []
    for i, kind in enumerate(plan.kinds):
        part = slice(i * plan.n_holes, (i + 1) * plan.n_holes)
        scores += [score(kind, decoder, judged[decoder.name][part]) for decoder in plan.decoders]
    infiller = load(plan.setup)
    return {
        "format": FORMAT,
        "date": date.today().isoformat(),
        "machine": {
            "architecture": platform.machine(), "python": platform.python_version(), "workers": plan.n_workers,
            "threads": plan.setup.n_threads,
        },
        "model": {"name": infiller.name, **infiller.describe()},
        "split": plan.split,
        "seed": plan.seed,
        "packages": sorted({task.package for task in tasks}),
        "scores": scores,
    }  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class HeldoutOptions:
    """What `quicksilver eval heldout` was asked."""

    model: Annotated[Path, model_option(default=EMBEDDED[0])]
    corpus: Annotated[Path, Option("made by `quicksilver train corpus`")] = Path("runs/corpus")
    split: Annotated[Literal["heldout", "valid"], Option("tune on valid only")] = "heldout"
    n_holes: Annotated[int, Option("of each kind", least=1)] = 500
    seed: Annotated[int, Option("of what is drawn")] = 0
    kinds: Annotated[str, Option(f"comma-separated, wildcards allowed: {', '.join(KINDS)}")] = "*"
    decoders: Annotated[
        str, Option(f"comma-separated, wildcards allowed: {', '.join(decoder.name for decoder in CATALOGUE)}")
    ] = DECODERS
    dtype: Annotated[Dtype, Option("number format of the pass")] = DTYPES[0]
    runtime: Annotated[Runtime, Option("what runs the weights")] = field(default_factory=fastest_runtime)
    workers: Annotated[int, Option("processes (one per core)", least=1, most=256)] = field(default_factory=count_cores)
    threads: Annotated[int, Option("of each process", least=1, most=256)] = 1
    resume: Annotated[Path | None, Option("keep answers in FILE and go on from those in it", metavar="FILE")] = None
    json: Annotated[Path | None, Option("also write the numbers to FILE", metavar="FILE")] = None
    plots: Annotated[Path | None, Option("also draw plots into FOLDER (needs matplotlib)", metavar="FOLDER")] = None


def plan_of(options: HeldoutOptions) -> HeldoutPlan:
    """The plan that a command line asks for."""
    folder = checkpoint_folder(options.model)
    decoders = select(options.decoders, [(decoder.name, decoder) for decoder in catalogue_of(folder)], "decoder")
    kinds = select(options.kinds, [(kind, kind) for kind in KINDS], "kind of holes")
    setup = Setup(model=folder, dtype=options.dtype, runtime=options.runtime, n_threads=options.threads)
    return HeldoutPlan(
        setup=setup, kinds=kinds, decoders=decoders, corpus_folder=options.corpus,
        split=options.split, n_holes=options.n_holes, seed=options.seed, n_workers=options.workers,
    )  # fmt: skip


def same_place(one: Path, other: Path) -> bool:
    """Whether two paths are one file, whatever they are called."""
    return one.absolute().resolve() == other.absolute().resolve()


def check_outputs(json_path: Path | None, resume: Path | None) -> None:
    """Whether the files that an evaluation writes can be written. Raises InputError."""
    for path in (json_path, resume):
        if path is not None and not path.absolute().parent.is_dir():
            raise InputError(f"there is no folder {path.parent} to write to")
        if path is not None and path.exists() and not path.is_file():
            raise InputError(f"{path} is no file: name another one")
    if json_path is not None and resume is not None and same_place(json_path, resume):
        raise InputError("--json and --resume name the same file: the result would replace the answers")
    if json_path is not None:
        _try_writing(json_path)


def _try_writing(path: Path) -> None:
    """Fail now rather than after the evaluation. Raises InputError."""
    part = path.with_name(path.name + ".part")
    try:
        part.touch()
        part.unlink()
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror or error}") from error


def main(argv: list[str]) -> int:
    """Run the evaluation. Raises InputError without a corpus, CheckpointError without a model."""
    options = read_command_line(
        HeldoutOptions, argv, prog="quicksilver eval heldout", description="Measure a checkpoint on unseen code."
    )
    plan = plan_of(options)
    check_outputs(options.json, options.resume)
    if options.plots is not None:
        from .plots import drawing_folder

        drawing_folder(options.plots)
    with AnswerLog(options.resume) as log:
        result = measure(plan, log, code_digest())
    show(result)
    if options.json is not None:
        write_whole(options.json, json.dumps(result, indent=1) + "\n")
    if options.plots is not None:
        from .plots import draw_plots

        draw_plots(result, options.plots)
    return 0
