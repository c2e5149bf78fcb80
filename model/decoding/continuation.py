"""A body's own next tokens: what fills a canvas where the model was taught no masks.

One causal forward reads what was committed last and gives the next token. It may read a guess behind it, too: what of
the guess the body would have written itself is committed at once (speculative decoding, Leviathan et al. 2023, greedy),
so the text is the body's own whatever was guessed. States of the new tokens are kept from one forward to the next.
Knows tokens, no text.
"""

from collections.abc import Callable, Sequence
from itertools import takewhile

import numpy as np

from ..common_prefix import common_prefix
from ..network.states import ContextStates, concat, room_for, stack, states_of, truncate, zeros_like
from ..numerics import entropy
from ..requests import AskHead, BranchWork, Extend, Extended, HeadGuess
from ..tokenizers.canvas_tokens import CanvasTokens
from .denoise import Prediction, stop_log_probs
from .effort import Effort
from .healing import Healing, is_stop
from .partial_answer import PartialAnswer
from .policies import Scores

Guess = Callable[[Sequence[int]], Sequence[int]]  # tokens so far → tokens that may follow
Seen = Callable[
    [Sequence[int], np.ndarray, bool], None
]  # tokens so far, log-probabilities [V] of what follows, may it end
N_COUNTED = 3  # tokens that are guessed by n-grams: a forward over four takes no longer than over one
N_READ_FEW, N_READ_MOST = 8, 16  # tokens of a forward with a guess: 0.5B takes 37 and 56 ms on two cores, for one 32


def ignore(so_far: Sequence[int], log_probs: np.ndarray, may_end: bool) -> None:
    """A seen for callers that do not watch."""


def nothing(so_far: Sequence[int]) -> Sequence[int]:
    """A guess for callers that have none."""
    return ()


