"""An immutable, versioned text with its own line index, and the edits that lead to the next version.

Owns lines and LSP positions: only \\n, \\r\\n and \\r end a line (form feed, U+2028 and the like are plain characters).
Everywhere else a place is an offset in code points.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from dataclasses import dataclass, field

from ..errors import InputError
from .line_scan import LINE_BREAK
from .positions import Position, PositionEncoding, column_of, units_of


@dataclass(frozen=True)
class TextChange:
    """One edit: text replaces start to end (exclusive); both None means the whole document."""

    start: Position | None
    end: Position | None
    text: str


@dataclass(frozen=True)
class Document:
    """A text as the editor has it: uri, version, LSP language id and text.

    Lines are counted from zero; a text that ends in a line ending has one more, empty line. Two documents are equal if
    these four fields are; the text never shows in repr (it may reach a log).
    """

    uri: str
    version: int
    language: str
    text: str = field(repr=False)
    _starts: list[int] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_starts", _line_starts(self.text))

    @property
    def line_count(self) -> int:
        """The number of lines, at least 1."""
        return len(self._starts)

    @property
    def eol(self) -> str:
        """The line ending that the document uses most; "\\n" if it has none or there is a tie."""
        if "\r" not in self.text:
            return "\n"
        n_crlf = self.text.count("\r\n")
        counts = {
            "\n": self.text.count("\n") - n_crlf,
            "\r\n": n_crlf,
            "\r": self.text.count("\r") - n_crlf,
        }
        return max(counts, key=lambda ending: counts[ending])

    def line_start(self, line: int) -> int:
        """The offset of the first character of a line. Raises InputError for a line outside the document."""
        if not 0 <= line < len(self._starts):
            raise InputError(f"line {line} is outside the document, which has {len(self._starts)} lines")
        return self._starts[line]

    def line_end(self, line: int) -> int:
        """The offset right before the ending of a line. Raises InputError for a line outside the document."""
        start = self.line_start(line)
        if line + 1 == len(self._starts):
            return len(self.text)
        end = self._starts[line + 1] - 1
        if end > start and self.text[end] == "\n" and self.text[end - 1] == "\r":
            end -= 1
        return end

    def line(self, line: int) -> str:
        """The text of a line without its ending. Raises InputError for a line outside the document."""
        return self.text[self.line_start(line) : self.line_end(line)]

    def line_of(self, offset: int) -> int:
        """The line that holds an offset (a line's ending belongs to it). Raises InputError outside the text."""
        if not 0 <= offset <= len(self.text):
            raise InputError(f"offset {offset} is outside the document, which has {len(self.text)} characters")
        return bisect_right(self._starts, offset) - 1

    def offset_at(self, position: Position, encoding: PositionEncoding) -> int:
        """The offset of a position; past the end of a line is its end, past the last line the end of the text.

        Raises InputError for a negative line or character.
        """
        line, character = position
        if line < 0 or character < 0:
            raise InputError(f"a position must not be negative, got line {line}, character {character}")
        if line >= len(self._starts):
            return len(self.text)
        return self._starts[line] + column_of(self.line(line), character, encoding)

    def position_at(self, offset: int, encoding: PositionEncoding) -> Position:
        """The position of an offset; between \\r and \\n it is the end of the line.

        Raises InputError outside the text.
        """
        line = self.line_of(offset)
        before = self.text[self._starts[line] : min(offset, self.line_end(line))]
        return Position(line, units_of(before, encoding))

    def with_changes(self, changes: Iterable[TextChange], version: int, encoding: PositionEncoding) -> "Document":
        """The next version: changes are applied in order, each to the result of the ones before it.

        Raises InputError for an end before its start, a negative position, or one of start and end missing.
        """
        document = self
        for change in changes:
            document = document._with_change(change, encoding)
        return document._splice(version, document.text, document._starts)

    def _with_change(self, change: TextChange, encoding: PositionEncoding) -> "Document":
        if change.start is None and change.end is None:
            return Document(self.uri, self.version, self.language, change.text)
        if change.start is None or change.end is None:
            raise InputError("a change needs both a start and an end, or neither")
        start = self.offset_at(change.start, encoding)
        end = self.offset_at(change.end, encoding)
        if change.end < change.start:
            raise InputError(f"a change must not end at {tuple(change.end)} before its start {tuple(change.start)}")
        text = self.text[:start] + change.text + self.text[end:]
        return self._splice(self.version, text, _splice_starts(self._starts, text, start, end, len(change.text)))

    def _splice(self, version: int, text: str, starts: list[int]) -> "Document":
        """A document with a known line index."""
        document = object.__new__(Document)
        values = {"uri": self.uri, "version": version, "language": self.language, "text": text, "_starts": starts}
        for name, value in values.items():
            object.__setattr__(document, name, value)
        return document


def _line_starts(text: str) -> list[int]:
    return [0, *(match.end() for match in LINE_BREAK.finditer(text))]


def _splice_starts(starts: list[int], text: str, start: int, end: int, n_inserted: int) -> list[int]:
    """The index of text, from that of the text before n_inserted characters replaced start to end.

    Only the touched lines are read again. An edit at the start of a line also touches the line before it: the two
    may now share a \\r\\n, or no longer do so.
    """
    shift = n_inserted - (end - start)
    first = max(bisect_left(starts, start) - 1, 0)
    after = bisect_right(starts, end)  # the first line that begins after the edit
    stop = starts[after] + shift if after < len(starts) else len(text)
    touched = [match.end() for match in LINE_BREAK.finditer(text, starts[first], stop)]
    if after < len(starts):
        touched.pop()  # the start of line `after`, which the tail holds
    tail = [line_start + shift for line_start in starts[after:]] if shift else starts[after:]
    return [*starts[: first + 1], *touched, *tail]
