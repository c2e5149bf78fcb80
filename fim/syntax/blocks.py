"""Indented blocks, read from lines of text: which line opens the block at the cursor.

Owns rules on indentation, block keywords and brackets. A syntax tree, if any, separates strings and comments from code;
in languages other than Python it also gives the token that opens a block.
"""

import re
from dataclasses import dataclass

from ..text.line_scan import CLOSER_OF, LINE_BREAK, in_triple_quotes, is_word_character, scan_line
from .block_words import closer_by_line, opening_tag
from .kinds import BRACKETS
from .literals import literal_at
from .tree import Syntax

TAB_WIDTH = 8  # as Python's own tokenizer counts
MAX_CHARS_ABOVE = 16_000  # longer docstrings and argument lists are not read

_BLOCK_KEYWORD = re.compile(
    r"\s*(?:async|case|class|def|elif|else|except|finally|for|if|match|try|while|with)\b",
)
_DOCSTRING_START = re.compile(r"\s*[rRuU]?(\"\"\"|''')")
_SHORT_DOCSTRING = re.compile(r"\s*[rRuU]?('[^'\\]+'|\"[^\"\\]+\")\s*$")
_NEXT_CODE = re.compile(r"(?:\r\n|\n|\r)([ \t\f]*)(?=\S)")


@dataclass(frozen=True)
class BlockOpener:
    """The line that opens a block: its indentation in columns, and the bracket, word or tag that ends the block ("" for
    a colon)."""

    indent: int
    closer: str

    def is_closed_by(self, line: str) -> bool:
        """Whether a line begins with what ends the block."""
        line = line.lstrip()
        is_longer_word = self.closer[-1:].isalpha() and is_word_character(line[len(self.closer) :][:1])
        return bool(self.closer) and line.startswith(self.closer) and not is_longer_word


def indent_of(line: str) -> int:
    """The indentation of a line in columns."""
    return len(line[: len(line) - len(line.lstrip(" \t\f"))].replace("\f", "").expandtabs(TAB_WIDTH))


def indent_after(suffix: str) -> int | None:
    """The indentation of the first non-blank line below the cursor's line, in columns; None if there is none."""
    match = _NEXT_CODE.search(suffix)
    return None if match is None else indent_of(match.group(1))


def lines_above(prefix: str) -> list[str]:
    """The last lines of prefix, without their endings; the last one is the cursor's line up to the cursor."""
    lines = LINE_BREAK.split(prefix[-MAX_CHARS_ABOVE:])
    if len(prefix) > MAX_CHARS_ABOVE and len(lines) > 1:
        del lines[0]  # it may be cut
    return lines


def block_opener(prefix: str, language: str, syntax: Syntax | None = None) -> BlockOpener | None:
    """The line above the cursor, or the cursor's own, that has just opened a block; None if none has.

    Blank lines, comment lines and (Python) the docstring between the opener and the cursor do not count. In a
    comment or a triple-quoted string nothing opens a block. syntax is the document's, whose text begins with prefix.
    """
    if syntax is not None and literal_at(syntax, len(prefix)) is not None:
        return None
    python = language == "python"
    if syntax is not None and not python:
        return _opener_by_token(syntax, len(prefix))
    opener = _opener_above(lines_above(prefix), language)
    return None if opener is None or (python and syntax is None and in_triple_quotes(prefix)) else opener


def _opener_by_token(syntax: Syntax, offset: int) -> BlockOpener | None:
    """The block that the last token left of offset opens: a bracket, a word like `then`, a label's colon, a tag."""
    found = syntax.token_before(offset)
    if found is None:
        return None
    token, start = found
    leaf = syntax.leaf_at(syntax.byte_at(start))
    if leaf is not None and leaf.type == "raw_text":  # a script or a style sheet in a page
        return _opener_above(lines_above(syntax.text[:offset]), "javascript")
    above = lines_above(syntax.text[max(0, start - MAX_CHARS_ABOVE) : start + len(token)])
    if token in BRACKETS:
        return BlockOpener(indent_of(above[-1]), BRACKETS[token])
    tag = opening_tag(syntax, start + len(token)) if token == ">" else None
    if tag is not None:
        closer, begins = tag
        return BlockOpener(indent_of(lines_above(syntax.text[max(0, begins - MAX_CHARS_ABOVE) : begins])[-1]), closer)
    between = syntax.text[start + len(token) : offset]
    here = [*above, *[""] * bool(LINE_BREAK.search(between))]
    closer = closer_by_line(syntax.language, here)
    return None if closer is None else BlockOpener(indent_of(above[-1]), closer)


def _opener_above(lines: list[str], language: str) -> BlockOpener | None:
    python = language == "python"
    if lines[-1].strip():
        in_comment = scan_line(lines[-1], "", language).code_end < len(lines[-1])
        return None if in_comment else _opener_at(lines, len(lines) - 1, language)
    at = _skip_blank(lines, len(lines) - 1, python)
    opener = _opener_at(lines, at, language)
    if opener is None and python:
        start = _docstring_start(lines, at)
        if start is not None:
            opener = _opener_at(lines, _skip_blank(lines, start - 1, python), language)
    return opener


def _skip_blank(lines: list[str], at: int, python: bool) -> int:
    """The index of the nearest line at or above `at` with code on it; -1 if there is none."""
    while at >= 0:
        text = lines[at].strip()
        if text and not (python and text.startswith("#")):
            break
        at -= 1
    return at


def _opener_at(lines: list[str], at: int, language: str) -> BlockOpener | None:
    if at < 0:
        return None
    scan = scan_line(lines[at], "", language)
    code = lines[at][: scan.code_end].rstrip()
    if scan.quote or not code:
        return None
    if scan.openers:
        closer = CLOSER_OF.get(code[-1], "")
        return BlockOpener(indent_of(lines[at]), closer) if closer else None
    if language != "python" or code[-1] != ":":
        return None
    start = _statement_start(lines, at)
    return BlockOpener(indent_of(lines[start]), "") if _BLOCK_KEYWORD.match(lines[start]) else None


def _statement_start(lines: list[str], at: int) -> int:
    """The index of the line where the statement that ends on line `at` begins."""
    scan = scan_line(lines[at])
    n_open = len(scan.closers)
    while at > 0 and (n_open > 0 or lines[at - 1].endswith("\\")):
        at -= 1
        scan = scan_line(lines[at])
        n_open = max(n_open - len(scan.openers), 0) + len(scan.closers)
    return at


def _docstring_start(lines: list[str], at: int) -> int | None:
    """The index of the line where the docstring that ends on line `at` begins; None if none ends there."""
    if at < 0:
        return None
    if _SHORT_DOCSTRING.match(lines[at]):
        return at
    quote = lines[at].rstrip()[-3:]
    if quote not in ('"""', "'''"):
        return None
    for start in range(at, -1, -1):
        match = _DOCSTRING_START.match(lines[start])
        if match and match.group(1) == quote and (start < at or lines[at].count(quote) == 2):
            return start
        if start < at and quote in lines[start]:
            return None
    return None
