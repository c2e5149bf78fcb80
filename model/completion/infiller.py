"""A loaded model that fills holes: text in, text out, blocking. The engine process owns one of these.

Owns what outlives a request: the model, its layout and the context cache. A `CompletionJob` is the work on
one request. Knows no sockets and no editor.
"""

import time
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from importlib.metadata import version

import numpy as np

from ...fim.budget import step_ceiling
from ...fim.engine import Watch
from ...fim.errors import InputError
from ...fim.types import Completion, CompletionRequest, Hole
from ..cache.context_cache import MAX_BYTES, ContextCache
from ..checkpoint.checkpoint import Checkpoint
from ..decoding.recent import Recent
from ..languages import languages_fact
from ..ranking.candidates import N_DRAFT_TOKENS, N_DRAFT_TOKENS_BODY
from ..requests import Context, ForwardReply, ForwardRequest
from ..runners.loaded_runner import LoadedRunner
from ..stepping import SteppingInfiller
from ..tokenizers.canvas_tokens import CanvasTokens, canvas_tokens, vocabulary_facts
from .answer import CANCELLED, N_TOKENS_BLOCK, SPENT, Result, n_tokens_open
from .job import CompletionJob
from .layout import layout_of

MIN_WINDOW = 64  # tokens
N_WINDOWS_CACHED = 2
MOST_ON_CPU = 1024  # tokens of context and answer: base reads 1,024 in .3 s on two cores, and a person waits for it
MOST_IN_CHAT = 4096  # on a CPU, unless somebody has said otherwise: a conversation is read on from turn to turn
N_BYTES = {"float32": 4, "bfloat16": 2}  # of a number
REHEARSED = Hole(prefix="x = ", suffix="\n", language="python", replaced=(4, 4), multiline=False)


