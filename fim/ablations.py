"""Everything that can be left out of a completion, by name: for ablations, and for users who want one off."""

from .gating import GATING_RULES
from .hole import HOLE_RULES
from .trimming.trim import TRIM_RULES

SNIPPET_SOURCES = ("declarations", "recent", "similar")  # as in fim.snippets, which takes long to import

# Sources of context and drafts, and how what is shown is chosen: by expected gain among beginnings of all candidates
# (else the likeliest candidate, whole), beginnings with their closing brackets (round-ends). syntax: all that trees are
# read for.
OTHERS = ("offers", "choice", "cuts", "round-ends", "alternatives", "syntax")

# Rules that are gone, as they earned nothing (docs/log/2026-11-30.md). A configuration may still name them.
FORMER_RULES = frozenset(
    {"leading-blank", "begun-word", "word-rest", "code-in-prose", "half-word", "unknown-name", "odd-indent"}
    | {"glued-line", "neighbour", "unreachable", "known-words", "parse-errors"}
)

RULES = (
    *(name for name, _ in GATING_RULES),
    *(name for name, _ in HOLE_RULES),
    *(name for name, _ in TRIM_RULES),
    *SNIPPET_SOURCES,
    *OTHERS,
)
