"""`quicksilver eval infill`: how many tasks of an infilling benchmark a checkpoint solves.

Answers first (in one or several processes, as in `evaluation`), then their programs (`execution`), both kept on
disk with --resume. The benchmarks' files are the user's. Owns the command line and the JSON of the results:

* format ("quicksilver-infill-1"), date, machine {architecture, python, workers, threads}, model (what the infiller says
  of itself, and its name), files [{name, sha256}], line_break (given, asked), has_whole_lines, drawn (null, or the
  most tasks of a benchmark), seed, limits {seconds, memory_mb}, protection [what held programs back:
  names of layers, with commas, for each different set of them], contamination
  (`contamination`; runs is null where no corpus was at hand).
* scores: one object for each benchmark × decoder. benchmark; decoder (label), name, family, length (where the answer's
  length comes from); tasks; problems; is_run; solved_micro, solved_macro, exact_micro, exact_macro, each with _95
  [low, high] (`scores`); edit_similarity; outcomes {passed, failed, timeout, memory, crashed}; mean_steps;
  mean_tokens and tokens_per_forward (null for floors); median_ms, p95_ms.
"""

import hashlib
import json
import platform
import random
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from datetime import date
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal

from ...fim.errors import InputError
from ...fim.files.atomic_write import write_whole
from ...fim.models.embedded import EMBEDDED
from ...fim.models.formats import Runtime
from ...fim.terminal.options import Option, model_option, read_command_line
from ...fim.text.language_ids import language_id
from ...model.gguf.cache import checkpoint_folder
from ...model.load import kind_of
from ...model.runners.select import fastest_runtime
from ..machine import count_cores
from ..progress import progress
from ..quality.answer_log import AnswerLog, code_digest, maker
from ..quality.decoders import CATALOGUE, NamedDecoder
from ..quality.evaluation import Dtype, Setup, catalogue_of, evaluate, filler_of
from ..quality.heldout import DTYPES, check_outputs, same_place, select
from ..sandbox.execution import Limits
from ..sandbox.verdicts import VerdictLog, name_of, run_programs
from .contamination import manifest_facts, shared_runs
from .gold import check_gold
from .readers import FORMATS, read_all
from .report import show
from .scores import Scored, score
from .tasks import InfillTask

FORMAT = "quicksilver-infill-1"
PUBLISHED_DECODERS = "denoiser-one,denoiser-entropy,denoiser-oracle"
RENOISING_DECODERS = "denoiser-own"
DECODERS = "causal,denoiser-threshold,denoiser-oracle,ranked-drafts"
FLOORS = "floor-*"  # stand in every table


@dataclass(frozen=True, kw_only=True)
class InfillPlan:
    """What to measure: the tasks of files, by which decoders, in how many processes (n_workers with the model, later
    n_programs that run answers), within what limits."""

    setup: Setup
    files: tuple[Path, ...]
    format_name: str | None
    languages: tuple[str, ...] | None
    gives_break: bool
    decoders: tuple[NamedDecoder, ...]
    n_drawn: int | None
    seed: int
    limits: Limits
    n_workers: int
    n_programs: int
    corpus: Path | None


def tasks_of(plan: InfillPlan) -> list[InfillTask]:
    """The tasks to solve, benchmark by benchmark; of each at most as many as the plan wants. Raises InputError."""
    benchmarks: dict[str, list[InfillTask]] = {}
    found = read_all(plan.files, plan.format_name, gives_break=plan.gives_break)
    there = dict.fromkeys(task.hole.language for task in found)
    for language in plan.languages or ():
        if language not in there:
            raise InputError(f"--languages: no task is in {language}; these files have {', '.join(there)}")
    for task in found:
        if plan.languages is None or task.hole.language in plan.languages:
            benchmarks.setdefault(task.benchmark, []).append(task)
    if plan.n_drawn is not None:
        for name, tasks in benchmarks.items():
            if len(tasks) > plan.n_drawn:
                benchmarks[name] = random.Random(f"{name} {plan.seed}").sample(tasks, plan.n_drawn)
    return [task for tasks in benchmarks.values() for task in tasks]


