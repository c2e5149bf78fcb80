"""Byte-level BPE over source code, with line breaks and indentation as tokens and special tokens out of reach.

Special tokens have ids above the BPE vocabulary and no text form: whatever a user's file spells, it is encoded as
plain bytes. Knows no model.
"""

import json
from collections.abc import Iterable
from pathlib import Path

from tokenizers import Regex, Tokenizer, models, pre_tokenizers, trainers

from ...fim.errors import CheckpointError
from ...fim.files.atomic_write import write_whole
from ..special_tokens import N_SPECIAL, Special
from ..storage.folder_files import MAX_TOKENIZER_BYTES, excerpt, read_json
from .text_tokenizer import TextTokenizer, panics_as_errors, without_surrogates

# A line break with the indentation after it is one piece; words take one blank on their left; digits go in threes.
PIECES = (
    r"\n+[ \t]*"
    r"| ?[A-Za-z_]+"
    r"| ?\p{N}{1,3}"
    r"| ?[^\sA-Za-z_\p{N}]+"
    r"|[ \t]+"
    r"|\s+"
)
ABSENT = ("normalizer", "post_processor", "decoder", "added_tokens", "truncation", "padding")  # in a file of ours


class CodeTokenizer(TextTokenizer):
    """Text to token ids and back. Ids 0 … n_text - 1 are text, the N_SPECIAL ids after them are special."""

    def __init__(self, bpe: Tokenizer) -> None:
        """Raises ValueError for a vocabulary with gaps, KeyError for one that is not made of bytes."""
        self.plain = bpe
        self.n_text = bpe.get_vocab_size(with_added_tokens=False)
        self.vocab_size = self.n_text + N_SPECIAL
        bytes_of = {character: bytes([byte]) for byte, character in byte_characters().items()}
        pieces = [bpe.id_to_token(i) for i in range(self.n_text)]
        if None in pieces:
            raise ValueError(f"its vocabulary has no token {pieces.index(None)}")
        self._bytes = [b"".join(bytes_of[c] for c in piece or "") for piece in pieces]

    def special(self, token: Special) -> int:
        """The id of a special token."""
        return self.n_text + int(token)

    @property
    def text_ids(self) -> range:
        """The ids that are text."""
        return range(self.n_text)

    def language(self, language: str) -> int:
        """The id of a language's token; languages without one share LANGUAGE_OTHER."""
        return self.special(Special.LANGUAGE_PYTHON if language == "python" else Special.LANGUAGE_OTHER)

    def bytes_of(self, token: int) -> bytes:
        """The bytes a text token stands for; empty for special tokens. Raises IndexError beyond the vocabulary."""
        if token >= self.vocab_size or token < 0:
            raise IndexError(f"token {token} is not in the vocabulary of {self.vocab_size}")
        return self._bytes[token] if token < self.n_text else b""

    def last_boundary(self, text: str) -> int:
        """The offset of the last line break at which a new piece surely begins; 0 without one.

        A break after other white space than blanks and tabs may belong to the piece before it.
        """
        at = len(text)
        while (at := text.rfind("\n", 0, at)) > 0:
            before = text[at - 1]
            if before in " \t" or not before.isspace():
                return at
        return 0

    def open_piece(self, text: str) -> str:
        """Nothing: our models were taught text that ends anywhere."""
        return ""

    def save(self, path: Path) -> None:
        """Write the BPE merges and vocabulary as JSON. Raises OSError; then what stood at path is still there."""
        write_whole(path, self.plain.to_str(pretty=False))

    @classmethod
    def load(cls, path: Path) -> "CodeTokenizer":
        """Read what `save` wrote. Raises CheckpointError when the file is missing or damaged.

        Vocabulary and merges are taken over; a tokenizer that cuts or changes text in another way is refused.
        """
        found = read_json(path, MAX_TOKENIZER_BYTES)
        try:
            with panics_as_errors():
                strange = [name for name in ABSENT if found.get(name)]
                if strange:
                    raise ValueError(f"it has a {strange[0]}")
                empty = json.loads(_untrained().to_str())
                same = Tokenizer.from_str(json.dumps(empty | {"pre_tokenizer": found["pre_tokenizer"]}))
                if json.loads(same.to_str()) != empty:
                    raise ValueError("it cuts text in an unknown way")
                learnt = {name: found["model"][name] for name in ("vocab", "merges")}
                return cls(Tokenizer.from_str(json.dumps(empty | {"model": empty["model"] | learnt})))
        except Exception as error:  # the library raises bare Exception for every kind of damage
            raise CheckpointError(
                f"the tokenizer at {path} is damaged ({excerpt(error)}): copy it again, or make it anew"
            ) from error

    @classmethod
    def train(cls, texts: Iterable[str], vocab_size: int, *, show_progress: bool = False) -> "CodeTokenizer":
        """Learn BPE merges so that text and special tokens together number vocab_size.

        show_progress: bars on stderr while the texts are counted and the merges learnt.
        """
        bpe = _untrained()
        trainer = trainers.BpeTrainer(
            vocab_size=vocab_size - N_SPECIAL,
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            special_tokens=[],
            show_progress=show_progress,
        )
        bpe.train_from_iterator(without_surrogates(texts), trainer)
        return cls(bpe)


def _untrained() -> Tokenizer:
    """A tokenizer of ours that has learnt nothing."""
    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(PIECES), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    return bpe


def byte_characters() -> dict[int, str]:
    """The printable stand-in of every byte in byte-level BPE files (GPT-2's table)."""
    printable = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    table = {byte: chr(byte) for byte in printable}
    others = (byte for byte in range(256) if byte not in table)
    return table | {byte: chr(256 + i) for i, byte in enumerate(others)}
