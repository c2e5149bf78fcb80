"""What work on a hole asks of the model, and how the tokens of an ask stand behind their context.

Work is a generator: it yields a `ForwardRequest`, is sent the reply, and returns its result. Tokens and
log-probabilities are NumPy arrays whatever runs the model; states are what it made. Knows no text.
"""

from collections.abc import Callable, Generator, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

import numpy as np

from .network.states import ContextStates
from .tokenizers.canvas_tokens import CanvasTokens

Ended = Literal["filled", "budget", "cancelled"]


def never() -> bool:
    """An is_cancelled for callers that cannot cancel."""
    return False


@dataclass(frozen=True)
class Rows:
    """Canvases [M, N] that each follow the same context (states of batch 1).

    Answered by log-probabilities [M, N, V] of what stands at each position.
    """

    tokens: np.ndarray
    states: ContextStates


@dataclass(frozen=True)
class Tree:
    """Continuations of a context (states of batch 1) that share what they begin with (after Miao et al. 2024,
    "SpecInfer").

    Each of tokens [S] follows that at parents [S], an earlier index, or -1, the context's last token. Answered by
    log-probabilities [S, V] of what follows each token.
    """

    tokens: tuple[int, ...]
    parents: tuple[int, ...]
    states: ContextStates


@dataclass(frozen=True)
class Fill:
    """Canvases [M, L] to be filled as `denoise` does it with `policies.threshold`, in at most n_steps steps, without
    early ends; only for runners that `fill`. Answered by `Denoised`.

    is_cancelled and deadline_s (on time.monotonic's clock) are asked every few steps.
    """

    canvas: np.ndarray
    states: ContextStates
    tokens: CanvasTokens
    threshold: float
    n_steps: int
    is_cancelled: Callable[[], bool] = never
    deadline_s: float | None = None


@dataclass(frozen=True)
class Denoised:
    """What a denoise loop comes to: canvas [B, L] (no masks unless cancelled or no step was possible), the
    log-probability [B, L] of each token when it was committed (0 for given ones and those filled in after an end), that
    of a stop in its place (-inf for given ones), forwards taken, and why it ended."""

    canvas: np.ndarray
    log_probs: np.ndarray
    stop_log_probs: np.ndarray
    steps: int
    ended: Ended


@dataclass(frozen=True)
class Context:
    """New context tokens [1, N] after past. Answered by the states of these tokens alone."""

    tokens: np.ndarray
    past: ContextStates | None


@dataclass(frozen=True)
class Extend:
    """Tokens that follow one another and a context (states of batch 1), read causally. Answered by `Extended`."""

    tokens: tuple[int, ...]
    states: ContextStates


@dataclass(frozen=True)
class Extended:
    """What a causal reading of N tokens gives: log-probabilities [N, V] of what follows each, without copies, and the
    states of these tokens alone."""

    log_probs: np.ndarray
    states: ContextStates


@dataclass(frozen=True)
class AskHead:
    """Tokens that follow a context, for a denoising head to guess what comes behind them; hints may do so. Only for
    runners that have one. states are of batch 1, and their copy keys are the body's hidden states. Answered by
    `HeadGuess`."""

    known: tuple[int, ...]
    hints: tuple[int, ...]
    states: ContextStates


@dataclass(frozen=True)
class HeadGuess:
    """Tokens that a denoising head guesses, and how probable it finds each by itself."""

    tokens: tuple[int, ...]
    probabilities: tuple[float, ...]


Branches = Rows | Tree
ForwardRequest = Rows | Tree | Fill | Context | Extend | AskHead
ForwardReply = np.ndarray | ContextStates | Denoised | Extended | HeadGuess
T = TypeVar("T")
Work = Generator[ForwardRequest, Any, T]  # what is sent is the reply to what was yielded; types cannot say so
BranchWork = Generator[Rows | Tree | Fill | Extend | AskHead, Any, T]


@dataclass(frozen=True)
class FlatTokens:
    """The tokens [S] of an ask in one line. depths [S] count from the context's end, before [S] tells the token before
    each: 0 the context's last, 1 + i token i. sees (bool [S, S]) is who sees whom among them; None: all see all.
    """

    tokens: np.ndarray
    depths: np.ndarray
    before: np.ndarray
    sees: np.ndarray | None
    is_canvas: bool


def no_fill(asks: Sequence[ForwardRequest]) -> Sequence[Rows | Tree | Context | Extend | AskHead]:
    """The asks, for a runner that answers no `Fill`. Raises TypeError where there is one."""
    answered = [ask for ask in asks if not isinstance(ask, Fill)]
    if len(answered) < len(asks):
        raise TypeError("this runner fills no whole canvases: they are denoised step by step")
    return answered


def flatten(ask: Branches) -> FlatTokens:
    """An ask's tokens in one line."""
    if isinstance(ask, Tree):
        return _laid_tree(ask)
    m, n = ask.tokens.shape
    place = np.arange(m * n)
    depths = place % n
    sees = None if m == 1 else place[:, None] // n == place // n
    return FlatTokens(ask.tokens.reshape(-1), depths, np.where(depths == 0, 0, place), sees, is_canvas=True)


def _laid_tree(ask: Tree) -> FlatTokens:
    n = len(ask.tokens)
    sees = np.eye(n, dtype=np.bool_)
    for i, parent in enumerate(ask.parents):
        if parent >= 0:
            sees[i] |= sees[parent]
    depths = sees.sum(axis=1) - 1
    return FlatTokens(np.array(ask.tokens), depths, np.array(ask.parents) + 1, sees, is_canvas=False)


def tree_of(first: int, continuations: Iterable[Sequence[int]], states: ContextStates) -> tuple[Tree, list[list[int]]]:
    """The tree of continuations, each after the token first, and for each one its path: the indices of first and of
    its N tokens, [N + 1]."""
    tokens, parents, paths = [first], [-1], []
    index: dict[tuple[int, int], int] = {}
    for continuation in continuations:
        path = [0]
        for token in continuation:
            step = (path[-1], token)
            if step not in index:
                index[step] = len(tokens)
                tokens.append(token)
                parents.append(path[-1])
            path.append(index[step])
        paths.append(path)
    return Tree(tuple(tokens), tuple(parents), states), paths
