"""A vocabulary as the denoise loop sees it: what may be predicted, and what ends a text. Knows ids and no text, but for
how they are found.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

import numpy as np

from ...fim.errors import EngineError
from ..special_tokens import Special
from .body_tokenizer import BodyTokenizer
from .code_tokenizer import TextTokenizer

BROKEN_NUMBERS = (
    "the model computes NaN: its weights are damaged or too large for its number format, try --dtype float32"
)


EndRule = Literal["likeliest", "median", "itself"]


@dataclass(frozen=True, kw_only=True)
class CanvasTokens:
    """The vocabulary as the loop sees it: ids of mask and end and, all bool [V], which ids may not be predicted, which
    stop the text, and before which it may end.

    A committed stop, like the end itself, turns everything right of it into end. Where may_end_before is
    true the text may end before a token though no single place was a likely end, by end_rule (`partial_answer`). middle
    is what the causal head wants before a hole's text; None where it was taught no such mark.

    A body's tokens may say text and a line break as one: before_break has the tokens of that text for each such stop,
    joined the same by their first token. other_ends are ids that end a text beside end.
    """

    mask: int
    end: int
    forbidden: np.ndarray
    stops: np.ndarray
    may_end_before: np.ndarray
    end_rule: EndRule = "likeliest"
    middle: int | None = None
    before_break: Mapping[int, tuple[int, ...]] = field(default_factory=dict)
    joined: Mapping[int, Sequence[tuple[tuple[int, ...], np.ndarray]]] = field(default_factory=dict)
    other_ends: tuple[int, ...] = ()

    @cached_property
    def stop_ids(self) -> np.ndarray:
        """The ids of tokens before which the text ends, [n]."""
        before = self.stops.copy()
        before[list(self.before_break)] = False
        return before.nonzero()[0]

    @cached_property
    def _forbidden_ids(self) -> np.ndarray:
        return self.forbidden.nonzero()[0]

    def allowed(self, log_probs: np.ndarray) -> np.ndarray:
        """A copy of log_probs [..., V] with those of forbidden tokens at -inf.

        Whatever a model predicts goes through here. Raises EngineError where it is NaN: one would be the surest token.
        """
        check_predicted(log_probs)
        log_probs = log_probs.copy()
        log_probs[..., self._forbidden_ids] = -np.inf
        return log_probs


def check_predicted(log_probs: np.ndarray) -> None:
    """Raises EngineError for log-probabilities of a model whose numbers are broken."""
    if log_probs.size and not log_probs.max() < np.inf:  # NaN is less than nothing
        raise EngineError(BROKEN_NUMBERS)


@dataclass(frozen=True)
class VocabularyFacts:
    """What is the same for every view of a vocabulary, all bool [V]: which tokens are text, hold a line break, begin
    with one behind blanks, and begin inside a character; and, of a body, what stands before a break in a token."""

    is_text: np.ndarray
    has_break: np.ndarray
    begins_with_break: np.ndarray
    is_inside_character: np.ndarray
    before_break: Mapping[int, tuple[int, ...]]


def vocabulary_facts(tokenizer: TextTokenizer) -> VocabularyFacts:
    """Facts about all tokens; 150,000 of them take a third of a second."""
    texts = [tokenizer.bytes_of(i) for i in range(tokenizer.vocab_size)]
    is_text = np.zeros(tokenizer.vocab_size, dtype=np.bool_)
    is_text[list(tokenizer.text_ids)] = True
    return VocabularyFacts(
        is_text=is_text,
        has_break=np.array([b"\n" in text for text in texts]),
        begins_with_break=np.array([_begins_with_break(text) for text in texts]),
        is_inside_character=np.array([_is_inside_character(text) for text in texts]),
        before_break=_before_break(tokenizer, texts) if isinstance(tokenizer, BodyTokenizer) else {},
    )


def canvas_tokens(
    tokenizer: TextTokenizer,
    *,
    multiline: bool,
    at_line_end: bool = True,
    marks_middle: bool = False,
    facts: VocabularyFacts | None = None,
) -> CanvasTokens:
    """The loop's view of a vocabulary. Without multiline every token with a line break ends the text.

    at_line_end: nothing stands right of the cursor on its line, so that the text ends where a line does. facts: those
    of the tokenizer, where they are known.
    """
    facts = facts or vocabulary_facts(tokenizer)
    vocab = np.arange(tokenizer.vocab_size)
    end = tokenizer.special(Special.EOM)
    other_ends = tokenizer.marks.ends if isinstance(tokenizer, BodyTokenizer) else ()
    middle = tokenizer.special(Special.MIDDLE) if marks_middle else None
    ends = (vocab == end) | np.isin(vocab, other_ends)
    may_end_before = np.zeros_like(ends) if at_line_end else ~facts.is_inside_character
    if multiline and at_line_end:
        may_end_before = facts.begins_with_break
    before_break = {} if multiline else facts.before_break
    return CanvasTokens(
        mask=tokenizer.special(Special.MASK),
        end=end,
        forbidden=~facts.is_text & ~ends,
        stops=ends if multiline else ends | facts.has_break,
        may_end_before=may_end_before,
        end_rule="median" if multiline and at_line_end else "likeliest",
        middle=middle,
        before_break=before_break,
        joined=_joined(before_break),
        other_ends=tuple(other_ends),
    )


def _before_break(tokenizer: BodyTokenizer, texts: Sequence[bytes]) -> dict[int, tuple[int, ...]]:
    """For each token with a line break behind other text than blanks, the tokens that spell that text."""
    id_of = {text: i for i, text in enumerate(texts) if text}
    found: dict[int, tuple[int, ...]] = {}
    for i, text in enumerate(texts):
        if b"\n" in text and not _begins_with_break(text):
            before = text.partition(b"\n")[0].rstrip(b"\r")
            known = id_of.get(before)
            found[i] = _tokens_of(tokenizer, before) if known is None else (known,)
    return found


def _tokens_of(tokenizer: BodyTokenizer, data: bytes) -> tuple[int, ...]:
    try:
        return tuple(tokenizer.encode(data.decode()))
    except UnicodeDecodeError:  # a part of a character
        return tuple(tokenizer.spelt(data))


def _joined(before_break: Mapping[int, tuple[int, ...]]) -> dict[int, list[tuple[tuple[int, ...], np.ndarray]]]:
    """By their first token: tokens, and the stops that are these and a line break."""
    stops_of: dict[tuple[int, ...], list[int]] = {}
    for stop, before in before_break.items():
        stops_of.setdefault(before, []).append(stop)
    found: dict[int, list[tuple[tuple[int, ...], np.ndarray]]] = {}
    for before, stops in stops_of.items():
        found.setdefault(before[0], []).append((before, np.array(stops)))
    return found


def _begins_with_break(text: bytes) -> bool:
    return text.lstrip(b" \t\r").startswith(b"\n")


def _is_inside_character(text: bytes) -> bool:
    """Whether text begins with a continuation byte of UTF-8."""
    return 0x80 <= text[0] < 0xC0 if text else False