class Continuation:
    """What follows a context, token by token. states are the whole context's, of batch 1 and at least two tokens.

    seen hears every distribution that a token is chosen by; some more than once.
    """

    def __init__(
        self,
        states: ContextStates,
        n_most: int,
        guess: Guess = nothing,
        seen: Seen = ignore,
        counted: Guess = nothing,
        n_drafted: int = 0,
    ) -> None:
        """counted: what follows in general, where guess has nothing: hints for a denoising head, or, without one, a
        guess. n_drafted: the most tokens that the head guesses; 0 without one."""
        self._counted, self._n_drafted = counted, n_drafted
        self._before = _Growing(truncate(states, states.n_tokens - 1), n_most + N_READ_MOST)  # what was read
        self._guess, self._seen = guess, seen
        self._opening: list[int] = []  # tokens before the canvas
        self._unread = [int(states.tokens[0, -1])]
        self._n_known = 0  # tokens chosen since the context: read, unread, or among the right guesses
        self._n_read = N_READ_FEW
        self._reply: Extended | None = None  # of the last forward, while what it says is of use
        self._guessed: list[int] = []
        self._log_probs = np.empty(0)  # [1 + guessed, V], of what follows the tokens so far and each guessed one
        self._n_right = 0  # guessed tokens that were chosen

    def open(self, row: PartialAnswer, tokens: CanvasTokens, healing: Healing, effort: Effort) -> BranchWork[None]:
        """Put the tokens behind row that cover what is healed and, perhaps, begin the answer.

        Where the body would end the text there, the row has ended. Fewer tokens where effort allows no more forwards.
        """
        data = b""
        while (rest := healing.rest(data)) and row.finish_reason != "stop":
            if self._needs_forward(row.tokens) and (effort.is_cancelled() or effort.is_spent()):
                return
            log_probs, _, n_forwards = yield from self._ahead(row.tokens, N_READ_MOST, tokens)
            effort.n_forwards += n_forwards
            narrowed = healing.narrowed(log_probs[0], rest)
            self._seen(row.tokens, narrowed, False)
            data += self._open_further(row, narrowed, tokens, healing, rest)
        self._opening = [*row.tokens]

    def predict(self, states: object, canvas: np.ndarray, tokens: CanvasTokens) -> BranchWork[Prediction]:
        """The body's tokens at the first mask of canvas [1, L] and behind it, as far as one forward tells; a mask where
        it does not. A `denoise.Predict`."""
        row = canvas[0].tolist()
        n = row.index(tokens.mask)
        so_far = [*self._opening, *row[:n]]
        log_probs, guessed, n_forwards = yield from self._ahead(so_far, len(row) - n - 1, tokens)
        guessed = guessed[: next((i for i, token in enumerate(guessed) if tokens.stops[token]), None)]
        n_right = common_prefix(log_probs.argmax(axis=-1).tolist(), guessed)
        for i in range(n_right + 1):
            self._seen([*so_far, *guessed[:i]], log_probs[i], True)
        found = self._prediction(canvas, n, log_probs, n_right, tokens, n_forwards=n_forwards)
        return found._replace(refused=guessed[n_right:] if n_forwards else ())

    def add_known(self, row: PartialAnswer, n_most: int, tokens: CanvasTokens) -> None:
        """Put behind row what the last forward says, at most n_most tokens and none that ends the text."""
        while n_most and not self._needs_forward(row.tokens):
            log_probs = self._log_probs[self._n_right]
            token = int(log_probs.argmax())
            if tokens.stops[token]:
                return
            stop = float(stop_log_probs(log_probs, tokens))
            row.add([token], [float(log_probs[token])], [stop], [bool(tokens.may_end_before[token])])
            n_most -= 1

    def _needs_forward(self, so_far: Sequence[int]) -> bool:
        """Whether nothing is known yet of what follows."""
        self._take(so_far[self._n_known :])
        return self._reply is None

    def _ahead(
        self, so_far: Sequence[int], n_room: int, tokens: CanvasTokens
    ) -> BranchWork[tuple[np.ndarray, list[int], int]]:
        """Log-probabilities [1 + N, V] of what follows so_far and each of N guessed tokens behind it, at most n_room;
        these tokens; and forwards taken, 0 or 1."""
        n_forwards = 0
        if self._needs_forward(so_far):
            n_most = max(0, min(n_room, self._n_read - len(self._unread)))
            guess = yield from self._guessed_behind(so_far, n_most, tokens)
            reply = yield Extend((*self._unread, *guess), self._before.states)
            assert isinstance(reply, Extended)
            self._log_probs = tokens.allowed(reply.log_probs[len(self._unread) - 1 :])
            self._reply, self._guessed, self._n_right, n_forwards = reply, guess, 0, 1
        ahead = slice(self._n_right, self._n_right + n_room)
        return self._log_probs[self._n_right : ahead.stop + 1], self._guessed[ahead], n_forwards

    def _guessed_behind(self, so_far: Sequence[int], n_room: int, tokens: CanvasTokens) -> BranchWork[list[int]]:
        """At most n_room tokens that may follow so_far. Where guess has none, none of them ends the text."""
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
        """Go on with tokens that were chosen."""
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

    @staticmethod
    def _open_further(
        row: PartialAnswer, log_probs: np.ndarray, tokens: CanvasTokens, healing: Healing, rest: bytes
    ) -> bytes:
        """Put the likeliest token behind row, by log_probs [V] of those that agree with rest, and give its bytes back.

        Where it ends the text, what stands before the line break is put there.
        """
        stop, token = healing.stop_log_prob(log_probs, rest), int(log_probs.argmax())
        data = healing.tokenizer.bytes_of(token)
        own = data[len(rest) :]
        if not is_stop(tokens, token, own):
            row.add([token], [float(log_probs[token])], [stop], [False])
            return data
        before = own.partition(b"\n")[0].rstrip(b"\r") if own.strip() else b""
        spelt = healing.spelt(rest + before)
        first = float(log_probs[token]) if before else 0.0
        row.add(spelt, [first, *[0.0] * (len(spelt) - 1)], [stop] * len(spelt), [False] * len(spelt))
        row.log_prob += 0.0 if before else stop
        row.finish_reason = "stop"
        return rest + before

    @staticmethod
    def _prediction(
        canvas: np.ndarray, n: int, log_probs: np.ndarray, n_right: int, tokens: CanvasTokens, *, n_forwards: int
    ) -> Prediction:
        """What log_probs [1 + n_right …, V] say of the places from n on."""
        reached = slice(n, n + n_right + 1)
        known = log_probs[: n_right + 1]
        found = np.full_like(canvas, tokens.mask)
        confidence, ends, entropies = (np.full(canvas.shape, value, np.float32) for value in (0, -np.inf, np.inf))
        found[0, reached] = known.argmax(axis=-1)
        confidence[0, reached] = np.exp(known.max(axis=-1))
        ends[0, reached] = stop_log_probs(known, tokens)
        entropies[0, reached] = entropy(known)
        return Prediction(found, Scores(confidence, lambda: entropies), ends, n_forwards)


class _Growing:
    """Context states that further tokens are put behind without copying those before."""

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
        """What there is so far."""
        return states_of((self._keys, self._values), self._raws, self._copy_keys, self._tokens)

    def add(self, new: ContextStates, n: int) -> None:
        """Put the first n tokens of new behind."""
        at = self._tokens.shape[1]
        for i, layer in enumerate(new.layers):
            self._keys[i, :, at : at + n] = layer.keys[0, :, :n]
            self._values[i, :, at : at + n] = layer.values[0, :, :n]
        self._raws = concat([layer.raw[:, n - 1 : n] for layer in new.layers])
        self._tokens = concat([self._tokens, new.tokens[:, :n]], axis=1)
        self._copy_keys = concat([self._copy_keys, new.copy_keys[:, :n]], axis=1)
