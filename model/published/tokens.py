"""A published tokenizer: text to ids and back, and which ids are no text. Knows no model.

From tokenizer.json, or vocab.json and merges.txt (Dream has no more). What a user's file spells is always plain text,
also where it spells a special token.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer
from torch import Tensor

from ...fim.errors import CheckpointError
from ..storage.folder_files import MAX_TOKENIZER_BYTES, excerpt, is_there, read_file, read_json
from ..tokenizers.published_pieces import QWEN_PIECES
from ..tokenizers.rules import harmless_tokenizer, token_id
from ..tokenizers.text_tokenizer import PlainEncoder, panics_as_errors

FILE, CONFIG, ADDED = "tokenizer.json", "tokenizer_config.json", "added_tokens.json"
VOCABULARY, MERGES = "vocab.json", "merges.txt"
LINE_BREAKS = ("\n", "Ċ", "<0x0A>")  # as they are, in GPT-2's alphabet of bytes, and as SentencePiece's byte


@dataclass(frozen=True)
class PublishedTokenizer(PlainEncoder):
    """plain encodes text; added are texts that are tokens by themselves, and their ids: no text encodes to those."""

    plain: Tokenizer
    added: Mapping[str, int]

    @cached_property
    def vocabulary(self) -> Mapping[str, int]:
        """The ids that text can encode to, by how the vocabulary writes them; there may be gaps between them."""
        return self.plain.get_vocab(with_added_tokens=False)

    @cached_property
    def n_ids(self) -> int:
        """One more than the highest id."""
        return 1 + max([*self.vocabulary.values(), *self.added.values()], default=-1)

    def text_ids(self, but: Collection[int], n_ids: int) -> Tensor:
        """Which of n_ids ids are text, but for those named: bool [n_ids]. An id without a text is none."""
        is_text = torch.zeros(n_ids, dtype=torch.bool)
        is_text[[i for i in self.vocabulary.values() if i < n_ids and i not in but]] = True
        return is_text

    def decode(self, tokens: Sequence[int], after: Sequence[int] = ()) -> str:
        """The text of tokens that stand after others: some tokenizers drop a blank where a text begins."""
        before = [*after][-4:]
        text = self.plain.decode([*before, *tokens], skip_special_tokens=False)
        return text[len(self.plain.decode(before, skip_special_tokens=False)) :]

    def id_of(self, text: str) -> int | None:
        """The id of the token that is written so."""
        return self.added.get(text, self.plain.token_to_id(text))

    def line_breaks(self) -> list[int]:
        """The ids of tokens with a line break in them."""
        return [i for text, i in self.vocabulary.items() if any(mark in text for mark in LINE_BREAKS)]


def read_tokenizer(folder: Path) -> tuple[PublishedTokenizer, dict[str, Any]]:
    """A folder's tokenizer and its tokenizer_config.json. Raises CheckpointError without one that can be read.

    No code of the library sees what `tokenizers.rules` has not passed.
    """
    config = _read(folder / CONFIG) if is_there(folder / CONFIG) else {}
    try:
        with panics_as_errors():
            if is_there(folder / FILE):
                whole = _read(folder / FILE)
            elif is_there(folder / VOCABULARY) and is_there(folder / MERGES):
                whole = _byte_level(folder)
            else:
                raise CheckpointError(
                    f"there is no tokenizer in {folder}: it needs {FILE}, or {VOCABULARY} and {MERGES}"
                )
            added = {str(each["content"]): token_id(each["id"]) for each in whole.get("added_tokens", [])}
            if is_there(folder / ADDED):
                added |= {text: token_id(i) for text, i in _read(folder / ADDED).items()}
            for i, each in config.get("added_tokens_decoder", {}).items():
                added.setdefault(str(each["content"]), token_id(int(i)))
            plain = harmless_tokenizer(whole)
    except CheckpointError:
        raise
    except Exception as error:  # the library raises bare Exception for every kind of damage
        raise CheckpointError(f"the tokenizer in {folder} cannot be used ({excerpt(error)}): copy it again") from error
    return PublishedTokenizer(plain, added), config


def _read(path: Path) -> dict[str, Any]:
    return read_json(path, MAX_TOKENIZER_BYTES)


def _byte_level(folder: Path) -> dict[str, Any]:
    """What tokenizer.json would hold, of a folder that has vocabulary and merges alone."""
    lines = read_file(folder / MERGES, MAX_TOKENIZER_BYTES).decode("utf-8").split("\n")
    merges = [line for line in lines if line and not line.startswith("#version")]
    pieces = {"type": "Split", "pattern": {"Regex": QWEN_PIECES}, "behavior": "Isolated", "invert": False}
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False}
    return {
        "model": {"type": "BPE", "vocab": _read(folder / VOCABULARY), "merges": merges},
        "normalizer": {"type": "NFC"},
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": [pieces, byte_level]},
        "decoder": {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True},
    }


def text_of(token: object) -> str | None:
    """What tokenizer_config.json says of a token: its text, bare or in an object."""
    if isinstance(token, dict):
        token = token.get("content")
    return token if isinstance(token, str) else None
