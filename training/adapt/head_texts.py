"""Training texts of a denoising head, as a body read them: its states and its own next tokens.

A text is the context of a hole and the hole's text, as serving builds them. The body reads it once; its states are kept
in int8, so that many epochs need no body.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
import torch
from numpy.random import Generator
from numpy.typing import NDArray
from torch import Tensor

from ...fim.errors import InputError
from ...model.decoding.ngrams import LENGTHS, Ngrams
from ...model.network.head_config import HeadConfig

UNKNOWN = -1
N_READ_MOST = 200  # tokens at the end of a text after which the body's next token is asked for
N_AT_LEAST = 8  # tokens before the first of them
OTHER_TEXT = 0.25  # weight of places behind one where the body would have written something else
FURTHER = 0.85  # a place's weight, for each place left of it
ALL_MASKED = 0.8  # of canvases: so each of them is in use
LEFT_KNOWN = 0.1  # of canvases: so they go on where the left is settled first; of the others any tokens are masked


@dataclass(frozen=True)
class BodyText:
    """Tokens [T]; the body's own next token after each [T], UNKNOWN before first; its states in int8 [T, D] and their
    scales [T]."""

    tokens: NDArray[np.int64]
    best: NDArray[np.int64]
    states: NDArray[np.int8]
    scales: NDArray[np.float32]
    first: int

    @classmethod
    def of(
        cls, tokens: NDArray[np.int64], best: NDArray[np.int64], hidden: NDArray[np.float32], first: int
    ) -> "BodyText":
        """From last hidden states [T, D] as the body computes them, and its next tokens from first on."""
        scales = np.maximum(np.abs(hidden).max(axis=1), 1e-6) / 127
        known = np.concatenate([np.full(first, UNKNOWN), best]).astype(np.int64)
        return cls(tokens, known, np.round(hidden / scales[:, None]).astype(np.int8), scales.astype(np.float32), first)


def save_texts(path: Path, texts: Sequence[BodyText], body: str) -> None:
    """Write texts, whole or not at all. body is the SHA-256 of the weights that read them."""
    part = path.with_name(path.name + ".part")
    with part.open("wb") as stream:
        np.savez(
            stream,
            lengths=np.array([len(text.tokens) for text in texts]),
            first=np.array([text.first for text in texts]),
            tokens=np.concatenate([text.tokens for text in texts]).astype(np.int32),
            best=np.concatenate([text.best for text in texts]).astype(np.int32),
            states=np.concatenate([text.states for text in texts]),
            scales=np.concatenate([text.scales for text in texts]),
            body=np.array(body),
        )
    part.replace(path)


def load_texts(paths: Sequence[Path], body: str) -> Iterator[BodyText]:
    """Texts that body has read, the SHA-256 of its weights. Raises InputError for a damaged file, or another body's."""
    for path in paths:
        try:
            with np.load(path) as stored:
                arrays = {name: stored[name] for name in ("lengths", "first", "tokens", "best", "states", "scales")}
                reader = str(stored["body"])
        except (OSError, ValueError, KeyError, EOFError, BadZipFile) as error:
            raise InputError(
                f"{path} holds no states of a body ({type(error).__name__}): collect them again"
            ) from error
        if reader != body:
            raise InputError(f"{path} was read by another body: give another --out")
        at = 0
        for n, first in zip(arrays["lengths"], arrays["first"], strict=True):
            own = slice(at, at := at + int(n))
            yield BodyText(
                arrays["tokens"][own].astype(np.int64), arrays["best"][own].astype(np.int64), arrays["states"][own],
                arrays["scales"][own], int(first),
            )  # fmt: skip


@dataclass(frozen=True)
class HeadCanvases:
    """Canvases of one text: the body's states [T, D], the canvases' tokens [M, L], hints where there are any below
    masks, which places hold masks, which hold anything, the places [M] that they follow, the body's own tokens [M, L]
    for their places, the weights [M, L] of these, and where all tokens left of a place are the body's own, so that it
    would come there."""

    states: Tensor
    tokens: Tensor
    is_mask: Tensor
    is_given: Tensor
    anchors: Tensor
    targets: Tensor
    weights: Tensor
    is_own: Tensor

    def to(self, device: torch.device) -> "HeadCanvases":
        """The same on a device."""
        return HeadCanvases(*(getattr(self, field.name).to(device, non_blocking=True) for field in fields(self)))


def canvases(
    rng: Generator,
    text: BodyText,
    n: int,
    config: HeadConfig,
    ngrams: Ngrams | None = None,
    *,
    all_masked: bool = False,
) -> HeadCanvases | None:
    """n canvases of a text at places drawn evenly; None if it has none. Their first token is never masked. ngrams
    give hints."""
    last = len(text.tokens) - 2
    if last <= text.first:
        return None
    n_canvas = config.n_canvas
    places = np.arange(text.first, last)
    anchors = np.sort(rng.choice(places, size=min(n, len(places)), replace=False))
    start = max(0, int(anchors[0]) - config.n_window)
    at = anchors[:, None] + 1 + np.arange(n_canvas)
    is_there = at < len(text.tokens)
    at = np.minimum(at, len(text.tokens) - 1)
    tokens, targets = text.tokens[at], text.best[at - 1]
    same = (targets == tokens)[:, 1:-1].cumprod(axis=1).astype(bool)
    is_own = np.concatenate([np.ones((len(anchors), 2), dtype=bool), same], axis=1) & is_there
    is_mask = _masks(rng, *tokens.shape) | all_masked | ~is_there
    is_mask[:, 0] = False
    is_mask[~is_mask[:, 1:].any(axis=1), 1:] = True
    weights = np.where(is_own, 1.0, OTHER_TEXT) * is_there * is_mask * FURTHER ** np.arange(-1, n_canvas - 1)
    hints = _hints(ngrams, text, anchors, is_mask) if ngrams else np.full_like(tokens, UNKNOWN)
    given = np.where(is_mask, hints, tokens)
    states = text.states[start:].astype(np.float32) * text.scales[start:, None]
    return HeadCanvases(
        torch.from_numpy(states), torch.from_numpy(np.maximum(given, 0)), torch.from_numpy(is_mask),
        torch.from_numpy(given != UNKNOWN), torch.from_numpy(anchors - start),
        torch.from_numpy(targets), torch.from_numpy(weights.astype(np.float32)), torch.from_numpy(is_own),
    )  # fmt: skip


def _hints(ngrams: Ngrams, text: BodyText, anchors: NDArray[np.int64], is_mask: NDArray[np.bool_]) -> NDArray[np.int64]:
    """What n-grams guess [M, L] behind the tokens left of each canvas's first mask; UNKNOWN where they say nothing."""
    hints = np.full(is_mask.shape, UNKNOWN)
    for row, anchor, n_known in zip(hints, anchors.tolist(), is_mask.argmax(axis=1).tolist(), strict=True):
        end = anchor + 1 + n_known
        found = ngrams.guess(text.tokens[max(0, end - LENGTHS[0]) : end].tolist(), len(row) - n_known)
        row[n_known : n_known + len(found)] = found
    return hints


def _masks(rng: Generator, n: int, n_canvas: int) -> NDArray[np.bool_]:
    """Which tokens [n, n_canvas] of n canvases are masks."""
    kinds, shares = rng.random((n, 1)), rng.random((n, 1))
    of_any = rng.random((n, n_canvas)) < shares
    right = np.arange(n_canvas) > rng.integers(n_canvas - 1, size=(n, 1))
    return (kinds < ALL_MASKED) | np.where(kinds < ALL_MASKED + LEFT_KNOWN, right, of_any)
