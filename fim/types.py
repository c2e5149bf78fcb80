"""The nouns that travel between editor, server and engine: holes, requests, completions, outcomes.

Plain frozen values. Offsets count Unicode code points from the start of the document; times are milliseconds.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Literal

from msgspec import Meta

Count = Annotated[int, Meta(ge=0)]
Number = Annotated[float, Meta(ge=0)]  # milliseconds, or a share: never negative

PolicyName = Literal["one", "left", "top-k", "threshold", "entropy", "all", "verified"]
OfferSource = Literal["open file", "workspace"]
DraftSource = Literal["file", "open file", "workspace", "snippet"]
CompletionSource = Literal["denoiser", "file", "open file", "workspace", "snippet", "elsewhere"]
FinishReason = Literal["stop", "length", "budget", "cancelled"]
CellState = Literal["masked", "provisional", "new", "kept", "refused"]
MAX_CANDIDATES = 16
MAX_OFFERS = 32
MAX_OFFER_CHARS = 4_096
MAX_SNIPPETS = 64
MAX_SNIPPET_CHARS = 16_384
MAX_MESSAGES = 256
MAX_STOPS = 16
OutcomeKind = Literal["shown", "accepted", "partially_accepted", "rejected"]
Role = Literal["system", "user", "assistant"]


@dataclass(frozen=True, kw_only=True)
class Hole:
    """A document cut at the cursor: the text left and right of the text to fill in.

    replaced is the half-open range of offsets (start, end) that the completion replaces. multiline says whether the
    answer may contain line breaks; in_prose, whether the cursor is in a comment, a docstring or another string, as far
    as that is known.
    """

    prefix: str
    suffix: str
    language: str
    replaced: tuple[int, int]
    multiline: bool
    in_prose: bool = False

    def __post_init__(self) -> None:
        start, end = self.replaced
        if not 0 <= start <= end:
            raise ValueError(f"replaced must be a range of offsets, not {self.replaced}")


@dataclass(frozen=True, kw_only=True)
class Offer:
    """A text for the hole that the caller found in another file, and how many characters agree there.

    n_before characters left of it equal those left of the cursor, n_after right of it those right of the hole. LF is
    the text's only line break. Raises ValueError for a text of more than MAX_OFFER_CHARS or a negative number.
    """

    text: str
    source: OfferSource
    n_before: int
    n_after: int = 0

    def __post_init__(self) -> None:
        if len(self.text) > MAX_OFFER_CHARS:
            raise ValueError(f"an offer may have at most {MAX_OFFER_CHARS} characters, not {len(self.text)}")
        if self.n_before < 0 or self.n_after < 0:
            raise ValueError(f"an offer's characters that agree are 0 or more, not {self.n_before}, {self.n_after}")


@dataclass(frozen=True, kw_only=True)
class Sampling:
    """Tokens are drawn instead of taking the likeliest: from the top_k likeliest (0: all) that hold top_p of the
    probability together, all sharpened or flattened by temperature. The same seed gives the same text again; None is
    another one each time. Raises ValueError for numbers out of range.
    """

    temperature: float
    top_p: float = 1.0
    top_k: int = 0
    seed: int | None = None

    def __post_init__(self) -> None:
        if not 0 < self.temperature <= 2:
            raise ValueError(f"temperature must be above 0 and at most 2, not {self.temperature}")
        if not 0 < self.top_p <= 1:
            raise ValueError(f"top_p must be above 0 and at most 1, not {self.top_p}")
        if self.top_k < 0:
            raise ValueError(f"top_k must be at least 0, not {self.top_k}")


@dataclass(frozen=True, kw_only=True)
class ChatMessage:
    """One turn of a conversation."""

    role: Role
    content: str


@dataclass(frozen=True, kw_only=True)
class CompletionRequest:
    """A request to the engine: a hole, its surroundings and what the answer may cost.

    path is shown to the model above the prefix ("" for none); snippets are texts from other files, most useful last, at
    most MAX_SNIPPETS of at most MAX_SNIPPET_CHARS each: they get a quarter of the context.
    max_tokens None leaves the length to the engine, which also caps it by what its model can hold.
    budget_ms counts from the moment the engine receives the request; None means no deadline.
    policy None leaves the choice to the engine. drafts is how many texts found elsewhere compete with the denoiser's
    (0: none): those that the engine finds in the file and in snippets, and offers, at most MAX_OFFERS, which were found
    in other files. mends is how many of the best of them compete in a mended form too. lengths is how many canvases,
    each of another likely length, are denoised side by side (the first is of open length). mends and lengths are for
    single lines. n_alternatives is how many of the candidates that were not chosen the answer may hold. The caller has
    no use for texts less likely than min_probability: one that has become much less likely need not be finished. trace
    asks for one TraceFrame per denoise step. warms asks only that the context is read before a question comes; the
    answer is empty.
    sampling None takes the likeliest tokens. streams asks that what is settled is never taken back (`AnswerProgress`).
    With either, the answer is what the model itself writes: drafts are guesses then, and do not compete. stop: the
    caller drops the first of these texts and what follows it, so the model may end there. log_probs asks for the tokens
    of the answer. messages is a conversation to go on with, for models that were taught one; hole is empty then.
    """

    hole: Hole
    path: str = ""
    snippets: tuple[str, ...] = ()
    budget_ms: float | None = 1000.0
    max_evaluations: int = 64
    max_tokens: int | None = None
    policy: PolicyName | None = None
    drafts: int = 6
    mends: int = 0
    lengths: int = 1
    offers: tuple[Offer, ...] = ()
    n_alternatives: int = 0
    min_probability: float = 0.0
    trace: bool = False
    warms: bool = False
    sampling: Sampling | None = None
    streams: bool = False
    stop: tuple[str, ...] = ()
    log_probs: bool = False
    messages: tuple[ChatMessage, ...] = ()

    @property
    def is_choice(self) -> bool:
        """Whether several candidates may compete for the answer."""
        return not (self.streams or self.sampling or self.messages) and (self.drafts > 0 or self.lengths > 1)

    @property
    def may_be_hurried(self) -> bool:
        """Whether canvases may take fewer steps while others wait: the caller is in a hurry itself, and wants neither a
        seed's text nor one that settles."""
        return self.budget_ms is not None and not (self.streams or self.sampling or self.messages)

    def __post_init__(self) -> None:
        if self.max_evaluations < 1:
            raise ValueError(f"max_evaluations must be at least 1, not {self.max_evaluations}")
        if self.max_tokens is not None and self.max_tokens < 1:
            raise ValueError(f"max_tokens must be at least 1, not {self.max_tokens}")
        for name, at_least in (("drafts", 0), ("mends", 0), ("lengths", 1), ("n_alternatives", 0)):
            if not at_least <= getattr(self, name) <= MAX_CANDIDATES:
                raise ValueError(f"{name} must be from {at_least} to {MAX_CANDIDATES}, not {getattr(self, name)}")
        if not 0 <= self.min_probability <= 1:
            raise ValueError(f"min_probability must be from 0 to 1, not {self.min_probability}")
        if len(self.snippets) > MAX_SNIPPETS:
            raise ValueError(f"there may be at most {MAX_SNIPPETS} snippets, not {len(self.snippets)}")
        longest = max(map(len, self.snippets), default=0)
        if longest > MAX_SNIPPET_CHARS:
            raise ValueError(f"a snippet may have at most {MAX_SNIPPET_CHARS} characters, not {longest}")
        if len(self.offers) > MAX_OFFERS:
            raise ValueError(f"there may be at most {MAX_OFFERS} offers, not {len(self.offers)}")
        if len(self.stop) > MAX_STOPS or "" in self.stop:
            raise ValueError(f"stop may hold at most {MAX_STOPS} texts, none of them empty")
        if len(self.messages) > MAX_MESSAGES:
            raise ValueError(f"there may be at most {MAX_MESSAGES} messages, not {len(self.messages)}")
        if self.budget_ms is not None and not self.budget_ms >= 0:
            raise ValueError(f"budget_ms must be a number of milliseconds, not {self.budget_ms}")


