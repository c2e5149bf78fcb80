"""Blocks without brackets: `do … end`, `then … fi`, a mapping below a colon, the content between two tags.

Says what opens and closes such a block in languages other than Python.
"""

import re
from collections.abc import Sequence

from tree_sitter import Node

from ..text.line_scan import scan_line
from .tree import Syntax, enclosing

# Tags without an end, in HTML.
VOID_TAGS = frozenset(
    {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"}
)
_OPENING_TAGS = frozenset({"start_tag", "jsx_opening_element"})
_TAG_NAMES = frozenset({"tag_name", "identifier", "member_expression", "nested_identifier"})

_RUBY_HEAD = re.compile(
    r"\s*(?:(?:private|protected|public|module_function)\s+)?"
    r"(?:def|class|module|if|unless|while|until|for|case|begin|else|elsif|when|in|rescue|ensure)\b"
)
_RUBY_ENDLESS = re.compile(r"\s*(?:\w+\s+)?def\s+[^\s(=]+(?:\([^()]*\))?\s+=\s")
_RUBY_TAIL = re.compile(r"\b(?:do|then|begin|else|ensure)\s*(?:\|[^|]*\|)?$")
_RUBY_END = re.compile(r"\bend\b\s*$")
_SHELL = {"then": "fi", "else": "fi", "do": "done"}
_SHELL_WORD = re.compile(r"(?:^|[\s;])(then|else|do|in)$")
_SHELL_CASE = re.compile(r"\s*case\s")
_LABEL = re.compile(r"\s*(?:case\b|default\s*:|(?:public|private|protected)\s*:)")
_ARROW = re.compile(r"->$")  # Kotlin: { x ->
_PARAMETERS = re.compile(r"\|$")  # Ruby: { |x|


def closer_by_line(language: str, lines: Sequence[str]) -> str | None:
    """What closes the block that the last line with code opens, "" if only indentation does; None if it opens none.

    The last one of lines is the cursor's, up to the cursor.
    """
    code = next((code for line in reversed(lines) if (code := _code(line, language))), "")
    is_above = not lines[-1].strip()
    if language == "ruby":
        return _ruby_closer(code, is_above)
    if language == "shellscript":
        word = _SHELL_WORD.search(code)
        in_case = "esac" if _SHELL_CASE.match(code) else None
        return None if word is None else _SHELL.get(word.group(1), in_case)
    if language == "yaml":
        return "" if is_above and code.endswith(":") else None
    if language == "kotlin" and _ARROW.search(code) and scan_line(code, "", language).openers.endswith("{"):
        return "}"
    return "" if code.endswith(":") and _LABEL.match(code) else None


def _code(line: str, language: str) -> str:
    """A line without its comment; "" if it leaves a string open."""
    scan = scan_line(line, "", language)
    return "" if scan.quote else line[: scan.code_end].rstrip()


def _ruby_closer(code: str, is_above: bool) -> str | None:
    if _PARAMETERS.search(code) and scan_line(code, "", "ruby").openers.endswith("{"):
        return "}"
    if _RUBY_END.search(code) or _RUBY_ENDLESS.match(code):
        return None
    is_open = _RUBY_TAIL.search(code) or (is_above and _RUBY_HEAD.match(code))
    return "end" if is_open else None


def opening_tag(syntax: Syntax, offset: int) -> tuple[str, int] | None:
    """The beginning of the end tag for the tag before offset, and the offset where that tag begins; None if no tag with
    contents ends there."""
    byte = syntax.byte_at(offset)
    blank = len(syntax.data[:byte]) - len(syntax.data[:byte].rstrip())
    if syntax.data[byte - blank - 1 : byte - blank] != b">":
        return None
    tag = enclosing(syntax.nodes_at(byte - blank - 1), _OPENING_TAGS)
    if tag is None or tag.end_byte != byte - blank:
        return None
    name = _name(syntax, tag)
    return None if name in VOID_TAGS else (f"</{name}", syntax.offset_at(tag.start_byte))


def _name(syntax: Syntax, tag: Node) -> str:
    found = next((child for child in tag.named_children if child.type in _TAG_NAMES), None)
    return "" if found is None else syntax.data[found.start_byte : found.end_byte].decode("utf-8", "replace")
