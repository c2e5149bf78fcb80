"""Reuse: what was answered stays right while a person types it, or comes back to where it was asked.

Owns what may be answered again without a model. It does not know sessions or engines.
"""

from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass
from typing import Generic, TypeVar

from .text import Document

T = TypeVar("T")
N_REMEMBERED = 16  # answers of a document: a few steps back, and what follows an accepted text


@dataclass(frozen=True)
class Shown:
    """A text that was offered at an offset of a document, to be inserted there, with the document's own line breaks."""

    document: Document
    offset: int
    text: str


def n_typed(shown: Shown, document: Document) -> int | None:
    """How many characters of a shown text stand in the document by now, where nothing else has changed; else None."""
    old, new = shown.document.text, document.text
    n = len(new) - len(old)
    if not 0 <= n <= len(shown.text):
        return None
    if not new.startswith(shown.text[:n], shown.offset) or not new.startswith(old[: shown.offset]):
        return None
    return n if new.endswith(old[shown.offset :]) else None


def typed_through(shown: Shown, document: Document, offset: int) -> str | None:
    """What is left of a shown text at offset, now that its beginning has been typed: all of it where nothing was.

    None where it was typed to its end, or where anything else has changed.
    """
    n = offset - shown.offset
    if n >= len(shown.text) or n_typed(shown, document) != n:
        return None
    return shown.text[n:]


class Remembered(Generic[T]):
    """The latest answers by what they were about, empty ones too; the oldest go first."""

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
        """The answer to just that, None where it is not known (any more)."""
        return self._answers.get(about)
