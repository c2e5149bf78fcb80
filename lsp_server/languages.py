"""What a person is told about documents in a language that the model was not taught.

Owns the words, and that each language is mentioned once in a session. It does not know how a message is sent, or which
model knows what: the engine says so.
"""

from collections.abc import Collection
from dataclasses import dataclass

from ..fim.text.language_ids import CODE_LANGUAGES
from ..fim.text.printable import printable
from .answering import Answer, Question

GUESSES = "it makes no automatic suggestions, and on request it guesses (see the setting languages)"


@dataclass(frozen=True)
class KnownLanguages:
    """LSP ids: of the model, None before the engine has said so; of the setting `languages`, None if it is not set."""

    of_model: Collection[str] | None
    of_setting: Collection[str] | None = None


def about_language(language: str, known: KnownLanguages) -> str | None:
    """One line about a language that neither the model nor the setting `languages` knows; None for a known one, and
    before the engine has said which it knows."""
    if known.of_model is None or language in known.of_model or language in (known.of_setting or ()):
        return None
    if tuple(known.of_model) == ("python",):
        return f"the model knows only Python: in {printable(language)} {GUESSES}"
    return f"the model does not know {printable(language)}: there {GUESSES}"


class LanguageNotes:
    """What to show a person about questions in such languages, each language once in a session."""

    def __init__(self) -> None:
        self._mentioned: set[str] = set()

    def note(self, ask: Question, answer: Answer, known: KnownLanguages) -> str | None:
        """One line to show after an answer, None for no line.

        A request that got nothing is always told why. Besides, a language is mentioned at the first request, or when a
        person first types in it, if it is a programming language: in prose and data nobody misses suggestions.
        """
        about = about_language(ask.document.language, known) if ask.is_open else None
        if about is None:
            return None
        language, is_new = ask.document.language, ask.document.language not in self._mentioned
        if ask.invoked and not answer.text and answer.cause not in ("superseded", "stale"):
            self._mentioned.add(language)
            return f"no suggestion: {answer.reason}; {about}"
        if is_new and (ask.invoked or (answer.cause == "gated" and language in CODE_LANGUAGES)):
            self._mentioned.add(language)
            return about
        return None
