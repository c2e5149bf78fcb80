"""`fim.engine.Infiller` over a published checkpoint: text in, text out, several requests in step.

The work on a request is a generator that asks for forwards (`prediction.Sequences`); the loop itself is
`decoding.denoise`, as for our own model. No drafts, no ranker: the text is what the canvas came to.
"""

import logging
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ...fim.budget import Budget, step_ceiling
from ...fim.engine import Watch
from ...fim.errors import CheckpointError, InputError
from ...fim.types import Completion, CompletionRequest, FinishReason, Hole
from ..decoding.decodings import DECODINGS, DEFAULT_POLICY
from ..decoding.denoise import DenoiseStep, denoise, ignore, leave_unchanged
from ..decoding.partial_answer import PartialAnswer
from ..decoding.sampling import sampler_of
from ..languages import MANY, languages_fact
from ..out_of_memory import is_out_of_memory
from ..ranking.ranker import probability_of
from ..requests import Denoised
from ..stepping import SteppingInfiller
from ..tokenizers.canvas_tokens import CanvasTokens
from ..tokenizers.chat_template import CHAT_ENDS
from .contexts import KeptContexts
from .expanding import expander
from .folder import Published, load
from .layout import around, in_conversation
from .lengths import best_row, likely_lengths, of_lengths
from .prediction import CacheKind, Canvases, Sequences, answer, canvas_log_probs, predict, read_blocks
from .progress import CanvasProgress, spelt
from .quantised import WeightFormat

logger = logging.getLogger(__name__)

N_TOKENS_LINE, N_TOKENS_BLOCK = 24, 64  # default answer lengths
N_TOKENS_MAX = 256
N_FIRST = 8  # masks that a model which expands begins with
N_LENGTHS = 3  # canvases side by side, where a model cannot change its canvas's length
PublishedWork = Generator[Sequences, Any, Completion]


class PublishedInfiller(SteppingInfiller[Sequences, Any]):
    """One checkpoint on one device. For one thread."""

    def __init__(self, published: Published, cache: CacheKind = "exact") -> None:
        super().__init__()
        self.published = published
        self.cache: CacheKind = cache
        in_blocks = published.family.sight == "blocks" and cache == "exact"
        self.contexts = KeptContexts(published.block) if in_blocks else None
        specials, tokenizer = published.specials, published.tokenizer
        ids = np.arange(published.shape.vocab_size)
        is_end = np.isin(ids, specials.ends)
        is_text = np.asarray(tokenizer.text_ids({*tokenizer.added.values(), specials.mask}, len(ids)))
        forbidden = ~is_text & ~is_end
        if specials.expand is not None:
            forbidden[specials.expand] = False
        is_break = np.isin(ids, tokenizer.line_breaks()) & is_text
        is_chat_end = is_end | np.isin(ids, [tokenizer.added[text] for text in CHAT_ENDS if text in tokenizer.added])
        self._tokens = {
            multiline: CanvasTokens(
                mask=specials.mask, end=specials.ends[0], forbidden=forbidden,
                stops=is_end if multiline else is_end | is_break, may_end_before=np.zeros_like(forbidden),
            )
            for multiline in (False, True)
        }  # fmt: skip
        whole = self._tokens[True]
        self.tokens_in_chat = replace(whole, forbidden=whole.forbidden & ~is_chat_end, stops=is_chat_end)

    @property
    def name(self) -> str:
        """The folder's name."""
        return self.published.name

    def describe(self) -> Mapping[str, str | int | float]:
        """Facts for people: family, device, dtype, parameters, hash, cache, context length, threads."""
        published = self.published
        return {
            "family": published.family.name,
            "device": published.model.device.type,
            "runtime": "torch",
            "dtype": str(published.model.dtype).removeprefix("torch."),
            "parameters": published.shape.n_parameters,
            "sha256": published.sha256,
            "context_cache": self.cache if published.family.sight == "blocks" else "none",
            "context_tokens": published.shape.n_context,
            "threads": torch.get_num_threads(),
            "languages": languages_fact(MANY),
            "chat": int(published.chat is not None),
            "torch": str(torch.__version__),
        }

    def tokens_for(self, hole: Hole) -> CanvasTokens:
        """The denoise loop's view of the vocabulary for a hole."""
        return self._tokens[hole.multiline]

    def work_on(
        self, request: CompletionRequest, is_cancelled: Callable[[], bool], watch: Watch | None = None
    ) -> PublishedWork:
        """The work on request, not begun; is_cancelled is asked before every step. Raises InputError."""
        if request.policy == "verified":
            raise InputError("published models have no causal head to verify with: choose another policy")
        return PublishedJob(self, request, is_cancelled, watch).answer()

    def forward(self, asks: Sequence[Sequences]) -> list[Any]:
        """The replies to asks."""
        return answer(self.published.model, asks)

    def make_room(self) -> None:
        """Give up the states that are kept of contexts."""
        if self.contexts is not None:
            self.contexts.clear()


