"""A partial answer: its tokens so far, and where it ends if no single place is a likely end.

Inside a line the end is the place with the highest probability of the text so far times that of ending there: once the
probability of the text alone has fallen below the best of these, going on cannot win. If whole lines are wanted, that
would always be the first line, since a longer text is less likely; so then it is the line end by which the text has
ended more likely than not. Denoiser and causal head both end by these rules.
"""

import copy
import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from ...fim.types import FinishReason
from ..tokenizers.canvas_tokens import CanvasTokens, EndRule


@dataclass
class PartialAnswer:
    """Tokens, their log-probabilities and those of ending before each of them, all N.

    may_end_before[i] tells whether the answer could end before token i by the rules above. An answer with a committed
    end keeps it.

    log_prob is that of all tokens, and of the end if one was committed or cut at; finish_reason tells why it ended.
    The first n_opening tokens cover the healed text: none of them ends the text.
    """

    end_rule: EndRule = "likeliest"
    tokens: list[int] = field(default_factory=list)
    log_probs: list[float] = field(default_factory=list)
    end_log_probs: list[float] = field(default_factory=list)
    may_end_before: list[bool] = field(default_factory=list)
    finish_reason: FinishReason = "length"
    log_prob: float = 0.0
    n_opening: int = 0

    def add(
        self,
        tokens: Sequence[int],
        log_probs: Sequence[float],
        end_log_probs: Sequence[float],
        may_end_before: Sequence[bool],
    ) -> None:
        """Add tokens to the end."""
        self.tokens += tokens
        self.log_probs += log_probs
        self.end_log_probs += end_log_probs
        self.may_end_before += may_end_before
        self.log_prob += sum(log_probs)

    def end(self) -> tuple[int, float] | None:
        """The number of tokens to end after, at least 1, and the log-probability of doing so; None if not yet."""
        if self.end_rule == "itself":
            return None
        ends = list(self._ends())
        if self.end_rule == "likeliest":
            n, score = max(ends, key=lambda end: end[1], default=(0, -math.inf))
            return (n, score) if score > self.log_prob else None
        goes_on = 1.0
        for n, score in ends:
            goes_on *= 1 - min(1.0, math.exp(self.end_log_probs[n]))
            if goes_on < 0.5:
                return n, score
        return None

    def _ends(self) -> Iterator[tuple[int, float]]:
        """Every length at which it could end, and the log-probability of text and end together."""
        text = itertools.accumulate(self.log_probs, initial=0.0)
        for n, (before, end, may_end_before) in enumerate(
            zip(text, self.end_log_probs, self.may_end_before, strict=False)
        ):
            if may_end_before and n:
                yield n, before + end

    @property
    def n_settled(self) -> int:
        """The number of tokens, from the first on, that no end can cut off any more, whatever follows."""
        if self.end_rule == "likeliest":  # only a later end can become likelier than the likeliest so far
            n, score = max(self._ends(), key=lambda end: end[1], default=(0, -math.inf))
            return n if score > -math.inf else len(self.tokens)
        end = self.end()
        return len(self.tokens) if end is None else end[0]

    def kept(self, tokens: CanvasTokens, n: int | None = None) -> list[int]:
        """The first n tokens (None: all) up to the first one that ends the text, with that one's text before its line
        break."""
        for i, token in enumerate(self.tokens[:n]):
            if i >= self.n_opening and tokens.stops[token]:
                return [*self.tokens[:i], *tokens.before_break.get(token, ())]
        return self.tokens[:n]

    def cut(self) -> None:
        """Drop what follows the end, if any."""
        end = self.end()
        if end is not None:
            n, self.log_prob = end
            self._drop(n)
            self.end_rule = "itself"
            self.finish_reason = "stop" if self.finish_reason == "length" else self.finish_reason

    def keep(self, n: int) -> None:
        """Drop what follows the first n tokens, if no end was committed."""
        if n < len(self.tokens):
            self.log_prob = sum(self.log_probs[:n])
            self._drop(n)

    def _drop(self, n: int) -> None:
        for kept in (self.tokens, self.log_probs, self.end_log_probs, self.may_end_before):
            del kept[n:]


def grow(
    row: PartialAnswer, canvas: np.ndarray, log_probs: np.ndarray, stop_log_probs: np.ndarray, tokens: CanvasTokens
) -> PartialAnswer:
    """A copy of row with the tokens left of any mask or end in its canvas, and their scores (all [L]), appended."""
    is_text = (canvas != tokens.mask) & (canvas != tokens.end)
    n = int(is_text.cumprod().sum())
    row = copy.deepcopy(row)
    row.add(
        canvas[:n].tolist(),
        log_probs[:n].tolist(),
        stop_log_probs[:n].tolist(),
        tokens.may_end_before[canvas[:n]].tolist(),
    )
    return row
