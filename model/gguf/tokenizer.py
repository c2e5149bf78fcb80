"""The tokenizer in a GGUF file, as a tokenizer.json, and the tokens that mark the parts of a hole.

Byte-level BPE only. Text encodes to ordinary tokens only: special ones are left out of the vocabulary.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..tokenizers.chat_template import MAX_CHARS, ChatTemplate
from ..tokenizers.code_tokenizer import byte_characters
from ..tokenizers.marks import MAX_SPECIALS, MIDDLE, PREFIX, SUFFIX, Marks
from ..tokenizers.published_pieces import GPT2_PIECES, LLAMA3_PIECES, QWEN_PIECES
from .file import GgufFile

UNUSED = 5  # the type of a token that nothing spells
NORMAL = 1  # the type of an ordinary token; others are unknown, control, user-defined, unused and byte
MAX_TOKEN = 1_024  # characters; the longest in use are 128 blanks
NEVER_IN_TEXT = frozenset({0xC0, 0xC1, *range(0xF5, 0x100)})  # bytes that UTF-8 does not use

# How text is cut before merging, by the name in tokenizer.ggml.pre: pieces are cut by each pattern in turn.
PIECES: Mapping[str, tuple[str, ...]] = {
    "qwen2": (QWEN_PIECES,),
    "llama-bpe": (LLAMA3_PIECES,),
    "llama3": (LLAMA3_PIECES,),
    "gpt-2": (GPT2_PIECES,),
    "starcoder": (r"\p{N}", GPT2_PIECES),
    "smollm": (r"\p{N}", GPT2_PIECES),
    "refact": (r"\p{N}", GPT2_PIECES),
}
WHOLE_PIECES = frozenset({"llama-bpe", "llama3"})  # a piece that is a token is that token, without merging

FILE = ("<|file_sep|>", "<file_sep>", "<filename>")
REPOSITORY = ("<|repo_name|>", "<repo_name>", "<reponame>")
END = ("<|endoftext|>", "<|end_of_text|>")
ENDS = (*END, *FILE, *REPOSITORY, "<|fim_pad|>", "<fim_pad>", "<fim-pad>", "<|im_end|>", "<|eot_id|>", "<|eom_id|>")
_KEY = "tokenizer.ggml."


def read_tokenizer(file: GgufFile, n_ids: int) -> tuple[dict[str, Any], Marks]:
    """tokenizer.json and the marks. Raises CheckpointError for another kind of tokenizer, a damaged one, or one
    without n_ids tokens."""
    kind, pre = file.field(f"{_KEY}model", str, "none"), file.field(f"{_KEY}pre", str, "none")
    if kind != "gpt2":
        raise file.refused(
            f"its tokenizer is of the kind {kind!r}: take a model with a byte-level BPE tokenizer (gpt2)"
        )
    if pre not in PIECES:
        raise file.refused(f"its tokenizer cuts text as {pre!r} does: take a model with one of {', '.join(PIECES)}")
    tokens, types = file.field(f"{_KEY}tokens", list), file.field(f"{_KEY}token_type", np.ndarray)
    merges = file.field(f"{_KEY}merges", list)
    if (
        len(types) != len(tokens)
        or types.dtype.kind not in "iu"
        or not all(isinstance(t, str) for t in (*tokens, *merges))
    ):
        raise file.refused("its list of tokens is damaged: copy or download it again")
    if len(tokens) != n_ids:
        raise file.refused(f"its tokenizer has {len(tokens):,} tokens, and its embedding {n_ids:,}: take another file")
    marks = _marks(file, tokens, types)
    vocabulary = _vocabulary(file, tokens, set(marks.specials))
    return _tokenizer(vocabulary, _merges(file, merges, vocabulary), pre), marks


def chat_config(file: GgufFile) -> dict[str, Any]:
    """What config.json says of the chat template in a file whose tokenizer was read without complaint."""
    source = file.fields.get("tokenizer.chat_template")
    if not isinstance(source, str) or not 0 < len(source) <= MAX_CHARS:
        return {"chat": None}
    tokens, types = file.field(f"{_KEY}tokens", list), file.field(f"{_KEY}token_type", np.ndarray)
    specials = {tokens[i]: i for i in np.flatnonzero((types != NORMAL) & (types != UNUSED)).tolist() if tokens[i]}

    def text_of(key: str) -> str:
        i = file.fields.get(f"{_KEY}{key}_token_id")
        return tokens[i] if type(i) is int and 0 <= i < len(tokens) else ""

    template = ChatTemplate(source=source, specials=specials, bos=text_of("bos"), eos=text_of("eos"))
    return {"chat": template.as_json()}


def _marks(file: GgufFile, tokens: Sequence[str], types: np.ndarray) -> Marks:
    ids = {text: number for number, text in reversed([*enumerate(tokens)])}

    def find(key: str, texts: Sequence[str]) -> int | None:
        by_key = file.fields.get(f"{_KEY}{key}_token_id") if key else None
        if type(by_key) is int and by_key < len(tokens):
            return by_key
        return next((ids[text] for text in texts if text in ids), None)

    prefix, suffix, middle = find("fim_pre", PREFIX), find("fim_suf", SUFFIX), find("fim_mid", MIDDLE)
    if prefix is None or suffix is None or middle is None:
        raise file.refused("its tokenizer has no marks for infilling: take a code model that was trained to fill in")
    end = find("", END)
    end = find("eos", ()) if end is None else end
    if end is None:
        raise file.refused("its tokenizer has no token that ends a text (eos_token_id): take another file")
    by_key = [find(key, ()) for key in ("eos", "eot", "eom", "fim_pad", "fim_sep", "fim_rep")]
    ends = sorted({i for i in (*by_key, *(ids.get(text) for text in ENDS)) if i is not None} - {end})
    named = {prefix, suffix, middle, end, *ends}
    specials = sorted(named | set(np.flatnonzero(types != NORMAL).tolist()))
    if len(specials) > MAX_SPECIALS:
        raise file.refused(f"{len(specials):,} of its tokens are not text: take another file")
    return Marks(
        prefix=prefix, suffix=suffix, middle=middle, end=end, ends=tuple(ends), specials=tuple(specials),
        file=find("fim_sep", FILE), repository=find("fim_rep", REPOSITORY),
    )  # fmt: skip


def _vocabulary(file: GgufFile, tokens: Sequence[str], specials: set[int]) -> dict[str, int]:
    """Ids of text tokens by their spelling in the vocabulary. Raises CheckpointError."""
    vocabulary = {text: number for number, text in enumerate(tokens) if number not in specials}
    if len(vocabulary) != len(tokens) - len(specials):
        raise file.refused("two of its tokens are the same: it is damaged, copy or download it again")
    longest = max(map(len, vocabulary), default=0)
    if longest > MAX_TOKEN:
        raise file.refused(f"it has a token of {longest:,} characters: take another file")
    characters = byte_characters()
    strange = next((text for text in vocabulary if not text or set(text) - set(characters.values())), None)
    if strange is not None:
        raise file.refused(f"its token {strange!r} is not made of bytes: take another file")
    missing = next((byte for byte, c in characters.items() if c not in vocabulary and byte not in NEVER_IN_TEXT), None)
    if missing is not None:
        raise file.refused(f"its vocabulary has no token for the byte {missing:#x}: take another file")
    return vocabulary


def _merges(file: GgufFile, merges: Sequence[str], vocabulary: Mapping[str, int]) -> list[tuple[str, str]]:
    pairs = []
    for merge in merges:
        left, _, right = merge.partition(" ")
        if left not in vocabulary or right not in vocabulary or left + right not in vocabulary:
            raise file.refused(f"its merge {merge!r} names unknown tokens: it is damaged, copy or download it again")
        pairs.append((left, right))
    return pairs


def _tokenizer(vocabulary: dict[str, int], merges: list[tuple[str, str]], pre: str) -> dict[str, Any]:
    cuts = [
        {"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": False}
        for pattern in PIECES[pre]
    ]
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False}
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [],
        "normalizer": None,
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": [*cuts, byte_level]},
        "post_processor": None,
        "decoder": byte_level,
        "model": {"type": "BPE", "ignore_merges": pre in WHOLE_PIECES, "vocab": vocabulary, "merges": merges},
    }
