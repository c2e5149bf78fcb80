"""What of a stranger's tokenizer.json is taken over: a byte-pair model and steps that are known to be harmless.

A tokenizer may pad every text to a gigabyte, blow it up by replacing, cut it by a pattern that never ends, or name
steps that the library panics at. What code models need is on a list here; anything else is refused.
"""

import json
from collections.abc import Callable, Mapping
from typing import Any, TypeGuard

from tokenizers import Tokenizer

from ..config import MAX_SIZE
from ..storage.folder_files import excerpt
from .split_patterns import check_pattern

TokenizerStep = Mapping[str, Any]

PROBE = "def f(x):\n\treturn 'é' + x  # 1,234\n" + " " * 80
MAX_STEPS = 16  # of one kind, in a sequence
MAX_TOKEN = 1_024  # characters of a token: the longest in use are 128 blanks
MAX_ADDED = 4  # characters that a step may put before a text
MODEL_FIELDS = ("vocab", "merges", "unk_token", "fuse_unk", "byte_fallback", "ignore_merges")  # dropout: left out


def is_token_id(value: object, n_ids: int = MAX_SIZE) -> TypeGuard[int]:
    """Whether value is the id of one of n_ids tokens. True is none."""
    return type(value) is int and 0 <= value < n_ids


def token_id(value: object) -> int:
    """value as a token's id. Raises ValueError."""
    if not is_token_id(value):
        raise ValueError(f"{excerpt(repr(value))} is no token's id")
    return value


def harmless_tokenizer(whole: TokenizerStep) -> Tokenizer:
    """The tokenizer of a tokenizer.json, as far as `harmless` takes it over; it has been tried.

    Raises what the library raises, which may be a panic, or what `harmless` raises.
    """
    plain = Tokenizer.from_str(json.dumps(harmless(whole)))
    plain.decode(plain.encode(PROBE, add_special_tokens=False).ids)
    return plain


def harmless(whole: TokenizerStep) -> dict[str, Any]:
    """A tokenizer.json without added tokens, padding, truncation and post-processing.

    Raises ValueError, TypeError, KeyError or AttributeError for anything that is not on the list.
    """
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [],
        "normalizer": _steps(whole.get("normalizer"), "normalizers", _check_normalizer),
        "pre_tokenizer": _steps(whole.get("pre_tokenizer"), "pretokenizers", _check_pre_tokenizer),
        "post_processor": None,
        "decoder": _steps(whole.get("decoder"), "decoders", _check_decoder),
        "model": _model(whole["model"]),
    }


def _model(model: TokenizerStep) -> dict[str, Any]:
    kind = model.get("type", "BPE")
    if kind != "BPE":
        raise ValueError(f"its model is {excerpt(kind)}, not BPE")
    if model.get("continuing_subword_prefix") or model.get("end_of_word_suffix"):
        raise ValueError("its tokens have prefixes or suffixes")
    for text, number in model["vocab"].items():
        token_id(number)
        if len(text) > MAX_TOKEN:
            raise ValueError(f"it has a token of {len(text):,} characters")
    return {"type": "BPE", **{name: model[name] for name in MODEL_FIELDS if name in model}}


def _steps(step: TokenizerStep | None, parts: str, check: Callable[[str, TokenizerStep], None]) -> TokenizerStep | None:
    """The step or sequence of steps, if every one passes check."""
    if step is None:
        return None
    steps = step[parts] if step["type"] == "Sequence" else [step]
    if not isinstance(steps, list) or len(steps) > MAX_STEPS:
        raise ValueError(f"its {parts} are no list, or more than {MAX_STEPS}")
    for each in steps:
        check(each["type"], each)
    return step


def _check_normalizer(kind: str, step: TokenizerStep) -> None:
    if kind == "Prepend":
        _check_short(step["prepend"])
    elif kind == "Replace":
        _check_replacing(step)
    elif kind not in ("NFC", "NFD", "NFKC", "NFKD"):
        raise ValueError(f"the normalizer {excerpt(kind)} is not known to be harmless")


def _check_pre_tokenizer(kind: str, step: TokenizerStep) -> None:
    if kind == "Split" and "Regex" in step["pattern"]:
        check_pattern(step["pattern"]["Regex"])
    elif kind == "Split":
        _text_of(step["pattern"])
    elif kind == "Metaspace":
        _check_short(step["replacement"])
    elif kind not in ("ByteLevel", "Digits", "Punctuation"):
        raise ValueError(f"the pre-tokenizer {excerpt(kind)} is not known to be harmless")


def _check_decoder(kind: str, step: TokenizerStep) -> None:
    if kind == "Replace":
        _check_replacing(step)
    elif kind == "Metaspace":
        _check_short(step["replacement"])
    elif kind not in ("ByteLevel", "ByteFallback", "Fuse", "Strip"):
        raise ValueError(f"the decoder {excerpt(kind)} is not known to be harmless")


def _check_replacing(step: TokenizerStep) -> None:
    if len(step["content"]) > len(_text_of(step["pattern"])):
        raise ValueError("it replaces text by longer text")


def _text_of(pattern: TokenizerStep) -> str:
    text = pattern["String"]
    if not isinstance(text, str) or not text:
        raise ValueError("it looks for an empty text")
    return text


def _check_short(text: str) -> None:
    if len(text) > MAX_ADDED:
        raise ValueError(f"it puts {len(text):,} characters before a text")
