"""Predicts the tokens of a canvas with a published model, for `decoding.denoise`.

A canvas is between two texts; its cells that hold `end` are not part of the sequence, so that rows of one canvas may
be of different lengths. Contexts are cached where that is exact: in families that see in blocks, whole blocks before
the canvas. Without a cache every step reads the whole sequence, which is the reference.

Letters: B rows, L canvas, T tokens of a sequence, V vocabulary.
"""

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from ...fim.models.formats import CacheKind
from ..decoding.denoise import Prediction, first_stops, scores_of, stop_log_probs
from ..decoding.sampling import Choose, likeliest
from ..tokenizers.canvas_tokens import CanvasTokens
from .backbone import Backbone, Past
from .contexts import KeptContexts
from .folder import Published
from .layout import CanvasSides


@dataclass(frozen=True)
class Sequences:
    """A forward request: the output at places (rows of indices into their sequence, ascending) of sequences of tokens.

    Answered by hidden states [n, D] of all places, one sequence after the other. past: keys and values of the tokens
    before, at positions 0 … n - 1. block: tokens of a block if sight is in blocks; None: each token sees all.
    """

    tokens: tuple[tuple[int, ...], ...]
    places: tuple[tuple[int, ...], ...]
    block: int | None
    past: Past | None = None
    keeps: bool = False


@dataclass
class Canvases:
    """What surrounds the rows of a canvas, and its states kept between steps or, in kept, between requests. n_cached:
    tokens that were read for an earlier request."""

    published: Published
    around: CanvasSides
    cache: CacheKind
    kept: KeptContexts | None = None
    n_forwards: int = 0
    n_cached: int = 0
    _past: Past | None = None

    @property
    def block(self) -> int | None:
        """Tokens of a block if sight is in blocks, else None."""
        return self.published.block if self.published.family.sight == "blocks" else None

    def go_on(self, tokens: Sequence[int]) -> None:
        """Let the canvas follow tokens; states of the text before them are kept."""
        self.around = CanvasSides((*self.around.left, *tokens), self.around.right)

    def forget(self) -> None:
        """Drop all states: the next canvases are different ones."""
        self._past = None


Asking = Generator[Sequences, Any, Any]


def predict(
    canvases: Canvases, canvas: np.ndarray, tokens: CanvasTokens, choose: Choose = likeliest
) -> Generator[Sequences, Any, Prediction]:
    """The chosen token at every place of canvas [B, L], in one forward (two if the cache is filled)."""
    n_before = canvases.n_forwards
    log_probs = tokens.allowed((yield from canvas_log_probs(canvases, canvas, tokens)))
    expand = canvases.published.specials.expand
    if expand is not None:
        is_full = canvas[:, -1] != tokens.end
        log_probs[is_full, :, expand] = -np.inf
    stops = first_stops(stop_log_probs(log_probs, tokens), canvas, tokens)
    chosen = choose(log_probs, 0)
    return Prediction(chosen, scores_of(log_probs, chosen), stops, canvases.n_forwards - n_before)


def canvas_log_probs(
    canvases: Canvases, canvas: np.ndarray, tokens: CanvasTokens
) -> Generator[Sequences, Any, np.ndarray]:
    """Log-probabilities [B, L, V] of the token in each cell; meaningless for cells that hold `end`."""
    rows = [tuple(token for token in row if token != tokens.end) for row in canvas.tolist()]
    if canvases.cache == "none" or canvases.block is None:
        hidden = yield from _read_all(canvases, rows)
    else:
        hidden = yield from _read_after_blocks(canvases, rows)
    canvases.n_forwards += 1
    live = log_softmax(canvases.published.model, hidden)  # [n, V]
    result = np.zeros((*canvas.shape, live.shape[-1]), np.float32)
    result[canvas != tokens.end] = live
    return result


def log_softmax(model: Backbone, hidden: Tensor) -> np.ndarray:
    """Log-probabilities [n, V] in float32, on the CPU, of hidden states [n, D]."""
    return F.log_softmax(model.logits(hidden).float(), dim=-1).cpu().numpy()


def _places(canvases: Canvases, start: int, n: int) -> tuple[int, ...]:
    """The places whose output predicts n cells from index start on."""
    shift = 1 if canvases.published.family.is_shifted else 0
    return tuple(max(0, i - shift) for i in range(start, start + n))


