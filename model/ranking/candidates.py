"""Candidates: the texts that compete for one hole, from all sources."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ...fim.drafts.search import Draft, find_drafts
from ...fim.text.line_breaks import with_lf
from ...fim.types import CompletionRequest, CompletionSource

if TYPE_CHECKING:
    from ..decoding.healing import Healing
    from ..decoding.verification import Verified
    from ..tokenizers.canvas_tokens import CanvasTokens

N_DRAFT_TOKENS = 256  # of all drafts of a hole together: they take time to verify
N_DRAFT_TOKENS_BODY = 23  # on a CPU: with the token before them 24 rows, 67 ms for 0.5B on two cores; 48 rows take 120
N_CUTS = 2  # earlier ends of a candidate that compete with it


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A text for the hole and its tokens, which begin with the healed text.

    draft is the draft it came from, if any; n_canvases the number of canvases that ended with it, canvas_log_prob the
    best log-probability that the marginals gave it there (0 if none did); is_cut: it is a part of another candidate.
    """

    text: str
    tokens: tuple[int, ...]
    draft: Draft | None = None
    n_canvases: int = 0
    canvas_log_prob: float = 0.0
    is_cut: bool = False

    @property
    def source(self) -> CompletionSource:
        """Where the text came from; a text that a canvas arrived at too is the denoiser's."""
        return "denoiser" if self.draft is None or self.n_canvases else self.draft.source


def drafts_for(
    request: CompletionRequest, n_tokens_max: int, healing: Healing, n_tokens_all: int = N_DRAFT_TOKENS
) -> list[Candidate]:
    """The request's drafts, at most n_tokens_max tokens each and n_tokens_all together, the most promising first."""
    hole = request.hole
    hole = replace(hole, prefix=with_lf(hole.prefix), suffix=with_lf(hole.suffix))  # as the model reads them
    snippets = [with_lf(snippet) for snippet in request.snippets]
    offers = [replace(offer, text=with_lf(offer.text)) for offer in request.offers]
    fitting: list[Candidate] = []
    n_tokens = 0
    for draft in find_drafts(hole, snippets, request.drafts, offers):
        tokens = tuple(healing.encode(draft.text))
        if len(tokens) <= n_tokens_max and n_tokens + len(tokens) <= n_tokens_all:
            fitting.append(Candidate(text=draft.text, tokens=tokens, draft=draft))
            n_tokens += len(tokens)
    return fitting


def with_cuts(
    candidates: Sequence[Candidate], verified: Sequence[Verified], tokens: CanvasTokens, healing: Healing
) -> tuple[list[Candidate], list[Verified]]:
    """Candidates and their scores, with those of earlier ends of them that are likelier."""
    scores = {c.text: v for c, v in zip(candidates, verified, strict=True)}
    parts: list[Candidate] = []
    for candidate, whole in zip(candidates, verified, strict=True):
        for n in whole.likelier_ends(N_CUTS, tokens):
            text = healing.text_of(candidate.tokens[:n])
            if not text or text.endswith("\ufffd") or text in scores:  # healed, half a character, or known already
                continue
            draft = candidate.draft and replace(candidate.draft, text=text, n_after=0)
            log_prob = candidate.canvas_log_prob * n / len(candidate.tokens)
            part = replace(candidate, text=text, tokens=candidate.tokens[:n], draft=draft, canvas_log_prob=log_prob)
            parts.append(replace(part, is_cut=True))
            scores[text] = whole.upto(n)
    found = merge([*candidates, *parts])
    return found, [scores[c.text] for c in found]


def merge(candidates: Iterable[Candidate]) -> list[Candidate]:
    """Each distinct text once, with all that is known of it, in the order of first occurrence."""
    by_text: dict[str, Candidate] = {}
    for new in candidates:
        old = by_text.get(new.text)
        by_text[new.text] = new if old is None else _merge_two(old, new)
    return list(by_text.values())


def _merge_two(old: Candidate, new: Candidate) -> Candidate:
    both = [c.canvas_log_prob for c in (old, new) if c.n_canvases]
    return replace(
        old,
        draft=old.draft or new.draft,
        n_canvases=old.n_canvases + new.n_canvases,
        canvas_log_prob=max(both, default=0.0),
        is_cut=old.is_cut and new.is_cut,
    )
