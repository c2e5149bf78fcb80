"""A body's own next tokens: what fills a canvas where the model was taught no masks.

One causal forward reads what was committed last and gives the next token. It may read a guess behind it, too: what of
the guess the body would have written itself is committed at once (speculative decoding, Leviathan et al. 2023, greedy),
so the text is the body's own whatever was guessed. States of the new tokens are kept from one forward to the next.
Knows tokens and tensors, no text.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from .asks import BranchWork, Extend, Extended
from .canvas_tokens import CanvasTokens
from .common_prefix import common_prefix
from .denoise import Prediction, entropy, stop_log_probs
from .denoiser import ContextStates, room_for, stack, states_of, truncated
from .effort import Effort
from .healing import Healing, is_stop
from .policies import Scores
from .row import Row

Guess = Callable[[Sequence[int]], Sequence[int]]  # tokens so far → tokens that may follow
N_GUESS_MOST = 16  # tokens of a guess: each costs 0.5B 1.5 ms on two cores, a forward of one token 32


class Continuation:
    """What follows a context, token by token. states are the whole context's, of batch 1 and at least two tokens."""

    def __init__(self, states: ContextStates, n_most: int, guess: Guess) -> None:
        self._before = _Growing(truncated(states, states.n_tokens - 1), n_most + N_GUESS_MOST)
        self._unread = [int(states.tokens[0, -1])]
        self._guess = guess
        self._n_known = 0  # tokens of the canvas that are read or unread, not masks
        self._next: Tensor | None = None  # log-probabilities [V] of what follows, where nothing is unread

    def open(self, row: Row, tokens: CanvasTokens, healing: Healing, effort: Effort) -> BranchWork[None]:
        """Put the tokens behind row that cover what is healed and, perhaps, begin the answer.

        Where the body would end the text there, the row has ended. Fewer tokens where effort allows no more forwards.
        """
        data = b""
        while (rest := healing.rest(data)) and row.finish_reason != "stop":
            if effort.is_cancelled() or effort.is_spent():
                return
            n = len(row.tokens)
            guess = healing.likely[n:] if healing.likely[:n] == row.tokens else []
            reply = yield Extend((*self._unread, *guess), self._before.states)
            assert isinstance(reply, Extended)
            effort.n_forwards += 1
            log_probs = tokens.allowed(reply.log_probs[len(self._unread) - 1 :])  # [1 + guess, V]
            n_read = len(self._unread)
            for i, after in enumerate(log_probs):
                data += self._open_further(row, after, tokens, healing, rest)
                rest = healing.rest(data)
                if not rest or guess[i : i + 1] != row.tokens[-1:]:
                    break
                n_read += 1
            self._read(reply, n_read)
            self._unread = row.tokens[-1:]

    @staticmethod
    def _open_further(row: Row, log_probs: Tensor, tokens: CanvasTokens, healing: Healing, rest: bytes) -> bytes:
        """Put the likeliest token that agrees with rest behind row, by log_probs [V], and give its bytes back.

        Where it ends the text, what stands before the line break is put there.
        """
        log_probs = healing.narrowed(log_probs, rest)
        stop, token = float(healing.stop_log_prob(log_probs, rest)), int(log_probs.argmax())
        data = healing.tokenizer.bytes_of(token)
        own = data[len(rest) :]
        if not is_stop(tokens, token, own):
            row.add([token], [float(log_probs[token])], [stop], [False])
            return data
        before = own.partition(b"\n")[0].rstrip(b"\r") if own.strip() else b""
        spelt = healing.spelt(rest + before)
        row.add(spelt, [0.0] * len(spelt), [stop] * len(spelt), [False] * len(spelt))
        row.log_prob += float(log_probs[token]) if before else stop
        row.finish_reason = "stop"
        return rest + before

    def predict(self, states: object, canvas: Tensor, tokens: CanvasTokens) -> BranchWork[Prediction]:
        """The body's tokens at the first mask of canvas [1, L] and behind it, as far as one forward tells; a mask where
        it does not. A `denoise.Predict`."""
        row = canvas[0].tolist()
        n = row.index(tokens.mask)
        self._unread += row[self._n_known : n]
        if not self._unread and self._next is not None:
            return self._prediction(canvas, n, self._next.unsqueeze(0), 0, tokens, n_forwards=0)
        guess = [*self._guess(row[:n])][: min(len(row) - n - 1, N_GUESS_MOST)]
        guess = guess[: next((i for i, token in enumerate(guess) if bool(tokens.stops[token])), None)]
        reply = yield Extend((*self._unread, *guess), self._before.states)
        assert isinstance(reply, Extended)
        log_probs = tokens.allowed(reply.log_probs[len(self._unread) - 1 :])  # [1 + guess, V]
        n_right = common_prefix(log_probs.argmax(dim=-1).tolist(), guess)
        self._read(reply, len(self._unread) + n_right)
        self._unread, self._n_known, self._next = [], n + n_right, log_probs[n_right]
        return self._prediction(canvas, n, log_probs, n_right, tokens, n_forwards=1)

    @staticmethod
    def _prediction(
        canvas: Tensor, n: int, log_probs: Tensor, n_right: int, tokens: CanvasTokens, *, n_forwards: int
    ) -> Prediction:
        """What log_probs [1 + n_right …, V] say of the places from n on."""
        reached = slice(n, n + n_right + 1)
        best = log_probs[: n_right + 1].max(dim=-1)
        found = torch.full_like(canvas, tokens.mask)
        confidence, ends = torch.zeros(canvas.shape), torch.full(canvas.shape, float("-inf"))
        found[0, reached] = best.indices
        confidence[0, reached] = best.values.exp()
        ends[0, reached] = stop_log_probs(log_probs[: n_right + 1], tokens)
        entropies = torch.full(canvas.shape, float("inf"))
        entropies[0, reached] = entropy(log_probs[: n_right + 1])
        return Prediction(found, Scores(confidence, lambda: entropies), ends, n_forwards)

    def _read(self, reply: Extended, n: int) -> None:
        self._before.add(reply.states, n)


def guesses(drafts: Sequence[Sequence[int]], best: Sequence[Sequence[int]]) -> Guess:
    """What drafts say of the tokens to come, the first that agrees with those so far; none where none does.

    best [N + 1] of each is what the body would have put at each of its N places: as far as that is the draft's own
    token the body writes the draft, and at the first difference it writes its own.
    """
    paths = []
    for draft, own in zip(drafts, best, strict=True):
        n = common_prefix(own, draft)
        paths.append([*draft[:n], *own[n : n + 1]])
    paths.sort(key=len, reverse=True)

    def guess(so_far: Sequence[int]) -> Sequence[int]:
        n = len(so_far)
        return next((path[n:] for path in paths if len(path) > n and path[:n] == list(so_far)), ())

    return guess


class _Growing:
    """Context states that further tokens are put behind without copying those before."""

    def __init__(self, states: ContextStates, n_more: int) -> None:
        keys, values = stack(states)
        n = states.n_tokens
        shape = (*keys.shape[:2], room_for(n + n_more), keys.shape[3])
        self._keys, self._values = keys.new_zeros(shape), values.new_zeros(shape)
        self._keys[:, :, :n], self._values[:, :, :n] = keys[:, :, :n], values[:, :, :n]
        self._raws = torch.cat([layer.raw[:, -1:] for layer in states.layers])
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
        self._raws = torch.cat([layer.raw[:, n - 1 : n] for layer in new.layers])
        self._tokens = torch.cat((self._tokens, new.tokens[:, :n]), dim=1)
        self._copy_keys = torch.cat((self._copy_keys, new.copy_keys[:, :n]), dim=1)
