"""The special tokens that published models were taught infilling with: their texts, their ids, and their order."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from ..storage.folder_files import excerpt
from .rules import is_token_id

MAX_SPECIALS = 10_000
PREFIX = ("<|fim_prefix|>", "<fim_prefix>", "<fim-prefix>", "<|code_prefix|>")
SUFFIX = ("<|fim_suffix|>", "<fim_suffix>", "<fim-suffix>", "<|code_suffix|>")
MIDDLE = ("<|fim_middle|>", "<fim_middle>", "<fim-middle>", "<|code_middle|>")


@dataclass(frozen=True, kw_only=True)
class HoleMarks:
    """Ids of the special tokens that stand before a hole's prefix, its suffix and its text."""

    prefix: int
    suffix: int
    middle: int

    @classmethod
    def by_text(cls, find: Callable[..., int | None]) -> "HoleMarks | None":
        """Those of a vocabulary, if it has all three; find gives the id of the first of some texts that it has."""
        prefix, suffix, middle = (find(*texts) for texts in (PREFIX, SUFFIX, MIDDLE))
        if prefix is None or suffix is None or middle is None:
            return None
        return cls(prefix=prefix, suffix=suffix, middle=middle)

    def around(self, prefix: Sequence[int], suffix: Sequence[int]) -> list[int]:
        """Both in the order that models are taught first; what follows is the middle."""
        return [self.prefix, *prefix, self.suffix, *suffix, self.middle]


@dataclass(frozen=True, kw_only=True)
class Marks(HoleMarks):
    """Ids of all the special tokens that a body was taught infilling with.

    end is what a text ends with in our own training, ends are others that end one; file stands before a file's path,
    repository before a repository's name, where the model has such marks. specials are all ids that are no text.
    suffix_first: the model was taught to read the suffix before the prefix, so that a cached context survives typing.
    """

    end: int
    ends: tuple[int, ...]
    specials: tuple[int, ...]
    file: int | None = None
    repository: int | None = None
    suffix_first: bool = False

    @classmethod
    def of(cls, value: object, vocab_size: int) -> "Marks":
        """Marks from what config.json says. Raises ValueError or TypeError."""
        if not isinstance(value, Mapping):
            raise TypeError("marks are no object")

        def ids(name: str) -> tuple[int, ...]:
            found = value.get(name, [])
            if not isinstance(found, list) or len(found) > MAX_SPECIALS:
                raise ValueError(f"{name} of marks is no list, or too long")
            return tuple(_id(each, vocab_size) for each in found)

        one = {name: _id(value.get(name), vocab_size) for name in ("prefix", "suffix", "middle", "end")}
        file, repository = (
            None if value.get(name) is None else _id(value[name], vocab_size) for name in ("file", "repository")
        )
        suffix_first, ends = value.get("suffix_first", False), ids("ends")
        if not isinstance(suffix_first, bool):
            raise TypeError("suffix_first of marks must be true or false")
        both = [mark for mark in (file, repository) if mark is not None]
        infilling = {one["prefix"], one["suffix"], one["middle"]}
        if len(infilling) < 3 or infilling & {one["end"], *ends, *both}:
            raise ValueError("two marks have the same id")
        return cls(
            prefix=one["prefix"],
            suffix=one["suffix"],
            middle=one["middle"],
            end=one["end"],
            ends=ends,
            specials=tuple(sorted({*ids("specials"), *one.values(), *ends, *both})),
            file=file,
            repository=repository,
            suffix_first=suffix_first,
        )


def _id(value: object, vocab_size: int) -> int:
    if not is_token_id(value, vocab_size):
        raise ValueError(f"{excerpt(repr(value))} is no id of a vocabulary of {vocab_size:,}")
    return value
