"""How much code a reader has to read: lines of functions and of files, and what docs/design.md has people read.

It does not know which functions run.
"""

import ast
import io
import re
import tokenize
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
DESIGN = ROOT / "docs" / "design.md"
_SPINE_ROW = re.compile(r"^\| *\d+ *\| `([^`]+)` \| *([\d,]+) *\|", re.MULTILINE)


@dataclass(frozen=True, order=True)
class Function:
    """A function of ours: its file, from the repository's root, and the line at which it begins."""

    file: str
    line: int


@dataclass(frozen=True, kw_only=True)
class LineCount:
    """Files, functions in them, the lines of these functions, the same without blanks, docstrings and comments, and
    all lines of the files."""

    n_files: int
    n_functions: int
    n_lines: int
    n_code_lines: int
    n_file_lines: int


def count_lines(functions: Iterable[Function]) -> LineCount:
    """How much these functions are; one inside another is counted once, and so is one that is named twice."""
    by_file: dict[str, set[int]] = {}
    for function in set(functions):
        by_file.setdefault(function.file, set()).add(function.line)
    n_functions = n_lines = n_code_lines = n_file_lines = 0
    for file, starts in by_file.items():
        source = (ROOT / file).read_text(encoding="utf-8")
        spans = [span for span in _spans(ast.parse(source)) if span.start in starts]
        lines = {line for span in spans for line in span}
        n_functions += len(spans)
        n_lines += len(lines)
        n_code_lines += len(lines & code_lines(source))
        n_file_lines += source.count("\n")
    return LineCount(
        n_files=len(by_file),
        n_functions=n_functions,
        n_lines=n_lines,
        n_code_lines=n_code_lines,
        n_file_lines=n_file_lines,
    )


def _spans(tree: ast.AST) -> list[range]:
    """The lines of each function, decorators included: it begins where its code object says."""
    nodes = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    return [
        range(min([node.lineno, *(each.lineno for each in node.decorator_list)]), (node.end_lineno or 0) + 1)
        for node in nodes
    ]


def code_lines(source: str) -> set[int]:
    """The lines of a source, counted from 1, that hold more than blanks, comments and docstrings."""
    aside = (tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER)
    found: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type not in aside:
            found.update(range(token.start[0], token.end[0] + 1))
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            first = node.body[0] if node.body else None
            if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and ast.get_docstring(node):
                found -= set(range(first.lineno, (first.end_lineno or 0) + 1))
    return found


def read_spine(page: str) -> dict[str, int]:
    """The files that docs/design.md has a reader of one keystroke read, and their lines of code as it says."""
    return {file: int(lines.replace(",", "")) for file, lines in _SPINE_ROW.findall(page)}


def read_doors(page: str) -> tuple[str, ...]:
    """The files, and the folders with a / behind them, at which a reader may stop, as docs/design.md says."""
    _, _, rows = page.partition("| door |")
    rows, _, _ = rows.partition("\n\n")
    return tuple(door for row in rows.split("\n") for door in re.findall("`([^`]+)`", row.partition(" | ")[0]))
