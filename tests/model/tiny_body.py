"""A tiny random body shaped as published code models are, with a byte-level tokenizer of theirs. Shared by tests."""

import hashlib
import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from quicksilver.model.checkpoint.checkpoint import quantise_checkpoint, weights_of
from quicksilver.model.checkpoint.checkpoint_files import (
    BODY_FORMAT,
    SCALE_SUFFIX,
    TOKENIZER,
    WEIGHTS,
    Int8Matrix,
    write_config,
)
from quicksilver.model.config import DenoiserConfig
from quicksilver.model.network.denoiser import Denoiser
from quicksilver.model.published.tokens import QWEN_PIECES
from quicksilver.model.requests import AskHead, Extend, Extended, ForwardReply, ForwardRequest, HeadGuess, Tree
from quicksilver.model.runners.drive import Runner
from quicksilver.model.tokenizers.body_tokenizer import BodyTokenizer, plain_tokenizer
from quicksilver.model.tokenizers.marks import Marks
from safetensors.numpy import save_file
from tokenizers import Regex, Tokenizer, models, pre_tokenizers, trainers

PATTERNS = {
    "qwen": QWEN_PIECES,
    "llama": QWEN_PIECES.replace(r"\p{N}| ", r"\p{N}{1,3}| "),
    "gpt2": r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+",
    "o200k": r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+"
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+",
}
TEXTS = [
    "def add(a, b):\n    return a + b\n\n\nclass Point:\n    def __init__(self, x, y):\n        self.x = x\n",
    "for i in range(10):\n    if i % 2 == 0:\n        print('it is', i)\n    else:\n        return i\n\n",
    "function twice(x) {\n\treturn [x, x];\n}\n\nconst name = `don't`;\nwhile (x) {\n  x--;\n}\n",
    "for i in range(10):\n        if i:\n        return (\n    x,\n)\n    \n        \n    y = 'é😀 ñ'\n",
]
SPECIALS = (
    "<|endoftext|>", "<|fim_prefix|>", "<|fim_middle|>", "<|fim_suffix|>", "<|repo_name|>", "<|file_sep|>",
    "<|im_end|>",
)  # fmt: skip
N_TEXT, N_UNUSED = 370, 3  # N_TEXT at most; published vocabularies have ids that nothing spells

SHAPES: Mapping[str, Mapping[str, bool]] = {
    "qwen2": {"qkv_bias": True, "qk_norm": False, "tied": True},
    "llama": {"qkv_bias": False, "qk_norm": False, "tied": False},
    "qwen3": {"qkv_bias": False, "qk_norm": True, "tied": True},
}


@cache
def tokenizer_file(pattern: str = "qwen") -> dict[str, Any]:
    """What a tokenizer.json says: cut by a pattern, merges learnt from TEXTS, special tokens added."""
    bpe = Tokenizer(models.BPE())
    split = pre_tokenizers.Split(Regex(PATTERNS[pattern]), behavior="isolated")
    bpe.pre_tokenizer = pre_tokenizers.Sequence(
        [split, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]
    )
    trainer = trainers.BpeTrainer(
        vocab_size=N_TEXT, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False, special_tokens=[]
    )
    bpe.train_from_iterator(TEXTS * 3, trainer)
    bpe.add_special_tokens(list(SPECIALS))
    return json.loads(bpe.to_str())


def marks_of(tokenizer: Mapping[str, Any], *, suffix_first: bool = True) -> Marks:
    ids = {each["content"]: each["id"] for each in tokenizer["added_tokens"]}
    end, prefix, middle, suffix, repository, file, other_end = (ids[text] for text in SPECIALS)
    return Marks(
        prefix=prefix, suffix=suffix, middle=middle, end=end, ends=(other_end,), specials=tuple(sorted(ids.values())),
        file=file, repository=repository, suffix_first=suffix_first,
    )  # fmt: skip


@cache
def tiny_body_tokenizer(pattern: str = "qwen") -> BodyTokenizer:
    found = tokenizer_file(pattern)
    return BodyTokenizer(plain_tokenizer(found), marks_of(found), N_TEXT + len(SPECIALS) + N_UNUSED)


def body_config(kind: str = "qwen2", vocab_size: int = N_TEXT + len(SPECIALS) + N_UNUSED) -> DenoiserConfig:
    return DenoiserConfig(
        vocab_size=vocab_size, n_layers=2, width=48, n_heads=4, n_kv_heads=2, head_size=12, ffn_width=64,
        n_context=512, n_canvas=32, rope_theta=1e6, token_shift=False, copies=False, canvases=False, **SHAPES[kind],
    )  # fmt: skip


