"""What every dialect's request becomes: an `ApiCall` on the engine; and what goes back: answers, or pieces of them.

Texts are not changed here, but for one thing: an answer ends before the first stop text.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

from msgspec import Meta

from ...fim.errors import InputError
from ...fim.text.language_guess import guess_language
from ...fim.text.language_ids import language_id
from ...fim.text.line_breaks import with_lf
from ...fim.types import (
    MAX_CANDIDATES,
    MAX_SNIPPET_CHARS,
    MAX_SNIPPETS,
    ChatMessage,
    Completion,
    CompletionRequest,
    Hole,
    Sampling,
    TokenScore,
    TraceFrame,
)
from ..bounds import MAX_PATH_CHARS, bound_hole

MAX_ANSWERS = MAX_CANDIDATES
MAX_ANSWER_TOKENS = 131_072  # more than any model here holds; the engine has its own, lower limit
MAX_SEED = 2**62  # greater seeds are folded, since generators take 64 bits
DEFAULT_LANGUAGE = "python"
N_EVALUATIONS = 256  # at least: callers of an API wait for the whole text

GREEDY = 0.01  # temperatures up to it

EndReason = Literal["stop", "length"]
Int64 = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]


@dataclass(frozen=True, kw_only=True)
class ApiCall:
    """A parsed request of any dialect. n answers are wanted, at most MAX_ANSWERS; model is the one that it names.

    Sampled answers are drawn independently. Otherwise there are as many as the engine has different ones. stream asks
    for pieces, diffusing for frames of the canvas instead of text.
    """

    request: CompletionRequest
    model: str | None = None
    n: int = 1
    stream: bool = False
    diffusing: bool = False

    def __post_init__(self) -> None:
        if not 1 <= self.n <= MAX_ANSWERS:
            raise InputError(f"there can be 1 to {MAX_ANSWERS} answers to a request")


@dataclass(frozen=True, kw_only=True)
class ApiAnswer:
    """One whole answer: its text, cut before stopped_by (the stop text that ended it, None if none did).

    completion is the engine's: timings, counts and confidence. tokens are those of the text, if they were asked for.
    """

    index: int
    text: str
    end_reason: EndReason
    stopped_by: str | None
    completion: Completion
    tokens: tuple[TokenScore, ...] = ()


@dataclass(frozen=True, kw_only=True)
class TextPiece:
    """The next part of the text of the answer with this index; it will not change any more."""

    index: int
    text: str


@dataclass(frozen=True, kw_only=True)
class CanvasPiece:
    """The canvas of the answer with this index after a step. text is what it says now, settled or not."""

    index: int
    text: str
    frame: TraceFrame


Piece = TextPiece | CanvasPiece | ApiAnswer


def completion_request(
    *,
    prefix: str = "",
    suffix: str = "",
    language: str | None = None,
    path: str = "",
    names: Sequence[str] = (),
    snippets: Sequence[str] = (),
    messages: Sequence[ChatMessage] = (),
    max_tokens: int | None = None,
    budget_ms: float | None = None,
    sampling: Sampling | None = None,
    stop: Sequence[str] = (),
    log_probs: bool = False,
    multiline: bool = True,
) -> CompletionRequest:
    """The engine's request for a hole between prefix and suffix, or for the next message of a conversation.

    Without a language it is guessed from path, from the texts and from names, those of the files that snippets come
    from; DEFAULT_LANGUAGE if nothing is sure. Snippets, the most useful last, are cut to what the engine takes. Line
    breaks of stop texts become LF, as those of answers are. budget_ms None: there is no deadline. Raises InputError.
    """
    if max_tokens is not None and not 1 <= max_tokens <= MAX_ANSWER_TOKENS:
        raise InputError(f"an answer may have 1 to {MAX_ANSWER_TOKENS} tokens")
    named = language_id(language) if language else guess_language(prefix, suffix, path=path, names=names)
    hole = Hole(
        prefix=prefix,
        suffix=suffix,
        language=named or DEFAULT_LANGUAGE,
        replaced=(len(prefix), len(prefix)),
        multiline=multiline,
    )
    try:
        return CompletionRequest(
            hole=bound_hole(hole),
            path=path[-MAX_PATH_CHARS:],
            snippets=tuple(snippet[:MAX_SNIPPET_CHARS] for snippet in snippets if snippet)[-MAX_SNIPPETS:],
            messages=tuple(messages),
            max_tokens=max_tokens,
            budget_ms=budget_ms,
            max_evaluations=max(N_EVALUATIONS, 2 * (max_tokens or 0)),
            sampling=sampling,
            stop=tuple(map(with_lf, stop)),
            log_probs=log_probs,
        )
    except ValueError as error:
        raise InputError(str(error)) from None


def sampling_of(
    temperature: float | None, top_p: float | None = None, top_k: int | None = None, seed: int | None = None
) -> Sampling | None:
    """How tokens are drawn; None takes the likeliest, which is what no temperature asks for, or one of at most GREEDY:
    clients that mean 0 send .01, and would lose the drafts that compete with the model's own text.

    top_p None or 0, and top_k None or less than 1, leave all tokens in. A negative seed counts as none. Raises
    InputError.
    """
    if temperature is None or 0 <= temperature <= GREEDY:
        return None
    try:
        return Sampling(
            temperature=temperature,
            top_p=top_p or 1.0,
            top_k=max(0, top_k or 0),
            seed=None if seed is None or seed < 0 else seed % MAX_SEED,
        )
    except ValueError as error:
        raise InputError(f"request.{error}") from None
