"""What a body wrote lately, as guesses of what it will write now.

When a person types what was written before, or accepts a part of it, the whole rest is guessed, and one forward tells
how much of it still holds. Otherwise what followed the same tokens in the context is guessed.
"""

from collections import deque
from collections.abc import Callable, Sequence

N_ANSWERS = 8
N_SAME = 3  # tokens that must agree before what followed them is guessed
N_LOOKED_UP = 4  # tokens guessed from the context: a wrong guess makes a forward of 32 ms one of 37 on two cores


class Recent:
    """The last answers with their contexts."""

    def __init__(self) -> None:
        self._texts: deque[list[int]] = deque(maxlen=N_ANSWERS)

    def add(self, context: Sequence[int], tokens: Sequence[int]) -> None:
        """Remember an answer."""
        if tokens:
            self._texts.append([*context, *tokens])

    def clear(self) -> None:
        """Forget all of them."""
        self._texts.clear()

    def guess(self, context: Sequence[int]) -> Callable[[Sequence[int]], Sequence[int]]:
        """A function from the tokens so far after context to how an answer that began so went on; empty if none did."""
        context = list(context)
        n = len(context)
        known = [text[n:] for text in reversed(self._texts) if text[:n] == context]

        def of(so_far: Sequence[int]) -> Sequence[int]:
            n_so_far, begun = len(so_far), list(so_far)
            return next((text[n_so_far:] for text in known if len(text) > n_so_far and text[:n_so_far] == begun), ())

        return of


def followers(tokens: Sequence[int], text: Sequence[int]) -> Sequence[int]:
    """What followed the last occurrence of tokens in text, at most N_LOOKED_UP; empty if they do not occur."""
    n, wanted = len(tokens), list(tokens)
    if n < N_SAME:
        return ()
    last = wanted[-1]
    for end in range(len(text) - 1, n - 1, -1):
        if text[end - 1] == last and list(text[end - n : end]) == wanted:
            return text[end : end + N_LOOKED_UP]
    return ()
