"""Fits the prefix ranker of a checkpoint: how likely the beginning of a candidate is right.

The holes are those of typing: the cursor stands anywhere in a line, and the rest of it is yet to be written. Half of
the holes stand in finished files, where some lines below are missing too; in the other half everything below is, as in
a program that is typed into a new file. There drafts are fewer and the model is wrong more often: fitted to finished
files alone, texts given .6 to .8 were right half of the time in new ones. Every place where a word of a candidate ends
is one example.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch.nn.functional import binary_cross_entropy_with_logits

from ...fim.drafts.search import drafts_from_offers
from ...fim.errors import InputError
from ...fim.hole import find_hole
from ...fim.syntax.tree import parse
from ...fim.text.document import Document
from ...fim.types import CompletionRequest
from ...model.completion.infiller import DenoisingInfiller
from ...model.completion.job import CompletionJob
from ...model.ranking.prefix_confidence import LEAST, CursorFacts, PrefixRanker, features, places
from ...model.ranking.ranker import Judged
from ...model.requests import never
from ...model.runners.drive import drive
from ..corpus.corpus import CorpusDocument
from .ranker import N_OFFERS, OFFER_SHARE, DrawHoles, RankerHole, language_of, regression

N_LINES_MAX = 6
NEW_FILE_SHARE = 0.5
N_LINES_NEW = 150  # of a new file, at most
CALIBRATION_DECAY = 2.0  # worth as many texts: a few of them change little


@dataclass(frozen=True)
class PrefixExample:
    """A candidate up to some place: its features, and whether all of that is right."""

    features: dict[str, float]
    is_right: bool


def typing_holes(groups: Sequence[Sequence[CorpusDocument]], n: int, seed: int) -> Iterator[RankerHole]:
    """n holes in documents, lines of a group equally likely and none blank. Raises InputError without documents."""
    draw = DrawHoles(groups)
    rng = np.random.default_rng((seed, 79))
    pool = draw.pool_of()
    made = 0
    for document in draw.documents(rng):
        if made == n:
            return
        lines = document.text.split("\n")
        is_new = rng.random() < NEW_FILE_SHARE
        at = int(rng.integers(min(len(lines), N_LINES_NEW) if is_new else len(lines)))
        if not lines[at].strip():
            continue
        indent = len(lines[at]) - len(lines[at].lstrip())
        start = sum(len(line) + 1 for line in lines[:at]) + int(rng.integers(indent, len(lines[at])))
        last = len(lines) if is_new else min(len(lines), at + int(rng.integers(1, N_LINES_MAX + 1)))
        end = sum(len(line) + 1 for line in lines[:last]) - 1
        text = document.text[:start] + document.text[end:]
        language = language_of(document.path)
        opened = Document(f"file:///{document.path}", 1, language, text)
        hole = find_hole(opened, start, parse(text, language, near=start))
        name = document.path.rsplit("/", 1)[-1]
        is_offered = rng.random() < OFFER_SHARE
        found = pool(document.package).find(hole, N_OFFERS, skip=document.path) if is_offered else []
        request = CompletionRequest(hole=hole, path=name, budget_ms=None, offers=drafts_from_offers(found))
        yield RankerHole(request, document.text[start:end])
        made += 1


def prefix_examples(infiller: DenoisingInfiller, of: RankerHole) -> list[PrefixExample]:
    """The places of all candidates of one hole, as the infiller's own ranker judges them."""
    filling = infiller.filling(of.request, never)
    drafts, everything = drive(infiller.run, filling.candidates())
    cursor = CursorFacts.of(of.request.hole)
    return [*_examples(filling, drafts, cursor, of.truth), *_examples(filling, everything, cursor, of.truth)]


def _examples(filling: CompletionJob, judged: Sequence[Judged], cursor: CursorFacts, truth: str) -> list[PrefixExample]:
    """One example for each distinct text, of the likeliest candidate that begins with it.

    Only one text is shown in the end. Counted once for every candidate that agrees, right texts would weigh too much.
    """
    found: dict[str, PrefixExample] = {}
    for each in judged:
        for place in places(each, filling.healing):
            text = each.candidate.text[: place.n_chars]
            if text not in found:
                found[text] = PrefixExample(features(each, place, judged, cursor), truth.startswith(text))
    return list(found.values())


@dataclass(frozen=True)
class Promise:
    """Texts that were shown in a replay: how many, the mean probability that was promised, the share that was right."""

    n: int
    promised: float
    right: float

    def __post_init__(self) -> None:
        if self.n < 0 or not (0 <= self.promised <= 1 and 0 <= self.right <= 1):
            raise ValueError(f"shares of {self.n} texts must be from 0 to 1, not {self.promised}, {self.right}")


def calibrate(ranker: PrefixRanker, shown: Sequence[Promise]) -> PrefixRanker:
    """The ranker with its log-odds stretched and shifted so that what is shown is right as often as promised.

    It is fitted to all places of candidates; of those that are sure enough the one with most to gain is shown, which
    is more often wrong than they are. Raises InputError without a text.
    """
    if not sum(each.n for each in shown):
        raise InputError("nothing was shown in these replays: there is nothing to calibrate by")
    x = torch.tensor([each.promised for each in shown], dtype=torch.float64).clamp(LEAST, 1 - LEAST).logit()
    y = torch.tensor([each.right for each in shown], dtype=torch.float64)
    n = torch.tensor([float(each.n) for each in shown], dtype=torch.float64)
    middle = float((n * x).sum() / n.sum())
    line = torch.tensor([1.0, 0.0], dtype=torch.float64, requires_grad=True)  # slope, and shift at the middle
    optimizer = torch.optim.LBFGS([line], max_iter=200, line_search_fn="strong_wolfe")

    def loss() -> torch.Tensor:
        optimizer.zero_grad()
        odds = line[0] * (x - middle) + middle + line[1]
        cost = binary_cross_entropy_with_logits(odds, y, weight=n, reduction="sum")
        value = cost + CALIBRATION_DECAY * ((line[0] - 1).square() + line[1].square())
        value.backward()
        return value

    optimizer.step(loss)  # type: ignore[arg-type]
    slope, at_middle = line.detach().tolist()
    if slope <= 0:
        raise InputError("in these replays surer texts were no more often right: they cannot calibrate anything")
    shift = at_middle + middle * (1 - slope)
    weights = {name: round(slope * weight, 4) for name, weight in ranker.weights.items()}
    return PrefixRanker(weights | {"bias": round(weights["bias"] + shift, 4)})


def fit_prefixes(
    infiller: DenoisingInfiller,
    groups: Sequence[Sequence[CorpusDocument]],
    n_holes: int,
    seed: int,
    on_hole: Callable[[int], None],
    start: PrefixRanker | None = None,
) -> PrefixRanker:
    """Draw holes, gather the places of their candidates and fit. on_hole hears how many holes are done.

    start: a ranker to refine, with fewer holes than a new one takes. Raises InputError if nothing, or everything, is
    right.
    """
    data: list[PrefixExample] = []
    for i, of in enumerate(typing_holes(groups, n_holes, seed)):
        data += prefix_examples(infiller, of)
        on_hole(i + 1)
    labels = [example.is_right for example in data]
    weights = None if start is None else start.weights
    return PrefixRanker(regression([example.features for example in data], labels, weights))
