"""Answers inside strings and comments: they do not leave the string, and do not copy code of the file.

Owns these rules; each takes text away and never adds any.
"""

import re

from ..syntax.literals import literal_at
from ..syntax.tree import Syntax
from ..text.line_scan import in_triple_quotes, scan_line
from .context import TrimContext

MAX_PREFIX_CHARS = 200_000
N_PLACES = 20  # of a line of an answer that are looked at

_QUOTE_OR_ESCAPE = re.compile(r"\\.|\"\"\"|'''|[\"']", re.DOTALL)
_CODE_SIGN = re.compile(
    r"(?<!\s)\s*(?:[-+*/|&:]?=(?!=)|==|!=|->)\s|\([^)\n]{0,200}\)|\[[^]\n]{0,200}\]|:$|\b(?:return|import|def|class)\s",
    re.MULTILINE,
)


def cut_at_string_end(around: TrimContext, text: str) -> str:
    """Text up to a quote that would end the cursor's string, if the string's own end stands further right.

    Text may end the string and begin another one: `a", "b`.
    """
    if around.literal not in ("string", "docstring"):
        return text
    quote = _open_quote(around)
    if not quote or not _is_closed(around, quote):
        return text
    now, first_end = quote, None
    for match in _QUOTE_OR_ESCAPE.finditer(text):
        sign = match.group()
        if now and sign in (now, 3 * now):
            now, first_end = "", match.start() if first_end is None else first_end
        elif not now and not sign.startswith("\\"):
            now = sign
    return text if first_end is None or now == quote else text[:first_end]


def cut_at_code(around: TrimContext, text: str) -> str:
    """Prose up to the place from which on it is a line of code of the same file; needs a tree, to tell code from prose.

    Keeps examples in docstrings, code that is commented out and text in backquotes.
    """
    if around.syntax is None or around.literal not in ("comment", "docstring"):
        return text
    first = text.partition("\n")[0].rstrip()
    sign = _CODE_SIGN.search(first)
    head = around.left.lstrip("# \t")
    if sign is None or head.startswith((">>>", "...")) or around.left.count("`") % 2 or _CODE_SIGN.search(head):
        return text
    return text[: sign.start()] if _stands_in_code(around.syntax, around.begun + first) else text


def _stands_in_code(syntax: Syntax, line: str) -> bool:
    at = syntax.text.find(line)
    for _ in range(N_PLACES):
        if at < 0:
            return False
        if literal_at(syntax, at) is None and literal_at(syntax, at + len(line)) is None:
            return True
        at = syntax.text.find(line, at + 1)
    return False


def _open_quote(around: TrimContext) -> str:
    """The quote that ends the string at the cursor; "" where lines do not tell, or are too many to be read."""
    before = around.hole.prefix[: len(around.hole.prefix) - len(around.left)]
    if len(before) > MAX_PREFIX_CHARS:
        return ""
    quote = ""
    if around.hole.language == "python" and in_triple_quotes(before):
        quote = '"""' if before.rfind('"""') > before.rfind("'''") else "'''"
    return scan_line(around.left, quote, around.hole.language).quote


def _is_closed(around: TrimContext, quote: str) -> bool:
    """Whether the string ends right of the cursor: on its line, or below where three quotes open and close in pairs."""
    if len(quote) == 3:
        return around.hole.suffix.count(quote) % 2 == 1
    return sum(match.group() == quote for match in _QUOTE_OR_ESCAPE.finditer(around.right)) % 2 == 1
