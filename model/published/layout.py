"""How a hole becomes a sequence for a published model: what stands left of the canvas, and what right of it.

Models that see everything get `opening prefix | canvas | suffix end`. Models that see in blocks never see what comes
later, so the suffix goes before the prefix's end, by the marks that coders know (`HoleMarks`): `prefix-mark prefix
suffix-mark suffix middle-mark | canvas`; without such marks they continue the prefix and do not see the suffix. Knows
tokens only.

The windows of `completion.layout` move in jumps, so that cached states outlive keystrokes. Here they end at the cursor:
most families have no cache that a jump could save, and a jump costs text.
"""

from dataclasses import dataclass

from ...fim.text.line_breaks import with_lf
from ...fim.types import Hole
from ..completion.layout import N_CHARS_PER_TOKEN, SUFFIX_SHARE
from .folder import Published

MOST_TOKENS = 2048  # of a sequence: DreamOn's trained context; every step reads all of it


@dataclass(frozen=True)
class CanvasSides:
    """Tokens left and right of the canvas."""

    left: tuple[int, ...]
    right: tuple[int, ...]


def around(hole: Hole, published: Published, n_canvas: int) -> CanvasSides:
    """The surroundings of a canvas of n_canvas tokens; the least of the text that is left out is near the cursor."""
    specials, tokenizer = published.specials, published.tokenizer
    sees_all = published.family.sight == "everything"
    room = max(2, min(published.shape.n_context, MOST_TOKENS) - n_canvas - 3)
    n_suffix = int(room * SUFFIX_SHARE) if sees_all or specials.marks else 0
    suffix = tokenizer.encode(with_lf(hole.suffix)[: n_suffix * N_CHARS_PER_TOKEN])[:n_suffix]
    n_prefix = room - len(suffix)
    prefix = tokenizer.encode(with_lf(hole.prefix)[-n_prefix * N_CHARS_PER_TOKEN :])[-n_prefix:]
    if specials.marks and not sees_all:
        return CanvasSides(tuple(specials.marks.around(prefix, suffix)), ())
    return CanvasSides((specials.opening, *prefix), (*suffix, specials.ends[0]) if sees_all else ())
