"""What a larger vocabulary buys and costs: characters a token against the time and size of the output head."""

import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass

from ..model.tokenizers.code_tokenizer import CodeTokenizer

WIDTHS = (256, 640)  # nano, base
N_CANVAS = 32
N_RUNS = 30


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """One tokenizer: characters a token, and per width the head's milliseconds and the embedding's parameters."""

    vocab_size: int
    n_chars_per_token: float
    head_ms: tuple[float, ...]
    n_parameters: tuple[int, ...]
    training_s: float


def compare(vocab_size: int, texts: Sequence[str], valid: Sequence[str]) -> Comparison:
    """Learn a tokenizer from texts and measure it on valid."""
    start = time.perf_counter()
    tokenizer = CodeTokenizer.train(texts, vocab_size)
    training_s = time.perf_counter() - start
    n_tokens = sum(map(len, tokenizer.encode_batch(valid)))
    return Comparison(
        vocab_size=tokenizer.vocab_size,
        n_chars_per_token=sum(map(len, valid)) / n_tokens,
        head_ms=tuple(head_ms(tokenizer.vocab_size, width) for width in WIDTHS),
        n_parameters=tuple(tokenizer.vocab_size * width for width in WIDTHS),
        training_s=training_s,
    )


def head_ms(vocab_size: int, width: int) -> float:
    """Median milliseconds of CPU time for the logits of one canvas, bf16 on one thread.

    CPU time, because on a shared machine the clock on the wall also counts the others' turns.
    """
    import torch

    n_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        generator = torch.Generator().manual_seed(0)
        hidden = torch.randn(N_CANVAS, width, generator=generator).bfloat16()  # [L, D]
        table = torch.randn(vocab_size, width, generator=generator).bfloat16()  # [V, D]
        times = []
        with torch.inference_mode():
            for _ in range(N_RUNS):
                start = time.thread_time()
                torch.nn.functional.linear(hidden, table)  # [L, V]
                times.append(1000 * (time.thread_time() - start))
        return statistics.median(times[3:])  # the first ones warm up
    finally:
        torch.set_num_threads(n_threads)
