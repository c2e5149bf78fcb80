"""How much text around a hole reaches the model: more than any model reads, and no more."""

from dataclasses import replace

from ..fim.types import Hole

# On each side of the hole. The widest context served, 32,768 tokens, is 131,072 characters of ordinary code; drafts are
# looked for in all of it.
MAX_SIDE_CHARS = 262_144
JUMP_CHARS = MAX_SIDE_CHARS // 4  # the start moves in jumps: typing must not shift the context that is cached
MAX_PATH_CHARS = 4_096


def bound_hole(hole: Hole) -> Hole:
    """The hole with at most MAX_SIDE_CHARS on each side, the nearest ones."""
    excess = len(hole.prefix) - MAX_SIDE_CHARS
    start = -(-excess // JUMP_CHARS) * JUMP_CHARS if excess > 0 else 0
    return replace(hole, prefix=hole.prefix[start:], suffix=hole.suffix[:MAX_SIDE_CHARS])