def _read_all(canvases: Canvases, rows: Sequence[tuple[int, ...]]) -> Asking:
    left, right = canvases.around.left, canvases.around.right
    places = tuple(_places(canvases, len(left), len(row)) for row in rows)
    hidden, _ = yield Sequences(tuple((*left, *row, *right) for row in rows), places, canvases.block)
    return hidden


def read_blocks(canvases: Canvases) -> Generator[Sequences, Any, int]:
    """Make sure that the states of the whole blocks before the canvas are available; returns their number of tokens.

    They do not see the canvas, so they stay valid. One token is left out, to predict a shifted first place.
    """
    left, block = canvases.around.left, canvases.block or 1
    n_past = (len(left) - 1) // block * block
    known = canvases._past
    if known is None and canvases.kept is not None:
        known = canvases.kept.find(left[:n_past])
        canvases.n_cached = known.n_tokens if known else 0
    n_known = known.n_tokens if known else 0
    if n_past > n_known:
        _, known = yield Sequences((left[n_known:n_past],), ((),), block, known, keeps=True)
        canvases.n_forwards += 1
        if canvases.kept is not None and known is not None:
            canvases.kept.keep(left[:n_past], known)
    canvases._past = known
    return n_past


def _read_after_blocks(canvases: Canvases, rows: Sequence[tuple[int, ...]]) -> Asking:
    block = canvases.block or 1
    n_past = yield from read_blocks(canvases)
    rest = canvases.around.left[n_past:]
    places = tuple(_places(canvases, len(rest), len(row)) for row in rows)
    hidden, _ = yield Sequences(tuple((*rest, *row) for row in rows), places, block, canvases._past)
    return hidden


@torch.inference_mode()
def answer(model: Backbone, asks: Sequence[Sequences]) -> list[tuple[Tensor, Past | None]]:
    """Hidden states of each request's places, and its keys and values if it keeps them.

    Requests with nothing before them go through the model together, padded to the longest.
    """
    together = [i for i, ask in enumerate(asks) if ask.past is None and not ask.keeps]
    replies: dict[int, tuple[Tensor, Past | None]] = {}
    by_block: dict[int | None, list[int]] = {}
    for i in together:
        by_block.setdefault(asks[i].block, []).append(i)
    for block, members in by_block.items():
        one = Sequences(
            tuple(tokens for i in members for tokens in asks[i].tokens),
            tuple(places for i in members for places in asks[i].places),
            block,
        )
        hidden, _ = _forward(model, one)
        sizes = [sum(map(len, asks[i].places)) for i in members]
        replies |= {i: (part, None) for i, part in zip(members, hidden.split(sizes), strict=True)}
    for i, ask in enumerate(asks):
        if i not in replies:
            replies[i] = _forward(model, ask)
    return [replies[i] for i in range(len(asks))]


def _forward(model: Backbone, ask: Sequences) -> tuple[Tensor, Past | None]:
    device, b = model.device, len(ask.tokens)
    lengths = torch.tensor([len(tokens) for tokens in ask.tokens], device=device)
    t = int(lengths.max())
    tokens = torch.tensor([[*each, *[0] * (t - len(each))] for each in ask.tokens], device=device)
    n_past = 0 if ask.past is None else ask.past.n_tokens
    positions = torch.arange(n_past, n_past + t, device=device).expand(b, t)
    past = ask.past
    if past is not None and past.layers[0][0].shape[0] != b:
        past = Past([(k.expand(b, *k.shape[1:]), v.expand(b, *v.shape[1:])) for k, v in past.layers])
    hidden, states = model(tokens, positions, _sees(ask, lengths, t, n_past), past)
    row = torch.tensor([i for i, places in enumerate(ask.places) for _ in places], device=device, dtype=torch.long)
    place = torch.tensor([at for places in ask.places for at in places], device=device, dtype=torch.long)
    return hidden[row, place], states if ask.keeps else None


def _sees(ask: Sequences, lengths: Tensor, t: int, n_past: int) -> Tensor | None:
    """Who sees whom, [B or 1, 1, T, P + T]; None: all. Nothing sees padding."""
    device = lengths.device
    is_padded = bool((lengths < t).any())
    if not is_padded and ask.block is None:
        return None
    key = torch.arange(n_past + t, device=device)
    sees = (key < n_past + lengths.unsqueeze(1)).view(-1, 1, 1, n_past + t).expand(-1, 1, t, -1)
    if ask.block is not None:
        query = torch.arange(n_past, n_past + t, device=device)
        sees = sees & (key // ask.block <= query.unsqueeze(1) // ask.block)
    return sees