def tiny_body(kind: str = "qwen2", seed: int = 0, std: float = 0.2) -> Denoiser:
    """Random weights large enough that nothing is near zero; the norms' are near one."""
    torch.manual_seed(seed)
    model = Denoiser(body_config(kind))
    for name, parameter in model.named_parameters():
        torch.nn.init.normal_(parameter, mean=float("norm" in name), std=std)
    return model.eval()


def save_body(folder: Path, model: Denoiser, pattern: str = "qwen", *, suffix_first: bool = True) -> Path:
    """A checkpoint folder of format 2 with the model and a tokenizer."""
    folder.mkdir(parents=True, exist_ok=True)
    arrays: dict[str, np.ndarray] = {}
    for key, weight in quantise_checkpoint(weights_of(model)).items():
        if isinstance(weight, Int8Matrix):
            arrays[key], arrays[key + SCALE_SUFFIX] = weight
        else:
            arrays[key] = np.asarray(weight)
    save_file(arrays, folder / WEIGHTS)
    found = tokenizer_file(pattern)
    (folder / TOKENIZER).write_text(json.dumps(found), encoding="utf-8")
    config = {
        "format": BODY_FORMAT,
        "name": "tiny-body",
        "denoiser": asdict(model.config),
        "marks": asdict(marks_of(found, suffix_first=suffix_first)),
        "sha256": {file: hashlib.sha256((folder / file).read_bytes()).hexdigest() for file in (WEIGHTS, TOKENIZER)},
    }
    write_config(folder, config)
    return folder


class Wanting:
    """A runner whose model wants a text: data from the middle mark on, then an end mark.

    It writes the tokens that the tokenizer cuts the whole text into; where what stands there was cut in another way,
    the longest token that goes on. Whatever has left the text ends. counts are the numbers of tokens of each forward.
    """

    def __init__(self, run: Runner, tokenizer: BodyTokenizer, data: bytes, end: int, sure: float = 0.9) -> None:
        self.run, self.tokenizer, self.data, self.end, self.sure = run, tokenizer, data, end, sure
        self.next_at: dict[int, int] = {}
        self.counts: list[int] = []
        self.drafted: Callable[[tuple[int, ...]], tuple[int, ...]] | None = None  # what a head makes of the next tokens
        at = 0
        for token in tokenizer.encode(data.decode()):
            self.next_at[at] = token
            at += len(tokenizer.bytes_of(token))

    def __call__(self, asks: Sequence[ForwardRequest]) -> list[ForwardReply]:
        return [self._wanted(ask, reply) for ask, reply in zip(asks, self.run(asks), strict=True)]

    def _wanted(self, ask: ForwardRequest, reply: ForwardReply) -> ForwardReply:
        if isinstance(ask, Extend):
            assert isinstance(reply, Extended)
            self.counts.append(len(ask.tokens))
            before = ask.states.tokens[0].tolist()
            after = [self._after([*before, *ask.tokens[: i + 1]]) for i in range(len(ask.tokens))]
            return Extended(np.stack(after), reply.states)
        if isinstance(ask, AskHead) and self.drafted is not None:
            tokens = self.drafted(self._next([*ask.states.tokens[0].tolist(), *ask.known]))
            return HeadGuess(tokens, (0.9,) * len(tokens))
        if isinstance(ask, Tree):
            lines: list[list[int]] = []
            for token, parent in zip(ask.tokens, ask.parents, strict=True):
                lines.append([*(lines[parent] if parent >= 0 else ask.states.tokens[0].tolist()), token])
            return np.stack([self._after(line) for line in lines])
        return reply

    def _next(self, tokens: list[int], n: int = 5) -> tuple[int, ...]:
        """The next n tokens."""
        found: list[int] = []
        for _ in range(n):
            found.append(int(self._after([*tokens, *found]).argmax()))
        return tuple(found)

    def _after(self, tokens: list[int]) -> np.ndarray:
        at = len(tokens) - tokens[::-1].index(self.tokenizer.marks.middle)
        said = b"".join(map(self.tokenizer.bytes_of, tokens[at:]))
        token, rest = self.end, self.data[len(said) :]
        if rest and self.data.startswith(said):
            token = self.next_at.get(len(said), self.tokenizer.spelt(rest)[0])
        n_ids = self.tokenizer.vocab_size
        log_probs = np.full(n_ids, math.log((1 - self.sure) / (n_ids - 1)), np.float32)
        log_probs[token] = math.log(self.sure)
        return log_probs
