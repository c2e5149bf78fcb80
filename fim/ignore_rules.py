"""What ignore files say of a path: git's rules, of every folder above it, the nearest first.

Owns patterns and their order. It does not walk folders; of the folders above a workspace it reads the ignore files up
to the one that holds the repository, as git does.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

from pathspec import GitIgnoreSpec

IGNORE_FILES = (".gitignore", ".ignore")
_FOLDERS_WITHIN = re.compile(r"/\*\*/\s*$")  # pathspec takes `a/**/` for `a/`
# A pattern becomes a regular expression with a loop for each star, and a name may have 255 characters: with more stars
# in one part of a pattern a match may take minutes. Whoever writes such a pattern has everything beside it ignored.
MAX_STARS = 4
_EVERYTHING = "*"
_BELOW = "ps_d"  # pathspec's name for the slash behind a folder that a pattern means


@dataclass(frozen=True)
class IgnoreRules:
    """Patterns by the folder that they are meant for, outermost first; exclude wins over all of them."""

    exclude: GitIgnoreSpec
    base: str
    layers: tuple[tuple[str, GitIgnoreSpec], ...] = ()

    MAX_BYTES: ClassVar[int] = 256_000  # of one ignore file; what is longer ignores everything beside it

    @classmethod
    def above(cls, root: str, exclude: Sequence[str] = ()) -> "IgnoreRules":
        """The rules that hold at a workspace's root: exclude, and ignore files above it in the same repository."""
        rules = cls(_spec(exclude), f"{root.rstrip('/')}/")
        folder = Path(root)
        if (folder / ".git").exists():
            return rules.with_repository(folder)
        above = list(folder.parents)
        top = next((n for n, parent in enumerate(above) if (parent / ".git").exists()), None)
        if top is None:
            return rules
        rules = rules.with_repository(above[top])
        for parent in reversed(above[: top + 1]):
            rules = rules.with_file(str(parent), _read(parent / ".gitignore"))
        return rules

    def with_repository(self, folder: Path) -> "IgnoreRules":
        """These rules after the repository's own that are kept in no ignore file."""
        return self.with_file(str(folder), _read(folder / ".git" / "info" / "exclude"))

    def with_file(self, folder: str, data: bytes) -> "IgnoreRules":
        """These rules and, nearer, those of an ignore file in folder."""
        lines = data.decode("utf-8", "replace").splitlines()
        if len(data) > self.MAX_BYTES:
            lines = [_EVERYTHING]
        if not any(line.strip() and not line.startswith("#") for line in lines):
            return self
        return replace(self, layers=(*self.layers, (f"{folder.rstrip('/')}/", _spec(lines))))

    def ignores(self, absolute: str, *, is_folder: bool) -> bool:
        """Whether a file or folder is ignored, given that the folders above it are not."""
        path = f"{absolute}/" if is_folder else absolute
        if _verdict(self.exclude, path.removeprefix(self.base)):
            return True
        for folder, spec in reversed(self.layers):
            verdict = _verdict(spec, path.removeprefix(folder))
            if verdict is not None:
                return verdict
        return False


def _verdict(spec: GitIgnoreSpec, path: str) -> bool | None:
    """What the last pattern says that means this very path: ignored, not ignored; None where none does.

    pathspec takes a pattern that means a folder for one that means all below it too, so that `!a` would take back
    what `b` says of `a/b`; git does not (tests compare the two).
    """
    for pattern in reversed(spec.patterns):
        found = None if pattern.include is None or pattern.regex is None else pattern.regex.match(path)
        if found is None:
            continue
        below = found.groupdict().get(_BELOW)
        is_above = below is not None and found.end(_BELOW) < len(path)
        is_all_within = below is None and path.endswith("/") and found.end() == len(path)
        if not is_above and not is_all_within:
            return pattern.include
    return None


def _spec(patterns: Sequence[str]) -> GitIgnoreSpec:
    safe = [_FOLDERS_WITHIN.sub("/**/*/", pattern) for pattern in patterns if not _is_costly(pattern)]
    if len(safe) < len(patterns):
        return GitIgnoreSpec.from_lines([_EVERYTHING])
    try:
        return GitIgnoreSpec.from_lines(safe)
    except ValueError:
        return GitIgnoreSpec.from_lines([pattern for pattern in safe if _is_pattern(pattern)])


def _is_pattern(pattern: str) -> bool:
    try:
        GitIgnoreSpec.from_lines([pattern])
    except ValueError:
        return False
    return True


def _is_costly(pattern: str) -> bool:
    if pattern.startswith("#"):
        return False
    parts = pattern.split("/")
    n_stars = max(len(re.findall(r"\*+", part)) for part in parts)
    return n_stars > MAX_STARS or sum("**" in part for part in parts) > MAX_STARS


def _read(path: Path) -> bytes:
    """An ignore file above the workspace; what it says only ever takes files out."""
    try:
        with path.open("rb") as stream:
            return stream.read(IgnoreRules.MAX_BYTES + 1)
    except OSError:
        return b""
