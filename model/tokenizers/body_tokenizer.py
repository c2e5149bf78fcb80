"""The tokenizer of a published code model, with what our own offers: text to ids and back, special tokens out of reach.

Byte-level BPE as Qwen, Llama 3, GPT-2 and SmolLM have it. What a user's file spells is always plain text, also where it
spells a special token. Text is not normalised: what comes back is what went in. Knows no model.
"""

from bisect import bisect_left
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from ...fim.errors import CheckpointError
from ..special_tokens import Special
from ..storage.folder_files import MAX_TOKENIZER_BYTES, excerpt, read_json
from .code_tokenizer import byte_characters
from .marks import Marks
from .piece_boundaries import PieceBoundaries
from .rules import harmless_tokenizer
from .text_tokenizer import TextTokenizer, panics_as_errors

_PROBE = "x):\n    y's  é\t😀\r\n"


class BodyTokenizer(TextTokenizer):
    """Text to token ids and back."""

    def __init__(self, plain: Tokenizer, marks: Marks, vocab_size: int) -> None:
        """Raises ValueError for a vocabulary that does not fit, KeyError for one that is not made of bytes."""
        self.plain, self.marks, self.vocab_size = plain, marks, vocab_size
        self._boundaries = PieceBoundaries(plain)
        characters = {ord(character): byte for byte, character in byte_characters().items()}
        specials = set(marks.specials)
        pieces = {piece: i for piece, i in plain.get_vocab(with_added_tokens=False).items() if i not in specials}
        if strange := set(map(ord, set("".join(pieces)))) - characters.keys():
            raise KeyError(chr(min(strange)))
        self._bytes = [b""] * vocab_size
        for piece, i in pieces.items():
            if i >= vocab_size:
                raise ValueError(f"it has a token {i:,}, but the model only {vocab_size:,}")
            self._bytes[i] = piece.translate(characters).encode("latin-1")
        if not {bytes([byte]) for byte in range(256)} <= set(self._bytes):
            raise ValueError("some bytes have no token")
        if self.decode(self.encode(_PROBE)) != _PROBE:
            raise ValueError("text does not come back as it went in")

    @property
    def text_ids(self) -> list[int]:
        """The ids that are text."""
        return [i for i, piece in enumerate(self._bytes) if piece]

    def special(self, token: Special) -> int:
        """The id of a special token; MASK, which no body has, is an id that no answer holds. Raises KeyError."""
        return {
            Special.EOM: self.marks.end,
            Special.MASK: self.marks.prefix,
            Special.PREFIX: self.marks.prefix,
            Special.SUFFIX: self.marks.suffix,
        }[token]

    def bytes_of(self, token: int) -> bytes:
        """The bytes a text token stands for; empty for special tokens. Raises IndexError beyond the vocabulary."""
        if not 0 <= token < self.vocab_size:
            raise IndexError(f"token {token} is not in the vocabulary of {self.vocab_size}")
        return self._bytes[token]

    def last_boundary(self, text: str) -> int:
        """The last offset near a line break at which a new piece surely begins; 0 where none is known."""
        return self._boundaries.last_boundary(text)

    def open_piece(self, text: str) -> str:
        """The end of text that what follows may change the tokens of.

        Where it is dropped and the answer begins with it again, the model sees only tokens as it was taught them.
        """
        return self._boundaries.open_end(text)

    @cached_property
    def _sorted(self) -> tuple[list[bytes], list[int]]:
        order = sorted(self.text_ids, key=lambda i: self._bytes[i])
        return [self._bytes[i] for i in order], order

    def beginning_with(self, start: bytes) -> list[int]:
        """The ids of all tokens whose bytes begin with start."""
        pieces, ids = self._sorted
        at = bisect_left(pieces, start)
        found = []
        while at < len(pieces) and pieces[at].startswith(start):
            found.append(ids[at])
            at += 1
        return found

    def agreeing_with(self, rest: bytes) -> list[int]:
        """The ids of all tokens that a text which begins with rest can begin with."""
        pieces, ids = self._sorted
        shorter = (rest[:n] for n in range(1, len(rest)))
        places = ((bisect_left(pieces, piece), piece) for piece in shorter)
        return [ids[at] for at, piece in places if at < len(pieces) and pieces[at] == piece] + self.beginning_with(rest)

    @cached_property
    def _ids(self) -> dict[bytes, int]:
        return {self._bytes[i]: i for i in reversed(self.text_ids)}

    def spelt(self, data: bytes) -> list[int]:
        """Tokens that spell data, the longest first; data may begin or end inside a character."""
        found: list[int] = []
        while data:
            piece = next(data[:n] for n in range(len(data), 0, -1) if data[:n] in self._ids)
            found.append(self._ids[piece])
            data = data[len(piece) :]
        return found

    @classmethod
    def load(cls, path: Path, marks: Marks, vocab_size: int) -> "BodyTokenizer":
        """Read a tokenizer.json. Raises CheckpointError when the file is missing, damaged or of an unknown kind."""
        found = read_json(path, MAX_TOKENIZER_BYTES)
        try:
            with panics_as_errors():
                return cls(plain_tokenizer(found), marks, vocab_size)
        except Exception as error:  # the library raises bare Exception for every kind of damage
            raise CheckpointError(
                f"the tokenizer at {path} is damaged ({excerpt(error)}): copy it again, or make it anew"
            ) from error


def plain_tokenizer(found: Mapping[str, Any]) -> Tokenizer:
    """What a tokenizer.json says of cutting and merging, without its normaliser and special tokens.

    Raises as `rules.harmless_tokenizer`, or ValueError.
    """
    plain = harmless_tokenizer({**found, "normalizer": None})
    if plain.pre_tokenizer is None:
        raise ValueError("it does not say how text is cut")
    return plain
