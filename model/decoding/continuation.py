"""A body's own next tokens, which fill a canvas if the model was taught no masks.

One causal forward reads the tokens committed last and gives the next one. It may read a guess behind them, too: the
tokens of the guess that the body would have written itself are committed at once (speculative decoding, Leviathan et
al. 2023), so the text is the body's own whatever was guessed; drawn tokens too (`sampling`). States of the new tokens
are kept from one forward to the next.
"""

from collections.abc import Callable, Sequence
from itertools import takewhile

import numpy as np

from ..network.states import ContextStates, concat, room_for, stack, states_of, truncate, zeros_like
from ..numerics import entropy
from ..requests import AskHead, BranchWork, Extend, Extended, HeadGuess
from ..tokenizers.canvas_tokens import CanvasTokens
from .denoise import Prediction, log_probs_at, stop_log_probs
from .effort import Effort
from .healing import Healing, is_stop
from .partial_answer import PartialAnswer
from .policies import Scores
from .sampling import Choose, likeliest

Guess = Callable[[Sequence[int]], Sequence[int]]  # tokens so far → tokens that may follow
Seen = Callable[
    [Sequence[int], np.ndarray, bool], None
]  # tokens so far, log-probabilities [V] of what follows, may it end
N_COUNTED = 3  # tokens guessed by n-grams: a forward over four takes no longer than over one
N_READ_FEW, N_READ_MOST = 8, 16  # tokens of a forward with a guess: 0.5B takes 37 and 56 ms on two cores, for one 32


def ignore(so_far: Sequence[int], log_probs: np.ndarray, may_end: bool) -> None:
    """A `seen` for callers that do not watch."""


def nothing(so_far: Sequence[int]) -> Sequence[int]:
    """A `guess` for callers that have none."""
    return ()


