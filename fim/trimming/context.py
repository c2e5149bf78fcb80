"""What stands around a hole, read once for all the rules that trim an answer.

Owns the cursor's line on both sides, the code below it, the brackets that are open above it, and the block that it
stands in. It does not know answers.
"""

import re
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from ..syntax.blocks import BlockOpener, block_opener, lines_above
from ..syntax.literals import LiteralKind, literal_at
from ..syntax.tree import Syntax
from ..text.line_marks import BLOCK_COMMENTS, BRACES_OF_ENTRIES, FIELDS
from ..text.line_scan import LINE_BREAK, OPENER_OF, LineScan, in_triple_quotes, scan_line
from ..types import Hole

_F_STRING = re.compile(r"(?<!\w)(?:[fF][rR]?|[rR][fF])(\"\"\"|'''|[\"'])")
N_LINES_OPEN = 100  # above the cursor, in which an open bracket is looked for


class Brackets(NamedTuple):
    """What lines do with brackets: those they leave open, outermost first; how many of their closing ones close
    nothing; and how many open ones were passed over because a closing one is for a bracket further out."""

    openers: str
    n_surplus: int
    n_skipped: int


@dataclass(frozen=True)
class TrimContext:
    """A hole and, where there is one, the syntax of its document (as it stands, with what the hole takes out).

    indent is what the editor indents a level with, None if it does not say.
    """

    hole: Hole
    syntax: Syntax | None = None
    indent: str | None = None

    @cached_property
    def left(self) -> str:
        """The cursor's line up to the cursor."""
        return line_left(self.hole.prefix)

    @cached_property
    def right(self) -> str:
        """The cursor's line from the cursor on, without its ending."""
        return line_rest(self.hole.suffix)

    @cached_property
    def literal(self) -> LiteralKind | None:
        """The comment or string that the cursor stands in; None in code, and in a field of an f-string.

        Without a tree the cursor's line is read, and in Python the triple quotes above.
        """
        kind = literal_at(self.syntax, len(self.hole.prefix)) if self.syntax is not None else self._literal_by_line()
        return None if kind == "string" and _in_field(self.left, self.hole.language) else kind

    def _literal_by_line(self) -> LiteralKind | None:
        if self.hole.language == "python" and in_triple_quotes(self.hole.prefix):
            return "docstring"
        scan = self.scan(self.left)
        if scan.quote and scan.quote not in BLOCK_COMMENTS.values():
            return "string"
        return "comment" if scan.code_end < len(self.left) else None

    @cached_property
    def opener(self) -> BlockOpener | None:
        """What opened the block that the hole stands in; None where nothing has just done so."""
        return block_opener(self.hole.prefix, self.hole.language, self.syntax)

    @cached_property
    def open_brackets(self) -> str:
        """The brackets that the lines above leave open, outermost first."""
        return self.count_brackets(lines_above(self.hole.prefix)[-N_LINES_OPEN - 1 : -1]).openers

    @cached_property
    def in_expression(self) -> bool:
        """Whether a bracket is open around the cursor within which there are no statements."""
        innermost = self.count_brackets([self.left], self.open_brackets).openers[-1:]
        return innermost in ("(", "[") or (innermost == "{" and self.hole.language in BRACES_OF_ENTRIES)

    def count_brackets(self, lines: list[str], openers: str = "") -> Brackets:
        """The brackets of lines of the document's language, where openers were open before."""
        return count_brackets(lines, openers, self.hole.language)

    def scan(self, line: str) -> LineScan:
        """One line of the document's language."""
        return scan_line(line, "", self.hole.language)

    def below(self, n: int) -> list[str]:
        """The first n lines below the cursor's, blank ones before the code left out, without trailing blanks."""
        suffix, found = self.hole.suffix, list[str]()
        at = LINE_BREAK.search(suffix)
        while at is not None and len(found) < n:
            following = LINE_BREAK.search(suffix, at.end())
            line = suffix[at.end() : len(suffix) if following is None else following.start()].rstrip()
            if line or found:
                found.append(line)
            at = following
        return found


def _in_field(left: str, language: str) -> bool:
    """Whether the string that a line leaves open has a field with code open at its end."""
    if language in FIELDS:
        _, sign, inside = left.rpartition(FIELDS[language])
        return bool(sign) and "}" not in inside
    begins = list(_F_STRING.finditer(left))
    if not begins:
        return False
    inside = left[begins[-1].end() :].replace("{{", "").replace("}}", "")
    return begins[-1].group(1) not in inside and inside.count("{") > inside.count("}")


def line_left(prefix: str) -> str:
    """The cursor's line up to the cursor."""
    return prefix[max(prefix.rfind("\n"), prefix.rfind("\r")) + 1 :]


def line_rest(suffix: str) -> str:
    """The cursor's line from the cursor on, without its ending."""
    match = LINE_BREAK.search(suffix)
    return suffix if match is None else suffix[: match.start()]


def count_brackets(lines: list[str], openers: str = "", language: str = "python") -> Brackets:
    """The brackets of lines, where openers were open before."""
    n_surplus, n_skipped, quote = 0, 0, ""
    for line in lines:
        scan = scan_line(line, quote, language)
        quote = scan.carried
        for closer in scan.closers:
            at = openers.rfind(OPENER_OF[closer])
            n_surplus += at < 0
            n_skipped += len(openers) - at - 1 if at >= 0 else 0
            openers = openers[:at] if at >= 0 else openers
        openers += scan.openers
    return Brackets(openers, n_surplus, n_skipped)
