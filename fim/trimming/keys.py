"""Keys that a literal, a call or a list of parameters already has: an answer does not repeat them.

Owns a small reading of entries between brackets, divided by commas. It does not know grammars.
"""

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

from ..syntax.blocks import lines_above
from ..text.line_scan import CLOSER_OF, CLOSERS
from .context import TrimContext

MAX_SUFFIX_CHARS = 8_000

_STRING = r'"""[\s\S]*?"""|' r"'''[\s\S]*?'''|" r'"(?:\\.|[^"\\\n])*"|' r"'(?:\\.|[^'\\\n])*'"
_TOKEN = re.compile(_STRING + r"|[()\[\]{},]")
_HASH = re.compile(_STRING + r"|#[^\n]*|[()\[\]{},]")
_HASH_LANGUAGES = frozenset({"python", "shellscript", "ruby", "yaml"})
_SLASHES = re.compile(_STRING + r"|//[^\n]*|[()\[\]{},]")
# Blanks and comments before an entry. Possessive: a line of 26 "#" took 9 s when it was tried in all its parts.
_SKIPPED = r"(?:\s|#[^\n]*+|//[^\n]*+)*+"
_KEYS = {
    "{": re.compile(_SKIPPED + r"(\"[^\"\n]*\"|'[^'\n]*'|[\w.$]+)\s*:(?!=)"),
    "(": re.compile(_SKIPPED + r"\*{0,2}(\w+)\s*(?::|=)(?![=>])"),  # arguments by name, and parameters
}


class Entry(NamedTuple):
    """What stands between two commas, and where it begins."""

    start: int
    text: str


def drop_repeated_key(around: TrimContext, text: str) -> str:
    """Text up to an entry whose key the same literal, call or list of parameters already has."""
    if (":" not in text and "=" not in text) or around.literal in ("comment", "docstring"):
        return text
    above = "\n".join(lines_above(around.hole.prefix))
    opener, entries = _open_entries(above, around.hole.language)
    pattern = _KEYS.get(opener)
    if pattern is None:
        return text
    *before, begun = entries
    written, closes = _entries(begun.text + text, around.hole.language)
    below, is_closed = _entries_of(around.hole.suffix[:MAX_SUFFIX_CHARS], around.hole.language)
    below = below[bool(around.right.strip()) :] if is_closed and not closes else []
    known = {found for entry in (*before, *below) if (found := _key(pattern, entry.text))}
    if _key(pattern, begun.text):  # the person has written it
        known.discard(_key(pattern, begun.text))
    n_begun = len(begun.text)
    for entry in written:
        key = _key(pattern, entry.text)
        if key in known and entry.start + _key_end(pattern, entry.text) > n_begun:
            return text[: max(0, entry.start - n_begun)].rstrip()
        known |= {key} if key else set()
    return text


def _key(pattern: re.Pattern[str], entry: str) -> str:
    """The key of an entry without its quotes; "" where it has none."""
    found = pattern.match(entry)
    return found.group(1).strip("\"'") if found else ""


def _key_end(pattern: re.Pattern[str], entry: str) -> int:
    found = pattern.match(entry)
    return found.end() if found else 0


@lru_cache(maxsize=2)  # one question asks of several texts
def _open_entries(text: str, language: str) -> tuple[str, list[Entry]]:
    """The innermost bracket that text leaves open, and the entries behind it, the last one unfinished; "" for none."""
    open_at: list[tuple[str, list[int]]] = []
    for sign, at in _signs(text, language):
        if sign in CLOSER_OF:
            open_at.append((sign, [at + 1]))
        elif sign in CLOSERS and open_at:
            open_at.pop()
        elif sign == "," and open_at:
            open_at[-1][1].append(at + 1)
    if not open_at:
        return "", []
    opener, starts = open_at[-1]
    ends = [start - 1 for start in starts[1:]] + [len(text)]
    return opener, [Entry(start, text[start:end]) for start, end in zip(starts, ends, strict=True)]


@lru_cache(maxsize=2)
def _entries_of(suffix: str, language: str) -> tuple[list[Entry], bool]:
    return _entries(suffix, language)


def _entries(text: str, language: str) -> tuple[list[Entry], bool]:
    """The entries of a text that begins between brackets, up to the one that closes them; whether there is one."""
    found, start, depth = list[Entry](), 0, 0
    for sign, at in _signs(text, language):
        depth += sign in CLOSER_OF
        depth -= sign in CLOSERS
        if depth < 0:
            return [*found, Entry(start, text[start:at])], True
        if sign == "," and depth == 0:
            found.append(Entry(start, text[start:at]))
            start = at + 1
    return [*found, Entry(start, text[start:])], False


def _signs(text: str, language: str) -> Iterator[tuple[str, int]]:
    """Brackets and commas outside strings and comments, and where they stand."""
    pattern = _HASH if language in _HASH_LANGUAGES else _TOKEN if language == "json" else _SLASHES
    for match in pattern.finditer(text):
        if len(match.group()) == 1:
            yield match.group(), match.start()
