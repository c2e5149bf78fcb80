"""Text that says again what stands there already: below the cursor, right of it, or in the answer itself.

Owns these rules; each takes text away and never adds any. It does not know in which order rules run.
"""

from ..text.line_marks import CLOSING_WORDS
from ..text.line_scan import CLOSERS, is_word_character
from .context import TrimContext

MIN_REPEATED_CHARS = 3  # a repeat with words in it must have so many non-blank characters ("a", "i)" prove nothing)
MAX_LINE_CONTEXT = 1_000  # characters of the cursor's line, left and right, that the overlap rule reads
MIN_EQUAL_LINES = 3
# A tail repeats itself if it holds a unit of so many non-blank characters so many times: [int, int, int] may be meant.
REPEATED_UNITS = ((10, 3), (6, 4))
MAX_TAIL_CHARS = 2_000

PUNCTUATION = CLOSERS | frozenset("\"'`:;,")


def drop_repeated_lines(around: TrimContext, text: str) -> str:
    """Text without its longest tail of whole lines that stand below the cursor already.

    Only when nothing stands right of the cursor. Blank lines before the code below are passed over; a repeat must be
    closing brackets or prove enough (MIN_REPEATED_CHARS). The first line of text counts only if it is a whole line.
    """
    if around.right.strip():
        return text
    lines = text.rstrip().split("\n")
    wholes = [line.rstrip() for line in ((around.left + lines[0]), *lines[1:])]
    below = around.below(len(lines))
    for n in range(min(len(wholes), len(below)), 0, -1):
        takes_first = n == len(wholes)
        if takes_first and around.left.strip():
            continue
        is_closer = below[n - 1].strip() in CLOSING_WORDS.get(around.hole.language, ())
        if wholes[-n:] == below[:n] and (is_closer or _proves_repeat("\n".join(below[:n]))):
            return "\n".join(lines[: len(lines) - n])
    return text


def drop_repeated_rest(around: TrimContext, text: str) -> str:
    """Text without its longest tail that the rest of the cursor's line begins with.

    A tail goes only if the line is then no worse balanced than before (so `bar()` in `foo(|)` keeps its bracket), and
    if it is closing punctuation or has words in it and proves enough by two of these three: it is MIN_REPEATED_CHARS
    long, it is the whole rest, it cuts no word.
    """
    right = around.right[:MAX_LINE_CONTEXT]
    if not right.strip():
        return text
    head, line_break, last = text.rpartition("\n")
    left = "" if line_break else around.left[-MAX_LINE_CONTEXT:]
    n_open_now = around.scan(left + last + right).n_open_ends
    for n in range(min(len(last), len(right)), 0, -1):
        if not last.endswith(right[:n]) or not _may_drop(last, right, n):
            continue
        kept = last[: len(last) - n]
        if around.scan(left + kept + right).n_open_ends <= n_open_now:
            return head + line_break + kept
    return text


def drop_repetition(_: TrimContext, text: str) -> str:
    """Text up to where it begins to repeat itself: equal lines in a row, or a tail that is one unit over and over.

    The first of the equal lines, or units, stays.
    """
    lines = text.split("\n")
    for i in range(len(lines) - MIN_EQUAL_LINES + 1):
        first = "".join(lines[i].split())
        is_same = all("".join(line.split()) == first for line in lines[i + 1 : i + MIN_EQUAL_LINES])
        if is_same and len(first) >= MIN_REPEATED_CHARS and any(map(is_word_character, first)):
            return "\n".join(lines[: i + 1])
    return _without_repeated_tail(text)


def _without_repeated_tail(text: str) -> str:
    """By the borders of the reversed text (Knuth, Morris, Pratt): a tail of n characters with a border of b has the
    period n - b."""
    backwards = text.rstrip()[: -MAX_TAIL_CHARS - 1 : -1]
    borders, border, found = [0] * len(backwards), 0, None
    for i in range(1, len(backwards)):
        while border and backwards[i] != backwards[border]:
            border = borders[border - 1]
        border += backwards[i] == backwards[border]
        borders[i] = border
        period = i + 1 - border
        if i + 1 >= REPEATED_UNITS[0][1] * period and _proves_repetition(backwards[:period], (i + 1) // period):
            found = i + 1 - period
    return text if found is None else text.rstrip()[: len(text.rstrip()) - found]


def _proves_repetition(unit: str, n_times: int) -> bool:
    n_solid = len("".join(unit.split()))
    has_letter = any(character.isalpha() for character in unit)
    return has_letter and any(n_solid >= n_chars and n_times >= n_least for n_chars, n_least in REPEATED_UNITS)


def _may_drop(last: str, right: str, n: int) -> bool:
    repeated = right[:n]
    if all(character in PUNCTUATION or character.isspace() for character in repeated):
        return True
    is_whole_rest = repeated.rstrip() == right.rstrip() and any(map(is_word_character, repeated))
    before, after = last[: len(last) - n][-1:], right[n : n + 1]
    cuts_word = (is_word_character(before) and is_word_character(repeated[0])) or (
        is_word_character(repeated[-1]) and is_word_character(after)
    )
    return (is_whole_rest and not cuts_word) or (_proves_repeat(repeated) and (is_whole_rest or not cuts_word))


def _proves_repeat(repeated: str) -> bool:
    """Whether a repeat is no coincidence: closing brackets, or enough characters with a word among them."""
    solid = "".join(repeated.split())
    if solid and set(solid) <= PUNCTUATION:
        return True
    return len(solid) >= MIN_REPEATED_CHARS and any(is_word_character(character) for character in solid)
