"""What a replay is compared with: sources of ghost text that need no model, and one that knows the answer.

none: nothing. words: the completion of the word at the cursor from the words of the buffer, as every editor has it.
copied-line: the rest of the nearest line that begins as this one does. oracle: the rest of the line that will be
written, always; what no line-wise completion can beat for this typist. oracle-block: all of the rest.
"""

import re
from collections.abc import Callable

from .blocks import TypedBlock
from .offers import Late, OfferReply

N_WORD_MIN, N_LINE_MIN = 2, 3  # characters that must stand there already
_WORD_END = re.compile(r"\w+$")
_WORDS = re.compile(r"\w+")

Suggest = Callable[[TypedBlock, int], str]
"""(block, how much of it is there) → the text on offer, "" for none."""


class LocalOffers:
    """An `OfferSource` that computes its text and takes latency_ms for it."""

    def __init__(self, suggest: Suggest, latency_ms: float) -> None:
        self._suggest, self._latency_ms = suggest, latency_ms
        self._block: TypedBlock | None = None

    async def begin(self, block: TypedBlock, gap_ms: float) -> OfferReply | Late:
        """What is on offer at the block's beginning."""
        self._block = block
        return self._at(0, gap_ms)

    async def typed(self, start: int, end: int, gap_ms: float) -> OfferReply | Late:
        """What is on offer after text[:end]."""
        return self._at(end, gap_ms)

    async def accepted(self, reply: OfferReply, start: int, end: int, n_wrong: int, gap_ms: float) -> OfferReply | Late:
        """What is on offer after text[:end]."""
        return self._at(end, gap_ms)

    async def end(self) -> None:
        """Nothing to close."""

    def _at(self, at: int, gap_ms: float) -> OfferReply | Late:
        assert self._block is not None
        if self._latency_ms > gap_ms:
            return Late(latency_ms=self._latency_ms)
        return OfferReply(text=self._suggest(self._block, at), latency_ms=self._latency_ms)


def nothing(block: TypedBlock, at: int) -> str:
    """Nothing."""
    return ""


def word(block: TypedBlock, at: int) -> str:
    """The rest of the nearest word above, else of the first one below, that begins as the one at the cursor."""
    above = block.prefix + block.target[:at]
    begun = _WORD_END.search(above)
    if begun is None or len(begun.group()) < N_WORD_MIN:
        return ""
    begin = begun.group()
    for words in (reversed(_WORDS.findall(above[: begun.start()])), _WORDS.findall(block.suffix)):
        for each in words:
            if each.startswith(begin) and len(each) > len(begin):
                return each[len(begin) :]
    return ""


def copied_line(block: TypedBlock, at: int) -> str:
    """The rest of the nearest line, above first, that begins with the cursor's line as far as it is written."""
    above = (block.prefix + block.target[:at]).split("\n")
    begin = above.pop().lstrip()
    if len(begin) < N_LINE_MIN:
        return ""
    for line in (*reversed(above), *block.suffix.split("\n")[1:]):
        code = line.strip()
        if code.startswith(begin) and len(code) > len(begin):
            return code[len(begin) :]
    return ""


def rest_of_line(block: TypedBlock, at: int) -> str:
    """What will be written up to the end of the line."""
    return block.target[at:].split("\n", 1)[0]


def rest_of_block(block: TypedBlock, at: int) -> str:
    """All that will be written."""
    return block.target[at:]


FLOORS: dict[str, Suggest] = {
    "none": nothing,
    "words": word,
    "copied-line": copied_line,
    "oracle": rest_of_line,
    "oracle-block": rest_of_block,
}
