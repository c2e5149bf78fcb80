"""The decoders of published checkpoints: policies, and ways to come to an answer's length.

Left to itself such a model tries several lengths (`published.lengths`), or changes its canvas where it was taught to
(`published.expanding`). `denoiser-oracle` is given a canvas of the truth's number of tokens, `denoiser-canvas-N` one
of N, whatever the truth; both may end earlier, and a model that expands its canvas takes the number as the most.
DiffusionGemma, which renoises, has one way only.
"""

from dataclasses import replace
from functools import partial

from ...fim.types import CompletionRequest, PolicyName
from ...model.published.infiller import PublishedInfiller
from .decoders import CATALOGUE, ORACLE_LENGTH, Decoder, NamedDecoder, by_request, request_of
from .holes import Task

CANVASES = (8, 16, 32, 64)
POLICIES: tuple[PolicyName, ...] = ("one", "threshold", "entropy", "top-k", "all")
POLICY: PolicyName = "entropy"  # of the ways to come to a length: no loss in what was published, and few forwards


def told_length(infiller: PublishedInfiller) -> Decoder:
    """A canvas of as many tokens as the truth has."""

    def ask(task: Task) -> CompletionRequest:
        n_tokens = len(infiller.published.tokenizer.encode(task.truth))
        return replace(request_of(task, policy=POLICY), max_tokens=max(1, n_tokens))

    return by_request(ask, infiller)


def on_canvas(n_tokens: int, infiller: PublishedInfiller) -> Decoder:
    """A canvas of n_tokens for every task."""

    def ask(task: Task) -> CompletionRequest:
        return replace(request_of(task, policy=POLICY), max_tokens=n_tokens)

    return by_request(ask, infiller)


def _policy(policy: PolicyName) -> NamedDecoder:
    return NamedDecoder(
        name=f"denoiser-{policy}", label=f"denoiser, {policy}", family="denoiser",
        make=partial(by_request, partial(request_of, policy=policy)),
    )  # fmt: skip


def _canvas(n_tokens: int) -> NamedDecoder:
    return NamedDecoder(
        name=f"denoiser-canvas-{n_tokens}", label=f"denoiser, {POLICY}, a canvas of {n_tokens}", family="denoiser",
        make=partial(on_canvas, n_tokens), length=f"fixed {n_tokens}",
    )  # fmt: skip


PUBLISHED: tuple[NamedDecoder, ...] = (
    *(decoder for decoder in CATALOGUE if decoder.family == "floor"),
    *map(_policy, POLICIES),
    NamedDecoder(
        name="denoiser-oracle", label=f"denoiser, {POLICY}, told the length", family="denoiser", make=told_length,
        length=ORACLE_LENGTH,
    ),
    *map(_canvas, CANVASES),
)  # fmt: skip

RENOISING: tuple[NamedDecoder, ...] = (
    *(decoder for decoder in CATALOGUE if decoder.family == "floor"),
    NamedDecoder(
        name="denoiser-own", label="denoiser, its own sampler", family="denoiser",
        make=partial(by_request, request_of),
    ),
)  # fmt: skip
