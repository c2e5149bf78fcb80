"""What a body's denoising head needs to be of use: whoever runs the body asks it."""

from collections.abc import Sequence
from typing import Protocol

from ..network.states import Array
from ..requests import AskHead, HeadGuess


class Drafter(Protocol):
    """A denoising head that can be asked. n_most tokens of a draft, at most."""

    n_most: int

    def __call__(self, known: Sequence[int], hints: Sequence[int], features: Array) -> HeadGuess:
        """The tokens behind known, one to n_most, which follow the tokens whose states are features [T, D].

        hints are guesses of the first of them, as many as there are.
        """
        ...


def ask_head(drafter: Drafter | None, ask: AskHead) -> HeadGuess:
    """A head's answer. Raises TypeError where there is no head."""
    if drafter is None:
        raise TypeError("this runner has no denoising head")
    return drafter(ask.known, ask.hints, ask.states.copy_keys[0])
