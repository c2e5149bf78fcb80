"""A tiny random body with its tokenizer, and examples and a trainer of it. Shared by tests of the LoRA."""

import itertools
from collections.abc import Callable
from pathlib import Path

import torch
from quicksilver.model.network.denoiser import Denoiser
from quicksilver.model.tokenizers.body_tokenizer import BodyTokenizer
from quicksilver.training.adapt.lora_body import load_body
from quicksilver.training.adapt.lora_examples import LoraExampleConfig, LoraStream
from quicksilver.training.adapt.lora_layers import add_lora
from quicksilver.training.adapt.lora_trainer import LoraPlan, LoraTrainer
from quicksilver.training.corpus.corpus import CorpusDocument
from tiny_gguf import TinyGguf

TEXT = (
    "def add(left, right):\n    total = left + right\n    return total\n\n\n"
    "class Counter:\n    def __init__(self):\n        self.count = 0\n\n    def step(self, by=1):\n"
    "        self.count += by\n        return self.count\n"
)
DOCUMENTS = [
    CorpusDocument("one", "one/sums.py", TEXT),
    CorpusDocument("one", "one/names.py", TEXT.replace("total", "name").replace("add", "join")),
    CorpusDocument(
        "two", "two/index.js", "function add(left, right) {\n  return left + right;\n}\n\nexport default add;\n"
    ),
]
SMALL = LoraExampleConfig(
    n_context_median=48, n_context_min=32, n_context_max=64, n_middle_min=8, n_middle_max=24, snippet_share=0.5
)
PLAN = LoraPlan(minutes=1, batch_tokens=200, micro_tokens=100, rank=4, n_threads=2)


def tiny_body(folder: Path) -> tuple[Denoiser, BodyTokenizer]:
    """In float32, so that two ways to compute the same can be compared."""
    return load_body(TinyGguf().write(folder / "tiny.gguf"), torch.float32)


def tiny_stream(tokenizer: BodyTokenizer) -> LoraStream:
    return LoraStream(DOCUMENTS, tokenizer, SMALL)


def ticking(n_seconds: float = 1.0) -> Callable[[], float]:
    """A clock that moves on by n_seconds at every look."""
    ticks = itertools.count()
    return lambda: n_seconds * next(ticks)


def tiny_trainer(folder: Path, plan: LoraPlan = PLAN) -> LoraTrainer:
    model, tokenizer = tiny_body(folder)
    return LoraTrainer(
        model, add_lora(model, plan.rank, plan.scale, plan.seed), tiny_stream(tokenizer), plan, clock=ticking()
    )
