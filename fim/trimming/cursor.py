"""Both edges of an answer: the word, the blank and the brackets that it meets left and right of the cursor.

Owns these rules; each takes text away and never adds any. It does not know in which order rules run.
"""

from ..text.line_scan import CLOSER_OF, CLOSERS, word_after, word_before
from .context import TrimContext
from .repetition import MAX_LINE_CONTEXT, MIN_REPEATED_CHARS

MAX_BRACKETS = 100  # of an answer, from its end, at which it may be cut

_BRACKETS = CLOSERS | frozenset(CLOSER_OF)


def drop_leading_blank(around: TrimContext, text: str) -> str:
    """Text without the blanks at its start where code and a blank stand left of the cursor already."""
    has_blank = around.left[-1:] in (" ", "\t") and bool(around.left.strip())
    return text.lstrip(" \t") if has_blank else text


def drop_begun_word(around: TrimContext, text: str) -> str:
    """Text without the word, or its beginning, that stands left of the cursor: `pri` and `print(` make `print(`."""
    begun = word_before(around.left)
    is_again = len(begun) >= MIN_REPEATED_CHARS and text.startswith(begun)
    return text[len(begun) :] if is_again else text


def drop_word_rest(around: TrimContext, text: str) -> str:
    """Text without the end of its last word where the rest of a word right of the cursor is just that end.

    `off` before `set` is meant where the answer says `offset`.
    """
    rest = word_after(around.right)
    is_again = len(rest) >= MIN_REPEATED_CHARS and text.endswith(rest)
    return text[: -len(rest)] if is_again else text


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