class DenoisingInfiller(SteppingInfiller[ForwardRequest, ForwardReply]):
    """`fim.engine.Infiller` over one checkpoint and what runs it. For one thread."""

    def __init__(self, checkpoint: Checkpoint, loaded: LoadedRunner, cache_bytes: int | None = None) -> None:
        """cache_bytes None: enough."""
        super().__init__()
        self.checkpoint, self.loaded, self.run = checkpoint, loaded, loaded.run
        self.config = checkpoint.config
        self.tokenizer = checkpoint.tokenizer
        self.layout = layout_of(self.tokenizer)
        self._cache_bytes = cache_bytes
        self.cache = ContextCache(MAX_BYTES if cache_bytes is None else cache_bytes)
        self.n_window = self.config.n_context_scaled
        if loaded.is_on_cpu:
            self.n_window = min(self.n_window, MOST_ON_CPU)
        self.n_window_chat = min(self.config.n_context_scaled, max(self.n_window, MOST_IN_CHAT))
        self.choice = ""  # why this model is served, for people
        self.recent = Recent()
        self.guesses = True  # whether a body's next tokens are guessed; the text is the same without
        marks, facts = self.config.marks_middle, vocabulary_facts(self.tokenizer)
        self._tokens = {
            (multiline, at_line_end): canvas_tokens(
                self.tokenizer, multiline=multiline, at_line_end=at_line_end, marks_middle=marks, facts=facts
            )
            for multiline in (False, True)
            for at_line_end in (False, True)
        }

    @property
    def name(self) -> str:
        """The checkpoint's name."""
        return self.checkpoint.name

    @property
    def n_context_max(self) -> int:
        """The longest context of a request; the rest of the trained length is room for the answer's blocks."""
        return _n_context(self.n_window)

    def read_at_most(self, n_window: int, *, in_chat: bool = False) -> None:
        """Have requests hold at most n_window tokens of context and answer; conversations, for which people wait longer
        than for a key, only if in_chat. Forgets cached contexts.

        Raises InputError for more than the model can read, or too few.
        """
        most = self.config.n_context_scaled
        if not MIN_WINDOW <= n_window <= most:
            raise InputError(f"{self.name} reads from {MIN_WINDOW} to {most} tokens of context, not {n_window}")
        self.n_window = n_window
        if in_chat:
            self.n_window_chat = n_window
        if self._cache_bytes is None:
            c = self.config
            window_bytes = n_window * 2 * c.n_layers * c.n_kv_heads * c.head_size * N_BYTES[self.loaded.dtype]
            self.cache = ContextCache(max(MAX_BYTES, N_WINDOWS_CACHED * window_bytes))

    @property
    def n_draft_tokens(self) -> int:
        """Tokens of all drafts that are verified for a request."""
        is_slow = self.loaded.is_on_cpu and not self.config.canvases
        return N_DRAFT_TOKENS_BODY if is_slow else N_DRAFT_TOKENS

    def describe(self) -> Mapping[str, str | int | float]:
        """Facts for people: device, dtype, parameters, checkpoint hash, context length, threads, languages."""
        return {
            "device": self.loaded.device.partition(":")[0],
            "runtime": self.loaded.runtime,
            "dtype": self.loaded.dtype,
            "parameters": self.checkpoint.n_parameters,
            "sha256": self.checkpoint.sha256,
            "context_tokens": self.n_context_max,
            "canvas_tokens": self.config.n_canvas,
            "canvases": int(self.config.canvases),
            "threads": self.loaded.n_threads,
            "languages": languages_fact(self.checkpoint.languages),
            "chat": int(self.checkpoint.chat is not None),
            self.loaded.runtime: version(self.loaded.runtime),
            **({"choice": self.choice} if self.choice else {}),
        }

    def tokens_for(self, hole: Hole) -> CanvasTokens:
        """The denoise loop's view of the vocabulary for a hole."""
        return self._tokens[hole.multiline, hole.suffix.lstrip(" \t")[:1] in ("", "\n", "\r")]

    @cached_property
    def _tokens_in_chat(self) -> CanvasTokens:
        """The vocabulary for a turn of a conversation, which ends with an end token alone."""
        tokens = self._tokens[True, True]
        return replace(tokens, may_end_before=np.zeros_like(tokens.may_end_before), end_rule="itself")

    def rehearse(self) -> None:
        """Do once what is compiled on first use, before anyone waits for it. Raises what a GPU's kernels raise."""
        self.loaded.rehearse(self.tokens_for(REHEARSED))
        self.complete(CompletionRequest(hole=REHEARSED, path="", drafts=1, budget_ms=None), lambda: False)
        self.cache.clear()
        self.recent.clear()

    def work_on(
        self, request: CompletionRequest, is_cancelled: Callable[[], bool], watch: Watch | None = None
    ) -> Generator[ForwardRequest, ForwardReply | None, Completion]:
        """The work on request, not begun; is_cancelled is asked before every forward. Raises InputError."""
        return _completed(self.name, self.filling(request, is_cancelled, watch), time.monotonic())

    def forward(self, asks: Sequence[ForwardRequest]) -> list[ForwardReply]:
        """The replies to asks."""
        return self.run(asks)

    def make_room(self) -> None:
        """Give up all cached contexts."""
        self.cache.clear()
        self.loaded.free()

    def context_of(self, request: CompletionRequest) -> list[int]:
        """The tokens of a request's context."""
        n_open = n_tokens_open(request)
        if not request.messages:
            return self.layout.context(request, self._n_beside(n_open, self.n_window))
        if self.checkpoint.chat is None:
            raise self._no_chat()
        encode = self.layout.encode
        return self.checkpoint.chat.fit(request.messages, encode, self._n_beside(n_open, self.n_window_chat))

    def _n_beside(self, n_open: int, n_window: int) -> int:
        """The longest context beside an answer of n_open tokens. It gives way to a long one, but keeps half of the
        window."""
        n_free, n_most = self.config.n_context_scaled - n_open, _n_context(n_window)
        return n_most if n_open <= N_TOKENS_BLOCK or n_free >= n_most else max(n_free, n_window // 2)

    def _no_chat(self) -> InputError:
        if self.config.canvases:
            return InputError(f"{self.name} was not taught to chat: use a model with a chat template, such as coder")
        return InputError(
            f"{self.name} has no chat template: if it was published with one, fetch it again (`quicksilver fetch "
            f"{self.name}`), or name its GGUF file"
        )

    def filling(
        self, request: CompletionRequest, is_cancelled: Callable[[], bool], watch: Watch | None = None
    ) -> CompletionJob:
        """The work on one request, not begun."""
        return CompletionJob(
            config=self.config,
            tokenizer=self.tokenizer,
            cache=self.cache,
            tokens=self._tokens_in_chat if request.messages else self.tokens_for(request.hole),
            ranker=self.checkpoint.ranker,
            prefix_ranker=self.checkpoint.prefix_ranker,
            request=request,
            context_of=self.context_of,
            is_cancelled=is_cancelled,
            ceiling=lambda: step_ceiling(self.n_requests) if request.may_be_hurried else None,
            fills_whole=self.loaded.fills_whole,
            n_draft_tokens=self.n_draft_tokens,
            recent=self.recent,
            n_drafted=0 if self.checkpoint.head is None else self.checkpoint.head.config.n_canvas - 1,
            ngrams=self.checkpoint.ngrams,
            guesses=self.guesses,
            watch=watch,
        )


def _n_context(n_window: int) -> int:
    """The tokens of a window that are not kept free for an answer's blocks."""
    return n_window - min(N_TOKENS_BLOCK, n_window // 4)


def _completed(
    model: str, filling: CompletionJob, started_s: float
) -> Generator[ForwardRequest, ForwardReply | None, Completion]:
    """The work of filling, to its completion. It ends early where its context need not be read on."""
    work = filling.answer()
    reply = None
    try:
        while True:
            ask = work.send(reply)
            if isinstance(ask, Context) and (cut := _cut_short(filling)):
                work.close()  # what was read so far stays in the cache
                return _completion_of(model, filling, cut, started_s)
            reply = yield ask
    except StopIteration as end:
        return _completion_of(model, filling, end.value, started_s)


def _cut_short(filling: CompletionJob) -> Result | None:
    """The answer of a job whose context need not be read on: nobody waits, or there is no time to begin one."""
    has_begun = filling.effort.n_forwards > 0  # then there is a text already, which is the answer
    if filling.is_cancelled() and not (has_begun and filling.request.streams):  # what was told is not taken back
        return CANCELLED
    return SPENT if filling.effort.budget.expired() and not (has_begun or filling.request.warms) else None


def _completion_of(model: str, filling: CompletionJob, answer: Result, started_s: float) -> Completion:
    return Completion(
        text=answer.text,
        range=filling.request.hole.replaced,
        confidence=answer.confidence,
        finish_reason=answer.finish_reason,
        steps=filling.effort.n_forwards,
        n_tokens=answer.n_tokens,
        model=model,
        source=answer.source,
        prefixes=answer.prefixes,
        timings_ms=filling.effort.timings_ms | {"engine": 1000 * (time.monotonic() - started_s)},
        n_context=len(filling.context),
        n_cached=filling.n_cached,
        alternatives=answer.alternatives,
        trace=tuple(filling.tracer.frames),
        tokens=answer.tokens,
    )
