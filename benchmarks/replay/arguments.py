"""The options of `quicksilver bench replay`, and the plan that they ask for."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, get_args

from ...fim.ablations import RULES, SNIPPET_SOURCES
from ...fim.errors import InputError
from ...fim.models.embedded import EMBEDDED
from ...fim.terminal.options import Option, model_option
from ...training.corpus.heldout_packages import SUFFIXES
from .baselines import FLOORS
from .languages import languages_of
from .plan import Mode, ReplayPlan, Variant
from .step import run_replay
from .typist import Policy, ReadingHabit

GATES = (0.5, 0.6, 0.7, 0.8, 0.9, 0.95)
LATENCIES_MS = (5.0, 100.0, 250.0, 500.0)
SWITCHES = ("reuse", "workspace")  # settings that are switched off in an ablation
ABLATED = (*SWITCHES, *RULES)


@dataclass(frozen=True, kw_only=True)
class ReplayOptions:
    """What `quicksilver bench replay` was asked."""

    paths: Annotated[
        tuple[Path, ...], Option("source files, or folders of packages", metavar="FILE|FOLDER", positional=True)
    ]
    language: Annotated[
        tuple[str, ...],
        Option(
            f"what is typed, of {', '.join(SUFFIXES)}, with commas (default: that of the files; python for folders)",
            choices=tuple(SUFFIXES),
            commas=True,
            metavar="NAMES",
        ),
    ] = ()
    files: Annotated[
        int, Option("how many files of a language, drawn evenly from the packages", least=1, most=10_000)
    ] = 40
    blocks: Annotated[int, Option("blocks to type in each file", least=1, most=100)] = 2
    seeds: Annotated[int, Option("how many people type each block", least=1, most=100)] = 3
    policy: Annotated[Policy, Option("what is accepted")] = "words"
    reader: Annotated[ReadingHabit, Option("how texts are read")] = "eager"
    readers: Annotated[bool, Option("also with every way of reading")] = False
    programs: Annotated[bool, Option("type the beginnings of files, each into an empty one")] = False
    invoked: Annotated[bool, Option("ask on request, at the beginning of each line, and wait for it")] = False
    mode: Annotated[Mode, Option("clock: jumps, or real")] = "discrete"
    fixed_ms: Annotated[
        float | None, Option("say that every answer took so long (default: what it took)", above=0, most=60_000)
    ] = None
    floors: Annotated[bool, Option("also without model: none, words, copied lines, oracles")] = False
    policies: Annotated[bool, Option("also with every way of accepting")] = False
    gates: Annotated[bool, Option("also with other least confidences")] = False
    latencies: Annotated[bool, Option("also with answers that take a fixed time")] = False
    ablate: Annotated[bool, Option("also without each rule and each source of context")] = False
    rules: Annotated[
        tuple[str, ...],
        Option(
            "with --ablate: these alone, by name, with commas (`fim/ablations.py`)",
            choices=ABLATED,
            commas=True,
            metavar="NAMES",
        ),
    ] = ()
    context_tokens: Annotated[
        int | None,
        Option("as `serve` has it (default: by this machine's speed right now)", least=1, most=2**20, metavar="N"),
    ] = None
    answers: Annotated[
        Path | None,
        Option("keep the engine's answers there (of one model): later replays ask only what is new", metavar="FILE"),
    ] = None
    memory: Annotated[Path | None, Option("the same, in FOLDER/answers.jsonl", metavar="FOLDER")] = None
    report: Annotated[Path | None, Option("write JSON and pictures there (needs matplotlib)", metavar="FOLDER")] = None
    model: Annotated[Path, model_option(default=EMBEDDED[0])]

    def __post_init__(self) -> None:
        if self.fixed_ms is not None and self.mode != "discrete":
            raise InputError("--fixed-ms is for discrete time: leave it or --mode out")
        if self.invoked and self.mode != "discrete":
            raise InputError("--invoked is for discrete time: leave it or --mode out")
        if self.rules and not self.ablate:
            raise InputError("--rules goes with --ablate: add it")
        if self.answers is not None and self.memory is not None:
            raise InputError("--answers and --memory are the same: leave one out")


def run_options(options: ReplayOptions, json_file: Path | None) -> int:
    """Replay as the options say. Raises InputError, EngineError and CheckpointError."""
    if options.report is not None:
        from ..quality.plots import drawing_folder

        drawing_folder(options.report)
    plan = ReplayPlan(
        paths=options.paths,
        languages=languages_of(options.paths, options.language or None),
        n_files=options.files,
        n_blocks=options.blocks,
        seeds=tuple(range(1, options.seeds + 1)),
        policy=options.policy,
        reader=options.reader,
        types_programs=options.programs,
        invokes=options.invoked,
        mode=options.mode,
        variants=tuple(_variants(options)),
        answers=options.answers if options.memory is None else options.memory / "answers.jsonl",
        context_tokens=options.context_tokens,
        model=options.model,
    )
    return run_replay(plan, options.report, json_file)


def _variants(options: ReplayOptions) -> list[Variant]:
    variants = [Variant(name="default")]
    if options.policies:
        variants += [
            Variant(name=f"accepts: {name}", policy=name) for name in get_args(Policy) if name != options.policy
        ]
    if options.readers:
        variants += [
            Variant(name=f"reads: {name}", reader=name) for name in get_args(ReadingHabit) if name != options.reader
        ]
    if options.gates:
        variants += [Variant(name=f"gate {gate:g}", settings={"min_confidence": gate}) for gate in GATES]
    if options.ablate:
        variants += ablations(options.rules)
    variants = [replace(variant, fixed_ms=options.fixed_ms) for variant in variants]
    if options.latencies:
        variants += [Variant(name=f"{ms:g} ms", fixed_ms=ms) for ms in LATENCIES_MS]
    if options.floors:
        variants += [Variant(name=f"floor: {name}", floor=name) for name in FLOORS]
    return variants


def ablations(names: Sequence[str] = ()) -> list[Variant]:
    """The product without one rule, or one source of context, each; names: these of ABLATED alone."""
    of_other_files = ("workspace", "offers", *SNIPPET_SOURCES)
    return [
        Variant(
            name=f"without {name}",
            settings={name: False} if name in SWITCHES else {"without": [name]},
            sources=name if name in of_other_files else "",
            rule=None if name in SWITCHES else name,
        )
        for name in names or ABLATED
    ]
