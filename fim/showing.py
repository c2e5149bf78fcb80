"""What of the candidates is shown: how much of which, so that what is shown is right likely enough.

A wrong text costs attention, a right one saves keys, and the beginning of a text is likelier right than all of it. So
every candidate may be cut where a word of it ends, and of all that is sure enough what has most to gain is shown.
Pure functions over texts and probabilities; knows no model and no editor.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from .types import Alternative, Completion, CompletionSource

N_LEAST = 3  # characters: to accept fewer saves next to nothing
N_TRIMMED = 8  # of the options with most to gain, how many are looked at


@dataclass(frozen=True, kw_only=True)
class Showing:
    """A text to show, the probability that it is right, and where it came from; is_cut: it is only a beginning."""

    text: str
    probability: float
    source: CompletionSource
    is_cut: bool = False


@dataclass(frozen=True, kw_only=True)
class Demand:
    """How likely a text must be right to be shown, wherever it is and however short."""

    least: float

    def gain(self, showing: Showing) -> float:
        """What a text can be expected to save, in characters, less what it costs if it is wrong.

        Weighed so that nothing is won or lost at the least probability.
        """
        least = min(self.least, 1 - 1e-6)
        return len(showing.text) * (showing.probability - least) / (1 - least)


def choose(
    completion: Completion,
    trimmed: Callable[[str], str],
    demand: Demand,
    breaks_syntax: Callable[[str], bool] = lambda text: False,
    *,
    may_cut: bool = True,
    n_least: int = N_LEAST,
) -> Showing | None:
    """The most worthwhile beginning of any candidate that is as sure as demanded; None where none is.

    trimmed gives what of a text may be inserted at all. Texts that break syntax, or have fewer than n_least characters
    once they are trimmed, are passed over; a mere beginning may break it: the rest is to come.
    """
    options = [option for each in candidates(completion) for option in _beginnings(each, may_cut=may_cut)]
    sure = sorted((o for o in options if o.probability >= demand.least), key=demand.gain, reverse=True)
    by_text: dict[str, Showing] = {}
    for option in sure:
        by_text.setdefault(option.text, option)
    best: Showing | None = None
    for option in list(by_text.values())[:N_TRIMMED]:
        if best is not None and demand.gain(option) <= demand.gain(best):
            break  # trimming only takes away
        text = trimmed(option.text)
        found = replace(option, text=text, is_cut=option.is_cut and text == option.text)
        is_better = best is None or demand.gain(found) > demand.gain(best)
        fits = found.is_cut or not breaks_syntax(text)
        if len(text.strip()) >= n_least and is_better and fits:
            best = found
    return best


def wholes(completion: Completion, trimmed: Callable[[str], str], limit: int = 1) -> list[Showing]:
    """All of the likeliest candidates, however likely, the likeliest first: at most limit, all different."""
    found: dict[str, Showing] = {}
    for each in candidates(completion):
        text = trimmed(each.text)
        if text and len(found) < limit:
            found.setdefault(text, Showing(text=text, probability=each.confidence, source=each.source))
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


def _beginnings(candidate: Alternative, *, may_cut: bool) -> Iterator[Showing]:
    """A candidate's text and its beginnings where a word ends; with its confidence where nothing more is known."""
    text, source = candidate.text, candidate.source
    if not candidate.prefixes:
        yield Showing(text=text, probability=candidate.confidence, source=source)
    for n, probability in candidate.prefixes:
        if n >= len(text):
            yield Showing(text=text, probability=probability, source=source)
        elif may_cut:
            yield Showing(text=text[:n], probability=probability, source=source, is_cut=True)
