"""Reuse: an answer stays right while a person types it, or comes back to the place of the question.

Owns which answers may be given again without a model.
"""

from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass
from typing import Generic, TypeVar

from .text import Document

T = TypeVar("T")
N_REMEMBERED = 16  # answers per document: a few steps back, and what follows an accepted text


@dataclass(frozen=True)
class Shown:
    """A text that was offered at an offset of a document, to be inserted there, with the document's own line breaks."""

    document: Document
    offset: int
    text: str


def n_typed(shown: Shown, document: Document) -> int | None:
    """How many characters of a shown text are in the document by now; None if anything else has changed."""
    old, new = shown.document.text, document.text
    n = len(new) - len(old)
    if not 0 <= n <= len(shown.text):
        return None
    if not new.startswith(shown.text[:n], shown.offset) or not new.startswith(old[: shown.offset]):
        return None
    return n if new.endswith(old[shown.offset :]) else None


def typed_through(shown: Shown, document: Document, offset: int) -> str | None:
    """The rest of a shown text at offset, after its beginning has been typed; all of it if nothing was.

    None if it was typed to its end, or if anything else has changed.
    """
    n = offset - shown.offset
    if n >= len(shown.text) or n_typed(shown, document) != n:
        return None
    return shown.text[n:]


class Remembered(Generic[T]):
    """The latest answers by their questions, including empty ones; the oldest are dropped first."""

    def __init__(self, limit: int = N_REMEMBERED) -> None:
        self._limit = limit
        self._answers: OrderedDict[Hashable, T] = OrderedDict()

    def keep(self, about: Hashable, answer: T) -> None:
        """Remember an answer."""
        self._answers.pop(about, None)
        self._answers[about] = answer
        while len(self._answers) > self._limit:
            self._answers.popitem(last=False)

    def find(self, about: Hashable) -> T | None:
        """The answer to exactly that, or None."""
        return self._answers.get(about)
