"""A published tokenizer: text to ids and back, and which ids are no text. Knows no model.

From tokenizer.json, or vocab.json and merges.txt (Dream has no more). What a user's file spells is always plain text,
also where it spells a special token.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers

from ..fim.errors import CheckpointError
from ..model.tokenizer import LONE_SURROGATE

FILE, CONFIG, ADDED = "tokenizer.json", "tokenizer_config.json", "added_tokens.json"
VOCABULARY, MERGES = "vocab.json", "merges.txt"
LINE_BREAKS = ("\n", "Ċ", "<0x0A>")  # as they are, in GPT-2's alphabet of bytes, and as SentencePiece's byte
QWEN_PIECES = (  # how Qwen2 cuts text before merging; its tokenizer.json would say so
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)


@dataclass(frozen=True)
class PublishedTokenizer:
    """Ids 0 … n_ids - 1; added are the texts that are tokens by themselves, and their ids: no text encodes to those."""

    plain: Tokenizer
    added: Mapping[str, int]
    n_ids: int

    def encode(self, text: str) -> list[int]:
        """Ids of text, never an added token's. Lone surrogates become U+FFFD."""
        return self.plain.encode(LONE_SURROGATE.sub("\ufffd", text), add_special_tokens=False).ids

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
        vocabulary = self.plain.get_vocab(with_added_tokens=False)
        return [i for text, i in vocabulary.items() if any(mark in text for mark in LINE_BREAKS)]


def read_tokenizer(folder: Path) -> tuple[PublishedTokenizer, dict[str, Any]]:
    """A folder's tokenizer and its tokenizer_config.json. Raises CheckpointError without one that can be read."""
    config = read_json(folder / CONFIG) if (folder / CONFIG).is_file() else {}
    try:
        if (folder / FILE).is_file():
            whole = json.loads((folder / FILE).read_text(encoding="utf-8"))
            added = {str(each["content"]): int(each["id"]) for each in whole.get("added_tokens", [])}
            plain = Tokenizer.from_str(json.dumps(whole | {"added_tokens": [], "post_processor": None}))
        elif (folder / VOCABULARY).is_file() and (folder / MERGES).is_file():
            added, plain = {}, _byte_level(folder)
        else:
            raise CheckpointError(f"there is no tokenizer in {folder}: it needs {FILE}, or {VOCABULARY} and {MERGES}")
        if (folder / ADDED).is_file():
            added |= {str(text): int(i) for text, i in read_json(folder / ADDED).items()}
        for i, each in config.get("added_tokens_decoder", {}).items():
            added.setdefault(str(each["content"]), int(i))
    except CheckpointError:
        raise
    except Exception as error:  # the library raises bare Exception for every kind of damage
        reason = " ".join(str(error).split())[:200]
        raise CheckpointError(f"the tokenizer in {folder} is damaged ({reason}): copy it again") from error
    n_ids = 1 + max([*plain.get_vocab(with_added_tokens=False).values(), *added.values()], default=0)
    return PublishedTokenizer(plain, added, n_ids), config


def _byte_level(folder: Path) -> Tokenizer:
    tokenizer = Tokenizer(models.BPE.from_file(str(folder / VOCABULARY), str(folder / MERGES)))
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(QWEN_PIECES), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer


def read_json(path: Path) -> dict[str, Any]:
    """A JSON file that holds an object. Raises CheckpointError."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise CheckpointError(f"there is no {path.name} in {path.parent}: it is no model's folder") from None
    except (OSError, ValueError, RecursionError) as error:
        raise CheckpointError(f"{path} cannot be read: {' '.join(str(error).split())[:200]}") from error
    if not isinstance(value, dict):
        raise CheckpointError(f"{path} holds no JSON object")
    return value


def text_of(token: object) -> str | None:
    """What tokenizer_config.json says of a token: its text, bare or in an object."""
    if isinstance(token, dict):
        token = token.get("content")
    return token if isinstance(token, str) else None
