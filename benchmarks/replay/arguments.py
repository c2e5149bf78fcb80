"""The command line of `quicksilver bench replay`. It does not know how anything is replayed."""

import argparse
from dataclasses import replace
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
SWITCHES = ("reuse", "workspace")  # settings that are switched off in an ablation


def add_replay_arguments(replay: argparse.ArgumentParser) -> None:
    """The arguments of `step`, and what runs it."""
    replay.add_argument(
        "paths", type=Path, nargs="+", metavar="FILE|FOLDER", help="source files, or folders of packages"
    )
    replay.add_argument(
        "--language",
        type=_languages,
        metavar="NAMES",
        help=f"what is typed, of {', '.join(SUFFIXES)}, with commas (default: that of the files; python for folders)",
    )
    replay.add_argument(
        "--files", type=int, default=40, help="how many files of a language, drawn evenly from the packages (40)"
    )
    replay.add_argument("--blocks", type=int, default=2, help="blocks to type in each file (2)")
    replay.add_argument("--seeds", type=int, default=3, help="how many people type each block (3)")
    replay.add_argument("--policy", choices=POLICIES, default="words", help="what is accepted (words)")
    replay.add_argument("--reader", choices=READERS, default="eager", help="how texts are read (eager)")
    replay.add_argument("--readers", action="store_true", help="also with every way of reading")
    replay.add_argument("--programs", action="store_true", help="type the beginnings of files, each into an empty one")
    replay.add_argument(
        "--invoked", action="store_true", help="ask on request, at the beginning of each line, and wait for it"
    )
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
        "--rules", metavar="NAMES", help="with --ablate: these alone, by name, with commas (`fim/ablations.py`)"
    )
    replay.add_argument(
        "--context-tokens", type=int, metavar="N", help="as `serve` has it (default: by this machine's speed right now)"
    )
    kept = replay.add_mutually_exclusive_group()
    kept.add_argument(
        "--answers",
        type=Path,
        metavar="FILE",
        help="keep the engine's answers there (of one model): later replays ask only what is new",
    )
    kept.add_argument("--memory", type=Path, metavar="FOLDER", help="the same, in FOLDER/answers.jsonl")
    replay.add_argument(
        "--report", type=Path, metavar="FOLDER", help="write JSON and pictures there (needs matplotlib)"
    )
    replay.add_argument("--json", type=Path, metavar="FILE", help="also write the result as JSON")
    add_model(replay, default=EMBEDDED[0])
    replay.set_defaults(run=_replay)


def _languages(text: str) -> tuple[str, ...]:
    languages = tuple(dict.fromkeys(text.split(",")))
    if not set(languages) <= {*SUFFIXES}:
        raise argparse.ArgumentTypeError(f"names among {', '.join(SUFFIXES)}, with commas")
    return languages


def _replay(options: argparse.Namespace) -> int:
    from .languages import languages_of
    from .step import ReplayPlan, run_replay

    limits = (("--files", options.files, 10_000), ("--blocks", options.blocks, 100), ("--seeds", options.seeds, 100))
    for name, value, most in limits:
        if not 1 <= value <= most:
            raise InputError(f"{name} must be from 1 to {most}")
    if options.context_tokens is not None and not 1 <= options.context_tokens <= 2**20:
        raise InputError(f"--context-tokens must be from 1 to {2**20}, not {options.context_tokens}")
    if options.fixed_ms is not None and not (0 < options.fixed_ms <= 60_000 and options.mode == "discrete"):
        raise InputError("--fixed-ms must be from 0 to 60000, and is for discrete time")
    if options.invoked and options.mode == "wall":
        raise InputError("--invoked is for discrete time")
    if options.rules is not None and not options.ablate:
        raise InputError("--rules goes with --ablate")
    answers = options.answers if options.memory is None else options.memory / "answers.jsonl"
    if options.report is not None:
        from ..quality.plots import drawing_folder

        drawing_folder(options.report)
    plan = ReplayPlan(
        paths=tuple(options.paths),
        languages=languages_of(options.paths, options.language),
        n_files=options.files,
        n_blocks=options.blocks,
        seeds=tuple(range(1, options.seeds + 1)),
        policy=options.policy,
        reader=options.reader,
        types_programs=options.programs,
        invokes=options.invoked,
        mode=options.mode,
        variants=tuple(_variants(options)),
        answers=answers,
        context_tokens=options.context_tokens,
        model=options.model,
    )
    return run_replay(plan, options.report, options.json)


def _variants(options: argparse.Namespace) -> "list[Variant]":
    from .baselines import FLOORS
    from .step import Variant

    variants = [Variant(name="default")]
    if options.policies:
        variants += [Variant(name=f"accepts: {name}", policy=name) for name in POLICIES if name != options.policy]
    if options.readers:
        variants += [Variant(name=f"reads: {name}", reader=name) for name in READERS if name != options.reader]
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


def ablations(names: str | None = None) -> "list[Variant]":
    """The product without one rule, or one source of context, each; names: these alone, with commas.

    Raises InputError for a name that there is not.
    """
    from ...fim.ablations import RULES, SNIPPET_SOURCES
    from .step import Variant

    known = (*SWITCHES, *RULES)
    wanted = known if names is None else tuple(name.strip() for name in names.split(","))
    unknown = [name for name in wanted if name not in known]
    if unknown:
        raise InputError(f"there is no rule {unknown[0]!r}; known are {', '.join(known)}")
    of_other_files = ("workspace", "offers", *SNIPPET_SOURCES)
    return [
        Variant(
            name=f"without {name}",
            settings={name: False} if name in SWITCHES else {"without": [name]},
            sources=name if name in of_other_files else "",
            rule=None if name in SWITCHES else name,
        )
        for name in wanted
    ]
