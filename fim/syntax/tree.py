"""A text with its syntax tree, kept up to date key by key.

Owns parsing, the mapping between code points and the tree's bytes, and the lookup of tokens around a place. Broken code
has a tree, too; for a long text the tree covers the lines around the cursor.
"""

from __future__ import annotations

import re
import threading
import time
from collections import deque
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from functools import cache, cached_property
from itertools import accumulate

from tree_sitter import Node, Parser, Range, Tree

from ..text.line_scan import in_triple_quotes
from .grammars import grammar
from .kinds import COMMENTS

MAX_CHARS = 1_000_000
MAX_QUICK_CHARS = (
    500  # new characters: .1 s for the worst of 76 hostile texts in 12 languages (2 CPU cores, 2026-11-29)
)
MAX_PARSE_S = 0.5  # 1 MB of ordinary Python takes 0.1 s, of nothing but errors 0.45 s (2 CPU cores, 2026-11-22)
# CPU time. A text that parses more slowly is hostile. It must be stopped before its end, where tree-sitter may take the
# square of its length and cannot be stopped (3 KB of `a=>` in C: 0.1 s, then 2 s). No real text of 2,090 came near it.
FREE_PARSE_S, MIN_BYTES_PER_S = 0.04, 500_000
MAX_ERROR_CHILDREN = 20_000  # a broken node with more children counts as one error
MAX_COMMENTS_ABOVE = 100
MAX_NODES_AROUND = 60
MAX_OPEN_ANGLES = 1_000  # "<" without ">": parsing after the last one takes their square, and cannot be stopped
MAX_BLANKS = 4_096
READ_BYTES = 65_536
# In longer texts only a window around the cursor is parsed. With the tree of the version before, a key in 5,000 lines
# of Python still took 20 ms (the grammar looks at every statement beside the edited one); a window takes 1 to 2.
MAX_WHOLE_CHARS = 60_000
N_LINES_ABOVE, N_LINES_BELOW = 150, 100  # of the window, at least
N_LINES_MORE = 300  # more, to find unindented lines to begin and end with
MAX_WINDOW_BYTES = 200_000  # lines of 200 characters: longer ones are data, and take 0.3 s for a million characters

_LONE_SURROGATE = re.compile("[\ud800-\udfff]")
_LONE_RETURN = re.compile(r"\r(?!\n)")
_ANGLE = re.compile(rb"[<>]")
_STATEMENT = re.compile(rb"^[A-Za-z_@#]", re.MULTILINE)  # a line that is not indented


@dataclass(frozen=True, eq=False)
class Syntax:
    """A text, its bytes and its syntax tree. The tree is never changed: an edit works on a copy.

    In data a carriage return that ends a line alone is a line feed, and a lone surrogate is U+FFFD, which grammars can
    read; the lengths stay the same. window are the bytes (start, end) that the tree covers, None for all.
    """

    text: str
    data: bytes
    tree: Tree
    language: str
    window: tuple[int, int] | None = None

    @cached_property
    def n_errors(self) -> int:
        """The number of errors and missing tokens in the tree."""
        return _count_errors(self.tree.root_node)

    def byte_at(self, offset: int) -> int:
        """The place of an offset (code points) in data."""
        if self.text.isascii():
            return min(offset, len(self.data))
        return len(self.text[:offset].encode("utf-8", "surrogatepass"))

    def offset_at(self, byte: int) -> int:
        """The offset (code points) of a place in data that lies between two characters."""
        return byte if self.text.isascii() else len(self.data[:byte].decode("utf-8"))

    def leaf_at(self, byte: int) -> Node | None:
        """The smallest node that holds the byte; None outside the text."""
        if not 0 <= byte < len(self.data):
            return None
        return self.tree.root_node.descendant_for_byte_range(byte, byte + 1)

    def nodes_at(self, byte: int) -> list[Node]:
        """The nodes that hold the byte, the innermost first, at most MAX_NODES_AROUND.

        Found from the top, since tree-sitter finds a node's parent that way too: for 29,000 brackets that took 147 s.
        """
        cursor = self.tree.walk()
        found = deque(() if not 0 <= byte < len(self.data) else (self.tree.root_node,), MAX_NODES_AROUND)
        while found and cursor.goto_first_child_for_byte(byte) is not None:
            node = cursor.node
            if node is None or node.start_byte > byte:
                break
            found.appendleft(node)
        return list(found)

    def token_before(self, offset: int) -> tuple[str, int] | None:
        """The last token left of offset, comments left out: its text and the offset where it begins; None without one.

        A character that the grammar could not read counts as a token.
        """
        byte = self.byte_at(offset)
        for _ in range(MAX_COMMENTS_ABOVE):
            head = self.data[max(0, byte - MAX_BLANKS) : byte]
            byte -= len(head) - len(head.rstrip())
            leaf = self.leaf_at(byte - 1)
            if leaf is None or not head.strip():
                return None
            comment = enclosing(self.nodes_at(byte - 1), COMMENTS)
            if comment is None:
                return self._token(leaf, byte - 1)
            byte = comment.start_byte
        return None

    def _token(self, leaf: Node, byte: int) -> tuple[str, int]:
        """The token that ends with the character whose last byte is given: a leaf, or one sign of a larger node."""
        start, end = byte, byte + 1
        while self.data[start] & 0xC0 == 0x80:
            start -= 1
        if leaf.child_count == 0 and not leaf.is_error:
            start = leaf.start_byte
        return self.data[start:end].decode("utf-8"), self.offset_at(start)

    def with_edit(self, start: int, end: int, text: str) -> Syntax | None:
        """The syntax after text replaced the characters start to end; None if that cannot be parsed."""
        whole = self.text[:start] + text + self.text[end:]
        if self.window is None:
            return parse(whole, self.language, self)
        data = _bytes_of(whole)
        n_more = len(data) - len(self.data)
        window = self.window[0], max(self.window[0], self.window[1] + n_more)
        tree = _parse(data, self.language, None, window, is_known=True)
        return None if tree is None else Syntax(whole, data, tree, self.language, window)


