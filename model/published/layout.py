"""How a hole becomes a sequence for a published model: the tokens left and right of the canvas.

Models that see everything get `opening prefix | canvas | suffix end`. Models that see in blocks never see what comes
later, so the suffix goes before the canvas, by the marks that code models know (`HoleMarks`): `prefix-mark prefix
suffix-mark suffix middle-mark | canvas`; without such marks they continue the prefix and do not see the suffix.

The windows of `completion.layout` move in jumps, so that cached states outlive keystrokes. Here they end at the cursor:
most families have no cache that a jump could save, and a jump costs text.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from ...fim.text.line_breaks import with_lf
from ...fim.types import ChatMessage, Hole
from ..completion.layout import N_CHARS_PER_TOKEN, SUFFIX_SHARE
from .chat import no_chat
from .folder import Published

MOST_TOKENS = 2048  # of a sequence: DreamOn's trained context; every step reads all of it


@dataclass(frozen=True)
class CanvasSides:
    """Tokens left and right of the canvas."""

    left: tuple[int, ...]
    right: tuple[int, ...]


def in_conversation(messages: Sequence[ChatMessage], published: Published, n_canvas: int) -> CanvasSides:
    """A conversation, and nothing right of the canvas. Raises InputError without a template, or if it is too long."""
    if published.chat is None:
        raise no_chat(published.name)
    room = max(2, min(published.shape.n_context, MOST_TOKENS) - n_canvas)
    return CanvasSides(tuple(published.chat.fit(messages, published.tokenizer.encode, room)), ())


def around(hole: Hole, published: Published, n_canvas: int) -> CanvasSides:
    """The surroundings of a canvas of n_canvas tokens; text far from the cursor is left out first."""
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
