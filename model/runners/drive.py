"""How work gets its replies: what several jobs ask of the model becomes one call of a runner.

The one denoise loop, verification and prefill are written as if they had the model for themselves (`requests`). Their
driver decides what runs together: `drive` one job alone, `drive_all` several in step. Knows no tensors, no text.
"""

from collections.abc import Sequence
from typing import Protocol

from ..requests import ForwardReply, ForwardRequest, T, Work


class Runner(Protocol):
    """What can answer asks."""

    def __call__(self, asks: Sequence[ForwardRequest]) -> list[ForwardReply]:
        """One reply an ask, in their order."""
        ...


def drive(run: Runner, work: Work[T]) -> T:
    """The result of work that has the model for itself."""
    (result,) = drive_all(run, [work])
    return result


def drive_all(run: Runner, works: Sequence[Work[T]]) -> list[T]:
    """The results of several works that go on in step until the last one is done."""
    results: dict[int, T] = {}
    replies: dict[int, ForwardReply | None] = dict.fromkeys(range(len(works)))
    while replies:
        asks: dict[int, ForwardRequest] = {}
        for i, reply in replies.items():
            try:
                asks[i] = works[i].send(reply)
            except StopIteration as end:
                results[i] = end.value
        replies = dict(zip(asks, run(list(asks.values())), strict=True)) if asks else {}
    return [results[i] for i in range(len(works))]
