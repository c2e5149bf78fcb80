"""Reuse: what was answered stays right while a person types it, or comes back to where it was asked.

Owns what may be answered again without a model. It does not know sessions or engines.
"""

from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass
from typing import Generic, TypeVar

from .document import Document

T = TypeVar("T")
N_REMEMBERED = 16  # answers of a document: a few steps back, and what follows an accepted text


@dataclass(frozen=True)
class Shown:
    """A text that was offered at an offset of a document, to be inserted there, with the document's own line breaks."""

    document: Document
    offset: int
    text: str


def typed_through(shown: Shown, document: Document, offset: int) -> str | None:
    """What is left of a shown text at offset, now that its beginning has been typed: all of it where nothing was.

    None where it was typed to its end, or where anything else has changed.
    """
    old, new = shown.document.text, document.text
    n_typed = offset - shown.offset
    if not 0 <= n_typed < len(shown.text) or len(new) != len(old) + n_typed:
        return None
    if not new.startswith(shown.text[:n_typed], shown.offset) or not new.startswith(old[: shown.offset]):
        return None
    return shown.text[n_typed:] if new.endswith(old[shown.offset :]) else None


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