@dataclass(frozen=True, kw_only=True)
class TraceCell:
    """One canvas position in a TraceFrame: its text, what happened to it, and the probability that the model gave the
    token (of "kept" ones, when it was committed).

    "masked" positions have no text, "provisional" ones what the model would put there now, "new" ones were committed in
    this step and "kept" ones before. "refused" is a guess that the model did not keep, and no position of its own.
    """

    text: str
    state: CellState
    confidence: Number = 0.0


@dataclass(frozen=True, kw_only=True)
class TraceFrame:
    """The canvas after one denoise step, or, last, the candidate that was chosen.

    elapsed_ms counts from the start of the denoise loop.
    """

    step: Count
    elapsed_ms: Number
    cells: tuple[TraceCell, ...]


@dataclass(frozen=True, kw_only=True)
class AnswerProgress:
    """How far an answer has come. settled is the beginning of its text that will not change any more; it only grows, if
    the request streams. frame is the canvas after the newest step, if the request asked for a trace."""

    settled: str
    steps: Count
    frame: TraceFrame | None = None


@dataclass(frozen=True, kw_only=True)
class TokenScore:
    """A token of an answer, and the natural logarithm of the probability that the model gave it."""

    text: str
    log_prob: float


@dataclass(frozen=True, kw_only=True)
class Alternative:
    """A verified candidate that was not chosen: its text, the ranker's probability, where it came from, its tokens, and
    how likely its beginnings are right, as in `Completion`."""

    text: str
    confidence: Number
    source: CompletionSource
    n_tokens: Count
    prefixes: tuple[tuple[Count, Number], ...] = ()


