"""What a prompt without a suffix of its own says: the text left of the hole and, if marks tell it, more."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class PromptTexts:
    """The texts around the hole that a prompt asks to fill, the path of their file and texts from other files."""

    prefix: str
    suffix: str = ""
    path: str = ""
    snippets: tuple[str, ...] = ()


def read_prompt(prompt: str) -> PromptTexts:
    """The texts in prompt, which all stand left of the hole."""
    return PromptTexts(prefix=prompt)
