"""Answers asks on a GPU: whole denoise loops as CUDA graphs, everything else as `batching.ModelRunner` does.

A graph is captured for each number of rows, canvas length and number of steps when it is first wanted, and run again
from then on: the host launches a loop with one call and waits for the device once.
"""

import logging
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import torch

from ...fim.budget import Budget
from ...fim.errors import EngineError
from ..decoding.denoise import denoise
from ..decoding.policies import threshold
from ..network.denoiser import Denoiser
from ..network.states import ContextStates
from ..out_of_memory import is_out_of_memory
from ..requests import Context, Denoised, Ended, Fill, ForwardReply, ForwardRequest, Rows
from ..tokenizers.canvas_tokens import CanvasTokens, check_predicted
from .batching import ModelRunner
from .drive import drive
from .graph_loop import Buffers, CanvasLoop, DeviceTokens, Filled, on_device

logger = logging.getLogger(__name__)

MOST_ROWS = 8  # of one loop
STEPS_AT_A_TIME = 4  # in one graph: a cancelled request waits for no more
CANVAS_UNIT = 16  # canvases have room for a multiple of it
MOST_DIFFERENCE = 0.05  # in probability between kernels and PyTorch, both of them rounding

Capture = Callable[[Callable[[], None]], Callable[[], None]]


class GraphCapture:
    """Captures on one stream, into memory that all graphs share: no two of them ever run at the same time."""

    def __init__(self) -> None:
        self._stream, self._pool = torch.cuda.Stream(), torch.cuda.graph_pool_handle()

    def __call__(self, run: Callable[[], None]) -> Callable[[], None]:
        """A function that does what run does, as one CUDA graph. run is called some times before: kernels compile."""
        self._stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(self._stream):
            for _ in range(2):
                run()
        torch.cuda.current_stream().wait_stream(self._stream)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, pool=self._pool, stream=self._stream):
            run()
        return graph.replay


class Shape(NamedTuple):
    """What a loop is made for: rows, room of its canvases, the address of its rules, and the threshold."""

    n_rows: int
    room: int
    tokens: int
    threshold: float


@dataclass
class _Line:
    """One canvas of an ask on its way through a loop; of what it came to all are [L]."""

    ask: Fill
    number: int
    canvas: np.ndarray | None = None
    log_probs: np.ndarray | None = None
    stop_log_probs: np.ndarray | None = None
    steps: int = 0
    n_open: int = 0
    ended: Ended = "filled"


