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


def _continues(around: TrimContext, text: str) -> bool:
    begun = around.begun
    if not begun or begun[0].isdecimal() or not is_word_character(text[:1]):
        return False
    is_without_blanks = unicodedata.category(begun[-1]) == "Lo"  # letters without case: Chinese, Japanese, Thai …
    return around.literal is None or not is_without_blanks
