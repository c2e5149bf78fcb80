"""How a hole becomes a sequence for a published model: what stands left of the canvas, and what right of it.

Models that see everything get `opening prefix | canvas | suffix end`. Models that see in blocks never see what comes
later, so the suffix goes before the prefix's end, by the marks that Qwen's coders know, `prefix-mark prefix suffix-mark
suffix middle-mark | canvas`; without such marks they continue the prefix and do not see the suffix. Knows tokens only.
"""

from dataclasses import dataclass

from ...fim.text.line_breaks import with_lf
from ...fim.types import Hole
from .folder import Published

MOST_TOKENS = 2048  # of a sequence: DreamOn's trained context; every step reads all of it
SUFFIX_SHARE = 0.3
N_CHARS_PER_TOKEN = 8  # generous: so much text surely fills the room


@dataclass(frozen=True)
class CanvasSides:
    """Tokens left and right of the canvas."""

    left: tuple[int, ...]
    right: tuple[int, ...]


def around(hole: Hole, published: Published, n_canvas: int) -> CanvasSides:
    """The surroundings of a canvas of n_canvas tokens; the least of the text that is left out is near the cursor."""
    marks, tokenizer = published.specials, published.tokenizer
    sees_all = published.family.sight == "everything"
    room = max(2, min(published.shape.n_context, MOST_TOKENS) - n_canvas - 3)
    n_suffix = int(room * SUFFIX_SHARE) if sees_all or marks.fim else 0
    suffix = tokenizer.encode(with_lf(hole.suffix)[: n_suffix * N_CHARS_PER_TOKEN])[:n_suffix]
    n_prefix = room - len(suffix)
    prefix = tokenizer.encode(with_lf(hole.prefix)[-n_prefix * N_CHARS_PER_TOKEN :])[-n_prefix:]
    if sees_all:
        return CanvasSides((marks.opening, *prefix), (*suffix, marks.ends[0]))
    if marks.fim:
        before, after, middle = marks.fim
        return CanvasSides((before, *prefix, after, *suffix, middle), ())
    return CanvasSides((marks.opening, *prefix), ())
