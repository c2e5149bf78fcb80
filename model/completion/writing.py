"""The model's own text for a hole: denoised canvases, or a body's own next tokens.

A canvas of open length comes first; on request, some of the likeliest lengths and mended drafts are denoised beside it.
A body, which was taught no canvases, writes token by token.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from ...fim.budget import Budget
from ...fim.trimming.trim import trim
from ...fim.types import CompletionRequest
from ..cache.context_cache import ContextCache
from ..config import DenoiserConfig
from ..decoding.continuation import Continuation
from ..decoding.decodings import ANY, DECODINGS, DEFAULT_POLICY, Decoding
from ..decoding.denoise import AfterStep, denoise, first_ends, grow, ignore, leave_unchanged, predict
from ..decoding.draft_paths import DraftPaths
from ..decoding.effort import Effort
from ..decoding.healing import Healing
from ..decoding.ngrams import LENGTHS, Ngrams
from ..decoding.partial_answer import PartialAnswer
from ..decoding.policies import threshold
from ..decoding.recent import N_SAME, Recent, followers
from ..decoding.tracing import Tracer
from ..network.states import ContextStates
from ..numerics import logsumexp
from ..ranking.ranker import Judged, probability_of
from ..requests import BranchWork, Denoised, Fill, Rows, Work
from ..tokenizers.canvas_tokens import CanvasTokens

CANVAS_LINE = 16  # tokens of a line at a time; longer lines take more canvases (decision 17)
MIN_BLOCK = 4  # a further canvas shorter than this is not worth a forward
STEPS_LINE = 3  # of a canvas for one line whose result is verified; more change nothing (docs/log/)
DOUBT = 0.25  # share of the least useful probability: a body stops writing below it
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

    @property
    def is_verified(self) -> bool:
        """Whether candidates compete, so that the causal head must judge them."""
        return self.request.drafts > 0 or self.request.lengths > 1

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
        if is_more and not self.request.hole.multiline and self.effort.n_left > 1:
            canvases = yield from self._canvases(states, canvases, judged)
        rows = [PartialAnswer("itself" if i else self.tokens.end_rule) for i in range(len(canvases))]
        rows = yield from self._fill(states, canvases, rows)
        n_left = self.n_open - n_canvas
        while rows[0].finish_reason == "length" and rows[0].end() is None and n_left >= MIN_BLOCK:
            n_canvas = min(n_left, longest)
            if self.effort.is_cancelled():
                rows[0].finish_reason = "cancelled"
                break
            with self.effort.clock("prefill"):
                longer, _ = yield from self.cache.states([*context, *rows[0].tokens])
            rows[:1] = yield from self._fill(longer, np.full((1, n_canvas), self.tokens.mask), rows[:1])
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
            return recent(so_far) or paths.guess(so_far) or opening or followers(last[-N_SAME:], context)

        def counted(so_far: Sequence[int]) -> Sequence[int]:
            return self.ngrams.guess([*context[-LENGTHS[0] :], *so_far], N_HINTS) if self.ngrams else ()

        n_most = self.n_open + len(self.healing.data)
        continuation = Continuation(states, n_most, seen=paths.see)
        if self.guesses and self.request.policy != "left":
            continuation = Continuation(states, n_most, guess, paths.see, counted, self.n_drafted)
        with self.effort.clock("denoise"):
            yield from continuation.open(row, self.tokens, self.healing, self.effort)
        row.n_opening = len(row.tokens)
        n_canvas = self.n_open - self.healing.is_passed(row.tokens)
        if row.finish_reason == "stop" or not n_canvas:
            return row
        if self.effort.is_spent():
            continuation.add_known(row, n_canvas, self.tokens)
            return replace(row, finish_reason="budget")
        canvas = np.full((1, n_canvas), self.tokens.mask)
        decoding = Decoding(threshold(ANY), continuation.predict)
        end = _End(self, row)
        (row,) = yield from self._fill(states, canvas, [row], decoding, end)
        if end.is_doubtful:
            row.finish_reason = "length"
        self.recent.add(context, row.tokens)
        row.cut()
        if self.request.hole.multiline and row.finish_reason in ("budget", "length"):
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
        is_short = self.is_verified and self.request.policy is None and not self.request.hole.multiline and not only
        n_steps = min(n_left, STEPS_LINE) if is_short else n_left
        rest = Budget(deadline_s=effort.budget.deadline_s, max_evaluations=n_steps)
        if not only:
            rest = replace(rest, ceiling=effort.ceiling)
        with effort.clock("denoise"):
            if self.fills_whole and decoding.threshold is not None and not self.request.trace:
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
        on_step = ignore
        if self.request.trace:
            on_step = self.tracer.watching(rows[0].tokens, self.effort.n_forwards, self.effort.timings_ms["denoise"])
        return (
            yield from denoise(
                states, canvas, self.tokens, decoding.policy, rest, self.effort.is_cancelled, on_step,
                decoding.predict if len(canvas) == 1 else predict, rows, changed,
            )
        )  # fmt: skip

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
        elif self.tokens.stops[canvas].any():
            row.finish_reason = "stop"
        return row


class _End:
    """Ends a body's canvas, which follows opening, once going on is useless. A `denoise.AfterStep`.

    That is at the line break after which trimming would cut everything off, such as code outside the block or the line
    that follows the hole: a body seldom ends by itself. And it is when the text has become much less likely than the
    least useful probability; then is_doubtful is set.
    """

    def __init__(self, writing: Writing, opening: PartialAnswer) -> None:
        self._writing, self._opening, self._n_seen, self.is_doubtful = writing, opening, 0, False

    def __call__(
        self, canvas: np.ndarray, log_probs: np.ndarray, stops: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        mask, end = self._writing.tokens.mask, self._writing.tokens.end
        written = canvas[0, : int((canvas[0] != mask).cumprod().sum())].tolist()
        least = self._writing.request.min_probability * DOUBT
        while self._n_seen < len(written) and written[self._n_seen] != end:
            self._n_seen += 1
            n = self._n_seen
            sure = probability_of(self._opening.log_prob + float(log_probs[0, :n].sum()))
            self.is_doubtful = sure < least and self._may_cut(written[:n])
            if self.is_doubtful or self._is_over(written[:n]):
                canvas, log_probs = canvas.copy(), log_probs.copy()
                canvas[:, n:], log_probs[:, n:] = end, 0
                return canvas, log_probs, stops
        return canvas, log_probs, stops

    def _may_cut(self, written: Sequence[int]) -> bool:
        """Whether the text may be cut here: it has not ended by itself, and this is not inside a character."""
        if self._writing.tokens.stops[written[-1]]:
            return False
        return not self._writing.healing.text_of([*self._opening.tokens, *written]).endswith("\ufffd")

    def _is_over(self, written: Sequence[int]) -> bool:
        """Whether trimming cuts lines off written, which ends with a line break; then it would cut what follows too."""
        healing, hole = self._writing.healing, self._writing.request.hole
        if not (hole.multiline and b"\n" in healing.tokenizer.bytes_of(written[-1])):
            return False
        text = healing.text_of([*self._opening.tokens, *written]).rstrip()
        kept = trim(hole, text).rstrip()
        return 0 < len(kept) < len(text)
