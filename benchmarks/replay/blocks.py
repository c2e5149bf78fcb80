"""What a replay rebuilds: blocks that are taken out of real files, and the keys that a person would type for each.

Owns the choice of blocks and the keys; knows no time, no server and no completion. An editor indents new lines by
itself, so indentation costs nothing and counts for nothing, unless it is not what the editor would have put there.
"""

import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from ...fim.errors import InputError
from ...training.corpus.heldout_packages import SUFFIXES
from .languages import block_bodies, comment_starts, indenter_of, parses, width_of

N_LINES_MIN, N_LINES_MAX = 2, 12
N_LINES_PROGRAM = (60, 100)  # of a program that is typed from an empty file: at least, and at most
N_CHARS_FILE = (400, 200_000)
SKIPPED_FOLDERS = frozenset({"__pycache__", "node_modules", ".git", ".venv", "site-packages"})


@dataclass(frozen=True)
class Key:
    """A press of a key that writes: where the block then ends (characters), and how many presses it stands for.

    A line break brings its line's indentation along; it costs more presses where the editor would indent otherwise.
    """

    end: int
    n_presses: int = 1


@dataclass(frozen=True)
class TypedBlock:
    """A file of a package, and the part of it that is typed again: text[start:end], which begins after indentation.

    root is the package's folder, path the file's path in it.
    """

    root: Path
    path: str
    text: str
    start: int
    end: int
    language: str = "python"

    @property
    def prefix(self) -> str:
        """What stands above and left of the block."""
        return self.text[: self.start]

    @property
    def target(self) -> str:
        """The text that is typed."""
        return self.text[self.start : self.end]

    @property
    def suffix(self) -> str:
        """What stands below it."""
        return self.text[self.end :]

    @property
    def name(self) -> str:
        """Names the block in reports and seeds."""
        return f"{self.root.name}/{self.path}:{self.start}"

    @cached_property
    def keys(self) -> tuple[Key, ...]:
        """The keys that write the target, in order."""
        return tuple(_keys(self))

    @cached_property
    def weights(self) -> tuple[int, ...]:
        """How many characters that count stand in target[:n], for every n: all but indentation."""
        counted, total, at_start = [0], 0, False
        for character in self.target:
            at_start = character == "\n" or (at_start and character in " \t")
            total += character == "\n" or not at_start
            counted.append(total)
        return tuple(counted)

    def n_presses(self, start: int, end: int) -> int:
        """The presses that typing target[start:end] takes."""
        return sum(key.n_presses for key in self.keys if start < key.end <= end)


