"""A loaded model that fills holes: text in, text out, blocking. The engine process owns one of these.

Joins layout, context cache and denoise loop; long answers go on block by block, a finished block joining the context.
Knows no sockets and no editor.
"""

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from ..fim.budget import Budget
from ..fim.errors import InputError
from ..fim.types import Completion, CompletionRequest, FinishReason, PolicyName, TraceCell, TraceFrame
from .checkpoint import Checkpoint, embedded_checkpoint, load
from .context_cache import ContextCache
from .denoise import CanvasTokens, Denoised, Step, denoise, ignore
from .layout import ContextLayout
from .policies import UnmaskPolicy, everything, one, threshold, top_k
from .tokenizer import CodeTokenizer, Special

N_TOKENS_LINE, N_TOKENS_BLOCK = 24, 96  # default answer lengths
MIN_BLOCK = 4  # a continuation canvas shorter than this is not worth a forward
POLICIES: Mapping[PolicyName, UnmaskPolicy] = {
    "one": one,
    "top-k": top_k(2),
    "threshold": threshold(0.6),
    "all": everything,
}
DEFAULT_POLICY: PolicyName = "threshold"


@dataclass
class Filled:
    """What the blocks of one answer add up to."""

    tokens: list[int] = field(default_factory=list)
    log_prob: float = 0.0
    steps: int = 0
    finish_reason: FinishReason = "length"
    prefill_ms: float = 0.0
    denoise_ms: float = 0.0
    n_context: int = 0
    n_cached: int = 0
    frames: list[TraceFrame] = field(default_factory=list)


