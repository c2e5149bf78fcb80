"""Draws the batches: in this process, or in worker processes ahead of the trainer.

A batch depends on its order alone (seed, step, index, sizes), never on which process draws it or when. Worker processes
are spawned, read the corpus themselves and import no PyTorch.
"""

import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from ...fim.errors import InputError
from .samples import Batch, SampleStream


@dataclass(frozen=True, kw_only=True)
class BatchOrder:
    """Which batch: index counts the micro-batches of a step over all ranks; size samples of n_context tokens."""

    seed: int
    step: int
    index: int
    n_context: int
    size: int


def draw(stream: SampleStream, order: BatchOrder) -> Batch:
    """The batch that order names."""
    stream = replace(stream, config=replace(stream.config, n_context=order.n_context))
    return stream.batch(np.random.default_rng((order.seed, order.step, order.index)), order.size)


class BatchSource(Protocol):
    """First in, first out. n_ahead: how many orders should be under way so that the trainer never waits."""

    n_ahead: int

    def ask(self, order: BatchOrder) -> None:
        """Order a batch."""
        ...

    def take(self) -> Batch:
        """The oldest batch that was ordered. Raises InputError when it could not be drawn."""
        ...

    def close(self) -> None:
        """End whatever runs."""
        ...


class InProcess:
    """Draws when a batch is taken: right where the training itself needs all cores."""

    n_ahead = 0

    def __init__(self, stream: SampleStream) -> None:
        self.stream = stream
        self._orders: deque[BatchOrder] = deque()

    def ask(self, order: BatchOrder) -> None:
        """Order a batch."""
        self._orders.append(order)

    def take(self) -> Batch:
        """The oldest batch that was ordered."""
        return draw(self.stream, self._orders.popleft())

    def close(self) -> None:
        """Nothing runs."""
        self._orders.clear()


class Workers:
    """n_workers processes; open_stream must be picklable and is called once in each."""

    def __init__(self, open_stream: Callable[[], SampleStream], n_workers: int) -> None:
        self.n_ahead = 2 * n_workers
        self._pool = ProcessPoolExecutor(
            n_workers, mp_context=multiprocessing.get_context("spawn"), initializer=_start, initargs=(open_stream,)
        )
        self._batches: deque[Future[Batch]] = deque()

    def ask(self, order: BatchOrder) -> None:
        """Order a batch; some worker begins with it at once."""
        try:
            self._batches.append(self._pool.submit(_draw, order))
        except BrokenProcessPool as error:
            raise InputError(_DIED) from error

    def take(self) -> Batch:
        """The oldest batch that was ordered. Raises InputError when a worker failed or died."""
        try:
            return self._batches.popleft().result()
        except BrokenProcessPool as error:
            raise InputError(_DIED) from error
        except Exception as error:  # whatever a worker raised, told in one line
            raise InputError(f"a sampling worker failed: {type(error).__name__}: {error}") from error

    def close(self) -> None:
        """Drop what was ordered and end the processes."""
        self._pool.shutdown(wait=True, cancel_futures=True)
        self._batches.clear()


_DIED = "a sampling worker died: it was killed, or could not open the corpus, or memory ran out; try fewer --workers"
_OPENED: list[SampleStream] = []  # in a worker process: its stream


def _start(open_stream: Callable[[], SampleStream]) -> None:
    """Make a worker ready. Ctrl-C is the trainer's business."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_the_trainer, daemon=True).start()
    _OPENED.append(open_stream())


def _draw(order: BatchOrder) -> Batch:
    return draw(_OPENED[0], order)


def _end_with_the_trainer() -> None:
    """A killed trainer cannot end its workers; each of them watches it."""
    trainer = multiprocessing.parent_process()
    if trainer is not None:
        trainer.join()
        os._exit(1)