def _keys(block: TypedBlock) -> Iterator[Key]:
    prefix, target, indenter = block.prefix, block.target, indenter_of(block.text, block.language)
    at = 0
    while at < len(target):
        if target[at] != "\n":
            at += 1
            yield Key(at)
            continue
        line_end = at + 1
        while line_end < len(target) and target[line_end] in " \t":
            line_end += 1
        is_blank = line_end == len(target) or target[line_end] == "\n"
        above = (prefix + target[:at]).rstrip().rsplit("\n", 1)[-1]
        offered = indenter.offered(above, target[line_end : line_end + 1])
        wanted = offered if is_blank else line_end - at - 1
        yield Key(line_end, 1 + -(-abs(wanted - offered) // indenter.step))
        at = line_end


def find_blocks(
    paths: Sequence[Path], n_files: int, n_blocks: int, seed: int, language: str = "python"
) -> list[TypedBlock]:
    """Up to n_blocks blocks of each of up to n_files source files under paths, drawn with seed; packages take turns.

    A file's blocks are in turn a body of a definition or statement, and lines between any two line breaks, of
    N_LINES_MIN to N_LINES_MAX lines; they do not overlap. Raises InputError where there is nothing to type.
    """
    chance = random.Random(f"{seed}:files")
    by_root: dict[Path, list[Path]] = {}
    for path in paths:
        if not path.exists():
            raise InputError(f"there is no file or folder {path}")
        for root, file in _files(path.resolve(), language):
            by_root.setdefault(root, []).append(file)
    for files in by_root.values():
        chance.shuffle(files)
    blocks: list[TypedBlock] = []
    n_taken = 0
    while n_taken < n_files and any(by_root.values()):
        for root, files in by_root.items():
            found = _first_with_blocks(root, files, n_blocks, seed, language)
            blocks += found
            n_taken += bool(found)
            if n_taken == n_files:
                break
    if not blocks:
        raise InputError(f"there is no {language} file with a block to type")
    return blocks


def find_programs(paths: Sequence[Path], n_files: int, seed: int, language: str = "python") -> list[TypedBlock]:
    """The first lines of up to n_files source files under paths, each as one block that is typed into an empty file.

    Comments at the head of a file (a licence) are left out. Raises InputError where there is nothing to type.
    """
    chance = random.Random(f"{seed}:programs")
    files = [found for path in paths for found in _files(path.resolve(), language)]
    chance.shuffle(files)
    programs: list[TypedBlock] = []
    for root, file in files:
        text = _program(file, language)
        if text is not None and len(programs) < n_files:
            programs.append(TypedBlock(root, file.relative_to(root).as_posix(), text, 0, len(text), language))
    if not programs:
        raise InputError(f"there is no {language} file of at least {N_LINES_PROGRAM[0]} lines to type")
    return programs


def _program(file: Path, language: str) -> str | None:
    text = _readable(file, language)
    if text is None:
        return None
    lines = text.split("\n")
    while lines and (not lines[0].strip() or lines[0].lstrip(" ").startswith(comment_starts(language))):
        del lines[0]
    least, most = N_LINES_PROGRAM
    return "\n".join(lines[:most]).rstrip() + "\n" if len(lines) >= least else None


def _readable(file: Path, language: str) -> str | None:
    """The text of a file that can be typed, None for others."""
    try:
        text = file.read_bytes().decode("utf-8")
    except (OSError, UnicodeDecodeError):
        return None
    is_fit = N_CHARS_FILE[0] <= len(text) <= N_CHARS_FILE[1] and "\r" not in text
    if language == "python":
        is_fit = is_fit and "\t" not in text
    return text if is_fit and parses(text, language) else None


def _files(path: Path, language: str) -> Iterator[tuple[Path, Path]]:
    """(package, file) for every source file; a folder's packages are the folders in it that hold an __init__.py."""
    if path.is_file():
        yield path.parent, path
        return
    inner = sorted(each.parent for each in path.glob("*/__init__.py"))
    packages = inner if inner and not (path / "__init__.py").exists() else [path]
    for package in packages:
        sources = (file for file in package.rglob("*") if file.suffix in SUFFIXES[language])
        for file in sorted(sources):
            if file.is_file() and not file.is_symlink() and SKIPPED_FOLDERS.isdisjoint(file.relative_to(path).parts):
                yield package, file


def _first_with_blocks(root: Path, files: list[Path], n_blocks: int, seed: int, language: str) -> list[TypedBlock]:
    """The blocks of the first of files that has any; takes the files it looked at off the list."""
    while files:
        file = files.pop()
        text = _readable(file, language)
        if text is not None:
            path = file.relative_to(root).as_posix()
            spans = _drawn_spans(text, language, n_blocks, random.Random(f"{seed}:{root.name}/{path}"))
            if spans:
                return [TypedBlock(root, path, text, start, end, language) for start, end in spans]
    return []


def _drawn_spans(text: str, language: str, n_blocks: int, chance: random.Random) -> list[tuple[int, int]]:
    bodies = list(block_bodies(text, language, N_LINES_MIN, N_LINES_MAX))
    chance.shuffle(bodies)
    spans: list[tuple[int, int]] = []
    for i in range(4 * n_blocks):
        if len(spans) == n_blocks:
            break
        span = bodies.pop() if i % 2 == 0 and bodies else _some_lines(text, chance)
        if span is not None and not _overlaps(span, spans) and text[span[0] : span[1]].strip():
            spans.append(span)
    return sorted(spans)


def _some_lines(text: str, chance: random.Random) -> tuple[int, int] | None:
    """Whole lines, from the first one's code on; None where the draw met a blank line."""
    starts = [0, *(i + 1 for i, character in enumerate(text) if character == "\n")]
    first = chance.randrange(len(starts))
    last = min(first + chance.randint(N_LINES_MIN, N_LINES_MAX), len(starts) - 1)
    lines = text[starts[first] : starts[last]].split("\n")
    if not lines[0].strip() or last - first < N_LINES_MIN:
        return None
    whole = "\n".join(lines).rstrip()
    return starts[first] + width_of(lines[0]), starts[first] + len(whole)


def _overlaps(span: tuple[int, int], spans: Iterable[tuple[int, int]]) -> bool:
    return any(span[0] < end and start < span[1] for start, end in spans)
