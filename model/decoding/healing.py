"""Token healing: the open piece at the cursor is dropped from the context, and the answer begins with it again.

A tokenizer cuts `return` into one token and `ret` into others, and joins a bracket with the line break behind it. A
context that ends inside such a token is text that the model never saw. So the context ends before the piece at the
cursor, and only tokens that agree with that piece may come next. Our own models, which were taught cuts anywhere, heal
nothing. Knows tokens and bytes, no model.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ..numerics import log_softmax, logsumexp
from ..tokenizers.body_tokenizer import BodyTokenizer
from ..tokenizers.canvas_tokens import CanvasTokens
from ..tokenizers.text_tokenizer import LONE_SURROGATE, TextTokenizer


@dataclass(frozen=True)
class Healing:
    """text is what the context lacks of the prefix; every candidate's tokens begin with it."""

    tokenizer: TextTokenizer
    text: str = ""

    @cached_property
    def data(self) -> bytes:
        """The text in UTF-8, as its tokens spell it."""
        return LONE_SURROGATE.sub("\ufffd", self.text).encode()

    @cached_property
    def likely(self) -> list[int]:
        """The tokens that the text probably begins with: those before the last one where a letter follows."""
        found: list[int] = []
        n = 0
        for token in self.tokenizer.encode(self.text + "x"):
            n += len(self.tokenizer.bytes_of(token))
            if n >= len(self.data):
                break
            found.append(token)
        return found

    def encode(self, text: str) -> list[int]:
        """The tokens of a candidate: of the healed text and of its own."""
        return self.tokenizer.encode(self.text + text)

    def text_of(self, tokens: Sequence[int]) -> str:
        """The candidate's own text."""
        return self.own(b"".join(map(self.tokenizer.bytes_of, tokens))).decode("utf-8", errors="replace")

    def own(self, data: bytes) -> bytes:
        """What data, bytes of a candidate's tokens, hold behind the healed text."""
        return data[len(self.data) :]

    def rest(self, data: bytes) -> bytes:
        """What of the healed text is still to come after data."""
        return self.data[len(data) :]

    def is_passed(self, tokens: Sequence[int]) -> bool:
        """Whether tokens hold more than the healed text."""
        return bool(self.own(b"".join(map(self.tokenizer.bytes_of, tokens))))

    def agreeing(self, rest: bytes) -> np.ndarray:
        """The ids of tokens that may come where rest is still to come."""
        assert isinstance(self.tokenizer, BodyTokenizer)
        return np.array(self.tokenizer.agreeing_with(rest))

    def narrowed(self, log_probs: np.ndarray, rest: bytes) -> np.ndarray:
        """log_probs [V] of what comes where rest is still to come: those of tokens that agree with it, normalised."""
        ids = self.agreeing(rest)
        found = np.full_like(log_probs, -np.inf)
        found[ids] = log_softmax(log_probs[ids])
        return found

    def spelt(self, rest: bytes) -> list[int]:
        """Tokens that spell rest and no more."""
        assert isinstance(self.tokenizer, BodyTokenizer)
        return self.tokenizer.spelt(rest)

    def stop_log_prob(self, log_probs: np.ndarray, rest: bytes) -> float:
        """The log-probability that a line ends right behind rest, from those of `narrowed`."""
        assert isinstance(self.tokenizer, BodyTokenizer)
        ids = self.tokenizer.beginning_with(rest + b"\n") if rest else []
        return float(logsumexp(log_probs[ids])) if ids else -np.inf


def healing_of(tokenizer: TextTokenizer, prefix: str) -> Healing:
    """What is healed at the end of a prefix."""
    return Healing(tokenizer, tokenizer.open_piece(prefix))


def is_stop(tokens: CanvasTokens, token: int, text: bytes) -> bool:
    """Whether a token whose own text, behind what is healed, is text ends the answer."""
    return token == tokens.end or (bool(tokens.stops[token]) and b"\n" in text) or token in tokens.other_ends
