"""What a person is told about documents in a language that the built-in model has not learnt.

Owns the words, and that each language is mentioned once in a session. It does not know how a message is sent.
"""

from collections.abc import Collection

from ..fim.gating import KNOWN_LANGUAGES
from ..fim.printable import printable
from .answers import Answer, Ask


def about_language(language: str, known: Collection[str]) -> str | None:
    """One line about a language that neither the model nor the setting `languages` knows; None for a known one."""
    if language in known or language in KNOWN_LANGUAGES:
        return None
    return (
        f"the built-in model knows only Python: in {printable(language)} it makes no automatic suggestions, and on"
        " request it guesses (see the setting languages)"
    )


class LanguageNotes:
    """What to show a person about questions in such languages, each language once in a session."""

    def __init__(self) -> None:
        self._mentioned: set[str] = set()

    def note(self, ask: Ask, answer: Answer, known: Collection[str]) -> str | None:
        """One line to show after an answer, None for no line.

        A request that got nothing is always told why. Besides, a language is mentioned at the first request, or when a
        person first types in it, if it is a programming language: in prose and data nobody misses suggestions.
        """
        about = None if ask.document is None else about_language(ask.document.language, known)
        if ask.document is None or about is None:
            return None
        language, is_new = ask.document.language, ask.document.language not in self._mentioned
        if ask.invoked and not answer.text and answer.cause not in ("superseded", "stale"):
            self._mentioned.add(language)
            return f"no suggestion: {answer.reason}; {about}"
        if is_new and (ask.invoked or (answer.cause == "gated" and _is_programming(language))):
            self._mentioned.add(language)
            return about
        return None


def _is_programming(language: str) -> bool:
    from ..fim.workspace_files import LANGUAGE_BY_SUFFIX  # late: it delays the language server

    return language in LANGUAGE_BY_SUFFIX.values()
