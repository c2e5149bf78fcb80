"""What of the candidates is shown: how much of which, so that what is shown is right likely enough.

A wrong text costs attention, a right one saves keys, and the beginning of a text is likelier right than all of it. So
every candidate may be cut where a word of it ends, and of all that is sure enough what has most to gain is shown.
Pure functions over texts and probabilities; knows no model and no editor.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial

from .text.line_scan import CLOSER_OF, CLOSERS
from .types import Alternative, Completion, CompletionSource

N_LEAST = 3  # characters: to accept fewer saves next to nothing
N_TRIMMED = 8  # of the options with most to gain, how many are looked at
ROUND_ENDS = CLOSERS | frozenset("\"':,;")  # what ends a text together with a closing bracket


@dataclass(frozen=True, kw_only=True)
class Displayed:
    """A text to show, the probability that it is right, and where it came from; is_cut: it is only a beginning."""

    text: str
    probability: float
    source: CompletionSource
    is_cut: bool = False


def expected_gain(showing: Displayed, least: float) -> float:
    """What a text can be expected to save, in characters, less what it costs if it is wrong.

    Weighed so that nothing is won or lost at the least probability.
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
    """The most worthwhile beginning of any candidate whose probability is least at least; None where none is.

    trimmed gives what of a text may be inserted at all. Texts that have fewer than n_least characters once they are
    trimmed are passed over. may_cut: beginnings count at all; may_round: they end behind closing brackets, and not
    behind opening ones, where that is as sure.
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
            break  # trimming only takes away
        text = trimmed(option.text)
        found = replace(option, text=text, is_cut=option.is_cut and text == option.text)
        if (best is None or gain(found) > gain(best)) and fits(found):
            best = found
    if best is None or not may_round:
        return best
    return _rounded(best, list(by_text.values()), lambda option: trimmed(option.text) == option.text and fits(option))


def _rounded(best: Displayed, sure: Sequence[Displayed], may_show: Callable[[Displayed], bool]) -> Displayed:
    """A beginning with the closing brackets that follow it, where they are sure too, or without an opening bracket that
    it ends with: in front of a closer, or behind an opener, a text looks as if it were wrong."""
    closed = [option for option in sure if option.text.startswith(best.text) and _closes(option.text[len(best.text) :])]
    kept = best.text.rstrip("".join(CLOSER_OF)) if best.is_cut else best.text
    before = [option for option in sure if option.text == kept != best.text]
    better = [*sorted(closed, key=lambda option: len(option.text), reverse=True), *before]
    return next((option for option in better if may_show(option)), best)


def _closes(text: str) -> bool:
    return text[:1] in CLOSERS and set(text) <= ROUND_ENDS


def whole_candidates(completion: Completion, trimmed: Callable[[str], str], limit: int = 1) -> list[Displayed]:
    """All of the likeliest candidates, however likely, the likeliest first: at most limit, all different."""
    found: dict[str, Displayed] = {}
    for each in candidates(completion):
        text = trimmed(each.text)
        if text and len(found) < limit:
            found.setdefault(text, Displayed(text=text, probability=each.confidence, source=each.source))
    return list(found.values())


def candidates(completion: Completion) -> Sequence[Alternative]:
    """The completion itself and its alternatives, as equals."""
    first = Alternative(
        text=completion.text,
        confidence=completion.confidence,
        source=completion.source,
        n_tokens=completion.n_tokens,
        prefixes=completion.prefixes,
    )
    return (first, *completion.alternatives)


def _beginnings(candidate: Alternative, *, may_cut: bool) -> Iterator[Displayed]:
    """A candidate's text and its beginnings where a word ends; with its confidence where nothing more is known."""
    text, source = candidate.text, candidate.source
    if not candidate.prefixes:
        yield Displayed(text=text, probability=candidate.confidence, source=source)
    for n, probability in candidate.prefixes:
        if n >= len(text):
            yield Displayed(text=text, probability=probability, source=source)
        elif may_cut:
            yield Displayed(text=text[:n], probability=probability, source=source, is_cut=True)
