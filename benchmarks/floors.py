"""What any model must beat: fillings that need no model. Pure functions over text and tokens."""

from collections.abc import Sequence

N_MATCH_MAX = 8


def empty(prefix: str, suffix: str) -> str:
    """Nothing at all."""
    return ""


def previous_line(prefix: str, suffix: str) -> str:
    """What stands in the line above from the cursor's column on."""
    lines = prefix.rsplit("\n", 2)
    return lines[-2][len(lines[-1]) :] if len(lines) > 1 else ""


def longest_match(prefix: Sequence[int], suffix: Sequence[int], n_max: int) -> list[int]:
    """The tokens that follow the longest earlier match of the prefix's end in the same file, at most n_max.

    Compares up to N_MATCH_MAX tokens before the cursor with every place in prefix and suffix; of equally long matches
    the last one in the prefix wins, then the first in the suffix.
    """
    wanted = list(prefix[-N_MATCH_MAX:])
    best: tuple[int, list[int]] = (0, [])
    for tokens, places in ((prefix, range(len(prefix) - 1, 0, -1)), (suffix, range(1, len(suffix)))):
        for end in places:
            n = _match_length(tokens, end, wanted)
            if n > best[0]:
                best = (n, list(tokens[end : end + n_max]))
    return best[1]


def _match_length(tokens: Sequence[int], end: int, wanted: Sequence[int]) -> int:
    n = 0
    while n < len(wanted) and n < end and tokens[end - 1 - n] == wanted[-1 - n]:
        n += 1
    return n
