"""What one line of source code leaves open: brackets, strings, and where its comment begins.

A simple scanner of single lines: strings with backslash escapes, comments, brackets, words. How a language writes them
is in `line_marks.py`; `blocks.py` and `trim.py` put lines together.
"""

import re
from dataclasses import dataclass
from functools import lru_cache

from .line_marks import BLOCK_COMMENTS, marks_of, tokens_of

CLOSER_OF = {"(": ")", "[": "]", "{": "}"}
OPENER_OF = {closer: opener for opener, closer in CLOSER_OF.items()}
CLOSERS = frozenset(OPENER_OF)
QUOTES = frozenset({'"', "'", "`", '"""', "'''"})
LINE_BREAK = re.compile(r"\r\n|\n|\r")

N_CHARS_WORD = 100  # of a word, the most that are read

_TRIPLE_QUOTES = re.compile(r"\"\"\"|'''")


@dataclass(frozen=True)
class LineScan:
    """The state at the end of a line.

    code_end is the column where the comment begins, or the length of the line. openers are the brackets that the line
    leaves open, outermost first; closers those that it closes but did not open. quote ends the string or block comment
    that is still open at the end ("" for none); carried is the same if it continues on the next line.
    """

    code_end: int
    openers: str
    closers: str
    quote: str
    carried: str = ""

    @property
    def n_open_ends(self) -> int:
        """The number of brackets and strings that lack their other half on this line."""
        return len(self.openers) + len(self.closers) + bool(self.quote)


def scan_line(line: str, quote: str = "", language: str = "python") -> LineScan:
    """Scan one line (without a line break); quote is what the line above carried on, "" for nothing."""
    openers, closers = list[str](), list[str]()
    at, tokens = 0, tokens_of(language)
    code_end = 0 if quote in BLOCK_COMMENTS.values() else len(line)
    while True:
        if quote:
            at = _end_of_string(line, quote, at)
            if at < 0:
                break
            quote, code_end = "", len(line)
        match = tokens.search(line, at)
        if match is None:
            break
        token, at = match.group(), match.end()
        if match.lastgroup == "comment":
            return LineScan(match.start(), "".join(openers), "".join(closers), "")
        if token in BLOCK_COMMENTS:
            quote, code_end = BLOCK_COMMENTS[token], match.start()
        elif token in CLOSER_OF:
            openers.append(token)
        elif token in CLOSERS:
            if openers and CLOSER_OF[openers[-1]] == token:
                openers.pop()
            else:
                closers.append(token)
        elif token in QUOTES:
            quote = token
    carried = quote if quote in marks_of(language).carried else ""
    return LineScan(code_end, "".join(openers), "".join(closers), quote, carried)


def _end_of_string(line: str, quote: str, at: int) -> int:
    """The end of the string or block comment that is open at a place; -1 if it goes on."""
    end = line.find(quote, at)
    escape = -1 if quote in BLOCK_COMMENTS.values() else line.find("\\", at, end)
    while 0 <= escape < end:
        at = escape + 2
        end = line.find(quote, at) if end < at else end
        escape = line.find("\\", at, end) if end >= 0 else -1
    return end + len(quote) if end >= 0 else -1


def in_triple_quotes(text: str) -> bool:
    """Whether text ends inside a triple-quoted string.

    Counts triple quotes, which is quick; only if the count says yes are the lines read one by one, since the quotes may
    be in comments or in other strings. (Rarely, they hide an open string; that is accepted.)
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


def _word_length(text: str) -> int:
    return next((i for i, character in enumerate(text) if not is_word_character(character)), len(text))


def is_word_character(character: str) -> bool:
    """Whether a character may be part of an identifier; False for ""."""
    return bool(character) and ("_" + character).isidentifier()