def measure(plan: InfillPlan, log: AnswerLog, verdicts: VerdictLog) -> tuple[dict[str, Any], dict[str, list[Scored]]]:
    """Answer the tasks, run the programs, count. Returns the result and every answer, by decoder.

    Raises InputError, CheckpointError, QuicksilverError, OSError.
    """
    tasks = tasks_of(plan)
    contamination = _contamination(plan, tasks)  # first, as a bad corpus must not cost hours
    filler, facts = filler_of(plan.setup, plan.n_workers)
    by = maker(str(facts["sha256"]), plan.setup.dtype, plan.setup.runtime, code_digest())
    with progress("tasks answered", len(tasks)) as advance:
        judged = evaluate([task.hole for task in tasks], plan.decoders, log, by, partial(filler, by=by), advance)
    answers = {name: [each.answer for each in row] for name, row in judged.items()}
    programs = {
        name: [task.program(task.filled(a)) for task, a in zip(tasks, row, strict=True)]
        for name, row in answers.items()
    }
    wanted = {name_of(p, plan.limits): p for row in programs.values() for p in row if p is not None}
    with progress("programs run", len(wanted)) as advance:
        run_programs(wanted, plan.limits, plan.n_programs, verdicts, advance)
    scored = {
        name: [
            Scored(task=task, answer=answer, verdict=program and verdicts.find(name_of(program, plan.limits)))
            for task, answer, program in zip(tasks, row, programs[name], strict=True)
        ]
        for name, row in answers.items()
    }
    return result_of(plan, scored, facts, contamination), scored


def _contamination(plan: InfillPlan, tasks: Sequence[InfillTask]) -> dict[str, Any]:
    facts = manifest_facts(plan.setup.model, {path.name: _sha256(path) for path in plan.files})
    runs = None
    if plan.corpus is not None:
        runs = shared_runs(tasks, plan.corpus, plan.setup.model)
    return {**facts, "runs": runs}


def result_of(
    plan: InfillPlan, scored: dict[str, list[Scored]], model: Mapping[str, Any], contamination: dict[str, Any]
) -> dict[str, Any]:
    """The results as data, in the form that the module describes."""
    tasks = [each.task for each in next(iter(scored.values()))]
    scores = [
        score(benchmark, decoder, [each for each in scored[decoder.name] if each.task.benchmark == benchmark])
        for benchmark in dict.fromkeys(task.benchmark for task in tasks)
        for decoder in plan.decoders
    ]
    verdicts = [each.verdict for row in scored.values() for each in row if each.verdict is not None]
    return {
        "format": FORMAT,
        "date": date.today().isoformat(),
        "machine": {
            "architecture": platform.machine(), "python": platform.python_version(), "workers": plan.n_workers,
            "threads": plan.setup.n_threads,
        },
        "model": dict(model),
        "files": [{"name": path.name, "sha256": _sha256(path)} for path in plan.files],
        "line_break": "given" if plan.gives_break else "asked",
        "has_whole_lines": any(task.benchmark.startswith(("single-line", "multi-line")) for task in tasks),
        "drawn": plan.n_drawn,
        "seed": plan.seed,
        "limits": asdict(plan.limits),
        "protection": sorted({each.protection for each in verdicts if each.protection}),
        "contamination": contamination,
        "scores": scores,
    }  # fmt: skip


