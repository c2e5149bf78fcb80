"""Candidates: the texts that compete for one hole, whatever they came from.

Knows token ids and where a text came from; knows no tensors and no model.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from ..fim.drafts import Draft


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A text for the hole and its tokens: the draft behind it, if any; how many canvases ended with it, and the best
    log-probability that the marginals gave to it there (0 where none did); whether it is only a part of another one."""

    text: str
    tokens: tuple[int, ...]
    draft: Draft | None = None
    n_canvases: int = 0
    canvas_log_prob: float = 0.0
    is_cut: bool = False


def merged(candidates: Iterable[Candidate]) -> list[Candidate]:
    """Each different text once, with all that is known of it, in the order in which they were first met."""
    by_text: dict[str, Candidate] = {}
    for new in candidates:
        old = by_text.get(new.text)
        by_text[new.text] = new if old is None else _joined(old, new)
    return list(by_text.values())


def _joined(old: Candidate, new: Candidate) -> Candidate:
    both = [c.canvas_log_prob for c in (old, new) if c.n_canvases]
    return replace(
        old,
        draft=old.draft or new.draft,
        n_canvases=old.n_canvases + new.n_canvases,
        canvas_log_prob=max(both, default=0.0),
        is_cut=old.is_cut and new.is_cut,
    )
