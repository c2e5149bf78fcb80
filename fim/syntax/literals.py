"""Whether a place is in a comment or a string, by the tree and, if a string was never closed, by its line."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal

from tree_sitter import Node

from ..text.line_scan import in_triple_quotes
from .kinds import (
    COMMENTS,
    INTERPOLATIONS,
    NO_BLOCK_COMMENTS,
    QUOTE,
    QUOTES,
    STRING_CONTENTS,
    STRINGS,
)
from .tree import Syntax, enclosing

LiteralKind = Literal["comment", "docstring", "string"]

MAX_LINE_CHARS = 10_000  # of the cursor's line, left of the cursor

_QUOTE_OR_ESCAPE = re.compile(r"\\.|[\"']")
_TRIPLE_QUOTED = re.compile(rb"[a-zA-Z]{0,2}(\"\"\"|''')")


def literal_at(syntax: Syntax, offset: int) -> LiteralKind | None:
    """The literal that a place between two characters is in; None in code, including code that a string interpolates.

    A docstring is any string in triple quotes that is a whole statement. The place after a closing quote is outside,
    that at the end of a line comment inside.
    """
    byte = syntax.byte_at(offset)
    around = syntax.nodes_at(byte - 1)
    for number, node in enumerate(around):
        if node.is_named and node.start_byte < byte:
            if node.type in INTERPOLATIONS and byte < node.end_byte:
                return None
            kind = _kind(syntax, around[number:], byte)
            if kind is not None:
                return kind
    if not syntax.tree.root_node.has_error:
        return None
    return _open_literal(syntax, offset)


def _kind(syntax: Syntax, around: Sequence[Node], byte: int) -> LiteralKind | None:
    """The kind of a place by the first node, which holds it or ends there; the others are the nodes around it."""
    node = around[0]
    if node.type in COMMENTS:
        text = syntax.data[node.start_byte : node.end_byte]
        is_closed = text.endswith((b"*/", b"-->", b"=end", b"\n"))
        return "comment" if byte < node.end_byte or not is_closed else None
    if node.type in STRING_CONTENTS and enclosing(around, STRINGS) is None:
        return "string"
    if node.type in STRINGS and byte < node.end_byte:
        return "docstring" if _is_docstring(syntax, node) else "string"
    return None


def _is_docstring(syntax: Syntax, node: Node) -> bool:
    is_statement = node.parent is not None and (node.parent.type in ("expression_statement", "block", "module"))
    return is_statement and _TRIPLE_QUOTED.match(syntax.data, node.start_byte) is not None


def _open_literal(syntax: Syntax, offset: int) -> LiteralKind | None:
    """A string or a comment still open at offset, which a broken tree does not show."""
    text = syntax.text
    if syntax.language == "python" and in_triple_quotes(text[:offset]):
        return "docstring"
    start = max(text.rfind("\n", 0, offset), text.rfind("\r", 0, offset), offset - MAX_LINE_CHARS - 1) + 1
    column = _open_quote(text[start:offset], syntax.language)
    if column is not None and not _is_read(syntax, start + column):
        return "string"
    if syntax.language in NO_BLOCK_COMMENTS:
        return None
    begin, end = ("<!--", "-->") if syntax.language == "html" else ("/*", "*/")
    at = text.rfind(begin, 0, offset)
    return "comment" if at > text.rfind(end, 0, offset) and not _is_read(syntax, at) else None


def _is_read(syntax: Syntax, offset: int) -> bool:
    """Whether the grammar understood the character at offset, as part of a node that is not an error."""
    around = syntax.nodes_at(syntax.byte_at(offset))
    is_literal = enclosing(around, STRINGS | COMMENTS) is not None
    return is_literal or (bool(around) and not any(node.is_error for node in around[:2]))


def _open_quote(left: str, language: str) -> int | None:
    """The column of a string that a line leaves open; None without one."""
    quote, begins = "", None
    for match in _QUOTE_OR_ESCAPE.finditer(left):
        sign = match.group()
        if quote:
            quote, begins = ("", None) if sign == quote else (quote, begins)
        elif sign in QUOTES.get(language, QUOTE):
            quote, begins = sign, match.start()
    return begins
