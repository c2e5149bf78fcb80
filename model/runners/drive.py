"""How jobs get their replies: the forward requests of several jobs become one call of a runner.

The denoise loop, verification and prefill are written as if they had the model to themselves (`requests`). Their driver
decides what runs together: `drive` runs one job, `drive_all` several in step.
"""

from collections.abc import Sequence
from typing import Protocol

from ..requests import ForwardReply, ForwardRequest, T, Work


class Runner(Protocol):
    """Answers forward requests."""

    def __call__(self, asks: Sequence[ForwardRequest]) -> list[ForwardReply]:
        """One reply per request, in order."""
        ...


def drive(run: Runner, work: Work[T]) -> T:
    """The result of work that has the model to itself."""
    (result,) = drive_all(run, [work])
    return result


def drive_all(run: Runner, works: Sequence[Work[T]]) -> list[T]:
    """The results of several works that run in step until all are done."""
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
