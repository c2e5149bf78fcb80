"""`quicksilver bench replay`: people type real code again, with the real language server beside them.

Owns the plan: which variants of the product meet which persons, in copies of which workspaces. The block that is typed
is not in the copy, so that nothing can find it there. It does not know metrics (`scores`) or the loop
(`run`).
"""

import asyncio
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

from ...fim.errors import InputError
from ...serving.client.engine_client import EngineClient
from ...serving.paths import HOME_VARIABLE
from ...serving.wire import EngineHealth
from ..progress import progress
from .baselines import FLOORS, LocalOffers
from .blocks import SKIPPED_FOLDERS, TypedBlock, find_blocks, find_programs
from .deciding import WATCHED
from .engine import AnswerMemory, replay_client
from .languages import copied_suffixes
from .offers import ServerOffers, TextSource
from .plan import ReplayPlan, Variant
from .report import report
from .run import BlockReplay, BlockRun, DiscreteClock, WallClock, replay_invoked
from .typist import Typist

MAX_FILE_BYTES = 1_000_000
FLOOR_MS = 5.0
BUDGET_MS = 20_000.0  # of the engine in discrete time: what it answers must not depend on how busy this machine is


def run_replay(plan: ReplayPlan, folder: Path | None, json_file: Path | None) -> int:
    """Replay, print the tables, write the report. Raises InputError, EngineError and CheckpointError."""
    with tempfile.TemporaryDirectory(prefix="quicksilver-replay-") as scratch:
        environ = {**os.environ, HOME_VARIABLE: str(Path(scratch) / "home")}
        copies = copy_sources(plan.paths, Path(scratch) / "workspaces", *plan.languages)
        blocks: list[TypedBlock] = []
        for language in plan.languages:
            if plan.types_programs:
                blocks += find_programs(copies, plan.n_files, 1, language)
            else:
                blocks += find_blocks(copies, plan.n_files, plan.n_blocks, 1, language)
        answers = plan.answers or Path(scratch) / "answers.jsonl"
        answers.parent.mkdir(parents=True, exist_ok=True)
        runs, facts = asyncio.run(_replayed(plan, blocks, answers, environ))
    report(plan, blocks, runs, facts, folder, json_file)
    return 0


def copy_sources(paths: Sequence[Path], target: Path, *languages: str) -> list[Path]:
    """Copies of source files and folders of them, where nothing else is. Raises InputError for what is not there.

    languages: whose files a folder's copy holds.
    """
    copies: list[Path] = []
    for i, path in enumerate(paths):
        if not path.exists():
            raise InputError(f"there is no file or folder {path}")
        source = path.resolve()
        copy = target / str(i) / source.name
        copy.parent.mkdir(parents=True)
        if source.is_file():
            shutil.copyfile(source, copy)
        else:
            shutil.copytree(source, copy, ignore=partial(_unwanted, copied_suffixes(*languages)))
        copies.append(copy)
    return copies


def _unwanted(suffixes: Sequence[str], folder: str, names: list[str]) -> list[str]:
    """What of a folder is not copied: links, and all but folders and source files of sensible size."""
    unwanted = []
    for name in names:
        path = Path(folder) / name
        is_source = path.is_file() and path.suffix in suffixes and path.stat().st_size <= MAX_FILE_BYTES
        if path.is_symlink() or name in SKIPPED_FOLDERS or not (path.is_dir() or is_source):
            unwanted.append(name)
    return unwanted


async def _replayed(
    plan: ReplayPlan, blocks: Sequence[TypedBlock], answers: Path, environ: Mapping[str, str]
) -> tuple[dict[str, list[BlockRun]], dict[str, Any]]:
    """Every variant's runs, by name, and the engine's facts: also how many answers were new to the file."""
    client = replay_client(plan.model, plan.context_tokens, environ)
    runs: dict[str, list[BlockRun]] = {}
    n_asked: dict[str, int] = {}
    try:
        health = await _health(plan, client, answers)
        with progress("blocks", len(blocks) * len(plan.seeds) * len(plan.variants)) as advance:
            for variant in plan.variants:
                known = runs.get(plan.variants[0].name, []) if variant.rule in WATCHED else []
                runs[variant.name], n_asked[variant.name] = await _variant_runs(
                    plan, variant, blocks, known, answers, environ, advance
                )
    finally:
        await client.shutdown()
    facts = {"model": health.model, **health.facts}
    return runs, facts if plan.mode == "wall" else {**facts, "asked": n_asked}


async def _health(plan: ReplayPlan, client: EngineClient, answers: Path) -> EngineHealth:
    """What the engine says of itself, or said when answers was begun: no model is loaded then."""
    memory = AnswerMemory(answers)
    if memory.health is not None and plan.mode == "discrete":
        return memory.health
    health = await client.ensure_running()
    if plan.mode == "discrete":
        memory.keep_health(health)
    return health


async def _variant_runs(
    plan: ReplayPlan,
    variant: Variant,
    blocks: Sequence[TypedBlock],
    known: Sequence[BlockRun],
    answers: Path,
    environ: Mapping[str, str],
    advance: Callable[[], None],
) -> tuple[list[BlockRun], int]:
    """The runs of one variant, and how many answers were new.

    known are the runs with all rules on: those in which the variant's rule decided nothing are taken over.
    """
    runs: list[BlockRun] = []
    n_asked = 0
    by_root: dict[Path, list[TypedBlock]] = {}
    for block in blocks:
        by_root.setdefault(block.root, []).append(block)
    for root, its_blocks in by_root.items():
        source: TextSource | None = None
        try:
            for block, seed in product(its_blocks, plan.seeds):
                before = known[len(runs)] if known else None
                if before is not None and variant.rule not in before.decided:
                    runs.append(before)
                else:
                    source = source or await _source(plan, variant, root, answers, environ)
                    with cut_file(block):
                        runs.append(await _run(plan, variant, source, block, seed))
                advance()
        finally:
            if isinstance(source, ServerOffers):
                n_asked += source.n_asked
                await source.stop()
    return runs, n_asked


async def _run(plan: ReplayPlan, variant: Variant, source: TextSource, block: TypedBlock, seed: int) -> BlockRun:
    typist = Typist(seed, variant.policy or plan.policy, variant.reader or plan.reader)
    if plan.invokes:
        run = await replay_invoked(block, typist, source)
    else:
        clock = WallClock() if plan.mode == "wall" else DiscreteClock()
        run = await BlockReplay(block, typist, source, clock).run()
    return replace(run, decided=source.decided) if isinstance(source, ServerOffers) else run


async def _source(
    plan: ReplayPlan, variant: Variant, root: Path, answers: Path, environ: Mapping[str, str]
) -> TextSource:
    if variant.floor is not None:
        return LocalOffers(FLOORS[variant.floor], variant.fixed_ms or FLOOR_MS)
    if plan.mode == "wall":
        return await ServerOffers.start(root.parent, variant.settings, plan.model, None, environ=environ)
    settings = {"budget_ms": BUDGET_MS, "invoked_budget_ms": BUDGET_MS, **variant.settings}
    return await ServerOffers.start(
        root.parent,
        settings,
        plan.model,
        answers,
        variant.fixed_ms,
        environ,
        plan.context_tokens,
        plan.invokes,
        variant.sources,
    )


@contextmanager
def cut_file(block: TypedBlock) -> Iterator[None]:
    """While it lasts, the block is not in its file either."""
    file = block.root / block.path
    file.write_text(block.prefix + block.suffix, encoding="utf-8", newline="")
    try:
        yield
    finally:
        file.write_text(block.text, encoding="utf-8", newline="")
