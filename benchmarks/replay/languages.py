"""The languages that a replay types: files, parsing, block bodies, and what an editor's indentation does in each.

Python is read by its own parser (`syntax`), the others by their grammars. Offsets count code points.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate
from pathlib import Path

from tree_sitter import Node

from ...fim.errors import InputError
from ...fim.syntax.tree import parse
from ...training.corpus.heldout_packages import SUFFIXES
from ..quality import syntax

LANGUAGES = tuple(SUFFIXES)
# Nodes of all grammars that hold statements, members or fields between two braces.
BODIES = frozenset(
    {"statement_block", "block", "compound_statement", "class_body", "constructor_body", "interface_body"}
    | {"declaration_list", "field_declaration_list"}
)
PYTHON_STEP = 4
COMMENT_STARTS = {"python": ("#",)}
OTHER_COMMENT_STARTS = ("//", "/*", "*", "#!")


@dataclass(frozen=True)
class Indenter:
    """How an editor indents a new line: one step (in characters) deeper after openers, one less before closers."""

    step: int
    openers: tuple[str, ...]
    closers: tuple[str, ...] = ()

    def offered(self, above: str, line: str) -> int:
        """The width that the editor gives a line by itself, below the last line with text.

        A closer at its beginning takes it one step back when it is typed, which costs no key of its own.
        """
        deeper = self.step if above.endswith(self.openers) else 0
        back = self.step if self.closers and line.startswith(self.closers) else 0
        return max(0, width_of(above) + deeper - back)


def indenter_of(text: str, language: str) -> Indenter:
    """What an editor does that is set up as the file is. Python's own step is four, whatever the file has."""
    if language == "python":
        return Indenter(PYTHON_STEP, (":", "(", "[", "{"))
    openers = ("(", "[", "{") if language == "rust" else (":", "(", "[", "{")
    return Indenter(indent_step(text), openers, (")", "]", "}"))


def indent_step(text: str) -> int:
    """The characters of one level: 1 in a file with tabs, else the least indentation of two spaces and more."""
    lines = [line for line in text.split("\n") if line.strip() and not line.lstrip().startswith("*")]
    if has_tabs(text):
        return 1
    return min((width for line in lines if (width := width_of(line)) > 1), default=PYTHON_STEP)


def has_tabs(text: str) -> bool:
    """Whether a file is indented with tabs."""
    return text.startswith("\t") or "\n\t" in text


def width_of(line: str) -> int:
    """The characters of a line's indentation."""
    return len(line) - len(line.lstrip(" \t"))


def comment_starts(language: str) -> tuple[str, ...]:
    """What lines of the comment at the head of a file begin with."""
    return COMMENT_STARTS.get(language, OTHER_COMMENT_STARTS)


def copied_suffixes(*languages: str) -> tuple[str, ...]:
    """The endings of the files that a replay's workspace holds."""
    stubs = (".pyi",) if "python" in languages else ()
    return (*(suffix for language in languages for suffix in SUFFIXES[language]), *stubs)


def languages_of(paths: Iterable[Path], named: tuple[str, ...] | None) -> tuple[str, ...]:
    """The languages that are named, else that of the files' endings; Python for folders.

    Raises InputError where files are of no such language, or of several.
    """
    if named is not None:
        return named
    endings = {path.suffix for path in paths if path.suffix and not path.is_dir()}
    found = {language for language, suffixes in SUFFIXES.items() if endings & {*suffixes}}
    if len(found) > 1 or (endings and not found):
        raise InputError(f"the files are not all of one of {', '.join(LANGUAGES)}: say which with --language")
    return (found.pop() if found else "python",)


def parses(text: str, language: str) -> bool:
    """Whether text is source code of the language, to its parser or grammar."""
    if language == "python":
        return syntax.parses(text)
    tree = parse(text, language)
    return tree is not None and tree.n_errors == 0


@lru_cache(maxsize=64)
def block_bodies(text: str, language: str, n_lines_min: int, n_lines_max: int) -> tuple[tuple[int, int], ...]:
    """The bodies (start, end) of definitions and of statements with a body, that fill whole lines of their own.

    start is where the first line's first character stands, end where the last line ends. Braces stay outside.
    """
    if language == "python":
        return syntax.block_bodies(text, n_lines_min, n_lines_max)
    tree = parse(text, language)
    if tree is None:
        return ()
    lines = text.split("\n")
    starts = [0, *accumulate(len(line) + 1 for line in lines)]
    bodies: list[tuple[int, int]] = []
    for first, last in sorted(_inner_lines(tree.tree.root_node, lines)):
        if n_lines_min <= last - first + 1 <= n_lines_max and lines[first].strip() and lines[last].strip():
            bodies.append((starts[first] + width_of(lines[first]), starts[last] + len(lines[last])))
    return tuple(bodies)


def _inner_lines(root: Node, lines: list[str]) -> set[tuple[int, int]]:
    """(first, last) line between the braces of every body whose braces end a line and begin one."""
    found: set[tuple[int, int]] = set()
    nodes = [root]
    while nodes:
        node = nodes.pop()
        nodes += node.children
        if node.type in BODIES and node.child_count > 2 and node.children[-1].type == "}":
            above, below = node.start_point[0], node.children[-1].start_point[0]
            if lines[above].endswith("{") and lines[below].lstrip().startswith("}"):
                found.add((above + 1, below - 1))
    return found
