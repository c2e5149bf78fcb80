"""Answers asks on a GPU: whole denoise loops as CUDA graphs, everything else as `forwards.ModelRunner` does.

A graph is captured for each number of rows, canvas length and number of steps when it is first wanted, and run again
from then on: the host launches a loop with one call and waits for the device once.
"""

import logging
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import torch

from ..fim.budget import Budget
from .asks import Ask, Denoised, Ended, Fill, Reply
from .canvas_loop import N_PAGE, Buffers, CanvasLoop
from .canvas_tokens import CanvasTokens
from .denoise import denoise
from .denoiser import Denoiser
from .forwards import ModelRunner, drive
from .policies import threshold

logger = logging.getLogger(__name__)

MOST_ROWS = 8  # of one loop
STEPS_AT_A_TIME = 4  # in one graph: a cancelled request waits for no more
CANVAS_UNIT = 16  # canvases have room for a multiple of it

Capture = Callable[[Callable[[], None]], Callable[[], None]]


def captured(run: Callable[[], None]) -> Callable[[], None]:
    """A function that does what run does, as one CUDA graph. run is called some times before, as kernels compile."""
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(2):
            run()
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        run()
    return graph.replay


class GpuRunner(ModelRunner):
    """A `forwards.Runner` that also answers `Fill`. capture turns steps into one launch; tests on a CPU pass none."""

    def __init__(self, model: Denoiser, capture: Capture = captured) -> None:
        super().__init__(model)
        self._capture = capture
        self._buffers: Buffers | None = None
        self._loops: dict[tuple, CanvasLoop] = {}
        self._launches: dict[tuple, Callable[[], None]] = {}
        self._tokens: dict[int, tuple[CanvasTokens, CanvasTokens]] = {}

    @torch.inference_mode()
    def __call__(self, asks: Sequence[Ask]) -> list[Reply]:
        """One reply an ask, in their order."""
        fills = {i: ask for i, ask in enumerate(asks) if isinstance(ask, Fill)}
        replies: dict[int, Reply] = dict(self._filled(fills))
        others = [i for i in range(len(asks)) if i not in replies]
        if others:
            replies |= zip(others, super().__call__([asks[i] for i in others]), strict=True)
        return [replies[i] for i in range(len(asks))]

    def _filled(self, fills: dict[int, Fill]) -> Iterator[tuple[int, Denoised]]:
        together: dict[tuple, list[tuple[int, Fill]]] = defaultdict(list)
        n_context = -(-self.model.config.n_context // N_PAGE) * N_PAGE
        for i, ask in fills.items():
            rows, n = ask.canvas.shape
            if rows > MOST_ROWS or not 2 <= ask.states.n_tokens <= n_context:
                yield i, self._step_by_step(ask)
                continue
            room = -(-n // CANVAS_UNIT) * CANVAS_UNIT
            together[room, id(ask.tokens), ask.threshold, ask.n_steps].append((i, ask))
        for (room, *_), group in together.items():
            batch: list[tuple[int, Fill]] = []
            for i, ask in group:
                if batch and sum(len(a.canvas) for _, a in batch) + len(ask.canvas) > MOST_ROWS:
                    yield from self._loop(batch, room)
                    batch = []
                batch.append((i, ask))
            yield from self._loop(batch, room)

    def _step_by_step(self, ask: Fill) -> Denoised:
        budget = Budget(deadline_s=ask.deadline_s, max_evaluations=ask.n_steps)
        work = denoise(ask.states, ask.canvas, ask.tokens, threshold(ask.threshold), budget, ask.is_cancelled)
        return drive(super().__call__, work)

    def _loop(self, asks: Sequence[tuple[int, Fill]], room: int) -> Iterator[tuple[int, Denoised]]:
        """Fill canvases that share all but their contexts, side by side."""
        first, n_used = asks[0][1], sum(len(ask.canvas) for _, ask in asks)
        n_rows = 1 << (n_used - 1).bit_length()
        self._buffers = self._buffers or Buffers(self.model, MOST_ROWS, self.model.config.n_context)
        key = (n_rows, room, id(first.tokens), first.threshold)
        if key not in self._loops:
            tokens = self._on_device(first.tokens)
            self._loops[key] = CanvasLoop(self.model, self._buffers, tokens, first.threshold, n_rows, room)
        loop = self._loops[key]
        for n_steps, is_end in parts(first.n_steps):  # graphs are captured on what stands there, before it is loaded
            self._launch_of(key, loop, n_steps, is_end=is_end)
        loop.begin()
        row = 0
        for _, ask in asks:
            for canvas in ask.canvas:
                self._buffers.load(row, ask.states)
                loop.load(row, canvas)
                row += 1
        ended: Ended = "filled"
        for n_steps, is_end in parts(first.n_steps):
            self._launch_of(key, loop, n_steps, is_end=is_end)()
            if is_end:
                ended = "budget"
            elif not bool((loop.canvas == first.tokens.mask).any()):
                break
            elif all(ask.is_cancelled() for _, ask in asks):
                ended = "cancelled"
                break
            elif any(ask.deadline_s is not None and time.monotonic() > ask.deadline_s for _, ask in asks):
                self._launch_of(key, loop, 1, is_end=True)()
                ended = "budget"
                break
        yield from _results(asks, loop, ended)

    def _launch_of(self, key: tuple, loop: CanvasLoop, n_steps: int, *, is_end: bool) -> Callable[[], None]:
        wanted = (*key, n_steps, is_end)
        if wanted not in self._launches:
            logger.info("capturing %d steps of %d canvases of %d", n_steps, key[0], key[1])
            self._launches[wanted] = self._capture(lambda: loop.run(n_steps, is_end=is_end))
        return self._launches[wanted]

    def _on_device(self, tokens: CanvasTokens) -> CanvasTokens:
        """tokens on the model's device; those given are kept too, so that no others take their place in memory."""
        if id(tokens) not in self._tokens:
            device = self.model.embedding.weight.device
            moved = replace(
                tokens,
                forbidden=tokens.forbidden.to(device),
                stops=tokens.stops.to(device),
                gives_way=tokens.gives_way.to(device),
            )
            self._tokens[id(tokens)] = tokens, moved
        return self._tokens[id(tokens)][1]


def parts(n_steps: int) -> Iterator[tuple[int, bool]]:
    """Steps in parts of at most STEPS_AT_A_TIME, and whether each is the last."""
    while n_steps > STEPS_AT_A_TIME:
        yield STEPS_AT_A_TIME, False
        n_steps -= STEPS_AT_A_TIME
    yield n_steps, True


def _results(asks: Sequence[tuple[int, Fill]], loop: CanvasLoop, ended: Ended) -> Iterator[tuple[int, Denoised]]:
    """What each ask comes to; ended is why its loop did. The host waits for the device here."""
    canvases, log_probs, stops, n_open, steps = (tensor.cpu() for tensor in loop.result())
    row = 0
    for i, ask in asks:
        mine, n = slice(row, row + len(ask.canvas)), ask.canvas.shape[1]
        row += len(ask.canvas)
        why = "filled" if ended == "budget" and int(n_open[mine].sum()) <= 1 else ended  # the last step was owed
        yield i, Denoised(canvases[mine, :n], log_probs[mine, :n], stops[mine, :n], int(steps[mine].max()), why)
