"""Fits the ranker of a checkpoint: which of several verified candidates is what the author wrote.

Holes are cut from the validation packages, never from held-out ones; every candidate of every hole is one example.
Documents come in groups, each of which gives as many holes: a corpus of Python, one of other languages.
Logistic regression with a little weight decay, by L-BFGS: small, convex, the same result every time.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import PurePosixPath

import numpy as np
import torch
from torch.nn.functional import binary_cross_entropy_with_logits

from ...fim.drafts.pool import DraftPool
from ...fim.drafts.search import drafts_from_offers
from ...fim.errors import InputError
from ...fim.text.language_ids import CODE_SUFFIXES, TEXT_SUFFIXES
from ...fim.types import CompletionRequest, Hole
from ...model.completion.infiller import DenoisingInfiller
from ...model.ranking.ranker import Judged, Ranker, features
from ...model.requests import never
from ...model.runners.drive import drive
from ..corpus.corpus import CorpusDocument
from ..data.holes import cut

HOLE_MIX = (0.3, 0.4, 0.2, 0.1)  # characters, rest of line, lines, block
N_MENDS, N_LENGTHS = 2, 4  # so that candidates of every kind are seen
WEIGHT_DECAY = 1e-3
REFINING_DECAY = 3e-4  # 1e-4 to 3e-3 are level in cross-validation on 384 holes (2026-11-29)
OFFER_SHARE = 0.5  # of the holes: for these the package's other files are searched too; in use there may be none
N_OFFERS = 6
N_DRAWS_MOST = 1_000_000


@dataclass(frozen=True)
class Example:
    """One candidate: its features, and whether it is what stood there."""

    features: dict[str, float]
    is_right: bool


@dataclass(frozen=True)
class RankerHole:
    """One hole and what stood in it."""

    request: CompletionRequest
    truth: str


class DrawHoles:
    """Draws documents: every group is equally likely, and in it every line.

    Raises InputError for a group without documents, or no group.
    """

    def __init__(self, groups: Sequence[Sequence[CorpusDocument]]) -> None:
        if not groups or not all(groups):
            raise InputError("there are no documents to fit a ranker on")
        self.groups = groups
        sizes = [np.array([document.text.count("\n") + 1.0 for document in group]) for group in groups]
        self._shares = [size / size.sum() for size in sizes]

    def documents(self, rng: np.random.Generator) -> Iterator[CorpusDocument]:
        """Documents without end. Raises InputError after very many: they make no holes."""
        for _ in range(N_DRAWS_MOST):
            at = int(rng.integers(len(self.groups))) if len(self.groups) > 1 else 0
            yield self.groups[at][int(rng.choice(len(self.groups[at]), p=self._shares[at]))]
        raise InputError("too few holes can be cut in the documents: are their texts blank?")

    def pool_of(self) -> Callable[[str], DraftPool]:
        """Finds the pool of a package's files, which are searched as the other files of a workspace are in use."""
        packages: dict[str, list[CorpusDocument]] = {}
        for group in self.groups:
            for document in group:
                packages.setdefault(document.package, []).append(document)

        @cache
        def pool(package: str) -> DraftPool:
            made = DraftPool()
            for document in packages[package]:
                made.put(document.path, document.text, "workspace")
            made.refresh()
            return made

        return pool


def language_of(path: str) -> str:
    """The language id of a file by the end of its name; "plaintext" for an unknown one."""
    suffix = PurePosixPath(path).suffix.lower()
    return CODE_SUFFIXES.get(suffix) or TEXT_SUFFIXES.get(suffix, "plaintext")


def holes(groups: Sequence[Sequence[CorpusDocument]], n: int, seed: int) -> Iterator[RankerHole]:
    """n holes in documents, lines of a group equally likely and none blank. Raises InputError without documents."""
    draw = DrawHoles(groups)
    rng, offer_rng = np.random.default_rng((seed, 77)), np.random.default_rng((seed, 78))
    pool = draw.pool_of()
    made = 0
    for document in draw.documents(rng):
        if made == n:
            return
        start, end = cut(rng, document.text, HOLE_MIX, by_line=True)
        truth = document.text[start:end]
        if not truth.strip() or len(truth) > 400:
            continue
        at_line_end = document.text[end : end + 1] in ("", "\n")
        hole = Hole(
            prefix=document.text[:start],
            suffix=document.text[end:],
            language=language_of(document.path),
            replaced=(start, end),
            multiline="\n" in truth or (not at_line_end and rng.random() < 0.5),  # in use this is not known
        )
        is_offered = offer_rng.random() < OFFER_SHARE
        found = pool(document.package).find(hole, N_OFFERS, skip=document.path) if is_offered else []
        request = CompletionRequest(
            hole=hole,
            path=document.path,
            budget_ms=None,
            mends=N_MENDS,
            lengths=N_LENGTHS,
            offers=drafts_from_offers(found),
        )
        yield RankerHole(request, truth)
        made += 1


def examples(infiller: DenoisingInfiller, of: RankerHole) -> list[Example]:
    """The candidates of one hole, once with drafts alone and once with canvases beside them."""
    filling = infiller.filling(of.request, never)
    drafts, everything = drive(infiller.run, filling.candidates())
    return [*_labelled(drafts, of.truth), *_labelled(everything, of.truth)]


def _labelled(judged: Sequence[Judged], truth: str) -> list[Example]:
    candidates, verified = [j.candidate for j in judged], [j.verified for j in judged]
    return [
        Example(f, c.text.rstrip() == truth.rstrip())
        for c, f in zip(candidates, features(candidates, verified), strict=True)
    ]


def fit(data: Sequence[Example]) -> Ranker:
    """The ranker that makes data likeliest. Raises InputError if nothing, or everything, is right."""
    return Ranker(regression([example.features for example in data], [example.is_right for example in data]))


def regression(
    rows: Sequence[Mapping[str, float]], labels: Sequence[bool], start: Mapping[str, float] | None = None
) -> dict[str, float]:
    """The weights, by feature name, that make labels likeliest and stay near start (default: near zero).

    Raises InputError if all labels are the same.
    """
    right = sum(labels)
    if not 0 < right < len(labels):
        raise InputError(f"{right} of {len(labels)} candidates are right: a ranker cannot be fitted to that")
    names = list(rows[0])
    x = torch.tensor([[row[name] for name in names] for row in rows], dtype=torch.float64)
    y = torch.tensor(labels, dtype=torch.float64)
    home = torch.tensor([0.0 if start is None else start[name] for name in names], dtype=torch.float64)
    weights = home.clone().requires_grad_()
    decay = WEIGHT_DECAY if start is None else REFINING_DECAY
    optimizer = torch.optim.LBFGS([weights], max_iter=500, line_search_fn="strong_wolfe")

    def loss() -> torch.Tensor:
        optimizer.zero_grad()
        value = binary_cross_entropy_with_logits(x @ weights, y) + decay * (weights - home).square().sum()
        value.backward()
        return value

    optimizer.step(loss)  # type: ignore[arg-type]
    return {name: round(float(w), 4) for name, w in zip(names, weights.detach(), strict=True)}


def fit_to(
    infiller: DenoisingInfiller,
    groups: Sequence[Sequence[CorpusDocument]],
    n_holes: int,
    seed: int,
    on_hole: Callable[[int], None],
) -> Ranker:
    """Draw holes, gather their candidates and fit. on_hole hears how many holes are done."""
    data: list[Example] = []
    for i, of in enumerate(holes(groups, n_holes, seed)):
        data += examples(infiller, of)
        on_hole(i + 1)
    return fit(data)