class DenoisingInfiller:
    """`fim.engine.Infiller` over one checkpoint on one device. One call at a time."""

    def __init__(self, checkpoint: Checkpoint, dtype: torch.dtype = torch.float32) -> None:
        self.checkpoint = checkpoint
        self.dtype = dtype
        self.model = checkpoint.model.to(dtype)
        self.tokenizer = checkpoint.tokenizer
        self.layout = ContextLayout(self.tokenizer)
        self.cache = ContextCache(self.model)
        self.line_tokens = canvas_tokens(self.tokenizer, multiline=False)
        self.block_tokens = canvas_tokens(self.tokenizer, multiline=True)

    @property
    def name(self) -> str:
        """The checkpoint's name."""
        return self.checkpoint.name

    @property
    def n_context_max(self) -> int:
        """The longest context of a request; the rest of the trained length is room for the answer's blocks."""
        n_context = self.model.config.n_context
        return n_context - min(N_TOKENS_BLOCK, n_context // 4)

    def describe(self) -> Mapping[str, str | int | float]:
        """Facts for people: device, dtype, parameters, checkpoint hash, context length, threads."""
        return {
            "device": next(self.model.parameters()).device.type,
            "dtype": str(self.dtype).removeprefix("torch."),
            "parameters": sum(p.numel() for p in self.model.parameters()),
            "sha256": self.checkpoint.sha256,
            "context_tokens": self.n_context_max,
            "canvas_tokens": self.model.config.n_canvas,
            "threads": torch.get_num_threads(),
            "torch": torch.__version__,
        }

    def complete(self, request: CompletionRequest, is_cancelled: Callable[[], bool]) -> Completion:
        """Fill request.hole; is_cancelled is asked before every denoise step. Raises InputError."""
        start_s = time.monotonic()
        budget = Budget.of(request.budget_ms, request.max_evaluations)
        filled = self._fill(request, budget, is_cancelled)
        engine_ms = 1000 * (time.monotonic() - start_s)
        return Completion(
            text=self.tokenizer.decode(filled.tokens),
            range=request.hole.replaced,
            confidence=min(1.0, math.exp(filled.log_prob)) if filled.steps else 0.0,
            finish_reason=filled.finish_reason,
            steps=filled.steps,
            n_tokens=len(filled.tokens),
            model=self.name,
            timings_ms={"prefill": filled.prefill_ms, "denoise": filled.denoise_ms, "engine": engine_ms},
            n_context=filled.n_context,
            n_cached=filled.n_cached,
            trace=tuple(filled.frames),
        )

    def _fill(self, request: CompletionRequest, budget: Budget, is_cancelled: Callable[[], bool]) -> Filled:
        """Canvas after canvas until the model ends the text, or tokens, time or evaluations run out."""
        multiline = request.hole.multiline
        n_open = request.max_tokens or (N_TOKENS_BLOCK if multiline else N_TOKENS_LINE)
        n_open = min(n_open, N_TOKENS_BLOCK)
        context = self.layout.context(request, self.n_context_max)
        filled = Filled(n_context=len(context))
        while n_open > 0 and filled.finish_reason == "length":
            n_canvas = min(n_open, self.model.config.n_canvas)
            if filled.tokens and n_canvas < MIN_BLOCK:
                break
            self._fill_block(request, [*context, *filled.tokens], n_canvas, budget, is_cancelled, filled)
            n_open -= n_canvas
        return filled

    def _fill_block(
        self,
        request: CompletionRequest,
        context: list[int],
        n_canvas: int,
        budget: Budget,
        is_cancelled: Callable[[], bool],
        filled: Filled,
    ) -> None:
        """One canvas of n_canvas masks after context; adds to filled."""
        if is_cancelled():
            filled.finish_reason = "cancelled"
            return
        start_s = time.monotonic()
        states, n_cached = self.cache.states(context)
        prefilled_s = time.monotonic()
        if not filled.steps:
            filled.n_cached = n_cached
        tokens = self.block_tokens if request.hole.multiline else self.line_tokens
        rest = Budget(deadline_s=budget.deadline_s, max_evaluations=max(1, budget.max_evaluations - filled.steps))
        exhausted = budget.spent(filled.steps)
        canvas = torch.full((1, n_canvas), tokens.mask)
        on_step = self._tracer(filled, tokens) if request.trace else ignore
        if exhausted:
            filled.finish_reason = "budget"
        else:
            result = denoise(
                self.model, states, canvas, tokens, POLICIES[request.policy or DEFAULT_POLICY], rest, is_cancelled,
                on_step,
            )  # fmt: skip
            add(filled, result, tokens)
        filled.prefill_ms += 1000 * (prefilled_s - start_s)
        filled.denoise_ms += 1000 * (time.monotonic() - prefilled_s)

    def _tracer(self, filled: Filled, tokens: CanvasTokens) -> Callable[[Step], None]:
        before, n_steps, offset_ms = list(filled.tokens), filled.steps, filled.denoise_ms

        def record(step: Step) -> None:
            cells = [TraceCell(text=self._text(token), state="kept") for token in before]
            for token, is_new in zip(step.canvas[0].tolist(), step.committed[0].tolist(), strict=True):
                if token == tokens.end:
                    break
                state = "masked" if token == tokens.mask else "new" if is_new else "kept"
                cells.append(TraceCell(text=self._text(token), state=state))
            filled.frames.append(
                TraceFrame(step=n_steps + step.index, elapsed_ms=offset_ms + step.elapsed_ms, cells=tuple(cells))
            )

        return record

    def _text(self, token: int) -> str:
        return self.tokenizer.bytes_of(token).decode("utf-8", errors="replace")


def add(filled: Filled, result: Denoised, tokens: CanvasTokens) -> None:
    """Add the committed tokens left of the first mask or end to filled, and say how the block ended."""
    row = result.canvas[0].tolist()
    open_at = next((i for i, token in enumerate(row) if token in (tokens.mask, tokens.end)), len(row))
    filled.tokens += row[:open_at]
    filled.log_prob += float(result.log_probs[0].sum())
    filled.steps += result.steps
    if result.ended != "filled":
        filled.finish_reason = result.ended
    elif bool(tokens.stops[result.canvas[0]].any()):
        filled.finish_reason = "stop"


def canvas_tokens(tokenizer: CodeTokenizer, *, multiline: bool) -> CanvasTokens:
    """The loop's view of a vocabulary. Without multiline every token with a line break ends the text."""
    vocab = torch.arange(tokenizer.vocab_size)
    end = tokenizer.special(Special.EOM)
    forbidden = (vocab >= tokenizer.n_text) & (vocab != end)
    stops = vocab == end
    if not multiline:
        breaks: Tensor = torch.tensor([b"\n" in tokenizer.bytes_of(i) for i in range(tokenizer.vocab_size)])
        stops = stops | breaks
    return CanvasTokens(mask=tokenizer.special(Special.MASK), end=end, forbidden=forbidden, stops=stops)


def load_infiller(checkpoint: Path | None = None, *, n_threads: int | None = None) -> DenoisingInfiller:
    """Load a checkpoint folder, or the embedded model. Raises CheckpointError, or InputError for bad threads."""
    if n_threads is not None:
        if n_threads < 1:
            raise InputError(f"threads must be at least 1, not {n_threads}")
        torch.set_num_threads(n_threads)
    return DenoisingInfiller(load(checkpoint or embedded_checkpoint()), faster_dtype())


def faster_dtype(n_rounds: int = 9) -> torch.dtype:
    """bfloat16 or float32, whichever multiplies a canvas by a layer faster on this CPU; takes a few milliseconds.

    CPUs without bfloat16 instructions emulate them several times slower. With them a canvas step of nano took 9 ms
    instead of 18 (two cores of an AMD EPYC with AVX-512 BF16, 2026-11-21).
    """
    best_s: dict[torch.dtype, float] = {}
    for dtype in (torch.float32, torch.bfloat16):
        canvas, layer = torch.ones(32, 256, dtype=dtype), torch.ones(1408, 256, dtype=dtype)
        times_s = []
        for _ in range(n_rounds):
            start_s = time.perf_counter()
            torch.nn.functional.linear(canvas, layer)
            times_s.append(time.perf_counter() - start_s)
        best_s[dtype] = min(times_s)
    return min(best_s, key=lambda dtype: best_s[dtype])
