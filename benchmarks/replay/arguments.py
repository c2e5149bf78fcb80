"""The command line of `quicksilver bench replay`. It does not know how anything is replayed."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from ...fim.errors import InputError
from ...fim.models.embedded import EMBEDDED
from ...fim.terminal.arguments import add_model
from ...training.corpus.heldout_packages import SUFFIXES

if TYPE_CHECKING:
    from .step import Variant

GATES = (0.5, 0.6, 0.7, 0.8, 0.9, 0.95)
LATENCIES_MS = (5.0, 100.0, 250.0, 500.0)
POLICIES = ("strict", "words", "fix")
READERS = ("eager", "patient")


def add_replay_arguments(replay: argparse.ArgumentParser) -> None:
    """The arguments of `step`, and what runs it."""
    replay.add_argument(
        "paths", type=Path, nargs="+", metavar="FILE|FOLDER", help="source files, or folders of packages"
    )
    replay.add_argument(
        "--language",
        choices=tuple(SUFFIXES),
        metavar="NAME",
        help=f"what is typed: {', '.join(SUFFIXES)} (default: that of the files; python for folders)",
    )
    replay.add_argument("--files", type=int, default=40, help="how many files, drawn evenly from the packages (40)")
    replay.add_argument("--blocks", type=int, default=2, help="blocks to type in each file (2)")
    replay.add_argument("--seeds", type=int, default=3, help="how many people type each block (3)")
    replay.add_argument("--policy", choices=POLICIES, default="words", help="what is accepted (words)")
    replay.add_argument("--reader", choices=READERS, default="eager", help="how texts are read (eager)")
    replay.add_argument("--readers", action="store_true", help="also with every way of reading")
    replay.add_argument("--programs", action="store_true", help="type the beginnings of files, each into an empty one")
    replay.add_argument(
        "--mode", choices=("discrete", "wall"), default="discrete", help="clock: jumps, or real (discrete)"
    )
    replay.add_argument("--fixed-ms", type=float, help="say that every answer took so long (default: what it took)")
    replay.add_argument("--floors", action="store_true", help="also without model: none, words, copied lines, oracles")
    replay.add_argument("--policies", action="store_true", help="also with every way of accepting")
    replay.add_argument("--gates", action="store_true", help="also with other least confidences")
    replay.add_argument("--latencies", action="store_true", help="also with answers that take a fixed time")
    replay.add_argument("--ablate", action="store_true", help="also without each rule and each source of context")
    replay.add_argument(
        "--memory", type=Path, metavar="FOLDER", help="keep the engine's answers there (same model only)"
    )
    replay.add_argument(
        "--report", type=Path, metavar="FOLDER", help="write JSON and pictures there (needs matplotlib)"
    )
    replay.add_argument("--json", type=Path, metavar="FILE", help="also write the result as JSON")
    add_model(replay, default=EMBEDDED[0])
    replay.set_defaults(run=_replay)


def _replay(options: argparse.Namespace) -> int:
    from .languages import language_of
    from .step import ReplayPlan, run_replay

    limits = (("--files", options.files, 10_000), ("--blocks", options.blocks, 100), ("--seeds", options.seeds, 100))
    for name, value, most in limits:
        if not 1 <= value <= most:
            raise InputError(f"{name} must be from 1 to {most}")
    if options.fixed_ms is not None and not (0 < options.fixed_ms <= 60_000 and options.mode == "discrete"):
        raise InputError("--fixed-ms must be from 0 to 60000, and is for discrete time")
    if options.report is not None:
        from ..quality.plots import drawing_folder

        drawing_folder(options.report)
    plan = ReplayPlan(
        paths=tuple(options.paths),
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
    return run_replay(plan, options.report, options.json)


def _variants(options: argparse.Namespace) -> "list[Variant]":
    from .baselines import FLOORS
    from .step import Variant

    variants = [Variant(name="default", fixed_ms=options.fixed_ms)]
    if options.policies:
        variants += [Variant(name=f"accepts: {name}", policy=name) for name in POLICIES if name != options.policy]
    if options.readers:
        variants += [Variant(name=f"reads: {name}", reader=name) for name in READERS if name != options.reader]
    if options.gates:
        variants += [Variant(name=f"gate {gate:g}", settings={"min_confidence": gate}) for gate in GATES]
    if options.latencies:
        variants += [Variant(name=f"{ms:g} ms", fixed_ms=ms) for ms in LATENCIES_MS]
    if options.ablate:
        variants += ablations()
    if options.floors:
        variants += [Variant(name=f"floor: {name}", floor=name) for name in FLOORS]
    return variants


def ablations() -> "list[Variant]":
    """The product without one rule, or one source of context, each."""
    from ...fim.ablations import RULES
    from .step import Variant

    return [
        Variant(name="without reuse", settings={"reuse": False}),
        Variant(name="without workspace", settings={"workspace": False}),
        *(Variant(name=f"without {name}", settings={"without": [name]}) for name in RULES),
    ]
