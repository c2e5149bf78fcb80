"""The options of `quicksilver bench replay`, and the plan that they ask for."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, get_args

from ...fim.ablations import RULES
from ...fim.errors import InputError
from ...fim.models.embedded import EMBEDDED
from ...fim.terminal.options import Option, model_option
from ...training.corpus.heldout_packages import SUFFIXES
from .baselines import FLOORS
from .languages import language_of
from .plan import Mode, ReplayPlan, Variant
from .step import run_replay
from .typist import Policy, ReadingHabit

GATES = (0.5, 0.6, 0.7, 0.8, 0.9, 0.95)
LATENCIES_MS = (5.0, 100.0, 250.0, 500.0)


@dataclass(frozen=True, kw_only=True)
class ReplayOptions:
    """What `quicksilver bench replay` was asked."""

    paths: Annotated[
        tuple[Path, ...], Option("source files, or folders of packages", metavar="FILE|FOLDER", positional=True)
    ]
    language: Annotated[
        str | None,
        Option(
            f"what is typed: {', '.join(SUFFIXES)} (default: that of the files; python for folders)",
            choices=tuple(SUFFIXES),
            metavar="NAME",
        ),
    ] = None
    files: Annotated[int, Option("how many files, drawn evenly from the packages", least=1, most=10_000)] = 40
    blocks: Annotated[int, Option("blocks to type in each file", least=1, most=100)] = 2
    seeds: Annotated[int, Option("how many people type each block", least=1, most=100)] = 3
    policy: Annotated[Policy, Option("what is accepted")] = "words"
    reader: Annotated[ReadingHabit, Option("how texts are read")] = "eager"
    readers: Annotated[bool, Option("also with every way of reading")] = False
    programs: Annotated[bool, Option("type the beginnings of files, each into an empty one")] = False
    mode: Annotated[Mode, Option("clock: jumps, or real")] = "discrete"
    fixed_ms: Annotated[
        float | None, Option("say that every answer took so long (default: what it took)", above=0, most=60_000)
    ] = None
    floors: Annotated[bool, Option("also without model: none, words, copied lines, oracles")] = False
    policies: Annotated[bool, Option("also with every way of accepting")] = False
    gates: Annotated[bool, Option("also with other least confidences")] = False
    latencies: Annotated[bool, Option("also with answers that take a fixed time")] = False
    ablate: Annotated[bool, Option("also without each rule and each source of context")] = False
    memory: Annotated[Path | None, Option("keep the engine's answers there (same model only)", metavar="FOLDER")] = None
    report: Annotated[Path | None, Option("write JSON and pictures there (needs matplotlib)", metavar="FOLDER")] = None
    model: Annotated[Path, model_option(default=EMBEDDED[0])]

    def __post_init__(self) -> None:
        if self.fixed_ms is not None and self.mode != "discrete":
            raise InputError("--fixed-ms is for discrete time: leave it or --mode out")


def run_options(options: ReplayOptions, json_file: Path | None) -> int:
    """Replay as the options say. Raises InputError, EngineError and CheckpointError."""
    if options.report is not None:
        from ..quality.plots import drawing_folder

        drawing_folder(options.report)
    plan = ReplayPlan(
        paths=options.paths,
        language=language_of(options.paths, options.language),
        n_files=options.files,
        n_blocks=options.blocks,
        seeds=tuple(range(1, options.seeds + 1)),
        policy=options.policy,
        reader=options.reader,
        types_programs=options.programs,
        mode=options.mode,
        variants=tuple(_variants(options)),
        memory=options.memory,
        model=options.model,
    )
    return run_replay(plan, options.report, json_file)


def _variants(options: ReplayOptions) -> list[Variant]:
    variants = [Variant(name="default", fixed_ms=options.fixed_ms)]
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
    if options.latencies:
        variants += [Variant(name=f"{ms:g} ms", fixed_ms=ms) for ms in LATENCIES_MS]
    if options.ablate:
        variants += ablations()
    if options.floors:
        variants += [Variant(name=f"floor: {name}", floor=name) for name in FLOORS]
    return variants


def ablations() -> list[Variant]:
    """The product without one rule, or one source of context, each."""
    return [
        Variant(name="without reuse", settings={"reuse": False}),
        Variant(name="without workspace", settings={"workspace": False}),
        *(Variant(name=f"without {name}", settings={"without": [name]}) for name in RULES),
    ]
