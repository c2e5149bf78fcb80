"""Tabs or spaces: what a document indents with, and how an answer's lines are indented.

Owns the only rule that changes characters and does not just take some away. Columns are `blocks.py`'s.
"""

import re
from functools import reduce
from math import gcd

from ..syntax.blocks import lines_above
from ..text.line_scan import LINE_BREAK
from .block_end import lines_in_strings
from .context import TrimContext

N_LINES_READ = 200  # on either side of the cursor
N_CHARS_READ = 16_000
DEFAULT_UNIT = 4

_INDENT = re.compile(r"[ \t]*")


def with_document_indent(around: TrimContext, text: str) -> str:
    """Text whose lines are indented as the document's are; as it is where those mix tabs and spaces.

    In a document with tabs four spaces of text are a level, or two if four do not fit. In one with spaces a tab is.
    Where the document has no indentation yet the editor's counts, and the least indentation of text is one level.
    """
    if "\n" not in text and not text[:1].isspace():
        return text
    is_silent = not any(_indents_around(around))
    unit = indent_unit(around)
    if unit is None:
        return text
    lines = text.split("\n")
    first = 1 if around.left.strip() else 0
    in_string = lines_in_strings(lines, around.hole.language)
    wanted = [i for i in range(first, len(lines)) if not in_string[i] and lines[i].strip()]
    unit_from, unit_to = "\t", unit
    if is_silent and not any("\t" in _indent(lines[i]) for i in wanted):
        unit_from = " " * _least_level([_indent(lines[i]) for i in wanted])
    elif unit == "\t":
        unit_from = " " * _level([_indent(lines[i]) for i in wanted])
    for i in wanted:
        indent = _indent(lines[i])
        lines[i] = (indent.replace(unit_from, unit_to) if unit_from else indent) + lines[i][len(indent) :]
    return "\n".join(lines)


def indent_unit(around: TrimContext) -> str | None:
    """One level of indentation, a tab or some spaces: the document's, or the editor's where the document has none yet.

    None where it is mixed, or nothing tells.
    """
    tabs, spaces = _indents_around(around)
    return _unit(tabs, spaces) if tabs or spaces else around.indent


def _unit(tabs: list[str], spaces: list[int]) -> str | None:
    """One level of these indentations: a tab or some spaces; None where they are mixed."""
    if tabs and not spaces and all(not indent.strip("\t") for indent in tabs):
        return "\t"
    if tabs:
        return None
    unit = reduce(gcd, spaces)
    return " " * (unit if unit in (2, 4, 8) else DEFAULT_UNIT)


def _indents_around(around: TrimContext) -> tuple[list[str], list[int]]:
    """The indentations with tabs around the cursor, and the widths of those of two spaces and more."""
    above = [*lines_above(around.hole.prefix)[-N_LINES_READ:-1], around.left]
    below = LINE_BREAK.split(around.hole.suffix[:N_CHARS_READ])[1 : N_LINES_READ + 1]
    indents = [_indent(line) for line in (*above, *below)]
    tabs = [indent for indent in indents if "\t" in indent]
    return tabs, [len(indent) for indent in indents if len(indent) > 1 and "\t" not in indent]


def _indent(line: str) -> str:
    found = _INDENT.match(line)
    return found.group() if found else ""


def _level(indents: list[str]) -> int:
    """How many spaces of these indentations are one level; 0 where that cannot be told."""
    widths = [indent.count(" ") for indent in indents]
    return next((level for level in (4, 2) if all(width % level == 0 for width in widths)), 0)


def _least_level(indents: list[str]) -> int:
    """The least of these indentations of spaces that is none of width 0, where it divides all others; else 0."""
    widths = [width for indent in indents if (width := len(indent)) > 1]
    least = min(widths, default=0)
    return least if all(width % least == 0 for width in widths) else 0
