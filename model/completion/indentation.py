"""Where a line begins: the indentation of a hole that starts in the first column.

A line break and the blanks behind it are usually one token, so that a context which ends in a line break alone looks
like code in the first column, or like a blank line. An editor indents a new line before anybody asks; where nobody did
(scripts, infilling benchmarks), the causal head says which of the indentations around is the likeliest, and the rest of
the work goes on as if it had been typed. Asks for one forward.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from ...fim.text.line_breaks import with_lf
from ...fim.types import CompletionRequest
from ..cache.context_cache import ContextCache
from ..decoding.verification import verify
from ..numerics import softmax
from ..requests import Work
from ..tokenizers.canvas_tokens import CanvasTokens
from ..tokenizers.code_tokenizer import TextTokenizer

N_LINES_ABOVE, N_LINES_BELOW = 40, 4  # not blank, whose indentations are tried
N_TRIED = 8
LEVEL = "    "  # of a text without any


@dataclass(frozen=True)
class Indentation:
    """Blanks that a line begins with, how likely they are among those that were tried, and how many of the context's
    tokens were known when it was read to find that out (None: all)."""

    text: str
    probability: float
    n_cached: int | None = None


NONE = Indentation("", 1.0)


def indentation(
    request: CompletionRequest,
    context_of: Callable[[CompletionRequest], list[int]],
    cache: ContextCache,
    tokens: CanvasTokens,
    tokenizer: TextTokenizer,
) -> Work[Indentation]:
    """What to begin the line with; NONE, without any work, where the cursor is not at its beginning."""
    prefix, suffix = with_lf(request.hole.prefix), with_lf(request.hole.suffix)
    tried = indentations(prefix, suffix)
    if len(tried) < 2:
        return NONE
    code = prefix.rstrip("\n")
    context = context_of(with_prefix(request, code))
    states, n_cached = yield from cache.states(context)
    if states.n_tokens < 2:
        return NONE
    breaks = prefix[len(code) :]
    verified = yield from verify(states, [tokenizer.encode(breaks + text) for text in tried], tokens)
    shares = softmax(np.array([each.log_probs.sum() for each in verified]))
    best = int(shares.argmax())
    return Indentation(tried[best], float(shares[best]), n_cached if n_cached < len(context) else None)


def with_prefix(request: CompletionRequest, prefix: str) -> CompletionRequest:
    """The same request with another text left of the cursor."""
    return replace(request, hole=replace(request.hole, prefix=prefix))


def indentations(prefix: str, suffix: str) -> list[str]:
    """Indentations that a hole may begin with, the nearest first; none where it does not begin a line of its own."""
    if not prefix.endswith("\n") or not prefix.strip() or suffix[:1] in (" ", "\t"):
        return []
    above = [_indent(line) for line in _not_blank(reversed(prefix.split("\n")), N_LINES_ABOVE)]
    below = [_indent(line) for line in _not_blank(iter(suffix.split("\n")), N_LINES_BELOW)]
    around = [*above, *below]
    least = min((text for text in around if text), key=len, default=LEVEL)
    level = "\t" if least[0] == "\t" else least if len(least) in (2, 4, 8) else LEVEL
    return list(dict.fromkeys([above[0] + level, *around, ""]))[:N_TRIED]


def _not_blank(lines: Iterator[str], n: int) -> Iterator[str]:
    for line in lines:
        if line.strip():
            yield line
            n -= 1
            if not n:
                return


def _indent(line: str) -> str:
    return line[: len(line) - len(line.lstrip(" \t"))]
