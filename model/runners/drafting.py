"""The interface of a body's denoising head to the runner of the body."""

from collections.abc import Sequence
from typing import Protocol

from ..network.states import Array
from ..requests import AskHead, HeadGuess


class Drafter(Protocol):
    """A denoising head that is ready to run. n_most: the most tokens of a guess."""

    n_most: int

    def __call__(self, known: Sequence[int], hints: Sequence[int], features: Array) -> HeadGuess:
        """One to n_most tokens after known, which follow the tokens whose states are features [T, D].

        hints are guesses of the first of them, any number.
        """
        ...


def ask_head(drafter: Drafter | None, ask: AskHead) -> HeadGuess:
    """The head's guess. Raises TypeError without a head."""
    if drafter is None:
        raise TypeError("this runner has no denoising head")
    return drafter(ask.known, ask.hints, ask.states.copy_keys[0])
