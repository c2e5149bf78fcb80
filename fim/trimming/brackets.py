"""Brackets of an answer that would unsettle those that stand right of the cursor or below it.

Owns that rule, which takes text away and never adds any.
"""

from ..text.line_scan import CLOSER_OF, CLOSERS
from .context import TrimContext
from .repetition import MAX_LINE_CONTEXT

MAX_BRACKETS = 100  # of an answer, from its end, at which it may be cut

_BRACKETS = CLOSERS | frozenset(CLOSER_OF)


def cut_at_unmatched_bracket(around: TrimContext, text: str) -> str:
    """Text up to a bracket that would unsettle the closing brackets right of the cursor, or of the next line of code.

    Right of the cursor stands what the line needs: a text in between closes what it opens and nothing else. On the next
    line a closing bracket must keep its opener, while text may open more. What the lines above leave open counts.
    """
    if _BRACKETS.isdisjoint(text):
        return text
    rest = around.right[:MAX_LINE_CONTEXT]
    below = [] if rest.strip() else around.below(1)
    if not around.scan(below[0] if below else rest).closers:
        return text
    left = around.left[-MAX_LINE_CONTEXT:]
    open_now = around.count_brackets([left], around.open_brackets).openers

    def n_unmatched(kept: str) -> int:
        found = around.count_brackets((left + kept + rest).split("\n"), around.open_brackets)
        if not below:
            return found.n_surplus + found.n_skipped + len(found.openers)
        still_open = found.openers[: _n_equal(open_now, found.openers)]
        return found.n_surplus + around.count_brackets(below, still_open).n_surplus

    n_now = n_unmatched("")
    if n_unmatched(text) <= n_now:
        return text
    ends = [at for at, character in enumerate(text) if character in _BRACKETS][-MAX_BRACKETS:]
    return next((text[:end] for end in reversed(ends) if n_unmatched(text[:end]) <= n_now), text)


def _n_equal(a: str, b: str) -> int:
    """The number of leading characters that two texts share."""
    return next((i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))
