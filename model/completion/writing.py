"""The model's own text for a hole: denoised canvases, or a body's own next tokens.

A canvas of open length comes first; on request, some of the likeliest lengths and mended drafts are denoised beside it.
A body, which was taught no canvases, writes token by token.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np

from ...fim.budget import Budget
from ...fim.types import CompletionRequest
from ..cache.context_cache import ContextCache
from ..config import DenoiserConfig
from ..decoding.continuation import Continuation
from ..decoding.decodings import ANY, DECODINGS, DEFAULT_POLICY, Decoding
from ..decoding.denoise import AfterStep, DenoiseStep, denoise, first_ends, ignore, leave_unchanged, predict
from ..decoding.draft_paths import DraftPaths
from ..decoding.effort import Effort
from ..decoding.healing import Healing
from ..decoding.ngrams import LENGTHS, Ngrams
from ..decoding.partial_answer import PartialAnswer, grow
from ..decoding.policies import threshold
from ..decoding.recent import N_SAME, Recent, followers
from ..decoding.sampling import Sampler, likeliest
from ..decoding.tracing import Tracer
from ..network.states import ContextStates
from ..numerics import logsumexp
from ..ranking.ranker import Judged
from ..requests import BranchWork, Denoised, Fill, Rows, Work
from ..tokenizers.canvas_tokens import CanvasTokens
from .ending import BodyEnd, CanvasEnd, StopTexts
from .progress import Teller

CANVAS_LINE = 16  # tokens of a line at a time; longer lines take more canvases (decision 17)
MIN_BLOCK = 4  # a further canvas shorter than this is not worth a forward
STEPS_LINE = 3  # of a canvas for one line whose result is verified; more change nothing (docs/log/)
N_HINTS = 5  # tokens that n-grams are asked for
MIN_KEPT = 0.3  # a draft's token less likely than this is masked again


@dataclass(kw_only=True)
class Writing:
    """Writes the rows of one request, of at most n_open tokens each."""

    config: DenoiserConfig
    cache: ContextCache
    tokens: CanvasTokens
    request: CompletionRequest
    effort: Effort
    healing: Healing
    tracer: Tracer
    n_open: int
    fills_whole: bool = False  # whether what runs the model answers `Fill`
    recent: Recent = field(default_factory=Recent)
    n_drafted: int = 0  # tokens that the body's denoising head guesses; 0 without one
    ngrams: Ngrams | None = None
    guesses: bool = True
    sampler: Sampler | None = None
    teller: Teller | None = None

    def __post_init__(self) -> None:
        self.stops = StopTexts(self.request.stop, self.healing)

    @property
    def is_literal(self) -> bool:
        """Whether the answer is all that the model itself writes."""
        return bool(self.request.streams or self.request.sampling or self.request.messages)

    def denoise_canvases(
        self, context: Sequence[int], states: ContextStates, judged: list[Judged]
    ) -> Work[list[PartialAnswer]]:
        """Denoise canvases after a context and its states: the row of open length first, then the others.

        Only the first gets a further canvas when it is full.
        """
        longest = self.config.n_canvas if self.request.hole.multiline else min(CANVAS_LINE, self.config.n_canvas)
        n_canvas = min(self.n_open, longest)
        if self.n_open - n_canvas < MIN_BLOCK:  # the rest is too short for another canvas
            n_canvas = min(self.n_open, self.config.n_canvas)
        canvases = np.full((1, n_canvas), self.tokens.mask)
        is_more = self.request.lengths > 1 or (self.request.mends > 0 and len(judged) > 0)
        if is_more and self.request.is_choice and not self.request.hole.multiline and self.effort.n_left > 1:
            canvases = yield from self._canvases(states, canvases, judged)
        rows = [PartialAnswer("itself" if i else self.tokens.end_rule) for i in range(len(canvases))]
        rows = yield from self._fill(states, canvases, rows, changed=self._canvas_end(rows))
        n_left = self.n_open - n_canvas
        while rows[0].finish_reason == "length" and rows[0].end() is None and n_left >= MIN_BLOCK:
            n_canvas = min(n_left, longest)
            if self.effort.is_cancelled():
                rows[0].finish_reason = "cancelled"
                break
            with self.effort.clock("prefill"):
                longer, _ = yield from self.cache.states([*context, *rows[0].tokens])
            canvas, changed = np.full((1, n_canvas), self.tokens.mask), self._canvas_end(rows)
            rows[:1] = yield from self._fill(longer, canvas, rows[:1], changed=changed)
            n_left -= n_canvas
        for row in rows:
            row.cut()
        return rows

    def continue_text(
        self, context: Sequence[int], states: ContextStates, paths: DraftPaths
    ) -> BranchWork[PartialAnswer]:
        """The row that a body writes after a context and its states. It guesses what it wrote lately, drafts, and what
        followed the same tokens in the context; failing these, what n-grams or the denoising head say. With the policy
        "left" it guesses nothing: one token a forward.

        Under load it is not shortened, as canvases are: it would end inside a word.
        """
        row = PartialAnswer(self.tokens.end_rule)
        if self.effort.is_spent() or states.n_tokens < 2:
            return replace(row, finish_reason="budget")
        recent, likely = self.recent.guess(context), self.healing.likely

        def guess(so_far: Sequence[int]) -> Sequence[int]:
            n = len(so_far)
            opening = likely[n:] if likely[:n] == so_far else ()
            last = [*context[-LENGTHS[0] :], *so_far][-LENGTHS[0] :]
            text = [*context, *so_far] if self.is_literal else context  # long answers repeat themselves
            return recent(so_far) or paths.guess(so_far) or opening or followers(last[-N_SAME:], text)

        def counted(so_far: Sequence[int]) -> Sequence[int]:
            return self.ngrams.guess([*context[-LENGTHS[0] :], *so_far], N_HINTS) if self.ngrams else ()

        n_most = self.n_open + len(self.healing.data)
        choose = self.sampler.draw if self.sampler else likeliest
        continuation = Continuation(states, n_most, seen=paths.see, choose=choose)
        if self.guesses and self.request.policy != "left":
            continuation = Continuation(states, n_most, guess, paths.see, counted, self.n_drafted, choose)
        with self.effort.clock("denoise"):
            yield from continuation.open(row, self.tokens, self.healing, self.effort)
        row.n_opening = len(row.tokens)
        if self.stops.is_in(row):
            row.finish_reason = "stop"
        if self.teller and self.healing.is_passed(row.tokens):
            self.teller.tell(row, self.effort.n_forwards)
        n_canvas = self.n_open - self.healing.is_passed(row.tokens)
        if row.finish_reason == "stop" or not n_canvas:
            return row
        if self.effort.is_spent():
            continuation.add_known(row, n_canvas, self.tokens)
            return replace(row, finish_reason="budget")
        canvas = np.full((1, n_canvas), self.tokens.mask)
        decoding = Decoding(threshold(ANY), continuation.predict)
        end = BodyEnd(self.request, self.tokens, self.healing, self.stops, row)
        (row,) = yield from self._fill(states, canvas, [row], decoding, end)
        if end.is_doubtful:
            row.finish_reason = "length"
        if self.sampler is None:  # what was drawn is no guess of what is likely
            self.recent.add(context, row.tokens)
        row.cut()
        if self.request.hole.multiline and not self.is_literal and row.finish_reason in ("budget", "length"):
            row.keep(self._n_whole(row))
        return row

    def _n_whole(self, row: PartialAnswer) -> int:
        """The number of the row's tokens up to its last line break after text; all of them if there is none."""
        bytes_of = self.healing.tokenizer.bytes_of
        for n in range(len(row.tokens), row.n_opening, -1):
            if b"\n" in bytes_of(row.tokens[n - 1]) and self.healing.text_of(row.tokens[:n]).strip():
                return n
        return len(row.tokens)

    def _canvases(self, states: ContextStates, canvas: np.ndarray, judged: list[Judged]) -> BranchWork[np.ndarray]:
        """Canvases [B, L]: of open length, of the likeliest lengths, and drafts whose doubtful tokens are masked.

        One forward over masks and drafts tells the likely lengths and the doubtful tokens.
        """
        n = canvas.shape[1]
        drafts = [j.candidate.tokens for j in judged if len(j.candidate.tokens) < n][: self.request.mends]
        rows = np.repeat(canvas, 1 + len(drafts), axis=0)
        for row, draft in zip(rows[1:], drafts, strict=True):
            row[: len(draft)] = draft
            row[len(draft) :] = self.tokens.end
        with self.effort.clock("denoise"):
            log_probs = self.tokens.allowed((yield Rows(rows, states)))
        self.effort.n_forwards += 1
        likely = np.exp(np.take_along_axis(log_probs, rows[..., None], axis=-1)[..., 0]) >= MIN_KEPT  # [B, L]
        mended = [np.where(kept, row, self.tokens.mask) for row, kept in zip(rows[1:], likely[1:], strict=True)]
        doubtful = [row for row in mended if (row == self.tokens.mask).any()]
        return np.stack([canvas[0], *self._canvases_by_length(canvas[0], log_probs[0]), *doubtful])

    def _canvases_by_length(self, canvas: np.ndarray, log_probs: np.ndarray) -> list[np.ndarray]:
        """Copies of canvas [L] that end after the likeliest numbers of tokens, by the end's marginals in log_probs."""
        ends = np.exp(logsumexp(log_probs[:, self.tokens.stops]))  # [L]
        first_end = first_ends(ends)[1:]  # an empty answer needs no canvas
        rows = []
        for index in np.argsort(-first_end, kind="stable")[: self.request.lengths - 1].tolist():
            row = canvas.copy()
            row[index + 1 :] = self.tokens.end
            rows.append(row)
        return rows

    def _fill(
        self,
        states: ContextStates,
        canvas: np.ndarray,
        rows: list[PartialAnswer],
        only: Decoding | None = None,
        changed: AfterStep = leave_unchanged,
    ) -> BranchWork[list[PartialAnswer]]:
        """Rows with canvas [B, L] filled after the context in states and their own tokens. only: the one decoding that
        can fill it; changed is applied after each step."""
        effort = self.effort
        if effort.is_spent():
            return [replace(row, finish_reason="budget") for row in rows]
        decoding = only or DECODINGS[self.request.policy or DEFAULT_POLICY]
        n_left = effort.n_left
        is_short = (
            self.request.is_choice and self.request.policy is None and not self.request.hole.multiline and not only
        )
        n_steps = min(n_left, STEPS_LINE) if is_short else n_left
        rest = Budget(deadline_s=effort.budget.deadline_s, max_evaluations=n_steps)
        if not only:
            rest = replace(rest, ceiling=effort.ceiling)
        with effort.clock("denoise"):
            is_seen = self.request.trace or self.teller is not None or self.sampler is not None
            if self.fills_whole and decoding.threshold is not None and not is_seen:
                most = min(canvas.shape[1], n_steps, effort.ceiling() or n_steps)
                result = yield Fill(
                    canvas, states, self.tokens, decoding.threshold, most, effort.is_cancelled, rest.deadline_s
                )
                assert isinstance(result, Denoised)
            else:
                result = yield from self._stepwise(states, canvas, decoding, rest, rows, changed)
        effort.n_forwards += result.steps
        as_meant = result.steps == n_steps < n_left and not effort.budget.expired()
        if as_meant or (only and not (result.canvas == self.tokens.mask).any()):  # a body's tokens are all sure
            result = replace(result, ended="filled")
        return [self._extend_row(row, result, i) for i, row in enumerate(rows)]

    def _stepwise(
        self,
        states: ContextStates,
        canvas: np.ndarray,
        decoding: Decoding,
        rest: Budget,
        rows: list[PartialAnswer],
        changed: AfterStep,
    ) -> BranchWork[Denoised]:
        predicts = decoding.predict if len(canvas) == 1 else predict
        if self.sampler is not None and self.config.canvases:
            predicts = partial(predicts, choose=self.sampler.after(len(rows[0].tokens)))
        return (
            yield from denoise(
                states, canvas, self.tokens, decoding.policy, rest, self.effort.is_cancelled, self._on_step(rows[0]),
                predicts, rows, changed,
            )
        )  # fmt: skip

    def _on_step(self, row: PartialAnswer) -> Callable[[DenoiseStep], None]:
        """What is told of each step of a canvas that follows row."""
        n_before, trace = self.effort.n_forwards, ignore
        if self.request.trace:
            trace = self.tracer.watching(row, n_before, self.effort.timings_ms["denoise"])
        teller = self.teller
        if teller is None:
            return trace

        def tell(step: DenoiseStep) -> None:
            trace(step)
            so_far = grow(row, step.canvas[0], step.log_probs[0], step.stop_log_probs[0], self.tokens)
            teller.tell(so_far, n_before + step.index)

        return tell

    def _canvas_end(self, rows: list[PartialAnswer]) -> AfterStep:
        """Ends canvases that follow rows at a text of the request's stop."""
        return CanvasEnd(self.stops, rows[0], self.tokens) if self.request.stop else leave_unchanged

    def _extend_row(self, row: PartialAnswer, result: Denoised, i: int) -> PartialAnswer:
        """The row with its filled canvas up to the first mask or end."""
        canvas, log_probs = result.canvas[i], result.log_probs[i]
        n_before = len(row.tokens)
        row = grow(row, canvas, log_probs, result.stop_log_probs[i], self.tokens)
        at = len(row.tokens) - n_before
        if at < len(canvas) and canvas[at] == self.tokens.end:
            row.log_prob += float(log_probs[at])  # 0 if the end follows from the tokens present
        if result.ended != "filled":
            row.finish_reason = result.ended
        elif self.tokens.stops[canvas].any() or (not i and self.stops.is_in(row)):
            row.finish_reason = "stop"
        return row
