"""Statements that end a block's run: an answer does not put one above code of the same block.

Owns that rule. It reads indentation, so it holds in any language whose blocks are indented.
"""

import re

from ..syntax.blocks import indent_of
from ..text.line_marks import NO_STATEMENTS
from .context import TrimContext

N_LINES_BELOW = 20  # comments below the cursor that are passed over

_JUMP = re.compile(r"(return|raise|throw|continue|break)(?!\w)")
_WORD = re.compile(rf"\b{_JUMP.pattern}")
_CONDITION = re.compile(r"\s(?:if|unless)\b")  # Ruby and Perl write it behind the statement
_LABEL = re.compile(
    r"[)\]}]|;;|\w+\s*:$|(?:case|default|elif|elsif|else|except|finally|catch|rescue|ensure|when|end|fi|done|esac)\b"
)


def cut_at_jump(around: TrimContext, text: str) -> str:
    """Text up to a `return`, `raise`, `continue` or `break` that makes the line below it unreachable.

    Keeps the statement if the person has typed the word, in brackets, strings and comments, and above a label.
    """
    if around.hole.language in NO_STATEMENTS or around.right.strip() or not _WORD.search(around.begun + text):
        return text
    if around.literal is not None or around.in_expression:
        return text
    lines = (around.left + text).split("\n")
    solid = [i for i, line in enumerate(lines) if line.strip()]
    for n, i in enumerate(solid):
        jump = _jump(lines[i], around.hole.language)
        if not jump or (i == 0 and around.left.strip().startswith(jump)):
            continue
        later = next((lines[k] for k in solid[n + 1 :] if indent_of(lines[k]) <= indent_of(lines[i])), None)
        is_whole = not around.scan(lines[i]).openers
        if later is None and is_whole and _goes_on(around, indent_of(lines[i])):
            return text[: max(0, len("\n".join(lines[:i])) - len(around.left))]
        if (
            later is not None
            and is_whole
            and indent_of(later) == indent_of(lines[i])
            and not _LABEL.match(later.strip())
        ):
            end = len("\n".join(lines[: lines.index(later, i)]))
            return text[: max(0, end - len(around.left))]
    return text


def _jump(line: str, language: str) -> str:
    """The word with which a line leaves its block whatever happens; "" if it does not."""
    found = _JUMP.match(line.lstrip())
    if found is None or (language != "python" and _CONDITION.search(line)):
        return ""
    return found.group()


def _goes_on(around: TrimContext, indent: int) -> bool:
    """Whether the block of that indentation goes on below the cursor's line."""
    below = around.below(N_LINES_BELOW)
    code = next((line for line in below if line.strip() and not line.lstrip().startswith(("#", "//"))), "")
    return bool(code) and indent_of(code) == indent and not _LABEL.match(code.strip())
