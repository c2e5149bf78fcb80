"""The chunks that a person edited or looked at last, in any document: llama.vim's ring.

Owns what is remembered and for how long; texts are copies of that moment. The caller decides which documents may be
shown to the model.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import replace

from ..text.document import Document
from .chunks import Chunk, similarity, solid_lines

N_CHUNKS_MAX = 16
N_LINES_AROUND = 12  # above and below the place
SAME_SHARE = 0.6  # of the lines of two chunks: then the newer replaces the older


class RecentChunks:
    """At most N_CHUNKS_MAX chunks, no two of them too similar, the newest last."""

    def __init__(self, n_max: int = N_CHUNKS_MAX) -> None:
        self._n_max = n_max
        self._chunks: list[Chunk] = []
        self._n_visits: Counter[str] = Counter()

    def visit(self, document: Document, offset: int) -> None:
        """Remember the lines around a place. Raises InputError outside the text."""
        line = document.line_of(offset)
        start, end = max(0, line - N_LINES_AROUND), min(document.line_count, line + N_LINES_AROUND + 1)
        text = "\n".join(document.line(number) for number in range(start, end)).strip("\n")
        lines = solid_lines(text)
        chunk = Chunk(document.uri, start, end, text, document.language)
        if not lines or (self._chunks and replace(self._chunks[-1], start=start, end=end) == chunk):
            return
        kept = [older for older in self._chunks if similarity(solid_lines(older.text), lines) < SAME_SHARE]
        self._chunks = [*kept, chunk][-self._n_max :]
        self._n_visits[document.uri] += 1

    def keep(self, may_stay: Callable[[Chunk], bool]) -> None:
        """Forget all chunks but those that may stay."""
        self._chunks = [chunk for chunk in self._chunks if may_stay(chunk)]

    def others(self, uri: str) -> list[Chunk]:
        """The chunks of all documents but this one, the newest last."""
        return [chunk for chunk in self._chunks if chunk.place != uri]

    def n_other_visits(self, uri: str) -> int:
        """How often other documents were visited: grows when they are worked on."""
        return self._n_visits.total() - self._n_visits[uri]
