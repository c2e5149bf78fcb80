"""A tiny random denoiser with a real tokenizer, and an oracle that knows the answer. Shared by tests."""

from collections.abc import Sequence
from dataclasses import replace

import torch
from quicksilver.model.config import DenoiserConfig
from quicksilver.model.network.denoiser import ContextStates, Denoiser
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
        self.seen: list[torch.Tensor] = []

    def __call__(self, asks: Sequence[ForwardRequest]) -> list[ForwardReply]:
        """A `Runner`."""
        return [self.log_probs(ask) for ask in asks if isinstance(ask, Rows)]

    def log_probs(self, ask: Rows) -> torch.Tensor:
        self.seen.append(ask.tokens.clone())
        b, n = ask.tokens.shape
        sure = torch.tensor(self.sure[:n]).unsqueeze(-1)
        probs = (1 - sure).expand(n, self.vocab_size) / (self.vocab_size - 1)
        probs = probs.scatter(-1, torch.tensor(self.answer[:n]).unsqueeze(-1), sure)
        return probs.log().expand(b, n, self.vocab_size)


MASK, END, VOCAB = 90, 91, 100


def oracle_tokens() -> CanvasTokens:
    forbidden = torch.zeros(VOCAB, dtype=torch.bool)
    forbidden[MASK] = True
    stops = torch.zeros(VOCAB, dtype=torch.bool)
    stops[END] = True
    return CanvasTokens(mask=MASK, end=END, forbidden=forbidden, stops=stops, may_end_before=torch.zeros_like(stops))


def no_context() -> ContextStates:
    return ContextStates([], torch.zeros(1, 1, 1), torch.zeros(1, 1, dtype=torch.long))


def assert_near(actual: torch.Tensor, expected: torch.Tensor) -> None:
    """Equal up to what float32 sums in another order."""
    torch.testing.assert_close(actual, expected, rtol=1e-4, atol=1e-5)
