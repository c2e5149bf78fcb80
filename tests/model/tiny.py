"""A tiny random denoiser with a real tokenizer, and an oracle that knows the answer. Shared by tests."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from quicksilver.model.config import DenoiserConfig
from quicksilver.model.network.denoiser import Denoiser
from quicksilver.model.network.states import Array, ContextStates
from quicksilver.model.requests import ForwardReply, ForwardRequest, Rows
from quicksilver.model.tokenizers.canvas_tokens import CanvasTokens
from quicksilver.model.tokenizers.code_tokenizer import CodeTokenizer

TEXTS = [
    "def add(a, b):\n    return a + b\n\n\n"
    "class Point:\n    def __init__(self, x, y):\n        self.x = x\n        self.y = y\n",
    "for i in range(10):\n    if i % 2 == 0:\n        print(i)\n    else:\n        continue\n",
]


def tiny_tokenizer() -> CodeTokenizer:
    return CodeTokenizer.train(TEXTS, 400)


def tiny_config(vocab_size: int) -> DenoiserConfig:
    return DenoiserConfig(
        vocab_size=vocab_size, n_layers=3, width=48, n_heads=4, n_kv_heads=2, head_size=12, ffn_width=64, copy_size=16,
        n_context=128, n_canvas=8, copies_matches=True,
    )  # fmt: skip


def tiny_denoiser(vocab_size: int = 330, seed: int = 0, **changes: bool) -> Denoiser:
    """Random weights large enough that nothing is near zero."""
    torch.manual_seed(seed)
    model = Denoiser(replace(tiny_config(vocab_size), **changes))
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    return model.eval()


class Oracle:
    """A model that gives the true token the probability `sure[i]`, at every step and whatever the canvas holds."""

    def __init__(self, answer: list[int], sure: list[float], vocab_size: int) -> None:
        self.answer, self.sure, self.vocab_size = answer, sure, vocab_size
        self.seen: list[np.ndarray] = []

    def __call__(self, asks: Sequence[ForwardRequest]) -> list[ForwardReply]:
        """A `Runner`."""
        return [self.log_probs(ask) for ask in asks if isinstance(ask, Rows)]

    def log_probs(self, ask: Rows) -> np.ndarray:
        self.seen.append(ask.tokens.copy())
        b, n = ask.tokens.shape
        sure = np.array(self.sure[:n], np.float32)
        probs = np.repeat((1 - sure[:, None]) / (self.vocab_size - 1), self.vocab_size, axis=1)
        probs[np.arange(n), self.answer[:n]] = sure
        return np.repeat(np.log(probs)[None], b, axis=0)


MASK, END, VOCAB = 90, 91, 100


def oracle_tokens() -> CanvasTokens:
    forbidden = np.zeros(VOCAB, dtype=np.bool_)
    forbidden[MASK] = True
    stops = np.zeros(VOCAB, dtype=np.bool_)
    stops[END] = True
    return CanvasTokens(mask=MASK, end=END, forbidden=forbidden, stops=stops, may_end_before=np.zeros_like(stops))


def no_context() -> ContextStates:
    return ContextStates([], np.zeros((1, 1, 1)), np.zeros((1, 1), np.int64))


def assert_near(actual: Array, expected: Array) -> None:
    """Equal up to what float32 sums in another order, whoever holds the numbers."""
    torch.testing.assert_close(torch.as_tensor(actual), torch.as_tensor(expected), rtol=1e-4, atol=1e-5)
