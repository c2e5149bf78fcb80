"""One request on its way: drafts are verified, canvases denoised, and the best candidate becomes the answer.

Order of work, so that there is an answer whenever time runs out: at the beginning of a line its indentation is chosen
(`line_start`); the context is run (or found in the cache); drafts
from the file are verified in one causal pass, and a sure one is the answer at once; else canvases are denoised, one of
open length and, on request, some of the likeliest lengths beside it; what comes out is verified too, and the ranker
decides. Knows tensors and texts; knows no sockets and no editor.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from ..fim.budget import Budget, no_ceiling
from ..fim.line_breaks import with_lf
from ..fim.types import CompletionRequest, FinishReason
from .answer import CANCELLED, WARMED, Answer, alternatives, best_answer, indented
from .asks import BranchWork, Denoised, Fill, Rows, Work
from .body_tokenizer import BodyTokenizer
from .candidates import Candidate, drafts_for, merged, with_cuts
from .canvas_tokens import CanvasTokens
from .config import DenoiserConfig
from .context_cache import ContextCache
from .continuation import Continuation, guesses
from .decodings import ANY, DECODINGS, DEFAULT_POLICY, Decoding
from .denoise import denoise, grown, ignore, predict, would_be_late
from .denoiser import ContextStates
from .healing import healing_of
from .line_start import NONE, Indentation, indentation, with_prefix
from .policies import threshold
from .prefixes import CursorFacts, PrefixRanker, with_prefixes
from .ranker import Judged, Ranker, judge, probability_of
from .row import Row
from .tokenizer import TextTokenizer
from .tracing import Tracer
from .verification import Verified, verify

N_TOKENS_LINE, N_TOKENS_BLOCK = 24, 96  # default answer lengths
CANVAS_LINE = 16  # of one line at a time; longer ones go on (decision 17)
MIN_BLOCK = 4  # a continuation canvas shorter than this is not worth a forward
STEPS_LINE = 3  # of a canvas for one line whose result is verified; more change nothing (docs/log.md)
SURE = 0.8  # a draft this likely is shown without denoising
KEPT = 0.3  # a draft's token that the denoiser finds less likely is masked again


@dataclass
class Filling:
    """The work on one request; `answer` does it. Everything is counted on the way, also when it is cut short."""

    config: DenoiserConfig
    tokenizer: TextTokenizer
    cache: ContextCache
    tokens: CanvasTokens
    ranker: Ranker | None
    prefix_ranker: PrefixRanker | None
    request: CompletionRequest
    context_of: Callable[[CompletionRequest], list[int]]
    is_cancelled: Callable[[], bool]
    ceiling: Callable[[], int | None] = no_ceiling
    fills_whole: bool = False  # whether what runs the model answers `Fill`
    n_forwards: int = 0
    n_cached: int = 0
    timings_ms: dict[str, float] = field(default_factory=lambda: {"prefill": 0.0, "denoise": 0.0, "verify": 0.0})

    def __post_init__(self) -> None:
        self.healing = healing_of(self.tokenizer, with_lf(self.request.hole.prefix))
        self.tracer = Tracer(self.tokenizer, self.tokens, self.healing)
        self._verify_s = 0.0
        self._n_opening = 0  # tokens of an answer that what is healed ends in
        self.budget = Budget.of(self.request.budget_ms, self.request.max_evaluations)
        n_open = self.request.max_tokens or (N_TOKENS_BLOCK if self.request.hole.multiline else N_TOKENS_LINE)
        self.n_open = min(n_open, N_TOKENS_BLOCK)
        self.context = self.context_of(self.request)

    @property
    def is_verified(self) -> bool:
        """Whether candidates compete, so that the causal head must judge them."""
        return self.request.drafts > 0 or self.request.lengths > 1

    def answer(self) -> Work[Answer]:
        """The work, to its end."""
        if self.is_cancelled():
            return CANCELLED
        begins = yield from self._indentation()
        with self._clock("prefill"):
            states, n_cached = yield from self.cache.states(self.context)
        self.n_cached = n_cached if begins.n_cached is None else begins.n_cached
        if self.request.warms:
            return WARMED
        answer = yield from self._answer(states)
        return answer if begins is NONE else indented(answer, begins.text, begins.probability)

    def _indentation(self) -> Work[Indentation]:
        """What the line begins with where nothing stands on it yet; from then on that counts as typed."""
        if isinstance(self.tokenizer, BodyTokenizer):  # the line break is healed
            return NONE
        with self._clock("prefill"):
            begins = yield from indentation(self.request, self.context_of, self.cache, self.tokens, self.tokenizer)
        if begins is not NONE:
            self.tracer.indent = begins.text
            self.request = with_prefix(self.request, with_lf(self.request.hole.prefix) + begins.text)
            self.context = self.context_of(self.request)
        return begins

    def _answer(self, states: ContextStates) -> Work[Answer]:
        """The work once the context has been read."""
        judged = yield from self.judged_drafts(states)
        if judged and judged[0].probability >= SURE:
            return self._from(judged, "stop")
        rows = yield from self.denoised(states, judged)
        return (yield from self._chosen(states, judged, rows))

    def candidates(self) -> Work[tuple[list[Judged], list[Judged]]]:
        """Drafts alone, and all candidates, with their probabilities, the likeliest first; for fitting a ranker."""
        states, self.n_cached = yield from self.cache.states(self.context)
        judged = yield from self.judged_drafts(states)
        rows = yield from self.denoised(states, judged)
        return judged, (yield from self._judge(states, judged, rows))

    def judged_drafts(self, states: ContextStates) -> BranchWork[list[Judged]]:
        """Drafts with their probabilities, the likeliest first; [] where there is none or no time to verify any."""
        request = self.request
        if not request.drafts:
            return []
        fitting = drafts_for(request, self.n_open, self.healing)
        if not fitting or not self._may_verify(states):
            return []
        verified = yield from self._verify(states, fitting)
        return judge(*with_cuts(fitting, verified, self.tokens, self.healing), self.ranker)

    def denoised(self, states: ContextStates, judged: list[Judged]) -> Work[list[Row]]:
        """What canvases turn into: the one of masks and open length first, then those of set length and mended drafts.

        Only the first goes on when it is full. A body that was taught no canvases goes on token by token.
        """
        if not self.config.canvases:
            return [(yield from self._continued(states, judged))]
        longest = self.config.n_canvas if self.request.hole.multiline else min(CANVAS_LINE, self.config.n_canvas)
        n_canvas = min(self.n_open, longest)
        if self.n_open - n_canvas < MIN_BLOCK:  # a rest too short for a canvas of its own
            n_canvas = min(self.n_open, self.config.n_canvas)
        canvases = torch.full((1, n_canvas), self.tokens.mask)
        is_more = self.request.lengths > 1 or (self.request.mends > 0 and len(judged) > 0)
        if is_more and not self.request.hole.multiline and self.budget.max_evaluations > self.n_forwards + 1:
            canvases = yield from self._canvases(states, canvases, judged)
        rows = [Row("itself" if i else self.tokens.ends_by) for i in range(len(canvases))]
        rows = yield from self._filled(states, canvases, rows)
        n_left = self.n_open - n_canvas
        while rows[0].finish_reason == "length" and rows[0].end() is None and n_left >= MIN_BLOCK:
            n_canvas = min(n_left, longest)
            if self.is_cancelled():
                rows[0].finish_reason = "cancelled"
                break
            with self._clock("prefill"):
                longer, _ = yield from self.cache.states([*self.context, *rows[0].tokens])
            rows[:1] = yield from self._filled(longer, torch.full((1, n_canvas), self.tokens.mask), rows[:1])
            n_left -= n_canvas
        for row in rows:
            row.cut()
        return rows

    def _continued(self, states: ContextStates, judged: list[Judged]) -> Work[Row]:
        """What the body itself goes on with."""
        row = Row(self.tokens.ends_by)
        if self.budget.spent(self.n_forwards) or states.n_tokens < 2:
            return replace(row, finish_reason="budget")
        known = guesses([j.candidate.tokens for j in judged], [j.verified.best.tolist() for j in judged])
        continuation = Continuation(
            states, self.n_open + len(self.healing.data), lambda tokens: known([*row.tokens, *tokens])
        )
        with self._clock("denoise"):
            row = yield from continuation.opened(row, self.tokens, self.healing)
        self.n_forwards += continuation.n_forwards
        self._n_opening = len(row.tokens)
        canvas = torch.full((1, self.n_open), self.tokens.mask)
        (row,) = yield from self._filled(states, canvas, [row], Decoding(threshold(ANY), continuation.predict))
        row.cut()
        return row

    def _canvases(self, states: ContextStates, canvas: Tensor, judged: list[Judged]) -> BranchWork[Tensor]:
        """Masks of open length, of the likeliest lengths, and drafts with doubtful tokens masked: [B, L].

        One forward over masks and drafts tells which lengths are likely and which tokens are doubtful.
        """
        n = canvas.shape[1]
        drafts = [j.candidate.tokens for j in judged if len(j.candidate.tokens) < n][: self.request.mends]
        rows = canvas.repeat(1 + len(drafts), 1)
        for row, draft in zip(rows[1:], drafts, strict=True):
            row[: len(draft)] = torch.tensor(draft)
            row[len(draft) :] = self.tokens.end
        with self._clock("denoise"):
            log_probs = self.tokens.allowed((yield Rows(rows, states)))
        self.n_forwards += 1
        likely = log_probs.gather(-1, rows.unsqueeze(-1)).squeeze(-1).exp() >= KEPT  # [B, L]
        mended = [row.where(kept, self.tokens.mask) for row, kept in zip(rows[1:], likely[1:], strict=True)]
        doubtful = [row for row in mended if bool((row == self.tokens.mask).any())]
        return torch.stack([canvas[0], *self._of_length(canvas[0], log_probs[0]), *doubtful])

    def _of_length(self, canvas: Tensor, log_probs: Tensor) -> list[Tensor]:
        """Copies of canvas [L] that end after the likeliest numbers of tokens, by the end's marginals in log_probs."""
        ends = log_probs.masked_fill(~self.tokens.stops, float("-inf")).logsumexp(dim=-1).exp()  # [L]
        goes_on = torch.cat((torch.ones(1), (1 - ends).cumprod(dim=-1)[:-1]))
        first_end = (ends * goes_on)[1:]  # an empty answer needs no canvas
        rows = []
        for index in first_end.topk(min(self.request.lengths - 1, len(first_end))).indices.tolist():
            row = canvas.clone()
            row[index + 1 :] = self.tokens.end
            rows.append(row)
        return rows

    def _filled(
        self, states: ContextStates, canvas: Tensor, rows: list[Row], only: Decoding | None = None
    ) -> BranchWork[list[Row]]:
        """Rows and what canvas [B, L], after the context in states and each one's tokens, comes to; only: the one
        decoding that can fill it."""
        if self.budget.spent(self.n_forwards):
            return [replace(row, finish_reason="budget") for row in rows]
        decoding = only or DECODINGS[self.request.policy or DEFAULT_POLICY]
        n_left = self.budget.max_evaluations - self.n_forwards
        is_short = self.is_verified and self.request.policy is None and not self.request.hole.multiline and not only
        n_steps = min(n_left, STEPS_LINE) if is_short else n_left
        rest = Budget(deadline_s=self.budget.deadline_s, max_evaluations=n_steps, ceiling=self.ceiling)
        with self._clock("denoise"):
            if self.fills_whole and decoding.threshold is not None and not self.request.trace:
                most = min(canvas.shape[1], n_steps, self.ceiling() or n_steps)
                result = yield Fill(
                    canvas, states, self.tokens, decoding.threshold, most, self.is_cancelled, rest.deadline_s
                )
                assert isinstance(result, Denoised)
            else:
                result = yield from self._stepwise(states, canvas, decoding, rest, rows)
        self.n_forwards += result.steps
        if result.steps == n_steps < n_left and not self.budget.expired():  # as many as it was meant to take
            result = replace(result, ended="filled")
        return [self._with(row, result, i) for i, row in enumerate(rows)]

    def _stepwise(
        self, states: ContextStates, canvas: Tensor, decoding: Decoding, rest: Budget, rows: list[Row]
    ) -> BranchWork[Denoised]:
        on_step = ignore
        if self.request.trace:
            on_step = self.tracer.watching(rows[0].tokens, self.n_forwards, self.timings_ms["denoise"])
        return (
            yield from denoise(
                states, canvas, self.tokens, decoding.policy, rest, self.is_cancelled, on_step,
                decoding.predict if len(canvas) == 1 else predict, rows,
            )
        )  # fmt: skip

    def _with(self, row: Row, result: Denoised, i: int) -> Row:
        """The row and what its canvas came to, left of the first mask or end."""
        canvas, log_probs = result.canvas[i], result.log_probs[i]
        n_before = len(row.tokens)
        row = grown(row, canvas, log_probs, result.stop_log_probs[i], self.tokens)
        at = len(row.tokens) - n_before
        if at < len(canvas) and canvas[at] == self.tokens.end:
            row.log_prob += float(log_probs[at])  # 0 where the end follows from what is there
        if result.ended != "filled":
            row.finish_reason = result.ended
        elif bool(self.tokens.stops[canvas].any()):
            row.finish_reason = "stop"
        return row

    def _chosen(self, states: ContextStates, judged: list[Judged], rows: list[Row]) -> BranchWork[Answer]:
        """The best of drafts and rows; what could not be verified counts with its marginals."""
        free = rows[0]
        if free.finish_reason == "cancelled" or not (self.is_verified and self._may_verify(states)):
            sure = probability_of(free.log_prob) if free.tokens or free.finish_reason == "stop" else 0.0
            if judged and free.finish_reason != "cancelled" and judged[0].probability > sure:
                return self._from(judged, "stop")
            self._trace(free.tokens)
            text = self._text_of(free)
            return Answer(
                text=text,
                n_tokens=len(free.tokens),
                confidence=sure,
                finish_reason=free.finish_reason,
                source="denoiser",
                alternatives=alternatives(judged, text, self.request.n_alternatives),
            )
        judged = yield from self._judge(states, judged, rows)
        best = judged[0].candidate.text
        row = next((row for row in rows if self._text_of(row) == best), Row(finish_reason="stop"))
        return self._from(judged, row.finish_reason)

    def _judge(self, states: ContextStates, judged: list[Judged], rows: list[Row]) -> BranchWork[list[Judged]]:
        """Drafts and rows in one list, all verified, the likeliest first."""
        verified = {j.candidate.text: j.verified for j in judged}
        found = merged(
            [
                *(j.candidate for j in judged),
                *(
                    Candidate(
                        text=self._text_of(row),
                        tokens=tuple(self._kept(row)),
                        n_canvases=1,
                        canvas_log_prob=row.log_prob,
                    )
                    for row in rows
                ),
            ]
        )
        new = [candidate for candidate in found if candidate.text not in verified]
        if new:
            verified |= {c.text: v for c, v in zip(new, (yield from self._verify(states, new)), strict=True)}
        found, scores = with_cuts(found, [verified[c.text] for c in found], self.tokens, self.healing)
        return judge(found, scores, self.ranker)

    def _kept(self, row: Row) -> list[int]:
        """The row's tokens up to the first one that ends the text, and what that says before a line break."""
        for i, token in enumerate(row.tokens):
            if i >= self._n_opening and bool(self.tokens.stops[token]):
                return [*row.tokens[:i], *self.tokens.before_break.get(token, ())]
        return row.tokens

    def _text_of(self, row: Row) -> str:
        return self.healing.text_of(self._kept(row))

    def _may_verify(self, states: ContextStates) -> bool:
        """Whether there is something to verify against, and time for it, as far as the last time tells."""
        is_late = self.budget.spent(self.n_forwards) or would_be_late(self.budget, self._verify_s)
        return not (states.n_tokens < 2 or is_late or self.is_cancelled())

    def _verify(self, states: ContextStates, candidates: list[Candidate]) -> BranchWork[list[Verified]]:
        before_ms = self.timings_ms["verify"]
        with self._clock("verify"):
            self.n_forwards += 1
            verified = yield from verify(states, [c.tokens for c in candidates], self.tokens, self.healing)
        self._verify_s = (self.timings_ms["verify"] - before_ms) / 1000
        return verified

    def _from(self, judged: Sequence[Judged], finish_reason: FinishReason) -> Answer:
        self._trace(judged[0].candidate.tokens)
        judged = with_prefixes(judged, self.prefix_ranker, self.healing, CursorFacts.of(self.request.hole))
        return best_answer(judged, finish_reason, self.request.n_alternatives)

    def _trace(self, chosen: Sequence[int]) -> None:
        """Let the trace end with what was chosen."""
        if self.request.trace:
            elapsed_ms = self.timings_ms["denoise"] + self.timings_ms["verify"]
            self.tracer.choose(chosen, self.n_forwards, elapsed_ms)

    @contextmanager
    def _clock(self, name: str) -> Iterator[None]:
        start_s = time.monotonic()
        try:
            yield
        finally:
            self.timings_ms[name] += 1000 * (time.monotonic() - start_s)
