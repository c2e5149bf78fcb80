"""What Python's own parser says of a source file: whether it parses, and where its block bodies are.

Offsets count code points.
"""

import ast
import warnings
from functools import lru_cache
from itertools import accumulate

Opener = (
    ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
    | ast.If | ast.For | ast.AsyncFor | ast.While | ast.With | ast.AsyncWith
)  # fmt: skip


def tree_of(text: str) -> ast.Module | None:
    """The syntax tree of text, or None if this interpreter cannot parse it."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # invalid escapes in other people's strings
            return ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):  # all of them mean: too odd a text
        return None


def parses(text: str) -> bool:
    """Whether text is Python to this interpreter."""
    return tree_of(text) is not None


@lru_cache(maxsize=64)
def block_bodies(text: str, n_lines_min: int, n_lines_max: int) -> tuple[tuple[int, int], ...]:
    """The bodies (start, end) of every def, class, if, for, while and with, that fill whole lines of their own.

    start is where the first statement's first character stands, end where its last statement's last line ends. A
    docstring stays outside, above. Empty where text does not parse.
    """
    tree = tree_of(text)
    if tree is None:
        return ()
    lines = text.split("\n")
    starts = [0, *accumulate(len(line) + 1 for line in lines)]
    bodies: list[tuple[int, int]] = []
    for node in ast.walk(tree):
        if not isinstance(node, Opener):
            continue
        statements = node.body[1:] if _is_docstring(node.body[0]) else node.body
        if not statements:
            continue
        first, last = _first_line(statements[0]), statements[-1].end_lineno
        assert last is not None  # only trees that were not parsed lack it
        owns_line = not lines[first - 1][: _indent(lines[first - 1])].strip() and first > node.lineno
        if owns_line and _starts_line(statements[0], lines) and n_lines_min <= last - first + 1 <= n_lines_max:
            bodies.append((starts[first - 1] + _indent(lines[first - 1]), starts[last - 1] + len(lines[last - 1])))
    return tuple(bodies)


def _is_docstring(statement: ast.stmt) -> bool:
    return (
        isinstance(statement, ast.Expr)
        and isinstance(statement.value, ast.Constant)
        and isinstance(statement.value.value, str)
    )


def _first_line(statement: ast.stmt) -> int:
    """The line where a statement begins, counted from 1; decorators belong to it."""
    return min([statement.lineno, *(d.lineno for d in getattr(statement, "decorator_list", []))])


def _starts_line(statement: ast.stmt, lines: list[str]) -> bool:
    """Whether only indentation stands left of a statement (col_offset counts bytes; indentation is ASCII)."""
    line = lines[statement.lineno - 1]
    return statement.col_offset == _indent(line)


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip(" \t"))
