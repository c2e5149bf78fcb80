"""What is replayed, by whom, and with which variants of the product."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from .typist import Policy, ReadingHabit

Mode = Literal["discrete", "wall"]


@dataclass(frozen=True, kw_only=True)
class Variant:
    """One way to run the product: what differs from the defaults, and how long answers take (None: as they do).

    floor: a source that needs no server instead. rule: that the variant is the first one without this rule, or source,
    and nothing else. sources: what it leaves out of other files, whatever that is; its answers are no other variant's.
    """

    name: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    fixed_ms: float | None = None
    policy: Policy | None = None
    reader: ReadingHabit | None = None
    floor: str | None = None
    sources: str = ""
    rule: str | None = None


@dataclass(frozen=True, kw_only=True)
class ReplayPlan:
    """What is replayed: n_blocks blocks in each of n_files files under paths, by one person per seed.

    types_programs: the beginnings of the files instead, each into an empty file. invokes: the person asks on request,
    at the beginning of every line, and waits. languages: LSP language ids, with n_files files of each. answers: the
    file that keeps the engine's answers; None keeps them for this replay. context_tokens: what the engine reads of
    context and answer; None leaves it to the engine, which measures how fast this machine is.
    """

    paths: tuple[Path, ...]
    languages: tuple[str, ...] = ("python",)
    n_files: int = 40
    n_blocks: int = 2
    seeds: tuple[int, ...] = (1, 2, 3)
    policy: Policy = "words"
    reader: ReadingHabit = "eager"
    types_programs: bool = False
    invokes: bool = False
    mode: Mode = "discrete"
    variants: tuple[Variant, ...] = (Variant(name="default"),)
    answers: Path | None = None
    context_tokens: int | None = None
    model: Path | None = None
