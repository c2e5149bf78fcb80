"""Where an answer of several lines leaves the block that it was written for.

Owns two readings: by the tree of the document with the answer in it, and by indentation, where the tree does not say.
It does not know which other rules trim an answer.
"""

from tree_sitter import Node

from ..syntax.blocks import indent_of
from ..syntax.kinds import BODIES, BRANCHES, ENDS
from ..syntax.tree import Syntax, enclosing
from ..text.line_scan import scan_line
from .context import TrimContext


def cut_at_block_end(around: TrimContext, text: str) -> str:
    """Text up to the end of the block that the cursor stands in; a single line is left as it is."""
    if not around.hole.multiline:
        return text
    end = None if around.syntax is None else _end_by_tree(around, around.syntax, text)
    return cut_at_dedent(around, text) if end is None else text[:end]


def cut_at_dedent(around: TrimContext, text: str) -> str:
    """Text up to the first line that leaves the block which it started in.

    The block is as deep as its first line, and deeper than its opener; when a bracket or a word opened it, the line
    that starts with its closer still belongs to it, as its last. Lines of a string that text opens and closes may stand
    anywhere.
    """
    left, opener = around.left, around.opener
    least = 0 if opener is None else opener.indent + 1
    floor = None if opener is not None or not left.strip() else indent_of(left)
    lines = text.split("\n")
    in_string = lines_in_strings(lines, around.hole.language)
    for i, line in enumerate(lines):
        whole = left + line if i == 0 else line
        is_code_start = bool(line.strip()) and not in_string[i] and not (i == 0 and left.strip())
        if not is_code_start:
            continue
        indent = indent_of(whole)
        if indent < (least if floor is None else floor):
            ends_block = opener is not None and opener.is_closed_by(whole)
            return "\n".join(lines[: i + 1] if ends_block else lines[:i])
        floor = indent if floor is None else floor
    return text


def lines_in_strings(lines: list[str], language: str = "python") -> list[bool]:
    """For every line, whether it starts inside a string of several lines that is closed further down."""
    inside: list[bool] = []
    quote, opened_at = "", 0
    for i, line in enumerate(lines):
        inside.append(bool(quote))
        after = scan_line(line, quote, language).carried
        if after and not quote:
            opened_at = i
        quote = after
    if quote:
        inside[opened_at + 1 :] = [False] * (len(lines) - opened_at - 1)
    return inside


def _end_by_tree(around: TrimContext, syntax: Syntax, text: str) -> int | None:
    """How much of text belongs to the block, by the tree of the document with text in it; None where it does not say.

    It says so where a bracket that was open at the cursor is closed within text, and where a body of indented
    statements without an error ends within it.
    """
    start, end = around.hole.replaced
    after = syntax.with_edit(start, end, text)
    solid = start + len(text) - len(text.lstrip())
    if after is None or start == 0 or not text.strip():
        return None
    closed = _closing_bracket(after, start)
    if closed is not None:
        return _with_rest(around, text, after.offset_at(closed.end_byte) - start)
    body = enclosing(after.nodes_at(after.byte_at(solid)), BODIES)
    if body is None or body.has_error or (around.opener is not None and body.start_byte < after.byte_at(start)):
        return None
    stop = after.offset_at(body.end_byte) - start
    line_end = text.find("\n", stop)
    return line_end if line_end >= 0 else len(text)


def _closing_bracket(after: Syntax, start: int) -> Node | None:
    """The bracket that closes what was open at start, by the innermost node that has both; None where it is missing."""
    byte = after.byte_at(start)
    for node in after.nodes_at(byte):
        if node.child_count > 1 and node.start_byte < byte < node.end_byte:
            first, last = node.child(0), node.child(node.child_count - 1)
            ends = ("" if first is None else first.type, "" if last is None else last.type)
            if ends in BRANCHES:
                return None
            if first is not None and last is not None and ends in ENDS:
                return last if first.end_byte <= byte <= last.start_byte and not last.is_missing else None
    return None


def _with_rest(around: TrimContext, text: str, stop: int) -> int:
    """The place behind the rest of the line that a closing bracket before stop begins, or stop if that opens more."""
    line_end = text.find("\n", stop)
    line_end = line_end if line_end >= 0 else len(text)
    return stop if around.scan(text[stop:line_end]).openers else line_end
