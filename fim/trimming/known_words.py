"""Begun words: which of them an answer may complete, and which it may leave as they are.

Owns what words are known: those of the document, of other files, of the language. It does not know models or how sure
one is.
"""

import keyword
import re
import unicodedata

from ..text.keywords import words_of
from ..text.line_scan import is_word_character, word_after
from .context import TrimContext

N_CHARS_READ = 200_000  # of the document, on either side of the cursor

_DUNDER = re.compile(r"__[a-z]+__")
# Where a name may be new: what is defined, imported, assigned to, looped over, or given by name.
_MAKES_NAMES = re.compile(
    r"\s*(?:async\s+)?(?:def|class|import|from|for|with|except|global|nonlocal|type|case|match|@)|.*\b(?:for|lambda|as)\b"
)
_STRING = re.compile(r"(?i:[rbuft]|br|rb|fr|rf|tr|rt)[\"']")
_BINDS = re.compile(r"\s*(?:[-+*/%&|^@:]?=(?!=)|:|,|//=|\*\*=|>>=|<<=|in\b)")


def drop_half_word(around: TrimContext, text: str) -> str:
    """Drops text that makes a begun word of prose a word that stands nowhere.

    A string with a blank is prose. The word of another string may be a key or a path, and new. What is written without
    blanks, such as Chinese, has no begun words.
    """
    is_prose = around.literal in ("comment", "docstring") or (around.literal == "string" and _has_blank(around))
    if not is_prose or not _continues(around, text) or knows(around, around.begun + word_after(text)):
        return text
    return ""


def drop_after_unknown(around: TrimContext, text: str) -> str:
    """Drops text that leaves a begun name as it is, if that name stands nowhere: the name has to be completed first.

    Python only. Keeps text behind attributes, which may be a library's, behind the letters in front of a string
    (`f"`), and where a new name may be made.
    """
    begun = around.begun
    head = around.left[: len(around.left) - len(begun)]
    is_name = bool(begun) and begun.isidentifier() and not head.endswith(".")
    if around.hole.language != "python" or not is_name or around.literal is not None:
        return text
    if not text or is_word_character(text[0]) or around.right[:1].strip():
        return text
    if _MAKES_NAMES.match(head) or _BINDS.match(text) or _STRING.fullmatch(begun + text[0]) or around.in_expression:
        return text
    return text if knows(around, begun) else ""


def completes_known_word(around: TrimContext, text: str) -> bool:
    """Whether text makes a begun word of code a known one; True if it continues no word."""
    if not _continues(around, text):
        return True
    return around.literal is None and knows(around, around.begun + word_after(text))


def knows(around: TrimContext, word: str) -> bool:
    """Whether a word stands in the document, but for the cursor's own, in another file or in the language itself."""
    is_member = around.left[: len(around.left) - len(around.begun)].endswith(".")
    is_python = around.hole.language == "python"
    if is_python and is_member and keyword.iskeyword(word):
        return False  # wherever it stands: no attribute is called so
    if not is_member and word in words_of(around.hole.language):
        return True
    if is_python and _DUNDER.fullmatch(word) and hasattr(object, word):
        return True
    before = around.hole.prefix[: len(around.hole.prefix) - len(around.begun)]
    return (
        has_word(before[-N_CHARS_READ:], word)
        or has_word(around.hole.suffix[:N_CHARS_READ], word)
        or around.stands_elsewhere(word)
    )


def has_word(text: str, word: str) -> bool:
    """Whether word stands in text and is no part of a longer one there."""
    at = text.find(word)
    while at >= 0:
        end = at + len(word)
        if not is_word_character(text[at - 1 : at] if at else "") and not is_word_character(text[end : end + 1]):
            return True
        at = text.find(word, end)
    return False


def _has_blank(around: TrimContext) -> bool:
    """Whether the string at the cursor has a blank left of the cursor, on the cursor's line."""
    column = max(around.left.rfind(quote) for quote in "\"'")
    return " " in around.left[column + 1 :].strip()


def _continues(around: TrimContext, text: str) -> bool:
    begun = around.begun
    if not begun or begun[0].isdecimal() or not is_word_character(text[:1]):
        return False
    is_without_blanks = unicodedata.category(begun[-1]) == "Lo"  # letters without case: Chinese, Japanese, Thai …
    return around.literal is None or not is_without_blanks
