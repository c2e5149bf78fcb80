"""The sides of `bench peers`: completions of random weights, all of one shape, by diffusion and token by token.

Each side gets context tokens and fills in a number of tokens after them. What it keeps between two calls is its own
cache; `forget` empties it. The weights mean nothing, so only times can be compared: every side must do all its work
whatever it predicts.
"""

import copy
import importlib
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch

from ...fim.budget import Budget
from ...fim.errors import InputError
from ...model.cache.context_cache import ContextCache
from ...model.config import DenoiserConfig
from ...model.decoding.denoise import denoise, scores_of
from ...model.decoding.policies import top_k
from ...model.network.denoiser import Denoiser
from ...model.requests import Work
from ...model.runners.drive import Runner, drive
from ...model.runners.loaded_runner import LoadedRunner
from ...model.tokenizers.canvas_tokens import CanvasTokens
from .shapes import INIT_STD, random_denoiser

N_IDS_USED = 1000  # random contexts are made of the first ids, which every vocabulary has
N_BATCH = 512  # context tokens that llama.cpp takes at a time
PACKAGES = "pip install transformers llama-cpp-python gguf"


def library(name: str) -> Any:  # noqa: ANN401 - what an optional package holds is not known here
    """An optional package. Raises InputError if it is not installed."""
    try:
        return importlib.import_module(name)
    except ImportError:
        raise InputError(f"{name} is missing: this benchmark needs {PACKAGES}") from None


class Peer(Protocol):
    """One way to complete. torch_threads: PyTorch's threads while it runs."""

    name: str
    torch_threads: int

    def forget(self) -> None:
        """Empty the cache."""
        ...

    def ready(self, context: Sequence[int]) -> None:
        """Put the states of context into the cache, as after an earlier keystroke; not timed."""
        ...

    def complete(self, context: Sequence[int], n: int) -> int:
        """Fill in n tokens after context; returns the number of forwards."""
        ...


def random_tokens(shape: DenoiserConfig) -> CanvasTokens:
    """A vocabulary in which only the mask is special: no answer ends early."""
    nothing = np.zeros(shape.vocab_size, np.bool_)
    mask = shape.vocab_size - 1
    forbidden = nothing.copy()
    forbidden[mask] = True
    return CanvasTokens(mask=mask, end=mask, forbidden=forbidden, stops=nothing, may_end_before=nothing)


