"""What travels to the engine: a window of the document, snippets, offers and what the answer may cost."""

from dataclasses import replace

from ...fim.types import CompletionRequest, Hole
from ..protocol.file_uris import name_of
from .question import Question

# More than a model of ours reads (2,048 tokens of code are 8,000 characters, 16,000 at most), far less than a
# 10,000-line file, whose 0.4 MB would go through JSON twice at every key. The start moves in jumps, so that typing does
# not shift the context that the engine has cached.
MAX_PREFIX_CHARS = 24_576
PREFIX_JUMP_CHARS = 8_192
MAX_SUFFIX_CHARS = 8_192
N_ALTERNATIVES = 12  # that compete with the likeliest candidate for what is shown
N_LENGTHS, N_MENDS = 4, 2  # of an invoked completion: it may take its time


def request_for(ask: Question, hole: Hole) -> CompletionRequest:
    """What the engine is asked."""
    hole, settings, around = clip(hole), ask.settings, ask.around
    may_take_time = ask.invoked and not hole.multiline
    return CompletionRequest(
        hole=hole,
        path=name_of(ask.document.uri),
        snippets=around.snippets,
        budget_ms=settings.invoked_budget_ms if ask.invoked else settings.budget_ms,
        max_tokens=settings.max_tokens,
        max_evaluations=settings.max_steps,
        policy=settings.policy,
        offers=around.offers(hole),
        mends=N_MENDS if may_take_time else 0,
        lengths=N_LENGTHS if may_take_time else 1,
        n_alternatives=0 if "choice" in settings.without else N_ALTERNATIVES,
        min_probability=0.0 if ask.invoked else settings.min_confidence,
        trace=settings.trace,
    )


def clip(hole: Hole) -> Hole:
    """The hole with less text around it; the prefix then starts at a line, and its start moves in jumps."""
    start = max(0, len(hole.prefix) - MAX_PREFIX_CHARS)
    if start > 0:
        start = -(-start // PREFIX_JUMP_CHARS) * PREFIX_JUMP_CHARS
        line_end = hole.prefix.find("\n", start)
        start = line_end + 1 if line_end >= 0 else start
    return replace(hole, prefix=hole.prefix[start:], suffix=hole.suffix[:MAX_SUFFIX_CHARS])
