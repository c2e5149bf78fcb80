"""What every tokenizer does alike, and what the model asks of one: our own (`CodeTokenizer`), that of a published body
(`BodyTokenizer`), and that of a diffusion checkpoint (`published.tokens`), of whose tokens some have no bytes of their
own.
"""

import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

from tokenizers import Tokenizer

from ..special_tokens import Special

LONE_SURROGATE = re.compile("[\ud800-\udfff]")


@contextmanager
def panics_as_errors() -> Iterator[None]:
    """Raises RuntimeError where a library in Rust panics: its own exception passes every `except Exception`."""
    try:
        yield
    except BaseException as error:
        if type(error).__name__ != "PanicException":
            raise
        raise RuntimeError(f"the library gave up: {error}") from error


def without_surrogates(texts: Iterable[str]) -> Iterator[str]:
    """Texts whose lone surrogates, which no file holds, are U+FFFD."""
    return (LONE_SURROGATE.sub("\ufffd", text) for text in texts)


class PlainEncoder:
    """Encodes whatever a user's file spells as plain text, also where it spells a special token."""

    plain: Tokenizer

    def encode(self, text: str) -> list[int]:
        """Token ids of text; never special ones. Lone surrogates become U+FFFD."""
        with panics_as_errors():
            return self.plain.encode(LONE_SURROGATE.sub("\ufffd", text), add_special_tokens=False).ids

    def encode_batch(self, texts: Sequence[str]) -> list[list[int]]:
        """What `encode` gives for each of texts, on all cores."""
        with panics_as_errors():
            clean = list(without_surrogates(texts))
            return [encoding.ids for encoding in self.plain.encode_batch_fast(clean, add_special_tokens=False)]


class TextTokenizer(PlainEncoder, ABC):
    """A vocabulary whose text tokens are bytes: text is the bytes of its tokens, one behind the other."""

    vocab_size: int

    @property
    @abstractmethod
    def text_ids(self) -> Sequence[int]:
        """The ids that are text; all others are special or unused."""

    @abstractmethod
    def special(self, token: Special) -> int:
        """The id of a special token. Raises KeyError where the vocabulary has none of that kind."""

    @abstractmethod
    def bytes_of(self, token: int) -> bytes:
        """The bytes a text token stands for; empty for special tokens. Raises IndexError beyond the vocabulary."""

    @abstractmethod
    def last_boundary(self, text: str) -> int:
        """The last offset near a line break at which a new piece surely begins; 0 where none is known."""

    @abstractmethod
    def open_piece(self, text: str) -> str:
        """The end of text that is dropped from the context, and that the answer's tokens begin with; may be empty."""

    def decode(self, tokens: Sequence[int]) -> str:
        """Text of token ids; special tokens vanish, broken UTF-8 becomes U+FFFD."""
        return b"".join(map(self.bytes_of, tokens)).decode("utf-8", errors="replace")