def parse(text: str, language: str, before: Syntax | None = None, near: int | None = None) -> Syntax | None:
    """A text with its syntax tree; None without a grammar, beyond MAX_CHARS, or if parsing takes MAX_PARSE_S.

    before is the syntax of an earlier version: unchanged parts are not read again. near is an offset: of a text of more
    than MAX_WHOLE_CHARS only a window around it is parsed, or nothing if its lines are too long.
    """
    if len(text) > MAX_CHARS or grammar(language) is None:
        return None
    before = before if before is not None and before.language == language else None
    if before is not None and before.window is None and before.text == text:
        return before
    data = _bytes_of(text)
    window = None
    if near is not None and len(text) > MAX_WHOLE_CHARS:
        window = _window(data, text, near, language)
        if window[1] - window[0] > MAX_WINDOW_BYTES:
            return None
    is_known = _is_known(data, window, before)
    old = None if before is None or before.window is not None or window is not None else _edit_tree(before, data)
    tree = _parse(data, language, old, window, is_known=is_known)
    return None if tree is None else Syntax(text, data, tree, language, window)


def _is_known(data: bytes, window: tuple[int, int] | None, before: Syntax | None) -> bool:
    """Whether almost nothing to parse is new: before was parsed in time, so this will be, too."""
    part = data if window is None else data[slice(*window)]
    old = b"" if before is None else before.data if before.window is None else before.data[slice(*before.window)]
    return len(part) - sum(_n_common(old, part)) <= MAX_QUICK_CHARS


def _nests_too_deep(data: bytes, window: tuple[int, int] | None) -> bool:
    if data.count(b"<") <= MAX_OPEN_ANGLES:
        return False
    steps = (1 if match.group() == b"<" else -1 for match in _ANGLE.finditer(data, *(window or ())))
    return max(accumulate(steps, lambda n_open, step: max(n_open + step, 0)), default=0) > MAX_OPEN_ANGLES


def _window(data: bytes, text: str, near: int, language: str) -> tuple[int, int]:
    """The bytes around an offset to parse: whole lines, from and to unindented lines if some are near; in Python, not
    from inside a triple-quoted string."""
    byte = near if text.isascii() else len(text[:near].encode("utf-8", "surrogatepass"))
    first = _lines_up(data, byte, N_LINES_ABOVE)
    found = [match.start() for match in _STATEMENT.finditer(data, _lines_up(data, first, N_LINES_MORE), first)]
    start = found[-1] if found else first
    if language == "python" and in_triple_quotes(data[:start].decode("utf-8", "ignore")):
        start = data.rfind(b"\n", 0, max(data.rfind(b'"""', 0, start), data.rfind(b"'''", 0, start))) + 1
    last = _lines_down(data, byte, N_LINES_BELOW)
    after = _STATEMENT.search(data, last, _lines_down(data, last, N_LINES_MORE))
    return start, after.start() if after else last


