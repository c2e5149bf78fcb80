"""Answers inside strings: they do not end a string whose own end stands further right.

Owns that rule, which takes text away and never adds any.
"""

import re

from ..text.line_scan import in_triple_quotes, scan_line
from .context import TrimContext

MAX_PREFIX_CHARS = 200_000

_QUOTE_OR_ESCAPE = re.compile(r"\\.|\"\"\"|'''|[\"']", re.DOTALL)


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
