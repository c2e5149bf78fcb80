"""What one line of source code leaves open: brackets, strings, and where its comment begins.

Owns a small reading of lines: strings with backslash escapes, comments, brackets, words. How a language writes them is
in `line_marks.py`. It does not know grammars, statements or the lines around; `blocks.py` and `trim.py` put lines
together.
"""

import re
from dataclasses import dataclass
from functools import lru_cache

from .line_marks import BLOCK_COMMENTS, end_of, marks_of, tokens_of

CLOSER_OF = {"(": ")", "[": "]", "{": "}"}
OPENER_OF = {closer: opener for opener, closer in CLOSER_OF.items()}
CLOSERS = frozenset(OPENER_OF)
QUOTE_SIGNS = frozenset("\"'`")
LINE_BREAK = re.compile(r"\r\n|\n|\r")

N_CHARS_WORD = 100  # of a word that are read at most

_TRIPLE_QUOTES = re.compile(r"\"\"\"|'''")


@dataclass(frozen=True)
class LineScan:
    """The state at the end of a line.

    code_end is the column where the comment begins, or the length of the line. openers are the brackets that the line
    leaves open, outermost first; closers those that it closes without having opened them. quote ends the string that is
    still open at the end, or the block comment ("" for none); carried is the same if it goes on on the next line.
    """

    code_end: int
    openers: str
    closers: str
    quote: str
    carried: str = ""

    @property
    def n_open_ends(self) -> int:
        """How many brackets and strings lack their other half on this line."""
        return len(self.openers) + len(self.closers) + bool(self.quote)


def scan_line(line: str, quote: str = "", language: str = "python") -> LineScan:
    """Reads one line (no line break in it); quote is what the line above carried on, "" for nothing."""
    openers, closers = list[str](), list[str]()
    at, tokens = 0, tokens_of(language)
    code_end = 0 if quote in BLOCK_COMMENTS.values() else len(line)
    while (match := (end_of(quote) if quote else tokens).search(line, at)) is not None:
        token, at = match.group(), match.end()
        if quote:
            if token == quote:
                quote, code_end = "", len(line)
        elif match.lastgroup == "comment":
            return LineScan(match.start(), "".join(openers), "".join(closers), "")
        elif token in BLOCK_COMMENTS:
            quote, code_end = BLOCK_COMMENTS[token], match.start()
        elif token in CLOSER_OF:
            openers.append(token)
        elif token in CLOSERS:
            if openers and CLOSER_OF[openers[-1]] == token:
                openers.pop()
            else:
                closers.append(token)
        elif token[0] in QUOTE_SIGNS and len(token) in (1, 3) and len(set(token)) == 1:
            quote = token
    carried = quote if quote in marks_of(language).carried else ""
    return LineScan(code_end, "".join(openers), "".join(closers), quote, carried)


def in_triple_quotes(text: str) -> bool:
    """Whether text ends inside a triple-quoted string.

    Counts triple quotes, which is quick; only when the count says yes are the lines read one by one, since the quotes
    may stand in comments or in other strings. (That they hide a string which is open is rarer, and passes.)
    """
    return _counts_as_open(text) and _reads_as_open(text)


@lru_cache(maxsize=2)  # a keystroke asks ten times about one text; 1 MB takes 40 ms
def _reads_as_open(text: str) -> bool:
    quote = ""
    for line in LINE_BREAK.split(text):
        quote = scan_line(line, quote).carried
    return bool(quote)


def _counts_as_open(text: str) -> bool:
    if "'''" not in text:
        return text.count('"""') % 2 == 1
    quote = ""
    for match in _TRIPLE_QUOTES.finditer(text):
        if not quote:
            quote = match.group()
        elif quote == match.group():
            quote = ""
    return bool(quote)


def word_before(text: str) -> str:
    """The word, or the end of a long one, that text ends with; "" without one."""
    tail = text[: -N_CHARS_WORD - 1 : -1]
    return tail[: _word_length(tail)][::-1]


def word_after(text: str) -> str:
    """The word, or the beginning of a long one, that text begins with; "" without one."""
    return text[: _word_length(text[:N_CHARS_WORD])]


def _word_length(text: str) -> int:
    return next((i for i, character in enumerate(text) if not is_word_character(character)), len(text))


def is_word_character(character: str) -> bool:
    """Whether a character may stand inside an identifier; False for ""."""
    return bool(character) and ("_" + character).isidentifier()
