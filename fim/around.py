"""What stands around a hole, read once for all the rules that trim an answer.

Owns the cursor's line on both sides, the code below it, the brackets that are open above it, and the block that it
stands in. It does not know answers.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from .blocks import BlockOpener, block_opener, lines_above
from .line_scan import LINE_BREAK, OPENER_OF, scan_line
from .syntax import Syntax
from .types import Hole

N_LINES_OPEN = 100  # above the cursor, in which an open bracket is looked for


@dataclass(frozen=True)
class Around:
    """A hole and, where there is one, the syntax of its document (as it stands, with what the hole takes out).

    indent is what the editor indents a level with, None where it does not say.
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
    def opener(self) -> BlockOpener | None:
        """What opened the block that the hole stands in; None where nothing has just done so."""
        return block_opener(self.hole.prefix, self.hole.language, self.syntax)

    @cached_property
    def open_brackets(self) -> str:
        """The brackets that the lines above leave open, outermost first."""
        return count_brackets(lines_above(self.hole.prefix)[-N_LINES_OPEN - 1 : -1]).openers

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


def line_left(prefix: str) -> str:
    """The cursor's line up to the cursor."""
    return prefix[max(prefix.rfind("\n"), prefix.rfind("\r")) + 1 :]


def line_rest(suffix: str) -> str:
    """The cursor's line from the cursor on, without its ending."""
    match = LINE_BREAK.search(suffix)
    return suffix if match is None else suffix[: match.start()]


class Brackets(NamedTuple):
    """What lines do with brackets: those they leave open, outermost first; how many of their closing ones close
    nothing; and how many open ones were passed over because a closing one is for a bracket further out."""

    openers: str
    n_surplus: int
    n_skipped: int


def count_brackets(lines: list[str], openers: str = "") -> Brackets:
    """The brackets of lines, where openers were open before."""
    n_surplus, n_skipped, quote = 0, 0, ""
    for line in lines:
        scan = scan_line(line, quote)
        quote = scan.quote if len(scan.quote) == 3 else ""
        for closer in scan.closers:
            at = openers.rfind(OPENER_OF[closer])
            n_surplus += at < 0
            n_skipped += len(openers) - at - 1 if at >= 0 else 0
            openers = openers[:at] if at >= 0 else openers
        openers += scan.openers
    return Brackets(openers, n_surplus, n_skipped)
