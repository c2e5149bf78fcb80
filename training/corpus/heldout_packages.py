"""The held-out packages of 2026: names, versions, hashes, licences and dates, as `heldout.toml` lists them."""

import datetime
import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from ...fim.errors import InputError

FIRST_DAY = datetime.date(2026, 1, 1)
LIST = Path(__file__).with_name("heldout.toml")
# What is read of each language. JSX is left out: a block of it is half markup.
SUFFIXES = {
    "python": (".py",),
    "javascript": (".js", ".mjs", ".cjs"),
    "typescript": (".ts", ".mts", ".cts"),
    "go": (".go",),
    "rust": (".rs",),
    "java": (".java",),
    "cpp": (".cpp", ".cc", ".cxx", ".hpp", ".hh", ".hxx", ".h"),
}


@dataclass(frozen=True, kw_only=True)
class HeldOutPackage:
    """One package: its source archive on PyPI, and what of it is read.

    first_release: when its oldest version was uploaded. folders: paths inside the archive; empty for all of it.
    """

    name: str
    version: str
    archive: str
    sha256: str
    licence: str
    first_release: datetime.date
    languages: tuple[str, ...]
    folders: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        unknown = [language for language in self.languages if language not in SUFFIXES]
        if unknown or not self.languages:
            raise ValueError(f"{self.name}: languages must be among {', '.join(SUFFIXES)}")
        if len(self.sha256) != 64:
            raise ValueError(f"{self.name}: sha256 must have 64 digits")
        if self.first_release < FIRST_DAY:
            raise ValueError(f"{self.name}: first_release must be {FIRST_DAY} or later")


def read_list(path: Path) -> tuple[HeldOutPackage, ...]:
    """The packages of a list. Raises InputError when it cannot be read or an entry is not complete."""
    try:
        entries: list[dict[str, Any]] = tomllib.loads(path.read_text(encoding="utf-8"))["package"]
        return tuple(_package(entry) for entry in entries)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"the list of held-out packages {path} cannot be read ({error}): mend it") from error


def _package(entry: dict[str, Any]) -> HeldOutPackage:
    lists = {key: tuple(entry[key]) for key in ("languages", "folders") if key in entry}
    return HeldOutPackage(**{**entry, **lists})


@cache
def held_out_names() -> frozenset[str]:
    """The names of the packages in LIST, which never enter a training split."""
    return frozenset(package.name for package in read_list(LIST))
