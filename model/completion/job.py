"""One request on its way: drafts are verified, canvases denoised, and the best candidate becomes the answer.

The order makes sure that there is an answer whenever time runs out: at the beginning of a line its indentation is
chosen (`indentation`); the context is run, or found in the cache; drafts from the file are verified in one causal pass,
and a sure one is the answer at once; otherwise the model itself writes (`writing`); its text is verified too, and the
ranker decides. A published body writes first, with drafts as guesses; then those drafts are verified that this did not
score and that may still be likely enough.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from ...fim.budget import Budget, no_ceiling
from ...fim.engine import Watch
from ...fim.text.line_breaks import with_lf
from ...fim.types import CompletionRequest, FinishReason, TokenScore
from ..cache.context_cache import ContextCache
from ..config import DenoiserConfig
from ..decoding.denoise import would_be_late
from ..decoding.draft_paths import DraftPaths
from ..decoding.effort import Effort
from ..decoding.healing import healing_of
from ..decoding.ngrams import Ngrams
from ..decoding.partial_answer import PartialAnswer
from ..decoding.recent import Recent
from ..decoding.sampling import sampler_of
from ..decoding.tracing import Tracer
from ..decoding.verification import Verified, verify, written
from ..network.states import ContextStates
from ..ranking.candidates import N_DRAFT_TOKENS, Candidate, drafts_for, merge, with_cuts
from ..ranking.prefix_confidence import CursorFacts, PrefixRanker, with_prefixes
from ..ranking.ranker import Judged, Ranker, judge, probability_of
from ..requests import BranchWork, Work
from ..tokenizers.body_tokenizer import BodyTokenizer
from ..tokenizers.canvas_tokens import CanvasTokens
from ..tokenizers.code_tokenizer import TextTokenizer
from .answer import (
    CANCELLED,
    N_TOKENS_BLOCK,
    WARMED,
    Result,
    add_indent,
    alternatives,
    best_answer,
    n_tokens_open,
    token_scores,
)
from .ending import DOUBT
from .indentation import NONE, Indentation, indentation, with_prefix
from .progress import Teller
from .writing import Writing

UNLIKELY = 0.02  # drafts no likelier than this are not among a body's alternatives
SURE = 0.8  # a draft this likely is shown without denoising


@dataclass(kw_only=True)
class CompletionJob:
    """The work on one request; `answer` does it. Forwards and times are counted, also if it is cut short."""

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
    n_draft_tokens: int = N_DRAFT_TOKENS
    recent: Recent = field(default_factory=Recent)
    n_drafted: int = 0  # tokens that the body's denoising head guesses; 0 without one
    ngrams: Ngrams | None = None
    guesses: bool = True
    n_cached: int = 0
    watch: Watch | None = None

    def __post_init__(self) -> None:
        self.healing = healing_of(self.tokenizer, with_lf(self.request.hole.prefix))
        self.tracer = Tracer(self.tokenizer, self.tokens, self.healing)
        self._verify_s = 0.0
        budget = Budget.of(self.request.budget_ms, self.request.max_evaluations)
        self.effort = Effort(budget, self.is_cancelled, self.ceiling)
        self.context = self.context_of(self.request)
        n_fitting = max(N_TOKENS_BLOCK, self.config.n_context_scaled - len(self.context))
        self.n_open = min(n_tokens_open(self.request), n_fitting)
        self.writing = Writing(
            config=self.config, cache=self.cache, tokens=self.tokens, request=self.request, effort=self.effort,
            healing=self.healing, tracer=self.tracer, n_open=self.n_open, fills_whole=self.fills_whole,
            recent=self.recent, n_drafted=self.n_drafted, ngrams=self.ngrams, guesses=self.guesses,
            sampler=sampler_of(self.request),
            teller=Teller.of(self.watch, self.request, self.tokens, self.tracer),
        )  # fmt: skip

    def answer(self) -> Work[Result]:
        """The whole work."""
        if self.is_cancelled():
            return CANCELLED
        begins = yield from self._indentation()
        with self.effort.clock("prefill"):
            states, n_cached = yield from self.cache.states(self.context)
        self.n_cached = n_cached if begins.n_cached is None else begins.n_cached
        if self.request.warms:
            return WARMED
        answer = yield from self._answer(states)
        return answer if begins is NONE else add_indent(answer, begins.text, begins.probability)

    def _indentation(self) -> Work[Indentation]:
        """Indentation for a line that is still empty; from then on it counts as typed."""
        if isinstance(self.tokenizer, BodyTokenizer):  # healing covers the line break
            return NONE
        with self.effort.clock("prefill"):
            begins = yield from indentation(self.request, self.context_of, self.cache, self.tokens, self.tokenizer)
        if begins is not NONE:
            self.tracer.indent = begins.text
            self.request = with_prefix(self.request, with_lf(self.request.hole.prefix) + begins.text)
            self.context = self.context_of(self.request)
        return begins

    def _answer(self, states: ContextStates) -> Work[Result]:
        """The work after the context has been read."""
        if not self.config.canvases:
            judged, row = yield from self.write_with_drafts(states)
            return (yield from self._choose(states, judged, [row]))
        judged = yield from self.judge_drafts(states)
        if judged and judged[0].probability >= SURE:
            return self._result(judged, "stop")
        rows = yield from self.writing.denoise_canvases(self.context, states, judged)
        return (yield from self._choose(states, judged, rows))

    def candidates(self) -> Work[tuple[list[Judged], list[Judged]]]:
        """Drafts alone, and all candidates, with their probabilities, the likeliest first; for fitting a ranker."""
        states, self.n_cached = yield from self.cache.states(self.context)
        if not self.config.canvases:
            judged, row = yield from self.write_with_drafts(states)
            return judged, (yield from self._judge(states, judged, [row]))
        judged = yield from self.judge_drafts(states)
        rows = yield from self.writing.denoise_canvases(self.context, states, judged)
        return judged, (yield from self._judge(states, judged, rows))

    def judge_drafts(self, states: ContextStates) -> BranchWork[list[Judged]]:
        """Drafts with their probabilities, the likeliest first; [] if there are none, or no time to verify them."""
        request = self.request
        if not (request.drafts and request.is_choice):
            return []
        fitting = drafts_for(request, self.n_open, self.healing, self.n_draft_tokens)
        if not fitting or not self._may_verify(states):
            return []
        verified = yield from self._verify(states, fitting)
        return judge(*with_cuts(fitting, verified, self.tokens, self.healing), self.ranker)

    def write_with_drafts(self, states: ContextStates) -> BranchWork[tuple[list[Judged], PartialAnswer]]:
        """Drafts with their probabilities, the likeliest first, and the row that a body writes beside them.

        The distributions that it writes by give most drafts' probabilities, or show that they are too small to matter.
        """
        request = self.request
        fitting = drafts_for(request, self.n_open, self.healing) if request.drafts else []
        paths = DraftPaths([draft.tokens for draft in fitting], self.tokens)
        row = yield from self.writing.continue_text(self.context, states, paths)
        if not fitting or row.finish_reason == "cancelled" or not request.is_choice:
            return [], row
        kept, text = self.kept(row), self.text_of(row)
        verified: dict[str, Verified] = {}
        open_drafts: list[Candidate] = []
        least, n_tokens = max(UNLIKELY, request.min_probability * DOUBT), 0
        likeliest_first = sorted(range(len(fitting)), key=paths.most, reverse=True)
        for i in likeliest_first:
            draft, scores = fitting[i], paths.scores(i)
            if scores is not None:
                verified[draft.text] = scores
            elif draft.text == text and row.finish_reason == "stop":  # perhaps in other tokens
                fitting[i] = replace(draft, tokens=tuple(kept))
                verified[draft.text] = written(row, kept, self.tokens)
            elif probability_of(paths.most(i)) >= least and n_tokens + len(draft.tokens) <= self.n_draft_tokens:
                open_drafts.append(draft)
                n_tokens += len(draft.tokens)
        if open_drafts and self._may_verify(states):
            found = yield from self._verify(states, open_drafts)
            verified |= {draft.text: each for draft, each in zip(open_drafts, found, strict=True)}
        known = [draft for draft in fitting if draft.text in verified]
        found = with_cuts(known, [verified[draft.text] for draft in known], self.tokens, self.healing)
        return judge(*found, self.ranker), row

    def _choose(self, states: ContextStates, judged: list[Judged], rows: list[PartialAnswer]) -> BranchWork[Result]:
        """The best of drafts and rows; those that could not be verified count with their marginals."""
        free = rows[0]
        may_verify = not self.config.canvases or self._may_verify(states)
        if free.finish_reason == "cancelled" or not (self.request.is_choice and may_verify):
            sure = probability_of(free.log_prob) if free.tokens or free.finish_reason == "stop" else 0.0
            if judged and free.finish_reason != "cancelled" and judged[0].probability > sure:
                return self._result(judged, "stop")
            kept, text = self.kept(free), self.text_of(free)
            log_probs = written(free, kept, self.tokens).log_probs.tolist()
            return Result(
                text=text,
                tokens=self._end_trace(kept, log_probs),
                n_tokens=len(free.tokens),
                confidence=sure,
                finish_reason=free.finish_reason,
                source="denoiser",
                alternatives=alternatives(judged, text, self.request.n_alternatives),
            )
        judged = yield from self._judge(states, judged, rows)
        best = judged[0].candidate.text
        row = next((row for row in rows if self.text_of(row) == best), PartialAnswer(finish_reason="stop"))
        return self._result(judged, row.finish_reason)

    def _judge(
        self, states: ContextStates, judged: list[Judged], rows: list[PartialAnswer]
    ) -> BranchWork[list[Judged]]:
        """Verify drafts and rows; all of them, the likeliest first."""
        verified = {j.candidate.text: j.verified for j in judged}
        found = merge(
            [
                *(j.candidate for j in judged),
                *(
                    Candidate(
                        text=self.text_of(row),
                        tokens=tuple(self.kept(row)),
                        n_canvases=1,
                        canvas_log_prob=row.log_prob,
                    )
                    for row in rows
                ),
            ]
        )
        if not self.config.canvases:  # the body wrote the row
            for row in rows:
                verified.setdefault(self.text_of(row), written(row, self.kept(row), self.tokens))
        new = [candidate for candidate in found if candidate.text not in verified]
        if new:
            verified |= {c.text: v for c, v in zip(new, (yield from self._verify(states, new)), strict=True)}
        found, scores = with_cuts(found, [verified[c.text] for c in found], self.tokens, self.healing)
        return judge(found, scores, self.ranker)

    def kept(self, row: PartialAnswer) -> list[int]:
        """The row's tokens that are its text."""
        return row.kept(self.tokens)

    def text_of(self, row: PartialAnswer) -> str:
        """The text of a row."""
        return self.healing.text_of(self.kept(row))

    def _may_verify(self, states: ContextStates) -> bool:
        """Whether there is a context to verify against, and time for it, judging by the last time."""
        is_late = self.effort.is_spent() or would_be_late(self.effort.budget, self._verify_s)
        return not (states.n_tokens < 2 or is_late or self.is_cancelled())

    def _verify(self, states: ContextStates, candidates: list[Candidate]) -> BranchWork[list[Verified]]:
        before_ms = self.effort.timings_ms["verify"]
        with self.effort.clock("verify"):
            self.effort.n_forwards += 1
            verified = yield from verify(states, [c.tokens for c in candidates], self.tokens, self.healing)
        self._verify_s = (self.effort.timings_ms["verify"] - before_ms) / 1000
        return verified

    def _result(self, judged: Sequence[Judged], finish_reason: FinishReason) -> Result:
        tokens = self._end_trace(judged[0].verified.tokens, judged[0].verified.log_probs.tolist())
        judged = with_prefixes(judged, self.prefix_ranker, self.healing, CursorFacts.of(self.request.hole))
        return replace(best_answer(judged, finish_reason, self.request.n_alternatives), tokens=tokens)

    def _end_trace(self, chosen: Sequence[int], log_probs: Sequence[float]) -> tuple[TokenScore, ...]:
        """End the trace with the chosen tokens, and score them, where either is wanted."""
        if self.request.trace:
            elapsed_ms = self.effort.timings_ms["denoise"] + self.effort.timings_ms["verify"]
            self.tracer.choose(chosen, log_probs, self.effort.n_forwards, elapsed_ms)
        return token_scores(chosen, log_probs, self.healing) if self.request.log_probs else ()