class PublishedJob:
    """The work on one request."""

    def __init__(
        self,
        infiller: PublishedInfiller,
        request: CompletionRequest,
        is_cancelled: Callable[[], bool],
        watch: Watch | None = None,
    ) -> None:
        """Raises InputError for a conversation that the model cannot be told."""
        self.infiller, self.request, self.is_cancelled = infiller, request, is_cancelled
        self.tokens = infiller.tokens_in_chat if request.messages else infiller.tokens_for(request.hole)
        self._started_s = time.monotonic()
        self._budget = Budget.of(request.budget_ms, request.max_evaluations)
        self._sampler = sampler_of(request)
        published = infiller.published
        self._around = (
            in_conversation(request.messages, published, self.n_open)
            if request.messages
            else around(request.hole, published, self.n_open)
        )
        self._progress = CanvasProgress(request=request, watch=watch, tokens=self.tokens, decode=self._text_of)

    @property
    def n_open(self) -> int:
        """The longest answer, in tokens."""
        if self.request.messages:
            n_most = min(N_TOKENS_MAX, self.infiller.published.shape.n_context // 2)
            return min(self.request.max_tokens or n_most, n_most)
        n = self.request.max_tokens or (N_TOKENS_BLOCK if self.request.hole.multiline else N_TOKENS_LINE)
        return min(n, N_TOKENS_MAX)

    @property
    def _is_literal(self) -> bool:
        """Whether the answer is all that one canvas comes to, so that none competes with it."""
        return bool(self.request.streams or self.request.sampling or self.request.messages)

    def _text_of(self, tokens: Sequence[int]) -> str:
        """The text of an answer's tokens."""
        expand = self.infiller.published.specials.expand
        kept = [
            token for token in tokens if token != expand and not (self.request.messages and self.tokens.stops[token])
        ]
        return self.infiller.published.tokenizer.decode(kept, self._around.left)

    def answer(self) -> PublishedWork:
        """The work, not begun, as a generator."""
        published, request, surroundings = self.infiller.published, self.request, self._around
        n_context = len(surroundings.left) + len(surroundings.right)
        canvases = Canvases(published, surroundings, self.infiller.cache, self.infiller.contexts)
        if request.warms and canvases.kept is not None:
            yield from read_blocks(canvases)
        if request.warms or self.is_cancelled():
            return self._completion(0.0, "stop" if request.warms else "cancelled", canvases, n_context)
        in_blocks = published.family.sight == "blocks"
        log_prob, reason = yield from (self._in_blocks(canvases) if in_blocks else self._between(canvases))
        return self._completion(log_prob, reason, canvases, n_context)

    def _between(self, canvases: Canvases) -> Generator[Sequences, Any, tuple[float, FinishReason]]:
        """Canvases of several lengths, or one that the model makes longer and shorter itself. Gives the log-probability
        of the answer, and why it ended."""
        canvas = yield from self._canvas(canvases)
        result = yield from self._denoised(canvases, canvas)
        best = best_row(result.canvas, result.log_probs, self.tokens)
        row, log_probs = result.canvas[best], result.log_probs[best]
        is_text = (row != self.tokens.end) & (row != self.tokens.mask)
        reason = self._reason(result)
        self._progress.go_on(row[is_text].tolist(), log_probs[is_text].tolist())
        return float(log_probs[is_text].sum()), reason

    def _canvas(self, canvases: Canvases) -> Generator[Sequences, Any, np.ndarray]:
        """The canvas [B, L] to begin with: of one length that was asked for, of what the model can expand, or of the
        likeliest lengths."""
        n, tokens = self.n_open, self.tokens
        if canvases.published.specials.expand is not None:
            canvas = of_lengths([n], tokens)
            canvas[0, N_FIRST:] = tokens.end
            return canvas
        if self.request.messages or (self.request.max_tokens is not None and self.request.lengths == 1):
            return of_lengths([n], tokens)
        probe = of_lengths([n], tokens)
        log_probs = tokens.allowed((yield from canvas_log_probs(canvases, probe, tokens)))
        canvases.forget()
        if self._is_literal:  # the likeliest one; what a canvas comes to is told before another could win
            return of_lengths(likely_lengths(log_probs[0], tokens, 2)[-1:], tokens)
        n_lengths = self.request.lengths if self.request.lengths > 1 else N_LENGTHS
        return of_lengths(likely_lengths(log_probs[0], tokens, n_lengths), tokens)

    def _in_blocks(self, canvases: Canvases) -> Generator[Sequences, Any, tuple[float, FinishReason]]:
        """One block after the other, as such models were taught; the first fills up the block that the text ends in.
        Gives what `_between` gives."""
        done = self._progress.done
        log_prob, reason = 0.0, "length"
        block = canvases.published.block
        while len(done) < self.n_open:
            n = min(block - len(canvases.around.left) % block, self.n_open - len(done))
            result = yield from self._denoised(canvases, of_lengths([n], self.tokens))
            row, log_probs = result.canvas[0], result.log_probs[0]
            is_text = (row != self.tokens.end) & (row != self.tokens.mask)
            reason = self._reason(result)
            canvases.go_on(row[is_text].tolist())
            self._progress.go_on(row[is_text].tolist(), log_probs[is_text].tolist())
            log_prob += float(log_probs.sum())
            if reason != "length":
                break
        return log_prob, reason

    def _denoised(self, canvases: Canvases, canvas: np.ndarray) -> Generator[Sequences, Any, Denoised]:
        left = self.request.max_evaluations - canvases.n_forwards
        budget = Budget(
            deadline_s=self._budget.deadline_s,
            max_evaluations=max(1, left),
            ceiling=lambda: step_ceiling(self.infiller.n_requests) if self.request.may_be_hurried else None,
        )
        decoding = DECODINGS[self.request.policy or DEFAULT_POLICY]
        specials = self.infiller.published.specials
        changed = leave_unchanged if specials.expand is None else expander(specials.expand, self.tokens)
        changed = self._progress.ending(changed) if self.request.stop else changed
        rows = [PartialAnswer("itself") for _ in canvas]
        n_done = len(self._progress.done)
        predicts = predict if self._sampler is None else partial(predict, choose=self._sampler.after(n_done))

        def note(step: DenoiseStep) -> None:
            self._progress.note(step, canvases.n_forwards, 1000 * (time.monotonic() - self._started_s))

        on_step = note if self._progress.watch is not None or self.request.trace else ignore
        return (
            yield from denoise(
                canvases, canvas, self.tokens, decoding.policy, budget, self.is_cancelled, on_step, predicts, rows,
                changed,
            )
        )  # fmt: skip

    def _reason(self, result: Denoised) -> FinishReason:
        if result.ended != "filled":
            return result.ended
        has_stop = len(result.canvas) == 1 and self._progress.has_stop(result.canvas[0])
        return "stop" if self.tokens.stops[result.canvas].any() or has_stop else "length"

    def _completion(self, log_prob: float, reason: FinishReason, canvases: Canvases, n_context: int) -> Completion:
        expand, progress = self.infiller.published.specials.expand, self._progress
        tokens = [token for token in progress.done if token != expand]
        text = self._text_of(tokens)
        if progress.in_line:
            text, line_break, _ = text.partition("\n")
            reason = "stop" if line_break and reason == "length" else reason
        engine_ms = 1000 * (time.monotonic() - self._started_s)
        return Completion(
            text=text,
            range=self.request.hole.replaced,
            confidence=probability_of(log_prob) if tokens else 0.0,
            finish_reason=reason,
            steps=canvases.n_forwards,
            n_tokens=len(tokens),
            model=self.infiller.name,
            timings_ms={"prefill": 0.0, "denoise": engine_ms, "verify": 0.0, "engine": engine_ms},
            n_context=n_context,
            n_cached=canvases.n_cached,
            trace=tuple(progress.frames),
            tokens=spelt(progress.done, progress.done_log_probs, text, self._text_of) if self.request.log_probs else (),
        )


def load_published(
    folder: Path,
    *,
    n_threads: int | None = None,
    device: torch.device | None = None,
    dtype: torch.dtype | None = None,
    weights: WeightFormat | None = None,
    family: str | None = None,
    cache: CacheKind = "exact",
) -> PublishedInfiller:
    """Load a published folder. Raises CheckpointError, or InputError for a device that is not there or has no room."""
    if n_threads is not None:
        torch.set_num_threads(n_threads)
    place = device or torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        published = load(folder, device=place, dtype=dtype or torch.bfloat16, weights=weights, family_name=family)
    except (MemoryError, RuntimeError, AssertionError) as error:  # PyTorch without CUDA asserts
        if is_out_of_memory(error) and place.type == "cpu":
            raise CheckpointError(f"{folder} does not fit in memory: close something, or try --weights int8") from error
        reason = (
            "it has no room for the model: try --weights int8" if is_out_of_memory(error) else "PyTorch cannot use it"
        )
        raise InputError(f"the device {place} is of no use: {reason}") from error
    return PublishedInfiller(published, cache)
