"""What of the candidates is shown: how much of which, so that what is shown is right likely enough.

A wrong text costs attention, a right one saves keys, and the beginning of a text is likelier right than all of it. So
every candidate may be cut where a word of it ends, and of all that is sure enough what has most to gain is shown.
Pure functions over texts and probabilities; knows no model and no editor.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from .types import Alternative, Completion, CompletionSource

N_PARSED = 4  # texts that are looked at for new parse errors: each takes a parse


@dataclass(frozen=True, kw_only=True)
class Showing:
    """A text to show, the probability that it is right, and where it came from; is_cut: it is only a beginning."""

    text: str
    probability: float
    source: CompletionSource
    is_cut: bool = False


def choose(
    completion: Completion,
    trimmed: Callable[[str], str],
    least: float,
    breaks_syntax: Callable[[str], bool] = lambda text: False,
    *,
    may_cut: bool = True,
) -> Showing | None:
    """The most worthwhile beginning of any candidate that is right with probability `least` or more; None if none is.

    trimmed gives what of a candidate's text may be inserted at all. A beginning of n characters and probability p is
    worth n * (p - least): what it can be expected to save, less what it costs where it is wrong, which is weighed so
    that at `least` nothing is won or lost. A text that breaks_syntax is passed over for the next best; of N_PARSED.
    """
    options = [option for each in candidates(completion) for option in _beginnings(each, trimmed(each.text))]
    sure = [
        option for option in options if option.probability >= least and option.text.strip() and may_cut >= option.is_cut
    ]
    best: dict[str, Showing] = {}
    for option in sorted(sure, key=lambda option: -len(option.text) * (option.probability - least)):
        best.setdefault(option.text, option)
    return next((option for option in list(best.values())[:N_PARSED] if not breaks_syntax(option.text)), None)


def whole(completion: Completion, trimmed: Callable[[str], str]) -> Showing | None:
    """All of the likeliest candidate, however likely; None where nothing of it is left."""
    text = trimmed(completion.text)
    if not text:
        return None
    return Showing(text=text, probability=completion.confidence, source=completion.source)


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


def _beginnings(candidate: Alternative, text: str) -> Iterator[Showing]:
    """The trimmed text, and its beginnings where a word ends; where trimming changed it, all or nothing."""
    if not text:
        return
    probability = next((p for n, p in candidate.prefixes if n >= len(text)), candidate.confidence)
    yield Showing(text=text, probability=probability, source=candidate.source)
    if not candidate.text.startswith(text):
        return
    for n, p in candidate.prefixes:
        if n < len(text):
            yield Showing(text=text[:n].rstrip(), probability=p, source=candidate.source, is_cut=True)
