"""Reuse: a completion that was shown stays right while a person types it, and needs no model for that."""

from dataclasses import dataclass

from .document import Document


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
