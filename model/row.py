"""One answer in the making: its tokens so far, and where it might have ended.

Where no single place is a likely end, some place has to be it all the same. What counts is the probability of the text
so far times that of ending there: once that of the text itself has fallen below the best of these, going on cannot win.
Denoiser and causal head both end by this rule. Knows numbers only.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field

from ..fim.types import FinishReason


def joints(log_probs: Sequence[float]) -> list[float]:
    """Log-probability of the first 0, 1, … N of N tokens."""
    return list(itertools.accumulate(log_probs, initial=0.0))


@dataclass
class Row:
    """Tokens, their log-probabilities and those of ending before each of them, all N; may_end[i] tells whether the
    answer could end before token i without any single place having said so. finish_reason tells why it ended."""

    tokens: list[int] = field(default_factory=list)
    log_probs: list[float] = field(default_factory=list)
    end_log_probs: list[float] = field(default_factory=list)
    may_end: list[bool] = field(default_factory=list)
    finish_reason: FinishReason = "length"
    log_prob: float = 0.0

    def add(
        self, tokens: Sequence[int], log_probs: Sequence[float], end_log_probs: Sequence[float], may_end: Sequence[bool]
    ) -> None:
        """Add tokens to the end."""
        self.tokens += tokens
        self.log_probs += log_probs
        self.end_log_probs += end_log_probs
        self.may_end += may_end
        self.log_prob += sum(log_probs)

    def best_end(self) -> tuple[int, float]:
        """The likeliest number of tokens to end after, at least 1, and its log-probability; (0, -inf) without any."""
        scores = [
            (joint + end, i)
            for i, (joint, end, may) in enumerate(
                zip(joints(self.log_probs), self.end_log_probs, self.may_end, strict=False)
            )
            if may and i
        ]
        score, n = max(scores, default=(float("-inf"), 0))
        return n, score

    def is_settled(self) -> bool:
        """Whether nothing that could follow would be likelier than an end among the tokens that stand."""
        return self.best_end()[1] > self.log_prob

    def cut(self) -> None:
        """Drop what follows the likeliest end, if that is likelier than the whole."""
        n, score = self.best_end()
        if score > self.log_prob:
            self.tokens, self.log_prob = self.tokens[:n], score
            self.finish_reason = "stop" if self.finish_reason == "length" else self.finish_reason
