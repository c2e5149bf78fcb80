"""What ignore files say of a path: git's rules, of every folder above it, the nearest first.

Of the folders above a workspace it reads the ignore files up to the one that holds the repository, as git does.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import ClassVar

from ..files.regular_file import read_regular
from .ignore_patterns import CostlyPattern, IgnorePattern, read_pattern

IGNORE_FILES = (".gitignore", ".ignore")
Patterns = tuple[IgnorePattern, ...]


@dataclass(frozen=True)
class IgnoreRules:
    """Patterns by the folder that they apply to, outermost first; exclude wins over all of them."""

    exclude: Patterns
    base: str
    layers: tuple[tuple[str, Patterns], ...] = ()

    MAX_BYTES: ClassVar[int] = 256_000  # of one ignore file; a longer one ignores everything beside it
    MAX_PATTERNS: ClassVar[int] = 3_000  # of all files; the file that exceeds it ignores everything beside it

    @classmethod
    def above(cls, root: str, exclude: Sequence[str] = ()) -> "IgnoreRules":
        """The rules that hold at a workspace's root: exclude, and ignore files above it in the same repository."""
        rules = cls(_patterns(exclude, cls.MAX_PATTERNS), f"{root.rstrip('/')}/")
        folder = Path(root)
        if _holds_repository(folder):
            return rules.with_repository(folder)
        above = list(folder.parents)
        top = next((n for n, parent in enumerate(above) if _holds_repository(parent)), None)
        if top is None:
            return rules
        rules = rules.with_repository(above[top])
        for parent in reversed(above[: top + 1]):
            rules = rules.with_file(str(parent), _read(parent / ".gitignore"))
        return rules

    def with_repository(self, folder: Path) -> "IgnoreRules":
        """The repository's rules outside ignore files, then these rules."""
        return self.with_file(str(folder), _read(folder / ".git" / "info" / "exclude"))

    def with_file(self, folder: str, data: bytes) -> "IgnoreRules":
        """These rules, then those of an ignore file in folder, which is nearer."""
        lines = data.decode("utf-8", "replace").splitlines()
        n_left = self.MAX_PATTERNS - sum(len(patterns) for _, patterns in self.layers)
        patterns = _patterns(lines, n_left) if len(data) <= self.MAX_BYTES else _EVERYTHING
        if not patterns:
            return self
        return replace(self, layers=(*self.layers, (f"{folder.rstrip('/')}/", patterns)))

    def ignores(self, absolute: str, *, is_folder: bool) -> bool:
        """Whether a file or folder is ignored, given that the folders above it are not."""
        if _verdict(self.exclude, absolute.removeprefix(self.base), is_folder=is_folder):
            return True
        for folder, patterns in reversed(self.layers):
            verdict = _verdict(patterns, absolute.removeprefix(folder), is_folder=is_folder)
            if verdict is not None:
                return verdict
        return False


def _verdict(patterns: Patterns, path: str, *, is_folder: bool) -> bool | None:
    """The verdict of the last pattern that matches exactly this path: ignored or not; None if none does."""
    for pattern in reversed(patterns):
        if pattern.means(path, is_folder=is_folder):
            return not pattern.negated
    return None


_EVERYTHING: Patterns = tuple(pattern for pattern in [read_pattern("*")] if pattern is not None)


def _patterns(lines: Sequence[str], n_max: int) -> Patterns:
    """The patterns of an ignore file. If they would take too long to match, everything beside it is ignored."""
    try:
        found = (pattern for line in lines if (pattern := read_pattern(line)) is not None)
        patterns = tuple(islice(found, n_max + 1))
    except CostlyPattern:
        return _EVERYTHING
    return patterns if len(patterns) <= n_max else _EVERYTHING


def _holds_repository(folder: Path) -> bool:
    try:
        return (folder / ".git").exists()
    except OSError:
        return False


def _read(path: Path) -> bytes:
    """An ignore file above the workspace; it can only exclude files. Like git, this follows no link."""
    try:
        return read_regular(path, IgnoreRules.MAX_BYTES + 1) or b""
    except OSError:
        return b""
