"""Chooses which candidate to show and how much of it, so that it is right with sufficient probability.

A wrong text costs attention, a right one saves keys, and the beginning of a text is likelier right than all of it. So
every candidate may be cut where a word of it ends, and of those that are sure enough the one with the most to gain is
shown. Pure functions over texts and probabilities.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial

from .text.line_scan import CLOSER_OF, CLOSERS
from .types import Alternative, Completion, CompletionSource

N_LEAST = 3  # characters: accepting fewer saves next to nothing
N_TRIMMED = 8  # of the options with the most to gain, how many are tried
ROUND_ENDS = CLOSERS | frozenset("\"':,;")  # may follow a closing bracket at the end of a text


@dataclass(frozen=True, kw_only=True)
class Displayed:
    """A text to show, the probability that it is right, and where it came from; is_cut: it is only a beginning."""

    text: str
    probability: float
    source: CompletionSource
    is_cut: bool = False


def expected_gain(showing: Displayed, least: float) -> float:
    """The characters that a text can be expected to save, less its cost if it is wrong.

    Weighed so that it is 0 at the least probability.
    """
    least = min(least, 1 - 1e-6)
    return len(showing.text) * (showing.probability - least) / (1 - least)


def choose_display(
    completion: Completion,
    trimmed: Callable[[str], str],
    least: float,
    *,
    may_cut: bool = True,
    may_round: bool = True,
    n_least: int = N_LEAST,
) -> Displayed | None:
    """The beginning of any candidate with the most to gain whose probability is at least least; None if none is.

    trimmed trims a text. Texts that have fewer than n_least characters once they are trimmed are skipped. may_cut:
    beginnings count at all; may_round: they end after closing brackets, and not after opening ones, if that is as sure.
    """
    gain = partial(expected_gain, least=least)
    options = [option for each in candidates(completion) for option in _beginnings(each, may_cut=may_cut)]
    sure = sorted((o for o in options if o.probability >= least), key=gain, reverse=True)
    by_text: dict[str, Displayed] = {}
    for option in sure:
        by_text.setdefault(option.text, option)
    best: Displayed | None = None

    def fits(option: Displayed) -> bool:
        return len(option.text.strip()) >= n_least

    for option in list(by_text.values())[:N_TRIMMED]:
        if best is not None and gain(option) <= gain(best):
            break  # trimming only shortens
        text = trimmed(option.text)
        found = replace(option, text=text, is_cut=option.is_cut and text == option.text)
        if (best is None or gain(found) > gain(best)) and fits(found):
            best = found
    if best is None or not may_round:
        return best
    return _round(best, list(by_text.values()), lambda option: trimmed(option.text) == option.text and fits(option))


def _round(best: Displayed, sure: Sequence[Displayed], may_show: Callable[[Displayed], bool]) -> Displayed:
    """A beginning with the closing brackets that follow it, if they are sure too, or without an opening bracket at its
    end: a text that ends before a closer, or after an opener, looks wrong."""
    closed = [option for option in sure if option.text.startswith(best.text) and _closes(option.text[len(best.text) :])]
    kept = best.text.rstrip("".join(CLOSER_OF)) if best.is_cut else best.text
    before = [option for option in sure if option.text == kept != best.text]
    better = [*sorted(closed, key=lambda option: len(option.text), reverse=True), *before]
    return next((option for option in better if may_show(option)), best)


def _closes(text: str) -> bool:
    return text[:1] in CLOSERS and set(text) <= ROUND_ENDS


def whole_candidates(completion: Completion, trimmed: Callable[[str], str], limit: int = 1) -> list[Displayed]:
    """At most limit different candidates, whole and however unsure, the likeliest first."""
    found: dict[str, Displayed] = {}
    for each in candidates(completion):
        text = trimmed(each.text)
        if text and len(found) < limit:
            found.setdefault(text, Displayed(text=text, probability=each.confidence, source=each.source))
    return list(found.values())


def candidates(completion: Completion) -> Sequence[Alternative]:
    """The completion itself and its alternatives, as candidates."""
    first = Alternative(
        text=completion.text,
        confidence=completion.confidence,
        source=completion.source,
        n_tokens=completion.n_tokens,
        prefixes=completion.prefixes,
    )
    return (first, *completion.alternatives)


def _beginnings(candidate: Alternative, *, may_cut: bool) -> Iterator[Displayed]:
    """A candidate's text and its beginnings where a word ends; only the whole text if its prefixes are unknown."""
    text, source = candidate.text, candidate.source
    if not candidate.prefixes:
        yield Displayed(text=text, probability=candidate.confidence, source=source)
    for n, probability in candidate.prefixes:
        if n >= len(text):
            yield Displayed(text=text, probability=probability, source=source)
        elif may_cut:
            yield Displayed(text=text[:n], probability=probability, source=source, is_cut=True)