def samples_of(scored: dict[str, list[Scored]]) -> str:
    """Every answer as JSONL: task_id, benchmark, decoder, completion, exact, solved, outcome, detail, steps."""
    lines = []
    for name, row in scored.items():
        for each in row:
            verdict = each.verdict
            fields = {
                "task_id": each.task.name, "benchmark": each.task.benchmark, "decoder": name, "completion": each.text,
                "exact": each.exact, "solved": each.solved, "outcome": verdict and verdict.outcome,
                "detail": verdict and verdict.detail, "steps": each.answer.steps,
            }  # fmt: skip
            lines.append(json.dumps(fields) + "\n")
    return "".join(lines)


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@dataclass(frozen=True, kw_only=True)
class InfillOptions:
    """What `quicksilver eval infill` was asked; how many workers and threads depends on the model unless it is said."""

    files: Annotated[
        tuple[Path, ...], Option("the benchmark's tasks: JSONL, plain or .gz", metavar="FILE", positional=True)
    ]
    format: Annotated[
        str | None,
        Option(
            f"of all files: {', '.join(FORMATS)} (default: told by the fields of each line)", metavar="NAME",
            choices=tuple(FORMATS),
        ),
    ] = None  # fmt: skip
    languages: Annotated[
        str | None, Option("only tasks in these, such as python,rust (default: in all)", metavar="IDS")
    ] = None
    model: Annotated[Path, model_option(default=EMBEDDED[0])]
    family: Annotated[str | None, Option("of a published diffusion model, where its folder does not say")] = None
    decoders: Annotated[
        str | None,
        Option(
            f"beside the floors; comma-separated, wildcards allowed (ours: {DECODERS}; published models: "
            f"{PUBLISHED_DECODERS}; DiffusionGemma: {RENOISING_DECODERS}). Ours has "
            f"{', '.join(decoder.name for decoder in CATALOGUE)}"
        ),
    ] = None
    line_break: Annotated[
        Literal["given", "asked"],
        Option("how a hole of whole lines ends: with a line break in the suffix, or with one that the model writes"),
    ] = "given"
    tasks: Annotated[int | None, Option("at most N of each benchmark, drawn by --seed", metavar="N", least=1)] = None
    seed: Annotated[int, Option("of what is drawn")] = 0
    seconds: Annotated[float, Option("a program may run")] = 3.0
    memory_mb: Annotated[int, Option("a program may have")] = 512
    corpus: Annotated[Path | None, Option("look for the tasks in this training corpus", metavar="FOLDER")] = None
    dtype: Annotated[Dtype, Option("number format of the pass")] = DTYPES[0]
    runtime: Annotated[Runtime, Option("what runs the weights")] = field(default_factory=fastest_runtime)
    workers: Annotated[
        int | None, Option("processes (one per core; one with a published model)", least=1, most=256)
    ] = None
    threads: Annotated[
        int | None,
        Option("of each process with the model (1; all cores for a published model)", least=1, most=256),
    ] = None
    resume: Annotated[
        Path | None,
        Option("keep answers in FILE and verdicts in FILE.verdicts, and go on from those in them", metavar="FILE"),
    ] = None
    json: Annotated[Path | None, Option("also write the numbers to FILE", metavar="FILE")] = None
    gold: Annotated[bool, Option("no model: check that the files' own solutions pass")] = False
    samples: Annotated[Path | None, Option("also write every answer to FILE, as JSONL", metavar="FILE")] = None


def plan_of(options: InfillOptions) -> InfillPlan:
    """The plan that a command line asks for. Raises InputError."""
    folder = checkpoint_folder(options.model)
    kind = kind_of(folder)
    is_own = kind == "ours"
    named = [(decoder.name, decoder) for decoder in catalogue_of(folder)]
    theirs = RENOISING_DECODERS if kind == "renoising" else PUBLISHED_DECODERS
    wanted = options.decoders or (DECODERS if is_own else theirs)
    decoders = select(f"{FLOORS},{wanted}", named, "decoder")
    try:
        limits = Limits(seconds=options.seconds, memory_mb=options.memory_mb)
    except ValueError as error:
        raise InputError(f"--seconds and --memory-mb: {error}") from None
    setup = Setup(
        model=folder,
        dtype=options.dtype,
        runtime=options.runtime if is_own else "torch",
        n_threads=options.threads if options.threads is not None else (1 if is_own else count_cores()),
        family=options.family,
    )
    return InfillPlan(
        setup=setup, files=options.files, format_name=options.format,
        languages=tuple(map(language_id, options.languages.split(","))) if options.languages else None,
        gives_break=options.line_break == "given",
        decoders=decoders, n_drawn=options.tasks, seed=options.seed, limits=limits,
        n_workers=options.workers if options.workers is not None else (count_cores() if is_own else 1),
        n_programs=options.workers or count_cores(),
        corpus=options.corpus,
    )  # fmt: skip


def main(argv: list[str]) -> int:
    """Run the evaluation. Raises InputError for a bad file or option, CheckpointError without a model."""
    options = read_command_line(
        InfillOptions, argv, prog="quicksilver eval infill", description="Solve the tasks of infilling benchmarks."
    )
    plan = plan_of(options)
    if options.gold:
        return check_gold(tasks_of(plan), plan.limits, plan.n_programs)
    for path in (options.json, options.samples):
        check_outputs(path, options.resume)
        if path is not None and any(same_place(path, file) for file in plan.files):
            raise InputError(f"{path} is a file of tasks: name another one")
    if options.json is not None and options.samples is not None and same_place(options.json, options.samples):
        raise InputError("--json and --samples name the same file")
    resume: Path | None = options.resume
    with ExitStack() as stack:
        log = stack.enter_context(AnswerLog(resume))
        verdicts = stack.enter_context(VerdictLog(resume and resume.with_name(resume.name + ".verdicts")))
        result, scored = measure(plan, log, verdicts)
    show(result)
    if options.json is not None:
        write_whole(options.json, json.dumps(result, indent=1) + "\n")
    if options.samples is not None:
        write_whole(options.samples, samples_of(scored))
    return 0