@dataclass(frozen=True, kw_only=True)
class Completion:
    """An answer of the engine.

    text fills hole.replaced (range). confidence is the probability, in [0, 1], that the text is what the author would
    write: the ranker's if candidates were verified, else the product of the marginals of text and end when each token
    was committed. source says where the text came from: the denoiser, or a verified draft from the same file, from an
    open file, from another file of the workspace or from a snippet; or a server elsewhere that a person has named.
    prefixes: for each end of a word in the text, the number of characters and the probability that all of them are
    right, shorter ones first and never less likely than longer ones; () if the text was not verified. alternatives are
    other texts, verified too, not blank, all different, the likeliest first, at most as many as were asked for.
    finish_reason: "stop" (the text ended), "length" (the canvas was full first, or the text had become too unlikely),
    "budget" (time or evaluations ran out; the open positions took the last prediction), "cancelled". steps counts
    forwards over canvases and candidates; n_tokens the tokens of the text. timings_ms: "queue", "prefill", "denoise",
    "verify", "engine" (the total in the engine). n_context and n_cached count context tokens: all of them, and those
    taken from the cache. tokens spell the text, if the request asked for log_probs.
    """

    text: str
    range: tuple[Count, Count]
    confidence: Number
    finish_reason: FinishReason
    steps: Count
    n_tokens: Count
    model: str
    source: CompletionSource = "denoiser"
    timings_ms: Mapping[str, Number] = field(default_factory=dict)
    n_context: Count = 0
    n_cached: Count = 0
    prefixes: tuple[tuple[Count, Number], ...] = ()
    alternatives: tuple[Alternative, ...] = ()
    trace: tuple[TraceFrame, ...] = ()
    tokens: tuple[TokenScore, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What became of a shown completion; n_chars counts the accepted characters (code points)."""

    completion_id: str
    kind: OutcomeKind
    n_chars: int = 0
