"""Prompts for models that were taught infilling with marks, behind servers that take no suffix.

Owns the marks of each family, as texts. (What the special tokens of our own runtimes are, is in `model.tokenizers`.)
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from ...fim.errors import InputError


@dataclass(frozen=True, kw_only=True)
class FamilyMarks:
    """The marks of a family: before the prefix, before the suffix and before the answer.

    suffix_first: the suffix stands before the prefix. ends are the texts of tokens with which such a model ends; some
    servers let them through.
    """

    prefix: str
    suffix: str
    middle: str = ""
    suffix_first: bool = False
    ends: tuple[str, ...] = ("<|endoftext|>",)

    def prompt(self, prefix: str, suffix: str) -> str:
        """The prompt around a hole. Raises InputError if the text spells a mark, which would end a part too early."""
        spelled = [mark.strip() for mark in (self.prefix, self.suffix, self.middle) if mark]
        if any(mark in text for mark in spelled for text in (prefix, suffix)):
            raise InputError("the text spells a mark of this model family: ask through a dialect with a suffix")
        if self.suffix_first:
            return f"{self.suffix}{suffix}{self.prefix}{prefix}{self.middle}"
        return f"{self.prefix}{prefix}{self.suffix}{suffix}{self.middle}"


FAMILIES: Mapping[str, FamilyMarks] = MappingProxyType(
    {
        "qwen": FamilyMarks(
            prefix="<|fim_prefix|>",
            suffix="<|fim_suffix|>",
            middle="<|fim_middle|>",
            ends=("<|endoftext|>", "<|fim_pad|>", "<|file_sep|>"),
        ),
        "codegemma": FamilyMarks(
            prefix="<|fim_prefix|>", suffix="<|fim_suffix|>", middle="<|fim_middle|>", ends=("<|file_separator|>",)
        ),
        "starcoder": FamilyMarks(
            prefix="<fim_prefix>",
            suffix="<fim_suffix>",
            middle="<fim_middle>",
            ends=("<|endoftext|>", "<|end_of_text|>", "<file_sep>"),
        ),
        "mellum": FamilyMarks(prefix="<fim_prefix>", suffix="<fim_suffix>", middle="<fim_middle>", suffix_first=True),
        "codellama": FamilyMarks(prefix="<PRE> ", suffix=" <SUF>", middle=" <MID>", ends=("<EOT>",)),
        "deepseek": FamilyMarks(
            prefix="<｜fim▁begin｜>",
            suffix="<｜fim▁hole｜>",
            middle="<｜fim▁end｜>",
            ends=("<｜end▁of▁sentence｜>",),
        ),
        "codestral": FamilyMarks(prefix="[PREFIX]", suffix="[SUFFIX]", suffix_first=True, ends=("</s>",)),
        "glm": FamilyMarks(
            prefix="<|code_prefix|>",
            suffix="<|code_suffix|>",
            middle="<|code_middle|>",
            ends=("<|endoftext|>", "<|user|>"),
        ),
    }
)
