"""From the engine's raw text to what may be inserted: each rule a small pure function over text.

Owns the cuts at line ends, dedents and repeated suffixes, and the cleaning of characters. It does not know models,
scores or editors. Inside, lines end in "\\n"; the document's own line ending comes back at the very end. Every rule
only takes text away, so that the rules can run until none finds anything more, and a second trim changes nothing.
"""

import re

from .blocks import BlockOpener, block_opener, indent_of
from .line_scan import CLOSERS, LINE_BREAK, is_word_character, scan_line
from .types import Hole

MIN_REPEATED_CHARS = 3  # a repeat with words in it must have so many non-blank characters ("a", "i)" prove nothing)
MAX_LINE_CONTEXT = 1_000  # characters of the cursor's line, left and right, that the overlap rule reads

_SUSPECT = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ud800-\udfff\ufeff\ufffd]"
)
_PUNCTUATION = CLOSERS | frozenset("\"'`:;,")


def trim(hole: Hole, text: str, eol: str = "\n") -> str:
    """What may take the place of hole.replaced, with line breaks as eol; "" means: show nothing.

    A single-line hole never yields a line break. trim(hole, trim(hole, text, eol), eol) is trim(hole, text, eol).
    """
    left, right = line_left(hole.prefix), line_rest(hole.suffix)
    opener = block_opener(hole.prefix, hole.language) if hole.multiline else None
    text = LINE_BREAK.sub("\n", drop_suspect_characters(text, hole))
    before = None
    while text != before:
        before = text
        text = cut_at_dedent(left, text, opener) if hole.multiline else text.partition("\n")[0]
        text = drop_repeated_lines(hole, text)
        text = drop_repeated_rest(left, text, right)
        text = drop_trailing_blank(text, right)
    return text.replace("\n", eol)


def line_left(prefix: str) -> str:
    """The cursor's line up to the cursor."""
    return prefix[max(prefix.rfind("\n"), prefix.rfind("\r")) + 1 :]


def line_rest(suffix: str) -> str:
    """The cursor's line from the cursor on, without its ending."""
    match = LINE_BREAK.search(suffix)
    return suffix if match is None else suffix[: match.start()]


def drop_suspect_characters(text: str, hole: Hole) -> str:
    """Text without the control, bidirectional, invisible and broken characters that stand nowhere around the hole."""
    suspects = set(_SUSPECT.findall(text))
    unwanted = {ord(each): None for each in suspects if each not in hole.prefix and each not in hole.suffix}
    return text.translate(unwanted) if unwanted else text


def cut_at_dedent(left: str, text: str, opener: BlockOpener | None) -> str:
    """Text up to the first line that leaves the block which it started in.

    left is the cursor's line up to the cursor. The block is as deep as its first line, and deeper than its opener;
    when a bracket opened it, the line that starts with the closing bracket still belongs to it, as its last. Lines of
    a triple-quoted string that text opens and closes may stand anywhere.
    """
    least = 0 if opener is None else opener.indent + 1
    closer = "" if opener is None else opener.closer
    floor = None if opener is not None or not left.strip() else indent_of(left)
    lines = text.split("\n")
    in_string = _lines_in_strings(lines)
    for i, line in enumerate(lines):
        whole = left + line if i == 0 else line
        is_code_start = bool(line.strip()) and not in_string[i] and not (i == 0 and left.strip())
        if not is_code_start:
            continue
        indent = indent_of(whole)
        if indent < (least if floor is None else floor):
            ends_block = bool(closer) and whole.lstrip().startswith(closer)
            return "\n".join(lines[: i + 1] if ends_block else lines[:i])
        floor = indent if floor is None else floor
    return text


def drop_repeated_lines(hole: Hole, text: str) -> str:
    """Text without its longest tail of whole lines that stand below the cursor already.

    Only when nothing stands right of the cursor. Blank lines before the code below are passed over; a repeat must be
    closing brackets or prove enough (MIN_REPEATED_CHARS). The first line of text counts only if it is a whole line.
    """
    if line_rest(hole.suffix).strip():
        return text
    left = line_left(hole.prefix)
    lines = text.rstrip().split("\n")
    wholes = [line.rstrip() for line in ((left + lines[0]), *lines[1:])]
    below = _code_below(hole.suffix, len(lines))
    for n in range(min(len(wholes), len(below)), 0, -1):
        takes_first = n == len(wholes)
        if takes_first and left.strip():
            continue
        if wholes[-n:] == below[:n] and _proves_repeat("\n".join(below[:n])):
            return "\n".join(lines[: len(lines) - n])
    return text


def drop_repeated_rest(left: str, text: str, right: str) -> str:
    """Text without its longest tail that the rest of the cursor's line begins with.

    left and right are the cursor's line on both sides of the cursor. A tail goes only if the line is then no worse
    balanced than before (so `bar()` in `foo(|)` keeps its bracket), and if it is closing punctuation or has words in
    it and proves enough by two of these three: it is MIN_REPEATED_CHARS long, it is the whole rest, it cuts no word.
    """
    right = right[:MAX_LINE_CONTEXT]
    if not right.strip():
        return text
    head, line_break, last = text.rpartition("\n")
    left = "" if line_break else left[-MAX_LINE_CONTEXT:]
    n_open_now = scan_line(left + last + right).n_open_ends
    for n in range(min(len(last), len(right)), 0, -1):
        if not last.endswith(right[:n]) or not _may_drop(last, right, n):
            continue
        kept = last[: len(last) - n]
        if scan_line(left + kept + right).n_open_ends <= n_open_now:
            return head + line_break + kept
    return text


def drop_trailing_blank(text: str, right: str) -> str:
    """Text without the white space at its end, which stays if code follows at once; white space alone becomes ""."""
    stripped = text.rstrip()
    if not stripped:
        return ""
    return text if right[:1].strip() else stripped


def _lines_in_strings(lines: list[str]) -> list[bool]:
    """For every line, whether it starts inside a triple-quoted string that is closed further down."""
    inside: list[bool] = []
    quote, opened_at = "", 0
    for i, line in enumerate(lines):
        inside.append(bool(quote))
        after = scan_line(line, quote).quote
        if len(after) == 3 and not quote:
            opened_at = i
        quote = after if len(after) == 3 else ""
    if quote:
        inside[opened_at + 1 :] = [False] * (len(lines) - opened_at - 1)
    return inside


def _code_below(suffix: str, n: int) -> list[str]:
    """The first n lines below the cursor's line, blank ones before the code left out, without trailing blanks."""
    below: list[str] = []
    at = LINE_BREAK.search(suffix)
    while at is not None and len(below) < n:
        following = LINE_BREAK.search(suffix, at.end())
        line = suffix[at.end() : len(suffix) if following is None else following.start()].rstrip()
        if line or below:
            below.append(line)
        at = following
    return below


def _may_drop(last: str, right: str, n: int) -> bool:
    repeated = right[:n]
    if all(character in _PUNCTUATION or character.isspace() for character in repeated):
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
    if solid and set(solid) <= _PUNCTUATION:
        return True
    return len(solid) >= MIN_REPEATED_CHARS and any(is_word_character(character) for character in solid)