class GpuRunner(ModelRunner):
    """A `drive.Runner` that also answers `Fill`. capture turns steps into one launch."""

    def __init__(self, model: Denoiser, capture: Capture | None = None) -> None:
        super().__init__(model)
        self._capture = capture or GraphCapture()
        self._buffers: Buffers | None = None
        self._loops: dict[Shape, CanvasLoop] = {}
        self._launches: dict[tuple[Shape, int, bool], Callable[[], None]] = {}
        self._failed: set[Shape] = set()
        self._tokens: dict[int, tuple[CanvasTokens, DeviceTokens]] = {}

    @torch.inference_mode()
    def __call__(self, asks: Sequence[ForwardRequest]) -> list[ForwardReply]:
        """One reply an ask, in their order."""
        fills = {i: ask for i, ask in enumerate(asks) if isinstance(ask, Fill)}
        others = [i for i in range(len(asks)) if i not in fills]
        replies: dict[int, ForwardReply] = dict(zip(fills, self._filled(list(fills.values())), strict=True))
        if others:
            replies |= zip(others, super().__call__([asks[i] for i in others]), strict=True)
        return [replies[i] for i in range(len(asks))]

    @torch.inference_mode()
    def rehearse(self, tokens: CanvasTokens) -> None:
        """Compile what loops of any number of rows need. Raises RuntimeError where it computes something else than
        PyTorch does."""
        n_rooms = -(-self.model.config.n_canvas // CANVAS_UNIT)
        n_context = min(40, self.model.config.n_context)
        (states,) = super().__call__([Context(np.arange(n_context)[None] % 32, None)])
        assert isinstance(states, ContextStates)
        for n_rows in (1, 2, 4, 8):
            for room in dict.fromkeys((CANVAS_UNIT, n_rooms * CANVAS_UNIT)):
                canvas = np.full((n_rows, room), tokens.mask)
                loop = self._loop_of(Shape(n_rows, room, id(tokens), 0.5), tokens)
                self._load(loop, [_Line(Fill(canvas, states, tokens, 0.5, 1), row) for row in range(n_rows)])
                predicted, confidence, _ = (tensor.cpu().numpy() for tensor in loop.predict())
                (wanted,) = super().__call__([Rows(canvas, states)])
                assert isinstance(wanted, np.ndarray)
                wanted = np.exp(np.take_along_axis(wanted, predicted[..., None], axis=-1)[..., 0])
                loop.run(1, is_end=False)
                difference = float(np.abs(confidence - wanted).max())
                if not difference <= MOST_DIFFERENCE:
                    raise RuntimeError(f"kernels and PyTorch differ by {difference:.3f} with {n_rows} canvases")

    def _filled(self, asks: Sequence[Fill]) -> list[Denoised]:
        n_context = self.model.config.n_context
        together: dict[tuple, list[_Line]] = defaultdict(list)
        lines: dict[int, list[_Line]] = {}
        for i, ask in enumerate(asks):
            if 2 <= ask.states.n_tokens <= n_context:
                lines[i] = [_Line(ask, number) for number in range(len(ask.canvas))]
                room = -(-ask.canvas.shape[1] // CANVAS_UNIT) * CANVAS_UNIT
                together[room, id(ask.tokens), ask.threshold, ask.n_steps] += lines[i]
        failed: set[int] = set()
        for (room, *_), group in together.items():
            for start in range(0, len(group), MOST_ROWS):
                batch = group[start : start + MOST_ROWS]
                if not self._loop(batch, room):
                    failed |= {id(line.ask) for line in batch}
        return [
            _together(lines[i]) if i in lines and id(ask) not in failed else self._step_by_step(ask, ask.canvas)
            for i, ask in enumerate(asks)
        ]

    def _step_by_step(self, ask: Fill, canvas: np.ndarray, n_steps: int | None = None) -> Denoised:
        tokens = replace(ask.tokens, may_end_before=np.zeros_like(ask.tokens.may_end_before))  # no early ends
        budget = Budget(deadline_s=ask.deadline_s, max_evaluations=n_steps or ask.n_steps)
        work = denoise(ask.states, canvas, tokens, threshold(ask.threshold), budget, ask.is_cancelled)
        return drive(super().__call__, work)

    def _loop(self, lines: Sequence[_Line], room: int) -> bool:
        """Fill canvases that share all but their contexts, side by side; False where that cannot be done here."""
        ask = lines[0].ask
        shape = Shape(1 << (len(lines) - 1).bit_length(), room, id(ask.tokens), ask.threshold)
        if shape in self._failed:
            return False
        try:
            self._run(self._loop_of(shape, ask.tokens), shape, lines)
        except Exception as error:  # whatever Triton or a capture has to say
            if is_out_of_memory(error) or isinstance(error, EngineError):
                raise
            logger.warning("loops of %d canvases of %d do not run (%s: %s)", *shape[:2], type(error).__name__, error)
            self._failed.add(shape)
            return False
        return True

    def _run(self, loop: CanvasLoop, shape: Shape, lines: Sequence[_Line]) -> None:
        n_steps = lines[0].ask.n_steps
        # All graphs before anything is loaded: to capture one, its steps are run on what stands in the loop.
        launches = [(self._launch_of(loop, shape, n, is_end=is_end), is_end) for n, is_end in parts(n_steps)]
        self._load(loop, lines)
        rows = dict(enumerate(lines))  # still on their way
        for launch, is_end in launches:
            launch()
            now = Filled(*(tensor.to("cpu", copy=True).numpy() for tensor in loop.result()))  # waits for the device
            for row, line in list(rows.items()):
                is_open = (now.canvas[row] == line.ask.tokens.mask).any()
                if is_end or not is_open:
                    # Where a single mask was left for the last step, it was owed rather than forced.
                    _take(line, now, row, "budget" if is_end and int(now.n_open[row]) > 1 else "filled")
                elif line.ask.is_cancelled():
                    _take(line, now, row, "cancelled")
                elif line.ask.deadline_s is not None and time.monotonic() > line.ask.deadline_s:
                    _take(line, now, row, "budget")
                    self._force(line)
                else:
                    continue
                del rows[row]
            if not rows:
                break

    def _force(self, line: _Line) -> None:
        """Fill what is open in one more step, as time is up."""
        assert line.canvas is not None and line.log_probs is not None and line.stop_log_probs is not None
        canvas = line.canvas[None]
        forced = self._step_by_step(replace(line.ask, deadline_s=None), canvas, n_steps=1)
        was_open = canvas[0] == line.ask.tokens.mask
        line.log_probs = np.where(was_open, forced.log_probs[0], line.log_probs)
        line.stop_log_probs = np.where(was_open, forced.stop_log_probs[0], line.stop_log_probs)
        line.canvas, line.steps = forced.canvas[0], line.steps + forced.steps

    def _loop_of(self, shape: Shape, tokens: CanvasTokens) -> CanvasLoop:
        self._buffers = self._buffers or Buffers(self.model, MOST_ROWS, self.model.config.n_context)
        if shape not in self._loops:
            moved = self._on_device(tokens)
            loop = CanvasLoop(self.model, self._buffers, moved, shape.threshold, shape.n_rows, shape.room)
            self._loops[shape] = loop
        return self._loops[shape]

    def _load(self, loop: CanvasLoop, lines: Sequence[_Line]) -> None:
        assert self._buffers is not None
        loop.begin()
        for row, line in enumerate(lines):
            self._buffers.load(row, line.ask.states)
            loop.load(row, line.ask.canvas[line.number])

    def _launch_of(self, loop: CanvasLoop, shape: Shape, n_steps: int, *, is_end: bool) -> Callable[[], None]:
        wanted = (shape, n_steps, is_end)
        if wanted not in self._launches:
            logger.info("capturing %d steps of %d canvases of %d", n_steps, *shape[:2])
            self._launches[wanted] = self._capture(lambda: loop.run(n_steps, is_end=is_end))
        return self._launches[wanted]

    def _on_device(self, tokens: CanvasTokens) -> DeviceTokens:
        """tokens on the model's device; those given are kept too, so that no others take their place in memory."""
        if id(tokens) not in self._tokens:
            self._tokens[id(tokens)] = tokens, on_device(tokens, self.model.embedding.weight.device)
        return self._tokens[id(tokens)][1]


def parts(n_steps: int) -> Iterator[tuple[int, bool]]:
    """Steps in parts of at most STEPS_AT_A_TIME, and whether each is the last."""
    while n_steps > STEPS_AT_A_TIME:
        yield STEPS_AT_A_TIME, False
        n_steps -= STEPS_AT_A_TIME
    yield n_steps, True


def _take(line: _Line, now: Filled, row: int, ended: Ended) -> None:
    n = line.ask.canvas.shape[1]
    line.canvas, line.log_probs = now.canvas[row, :n], now.log_probs[row, :n]
    line.stop_log_probs = now.stop_log_probs[row, :n]
    line.steps, line.n_open, line.ended = int(now.steps[row]), int(now.n_open[row]), ended


def _together(lines: Sequence[_Line]) -> Denoised:
    """The reply to an ask, from what its canvases came to."""
    canvases = [line.canvas for line in lines if line.canvas is not None]
    log_probs = [line.log_probs for line in lines if line.log_probs is not None]
    stops = [line.stop_log_probs for line in lines if line.stop_log_probs is not None]
    reasons = [line.ended for line in lines]
    ended: Ended = "cancelled" if "cancelled" in reasons else "budget" if "budget" in reasons else "filled"
    if ended == "filled" and sum(line.n_open for line in lines if line.steps == lines[0].ask.n_steps) > 1:
        ended = "budget"
    steps = max(line.steps for line in lines)
    check_predicted(np.stack(log_probs))
    return Denoised(np.stack(canvases), np.stack(log_probs), np.stack(stops), steps, ended)