def _lines_up(data: bytes, byte: int, n_lines: int) -> int:
    """The beginning of the line n_lines above the one that holds byte."""
    for _ in range(n_lines + 1):
        byte = data.rfind(b"\n", 0, byte)
        if byte < 0:
            return 0
    return byte + 1


def _lines_down(data: bytes, byte: int, n_lines: int) -> int:
    """The beginning of the line n_lines below the one that holds byte, or the end."""
    for _ in range(n_lines):
        byte = data.find(b"\n", byte) + 1
        if byte == 0:
            return len(data)
    return byte


def enclosing(nodes: Iterable[Node], kinds: Collection[str]) -> Node | None:
    """The first of nodes that is of one of kinds; None without one."""
    return next((node for node in nodes if node.is_named and node.type in kinds), None)


def _bytes_of(text: str) -> bytes:
    if "\r" in text and text.count("\r") != text.count("\r\n"):
        text = _LONE_RETURN.sub("\n", text)
    try:
        return text.encode("utf-8")
    except UnicodeEncodeError:
        return _LONE_SURROGATE.sub("\ufffd", text).encode("utf-8")


def _parse(
    data: bytes, language: str, old: Tree | None, window: tuple[int, int] | None, *, is_known: bool
) -> Tree | None:
    """The tree of data; None if that takes MAX_PARSE_S.

    Only a parser that is given its text piece by piece can be stopped, but each piece leaks (py-tree-sitter 0.26: one
    reference too many; 10 KB per key). So a text that is almost the same as a version parsed in time (is_known) is
    given as a whole, and its tree is dropped if that took too long.
    """
    if _nests_too_deep(data, window):
        return None
    parser = _parser(language, threading.get_ident())
    start, end = window or (0, len(data))
    parser.included_ranges = [] if window is None else [Range(_point(data, start), _point(data, end), start, end)]
    stop_s = time.thread_time() + min(MAX_PARSE_S, FREE_PARSE_S + (end - start) / MIN_BYTES_PER_S)

    def read(byte: int, _: object) -> bytes:
        return data[byte : byte + READ_BYTES]

    def is_late(*_: object) -> bool:
        return time.thread_time() > stop_s

    if is_known:
        tree = parser.parse(data, encoding="utf8") if old is None else parser.parse(data, old, "utf8")
        return None if is_late() else tree
    try:
        if old is None:
            return parser.parse(read, encoding="utf8", progress_callback=is_late)
        return parser.parse(read, old, "utf8", is_late)
    except ValueError:  # the library's only sign that it was stopped
        parser.reset()
        return None


@cache
def _parser(language: str, _thread: int) -> Parser:
    """A parser of a language for one thread: parsers are not thread-safe."""
    known = grammar(language)
    assert known is not None
    return Parser(known)


def _edit_tree(before: Syntax, data: bytes) -> Tree:
    """A copy of the tree before, edited where data differs."""
    old = before.data
    start, n_after = _n_common(old, data)
    old_end, new_end = len(old) - n_after, len(data) - n_after
    tree = before.tree.copy()
    tree.edit(start, old_end, new_end, _point(old, start), _point(old, old_end), _point(data, new_end))
    return tree


def _point(data: bytes, byte: int) -> tuple[int, int]:
    """Row and column in bytes."""
    return data.count(b"\n", 0, byte), byte - (data.rfind(b"\n", 0, byte) + 1)


def _n_common(a: bytes, b: bytes) -> tuple[int, int]:
    """The number of bytes that a and b share at the beginning and, of the rest, at the end."""
    limit = min(len(a), len(b))
    start = _bisect(limit, lambda low, high: a[low:high] == b[low:high])
    m, n = len(a), len(b)
    return start, _bisect(limit - start, lambda low, high: a[m - high : m - low] == b[n - high : n - low])


def _bisect(limit: int, agrees: Callable[[int, int], bool]) -> int:
    """The largest number up to limit below which all agrees; agrees(low, high) tells whether that range does."""
    low = 0
    while low < limit:
        high = (low + limit + 1) // 2
        if agrees(low, high):
            low = high
        else:
            limit = high - 1
    return low


def _count_errors(root: Node) -> int:
    n, broken = 0, [root] if root.has_error else []
    while broken:
        node = broken.pop()
        n += node.is_error or node.is_missing
        if node.child_count <= MAX_ERROR_CHILDREN:
            broken.extend(child for child in node.children if child.has_error)
    return n