class Continuation:
    """What follows a context, token by token. states are the whole context's, of batch 1 and at least two tokens.

    seen is called with every distribution that a token is chosen by, with some more than once.
    """

    def __init__(
        self,
        states: ContextStates,
        n_most: int,
        guess: Guess = nothing,
        seen: Seen = ignore,
        counted: Guess = nothing,
        n_drafted: int = 0,
        choose: Choose = likeliest,
    ) -> None:
        """counted (n-grams) is asked if guess has nothing: its tokens are hints for a denoising head or, without one,
        the guess. n_drafted: the most tokens that the head guesses; 0 without one."""
        self._counted, self._n_drafted, self._choose = counted, n_drafted, choose
        self._before = _Growing(truncate(states, states.n_tokens - 1), n_most + N_READ_MOST)  # what was read
        self._guess, self._seen = guess, seen
        self._opening: list[int] = []  # tokens before the canvas
        self._unread = [int(states.tokens[0, -1])]
        self._n_known = 0  # tokens chosen since the context: read, unread, or among the right guesses
        self._n_read = N_READ_FEW
        self._reply: Extended | None = None  # of the last forward, while it is useful
        self._guessed: list[int] = []
        self._log_probs = np.empty(0)  # [1 + guessed, V], of what follows the tokens so far and each guessed one
        self._n_right = 0  # guessed tokens that were chosen

    def open(self, row: PartialAnswer, tokens: CanvasTokens, healing: Healing, effort: Effort) -> BranchWork[None]:
        """Append to row the tokens that cover the healed text and perhaps begin the answer.

        If the body would end the text there, the row has ended. Fewer tokens if effort allows no more forwards.
        """
        data = b""
        while (rest := healing.rest(data)) and row.finish_reason != "stop":
            if self._needs_forward(row.tokens) and (effort.is_cancelled() or effort.is_spent()):
                return
            log_probs, _, n_forwards = yield from self._ahead(row.tokens, N_READ_MOST, tokens)
            effort.n_forwards += n_forwards
            narrowed = healing.restrict(log_probs[0], rest)
            self._seen(row.tokens, narrowed, False)
            data += self._open_further(row, narrowed, tokens, healing, rest)
        self._opening = [*row.tokens]

    def predict(self, states: object, canvas: np.ndarray, tokens: CanvasTokens) -> BranchWork[Prediction]:
        """The body's tokens from the first mask of canvas [1, L] on, as far as one forward tells; masks beyond that.
        A `denoise.Predict`."""
        row = canvas[0].tolist()
        n = row.index(tokens.mask)
        so_far = [*self._opening, *row[:n]]
        log_probs, guessed, n_forwards = yield from self._ahead(so_far, len(row) - n - 1, tokens)
        guessed = guessed[: next((i for i, token in enumerate(guessed) if tokens.stops[token]), None)]
        chosen: list[int] = []
        while chosen == guessed[: len(chosen)] and len(chosen) <= len(guessed):
            i = len(chosen)
            self._seen([*so_far, *chosen], log_probs[i], True)
            chosen += self._choose(log_probs[i : i + 1], len(so_far) + i).tolist()
        found = self._prediction(canvas, n, log_probs, np.array(chosen), tokens, n_forwards=n_forwards)
        return found._replace(refused=guessed[len(chosen) - 1 :] if n_forwards else ())

    def add_known(self, row: PartialAnswer, n_most: int, tokens: CanvasTokens) -> None:
        """Append to row the tokens that the last forward gives, at most n_most and none that ends the text."""
        while n_most and not self._needs_forward(row.tokens):
            log_probs = self._log_probs[self._n_right]
            token = int(self._choose(log_probs[None], len(row.tokens))[0])
            if tokens.stops[token]:
                return
            stop = float(stop_log_probs(log_probs, tokens))
            row.add([token], [float(log_probs[token])], [stop], [bool(tokens.may_end_before[token])])
            n_most -= 1

    def _needs_forward(self, so_far: Sequence[int]) -> bool:
        """Whether what follows is not known yet."""
        self._take(so_far[self._n_known :])
        return self._reply is None

    def _ahead(
        self, so_far: Sequence[int], n_room: int, tokens: CanvasTokens
    ) -> BranchWork[tuple[np.ndarray, list[int], int]]:
        """Log-probabilities [1 + N, V] of what follows so_far and each of N guessed tokens after it, N at most n_room;
        these tokens; and the forwards taken, 0 or 1."""
        n_forwards = 0
        if self._needs_forward(so_far):
            n_most = max(0, min(n_room, self._n_read - len(self._unread)))
            guess = yield from self._guess_next(so_far, n_most, tokens)
            reply = yield Extend((*self._unread, *guess), self._before.states)
            assert isinstance(reply, Extended)
            self._log_probs = tokens.allowed(reply.log_probs[len(self._unread) - 1 :])
            self._reply, self._guessed, self._n_right, n_forwards = reply, guess, 0, 1
        ahead = slice(self._n_right, self._n_right + n_room)
        return self._log_probs[self._n_right : ahead.stop + 1], self._guessed[ahead], n_forwards

    def _guess_next(self, so_far: Sequence[int], n_room: int, tokens: CanvasTokens) -> BranchWork[list[int]]:
        """At most n_room tokens that may follow so_far. If they are not from guess, none of them ends the text."""
        guess = [*self._guess(so_far)][:n_room]
        if guess or not n_room:
            return guess
        counted = self._counted(so_far)
        likely, n = counted, N_COUNTED
        if 0 < len(self._unread) <= self._n_drafted:
            reply = yield AskHead(tuple(self._unread), tuple(counted), self._before.states)
            assert isinstance(reply, HeadGuess)
            likely, n = reply.tokens, self._n_drafted
        return [*takewhile(lambda token: not tokens.stops[token], likely[: min(n, n_room)])]

    def _take(self, new: Sequence[int]) -> None:
        """Go on with the chosen tokens."""
        for token in new:
            if self._reply is not None and self._guessed[self._n_right : self._n_right + 1] == [token]:
                self._n_right += 1
                continue
            if self._reply is not None:
                was_right = 0 < self._n_right == len(self._guessed)
                self._n_read = N_READ_MOST if was_right else N_READ_FEW
                self._before.add(self._reply.states, len(self._unread) + self._n_right)
                self._unread, self._reply = [], None
            self._unread.append(token)
        self._n_known += len(new)

    def _open_further(
        self, row: PartialAnswer, log_probs: np.ndarray, tokens: CanvasTokens, healing: Healing, rest: bytes
    ) -> bytes:
        """Append to row a token that agrees with rest, chosen by log_probs [V], and return its bytes.

        If it ends the text, its text before the line break is appended.
        """
        stop, token = healing.stop_log_prob(log_probs, rest), int(self._choose(log_probs[None], len(row.tokens))[0])
        data = healing.tokenizer.bytes_of(token)
        own = data[len(rest) :]
        if not is_stop(tokens, token, own):
            row.add([token], [float(log_probs[token])], [stop], [False])
            return data
        before = own.partition(b"\n")[0].rstrip(b"\r") if own.strip() else b""
        spelt = healing.spell(rest + before)
        first = float(log_probs[token]) if before else 0.0
        row.add(spelt, [first, *[0.0] * (len(spelt) - 1)], [stop] * len(spelt), [False] * len(spelt))
        row.log_prob += 0.0 if before else stop
        row.finish_reason = "stop"
        return rest + before

    @staticmethod
    def _prediction(
        canvas: np.ndarray, n: int, log_probs: np.ndarray, chosen: np.ndarray, tokens: CanvasTokens, *, n_forwards: int
    ) -> Prediction:
        """The prediction of the N chosen tokens, by log_probs [N …, V], for the places from n on."""
        reached = slice(n, n + len(chosen))
        known = log_probs[: len(chosen)]
        found = np.full_like(canvas, tokens.mask)
        confidence, ends, entropies = (np.full(canvas.shape, value, np.float32) for value in (0, -np.inf, np.inf))
        found[0, reached] = chosen
        confidence[0, reached] = np.exp(log_probs_at(known, chosen))
        ends[0, reached] = stop_log_probs(known, tokens)
        entropies[0, reached] = entropy(known)
        return Prediction(found, Scores(confidence, lambda: entropies), ends, n_forwards)


class _Growing:
    """Context states to which further tokens are appended without a copy of those before."""

    def __init__(self, states: ContextStates, n_more: int) -> None:
        keys, values = stack(states)
        n = states.n_tokens
        shape = (*keys.shape[:2], room_for(n + n_more), keys.shape[3])
        self._keys, self._values = zeros_like(keys, shape), zeros_like(values, shape)
        self._keys[:, :, :n], self._values[:, :, :n] = keys[:, :, :n], values[:, :, :n]
        self._raws = concat([layer.raw[:, -1:] for layer in states.layers])
        self._tokens, self._copy_keys = states.tokens, states.copy_keys

    @property
    def states(self) -> ContextStates:
        """The states so far."""
        return states_of((self._keys, self._values), self._raws, self._copy_keys, self._tokens)

    def add(self, new: ContextStates, n: int) -> None:
        """Append the first n tokens of new."""
        at = self._tokens.shape[1]
        for i, layer in enumerate(new.layers):
            self._keys[i, :, at : at + n] = layer.keys[0, :, :n]
            self._values[i, :, at : at + n] = layer.values[0, :, :n]
        self._raws = concat([layer.raw[:, n - 1 : n] for layer in new.layers])
        self._tokens = concat([self._tokens, new.tokens[:, :n]], axis=1)
        self._copy_keys = concat([self._copy_keys, new.copy_keys[:, :n]], axis=1)
