"""One request on its way: drafts are verified, canvases denoised, and the best candidate becomes the answer.

Order of work, so that there is an answer whenever time runs out: at the beginning of a line its indentation is chosen
(`indentation`); the context is run (or found in the cache); drafts from the file are verified in one causal pass, and a
sure one is the answer at once; else the model itself writes (`writing`); what comes out is verified too, and the ranker
decides. A published body writes first, with drafts as guesses; of the drafts that this did not score, those that may
still be likely enough are verified then. Knows no sockets and no editor.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from ...fim.budget import Budget, no_ceiling
from ...fim.text.line_breaks import with_lf
from ...fim.types import CompletionRequest, FinishReason
from ..cache.context_cache import ContextCache
from ..config import DenoiserConfig
from ..decoding.denoise import would_be_late
from ..decoding.draft_paths import DraftPaths
from ..decoding.effort import Effort
from ..decoding.healing import healing_of
from ..decoding.ngrams import Ngrams
from ..decoding.partial_answer import PartialAnswer
from ..decoding.recent import Recent
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
from .answer import CANCELLED, WARMED, Result, add_indent, alternatives, best_answer
from .indentation import NONE, Indentation, indentation, with_prefix
from .writing import DOUBT, Writing

N_TOKENS_LINE, N_TOKENS_BLOCK = 24, 96  # default answer lengths
UNLIKELY = 0.02  # a draft that is no likelier than this is not among a body's alternatives
SURE = 0.8  # a draft this likely is shown without denoising


@dataclass(kw_only=True)
class CompletionJob:
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
    n_draft_tokens: int = N_DRAFT_TOKENS
    recent: Recent = field(default_factory=Recent)
    n_drafted: int = 0  # tokens that the body's denoising head guesses; 0 without one
    ngrams: Ngrams | None = None
    guesses: bool = True
    n_cached: int = 0

    def __post_init__(self) -> None:
        self.healing = healing_of(self.tokenizer, with_lf(self.request.hole.prefix))
        self.tracer = Tracer(self.tokenizer, self.tokens, self.healing)
        self._verify_s = 0.0
        budget = Budget.of(self.request.budget_ms, self.request.max_evaluations)
        self.effort = Effort(budget, self.is_cancelled, self.ceiling)
        n_open = self.request.max_tokens or (N_TOKENS_BLOCK if self.request.hole.multiline else N_TOKENS_LINE)
        self.n_open = min(n_open, N_TOKENS_BLOCK)
        self.context = self.context_of(self.request)
        self.writing = Writing(
            config=self.config, cache=self.cache, tokens=self.tokens, request=self.request, effort=self.effort,
            healing=self.healing, tracer=self.tracer, n_open=self.n_open, fills_whole=self.fills_whole,
            recent=self.recent, n_drafted=self.n_drafted, ngrams=self.ngrams, guesses=self.guesses,
        )  # fmt: skip

    def answer(self) -> Work[Result]:
        """The work, to its end."""
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
        """What the line begins with where nothing stands on it yet; from then on that counts as typed."""
        if isinstance(self.tokenizer, BodyTokenizer):  # the line break is healed
            return NONE
        with self.effort.clock("prefill"):
            begins = yield from indentation(self.request, self.context_of, self.cache, self.tokens, self.tokenizer)
        if begins is not NONE:
            self.tracer.indent = begins.text
            self.request = with_prefix(self.request, with_lf(self.request.hole.prefix) + begins.text)
            self.context = self.context_of(self.request)
        return begins

    def _answer(self, states: ContextStates) -> Work[Result]:
        """The work once the context has been read."""
        if not self.config.canvases:
            judged, row = yield from self.continued(states)
            return (yield from self._chosen(states, judged, [row]))
        judged = yield from self.judged_drafts(states)
        if judged and judged[0].probability >= SURE:
            return self._from(judged, "stop")
        rows = yield from self.writing.denoised(self.context, states, judged)
        return (yield from self._chosen(states, judged, rows))

    def candidates(self) -> Work[tuple[list[Judged], list[Judged]]]:
        """Drafts alone, and all candidates, with their probabilities, the likeliest first; for fitting a ranker."""
        states, self.n_cached = yield from self.cache.states(self.context)
        if not self.config.canvases:
            judged, row = yield from self.continued(states)
            return judged, (yield from self._judge(states, judged, [row]))
        judged = yield from self.judged_drafts(states)
        rows = yield from self.writing.denoised(self.context, states, judged)
        return judged, (yield from self._judge(states, judged, rows))

    def judged_drafts(self, states: ContextStates) -> BranchWork[list[Judged]]:
        """Drafts with their probabilities, the likeliest first; [] where there is none or no time to verify any."""
        request = self.request
        if not request.drafts:
            return []
        fitting = drafts_for(request, self.n_open, self.healing, self.n_draft_tokens)
        if not fitting or not self._may_verify(states):
            return []
        verified = yield from self._verify(states, fitting)
        return judge(*with_cuts(fitting, verified, self.tokens, self.healing), self.ranker)

    def continued(self, states: ContextStates) -> BranchWork[tuple[list[Judged], PartialAnswer]]:
        """Drafts with their probabilities, the likeliest first, and the row that a body writes beside them.

        Its own writing tells of most drafts how likely they are, or that they are too unlikely to matter.
        """
        request = self.request
        fitting = drafts_for(request, self.n_open, self.healing) if request.drafts else []
        paths = DraftPaths([draft.tokens for draft in fitting], self.tokens)
        row = yield from self.writing.continued(self.context, states, paths)
        if not fitting or row.finish_reason == "cancelled":
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
            elif draft.text == text and row.finish_reason == "stop":  # perhaps of other tokens
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

    def _chosen(self, states: ContextStates, judged: list[Judged], rows: list[PartialAnswer]) -> BranchWork[Result]:
        """The best of drafts and rows; what could not be verified counts with its marginals."""
        free = rows[0]
        may_verify = not self.config.canvases or self._may_verify(states)
        if free.finish_reason == "cancelled" or not (self.writing.is_verified and may_verify):
            sure = probability_of(free.log_prob) if free.tokens or free.finish_reason == "stop" else 0.0
            if judged and free.finish_reason != "cancelled" and judged[0].probability > sure:
                return self._from(judged, "stop")
            self._trace(self.kept(free))
            text = self.text_of(free)
            return Result(
                text=text,
                n_tokens=len(free.tokens),
                confidence=sure,
                finish_reason=free.finish_reason,
                source="denoiser",
                alternatives=alternatives(judged, text, self.request.n_alternatives),
            )
        judged = yield from self._judge(states, judged, rows)
        best = judged[0].candidate.text
        row = next((row for row in rows if self.text_of(row) == best), PartialAnswer(finish_reason="stop"))
        return self._from(judged, row.finish_reason)

    def _judge(
        self, states: ContextStates, judged: list[Judged], rows: list[PartialAnswer]
    ) -> BranchWork[list[Judged]]:
        """Drafts and rows in one list, all verified, the likeliest first."""
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
        """The row's tokens up to the first one that ends the text, and what that says before a line break."""
        for i, token in enumerate(row.tokens):
            if i >= row.n_opening and self.tokens.stops[token]:
                return [*row.tokens[:i], *self.tokens.before_break.get(token, ())]
        return row.tokens

    def text_of(self, row: PartialAnswer) -> str:
        """The text that a row comes to."""
        return self.healing.text_of(self.kept(row))

    def _may_verify(self, states: ContextStates) -> bool:
        """Whether there is something to verify against, and time for it, as far as the last time tells."""
        is_late = self.effort.is_spent() or would_be_late(self.effort.budget, self._verify_s)
        return not (states.n_tokens < 2 or is_late or self.is_cancelled())

    def _verify(self, states: ContextStates, candidates: list[Candidate]) -> BranchWork[list[Verified]]:
        before_ms = self.effort.timings_ms["verify"]
        with self.effort.clock("verify"):
            self.effort.n_forwards += 1
            verified = yield from verify(states, [c.tokens for c in candidates], self.tokens, self.healing)
        self._verify_s = (self.effort.timings_ms["verify"] - before_ms) / 1000
        return verified

    def _from(self, judged: Sequence[Judged], finish_reason: FinishReason) -> Result:
        self._trace(judged[0].candidate.tokens)
        judged = with_prefixes(judged, self.prefix_ranker, self.healing, CursorFacts.of(self.request.hole))
        return best_answer(judged, finish_reason, self.request.n_alternatives)

    def _trace(self, chosen: Sequence[int]) -> None:
        """Let the trace end with what was chosen."""
        if self.request.trace:
            elapsed_ms = self.effort.timings_ms["denoise"] + self.effort.timings_ms["verify"]
            self.tracer.choose(chosen, self.effort.n_forwards, elapsed_ms)
