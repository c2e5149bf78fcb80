"""Where a byte-level tokenizer surely cuts a text, and what at its end the next character may still change.

Such a tokenizer cuts a text into pieces by a pattern, then merges bytes inside each piece. Cuts at some places follow
from the two characters around them alone. Every pattern is asked which of these places it keeps to, so nothing here
depends on one. Knows text, no ids.
"""

from functools import cached_property

from tokenizers import Tokenizer

from ..common_prefix import common_prefix
from .text_tokenizer import LONE_SURROGATE

MAX_HEALED = 48  # bytes of an end that is healed; a longer one is healed in part
N_CHARS_TRIED = 1_000  # at the end of a line that may be as long as a file
N_PIECES_TRIED = 5  # at the end of a text, of which something that follows may change the cuts
# Pairs of characters between which code models cut: any text and a blank, a letter and a line break.
_BEFORE_BLANK, _BEFORE_BREAK = frozenset(map(chr, range(0x21, 0x7F))), frozenset("abcXYZ019")
_FRAMES = ("{}", "{}\n", "{} y", "{}\n    y", ";{}", "x {}", "({}  \n")
# What may follow: text that begins or continues a piece of each kind, blanks that a line break would take in.
_CONTINUATIONS = ("x", "X", "1", " ", "\n", " \n", " x", "(", "/", "\r", "s ", "re", "ll")


class PieceBoundaries:
    """The cuts of one tokenizer."""

    def __init__(self, plain: Tokenizer) -> None:
        assert plain.pre_tokenizer is not None
        self._cutter = plain.pre_tokenizer

    def ends(self, text: str) -> list[int]:
        """The offsets at which pieces of text end."""
        clean = LONE_SURROGATE.sub("\ufffd", text)
        return [end for _, (_, end) in self._cutter.pre_tokenize_str(clean)]

    def last_boundary(self, text: str) -> int:
        """The last offset before or at the last line break where a piece surely ends; 0 where none is known."""
        for at in range(text.rfind("\n"), 0, -1):
            if self._is_sure(text[at - 1], text[at]):
                return at
        return 0

    def _boundary_from(self, text: str, start: int) -> int:
        """The first sure boundary from start on; start itself where there is none, which is a line without blanks."""
        if start <= 0:
            return 0
        return next((at for at in range(start, len(text)) if self._is_sure(text[at - 1], text[at])), start)

    def _is_sure(self, left: str, right: str) -> bool:
        if right in " \t":
            return left in self._before_blank
        return right == "\n" and left in self._before_break

    @cached_property
    def _before_blank(self) -> frozenset[str]:
        return frozenset(
            left for left in _BEFORE_BLANK if self._always_cuts(left, " ") and self._always_cuts(left, "\t")
        )

    @cached_property
    def _before_break(self) -> frozenset[str]:
        if not all(self._always_cuts(left, "\n") for left in _BEFORE_BREAK):
            return frozenset()
        return frozenset(c for c in _BEFORE_BLANK if c.isalnum())

    def _always_cuts(self, left: str, right: str) -> bool:
        frames = (frame.partition("{}") for frame in _FRAMES)
        return all(len(head + left) in self.ends(head + left + right + rest) for head, _, rest in frames)

    def open_end(self, text: str) -> str:
        """The end of text whose cuts something that follows may change.

        A word in the making, a bracket that may be closed at once, and blanks with the line breaks before them, which
        are one piece where a line break follows. Where they are too long, their last pieces alone; of blanks the last
        one, which a word that follows takes to itself.
        """
        start = max(self.last_boundary(text), self._boundary_from(text, len(text) - N_CHARS_TRIED))
        start += self._known(text[start:])
        while len(text[start:].encode("utf-8", "replace")) > MAX_HEALED:
            ends = self.ends(text[start:])
            if len(ends) < 2:
                return text[-1:] if text[-1:] in (" ", "\t") else ""
            start += ends[0]
        return text[start:]

    def _known(self, text: str) -> int:
        """The offset in text, which begins with a piece, from where on cuts may change."""
        ends = [0, *self.ends(text)]
        if len(ends) < 2:
            return 0
        first = ends[max(0, len(ends) - 1 - N_PIECES_TRIED)]
        tail = text[first:]
        found = self.ends(tail)
        n = min([len(found) - 1, *(common_prefix(found, self.ends(tail + more)) for more in _CONTINUATIONS)])
        while n and self.ends(tail[: found[n - 1]]) != found[:n]:
            n -= 1
        return first + (found[n - 1] if n else 0)