class DiffusionSide:
    """Ours: context cached exactly, canvases of the trained length block by block, with a number of steps each."""

    def __init__(self, model: Denoiser, run: Runner, n_steps: int, torch_threads: int) -> None:
        self.name = f"quicksilver, {n_steps} steps a canvas"
        self.torch_threads = torch_threads
        self.model, self.n_steps = model, n_steps
        self.run, self.tokens = run, random_tokens(model.config)
        self.cache = ContextCache()

    def forget(self) -> None:
        """Empty the cache."""
        self.cache.clear()

    def ready(self, context: Sequence[int]) -> None:
        """Have the states of context in the cache."""
        drive(self.run, self.cache.states(context))

    def complete(self, context: Sequence[int], n: int) -> int:
        """Fill in n tokens after context."""
        return drive(self.run, self._complete(list(context), n))

    def _complete(self, context: list[int], n: int) -> Work[int]:
        n_forwards = 0
        while n > 0:
            length = min(n, self.model.config.n_canvas)
            states, _ = yield from self.cache.states(context)
            canvas = np.full((1, length), self.tokens.mask)
            policy = top_k(-(-length // self.n_steps))
            result = yield from denoise(states, canvas, self.tokens, policy, Budget())
            context = context + result.canvas[0].tolist()
            n -= length
            n_forwards += result.steps
        return n_forwards


class UncachedSide:
    """Diffusion as others do it: at every step the whole text is run again, every token looking at every other."""

    def __init__(self, model: Denoiser, n_steps: int, n_threads: int) -> None:
        self.name = f"uncached diffusion (torch), {n_steps} steps"
        self.torch_threads = n_threads
        self.model, self.n_steps = model, n_steps
        self.tokens = random_tokens(model.config)

    def forget(self) -> None:
        """There is no cache."""

    def ready(self, context: Sequence[int]) -> None:
        """There is no cache."""

    @torch.inference_mode()
    def complete(self, context: Sequence[int], n: int) -> int:
        """Fill in n tokens after context, all at once."""
        _, first = self.model.context(torch.tensor([context[:1]]))
        text = np.array([[*context[1:], *[self.tokens.mask] * n]])
        policy = top_k(-(-n // self.n_steps))
        n_forwards = 0
        while (text == self.tokens.mask).any():
            hidden = self.model.canvas(torch.tensor(text).unsqueeze(1), first)[:, 0, -n:]
            log_probs = self.model.vocabulary_logits(hidden).float().log_softmax(dim=-1)
            found = self.tokens.allowed(log_probs.numpy())
            masked = text[:, -n:] == self.tokens.mask
            best = found.argmax(axis=-1)
            text[:, -n:] = np.where(policy(scores_of(found, best), masked), best, text[:, -n:])
            n_forwards += 1
        return n_forwards


class TransformersSide:
    """A Qwen3 of the same shape in transformers: `generate`, greedy, with a static or a growing cache."""

    def __init__(self, shape: DenoiserConfig, dtype: torch.dtype, n_threads: int, *, is_static: bool) -> None:
        self.library = library("transformers")
        self.name = f"transformers, {'static' if is_static else 'dynamic'} cache"
        self.is_static, self.torch_threads = is_static, n_threads
        self.config = self.library.Qwen3Config(
            vocab_size=shape.vocab_size, hidden_size=shape.width, intermediate_size=shape.ffn_width,
            num_hidden_layers=shape.n_layers, num_attention_heads=shape.n_heads,
            num_key_value_heads=shape.n_kv_heads, head_dim=shape.head_size, max_position_embeddings=shape.n_context,
            tie_word_embeddings=True, rms_norm_eps=shape.norm_eps, eos_token_id=None, bos_token_id=None, pad_token_id=0,
        )  # fmt: skip
        torch.manual_seed(0)
        self.model = self.library.Qwen3ForCausalLM(self.config).eval().to(dtype)
        self._cached: Any = None
        self._n_max = shape.n_context

    def forget(self) -> None:
        """Empty the cache."""
        self._cached = None

    @torch.inference_mode()
    def ready(self, context: Sequence[int]) -> None:
        """Have the states of context in the cache; `complete` uses it up."""
        self._cached = self._cache()
        self.model(torch.tensor([context]), past_key_values=self._cached)

    @torch.inference_mode()
    def complete(self, context: Sequence[int], n: int) -> int:
        """Fill in n tokens after context."""
        cache, self._cached = self._cached or self._cache(), None
        tokens = torch.tensor([list(context)])
        mask = torch.ones_like(tokens)
        self.model.generate(
            tokens, attention_mask=mask, past_key_values=cache, max_new_tokens=n, min_new_tokens=n, do_sample=False
        )
        return n

    def _cache(self) -> object:
        if not self.is_static:
            return self.library.DynamicCache(config=self.config)
        return self.library.StaticCache(config=copy.copy(self.config), max_cache_len=self._n_max)


class LlamaCppSide:
    """A Qwen3 of the same shape in llama.cpp, greedy; it finds a cached beginning of the context by itself."""

    def __init__(self, shape: DenoiserConfig, weights: str, n_threads: int) -> None:
        self.name, self.torch_threads = f"llama.cpp, {weights}", 1
        self._folder = tempfile.TemporaryDirectory(prefix="quicksilver-bench-")
        path = Path(self._folder.name) / "random.gguf"
        write_gguf(path, shape, weights)
        self.model = library("llama_cpp").Llama(
            str(path), n_ctx=shape.n_context, n_batch=N_BATCH, n_threads=n_threads, n_threads_batch=n_threads,
            verbose=False,
        )  # fmt: skip

    def forget(self) -> None:
        """Empty the cache."""
        self.model.reset()

    def ready(self, context: Sequence[int]) -> None:
        """Have the states of context in the cache."""
        self._generate(context, 1)

    def complete(self, context: Sequence[int], n: int) -> int:
        """Fill in n tokens after context."""
        self._generate(context, n)
        return n

    def _generate(self, context: Sequence[int], n: int) -> None:
        for i, _ in enumerate(self.model.generate(list(context), temp=0.0, reset=True), start=1):
            if i == n:
                return


def write_gguf(path: Path, shape: DenoiserConfig, weights: str) -> None:
    """Write random weights of a shape as a Qwen3 in GGUF; weights is "q8_0" or "bf16". Raises InputError."""
    gguf = library("gguf")
    kinds = {"q8_0": gguf.GGMLQuantizationType.Q8_0, "bf16": gguf.GGMLQuantizationType.BF16}
    rng = np.random.default_rng(0)
    writer = gguf.GGUFWriter(str(path), "qwen3")
    writer.add_context_length(shape.n_context)
    writer.add_embedding_length(shape.width)
    writer.add_block_count(shape.n_layers)
    writer.add_feed_forward_length(shape.ffn_width)
    writer.add_head_count(shape.n_heads)
    writer.add_head_count_kv(shape.n_kv_heads)
    writer.add_key_length(shape.head_size)
    writer.add_value_length(shape.head_size)
    writer.add_layer_norm_rms_eps(shape.norm_eps)
    writer.add_rope_freq_base(shape.rope_theta)
    writer.add_vocab_size(shape.vocab_size)
    writer.add_tokenizer_model("no_vocab")

    def add_matrix(name: str, n_rows: int, n_columns: int) -> None:
        values = rng.standard_normal((n_rows, n_columns), dtype=np.float32) * INIT_STD
        writer.add_tensor(name, gguf.quants.quantize(values, kinds[weights]), raw_dtype=kinds[weights])

    def add_norm(name: str, size: int) -> None:
        writer.add_tensor(name, np.ones(size, np.float32))

    add_matrix("token_embd.weight", shape.vocab_size, shape.width)  # there is no output.weight: they are tied
    add_norm("output_norm.weight", shape.width)
    n_q, n_kv = shape.n_heads * shape.head_size, shape.n_kv_heads * shape.head_size
    for i in range(shape.n_layers):
        for name, size in (
            ("attn_norm", shape.width), ("ffn_norm", shape.width), ("attn_q_norm", shape.head_size),
            ("attn_k_norm", shape.head_size),
        ):  # fmt: skip
            add_norm(f"blk.{i}.{name}.weight", size)
        for name, n_rows, n_columns in (
            ("attn_q", n_q, shape.width), ("attn_k", n_kv, shape.width), ("attn_v", n_kv, shape.width),
            ("attn_output", shape.width, n_q), ("ffn_gate", shape.ffn_width, shape.width),
            ("ffn_up", shape.ffn_width, shape.width), ("ffn_down", shape.width, shape.ffn_width),
        ):  # fmt: skip
            add_matrix(f"blk.{i}.{name}.weight", n_rows, n_columns)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def all_sides(
    shape: DenoiserConfig, loaded: LoadedRunner, steps: Sequence[int], uncached_steps: Sequence[int], n_threads: int
) -> list[Callable[[], Peer]]:
    """Makers of every side, ours, of random weights that are loaded, first."""
    dtype, run, runtime = getattr(torch, loaded.dtype), loaded.run, loaded.runtime
    model = random_denoiser(shape, dtype)
    return [
        *(lambda n=n: DiffusionSide(model, run, n, 1 if runtime == "openvino" else n_threads) for n in steps),
        lambda: LlamaCppSide(shape, "q8_0", n_threads),
        lambda: LlamaCppSide(shape, "bf16", n_threads),
        lambda: TransformersSide(shape, dtype, n_threads, is_static=True),
        lambda: TransformersSide(shape, dtype, n_threads, is_static=False),
        *(lambda n=n: UncachedSide(model, n, n_threads) for n in uncached_steps),
    ]
