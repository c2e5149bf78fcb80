"""Forwards: what work on a hole asks of the model, and how the asks of several jobs become one pass.

Work is a generator: it yields an `Ask`, is sent log-probabilities or states, and returns its result. So the one denoise
loop, verification and prefill are written as if they had the model for themselves, and whoever drives them decides what
runs together: `drive` one job alone, `drive_all` several in step. Token-wise layers run over the tokens of all jobs at
once; attention and copying, which differ in their contexts, job by job, on each one's own cached states, with nothing
padded or copied.

Knows tensors and no text, no sockets, no clocks.
"""

from collections.abc import Generator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol, TypeVar

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from .blocks import Block, Place, branch_mask, rotary
from .copy_head import CopyHead
from .denoiser import ContextStates, Denoiser, canvas_rows_matches, mixture, newest


@dataclass(frozen=True)
class Rows:
    """Rows [M, N] of tokens that each follow the same context (states of batch 1): canvases or, causal, continuations.

    Answered by log-probabilities [M, N, V]: of what stands at each position of a canvas, of what follows each position
    of a continuation.
    """

    tokens: Tensor
    states: ContextStates
    is_causal: bool = False


@dataclass(frozen=True)
class Context:
    """New context tokens [1, N] after past. Answered by the states of these tokens alone."""

    tokens: Tensor
    past: ContextStates | None


Ask = Rows | Context
Reply = Tensor | ContextStates
T = TypeVar("T")
Work = Generator[Ask, Any, T]  # what is sent is the reply to what was yielded; types cannot say so
RowsWork = Generator[Rows, Any, T]


class Runner(Protocol):
    """What can answer asks."""

    def __call__(self, asks: Sequence[Ask]) -> list[Reply]:
        """One reply an ask, in their order."""
        ...


@dataclass(frozen=True)
class ModelRunner:
    """Answers asks with a denoiser on any device: all rows in one pass, contexts one after the other.

    Tokens may come from another device, and log-probabilities go back there; states stay with the model.
    """

    model: Denoiser

    @torch.inference_mode()
    def __call__(self, asks: Sequence[Ask]) -> list[Reply]:
        device = self.model.embedding.weight.device
        rows = [ask for ask in asks if isinstance(ask, Rows)]
        moved = [replace(ask, tokens=ask.tokens.to(device)) for ask in rows]
        answers = iter(run_rows(self.model, moved) if rows else [])
        return [
            next(answers).to(ask.tokens.device)
            if isinstance(ask, Rows)
            else self._states(ask.tokens.to(device), ask.past)
            for ask in asks
        ]

    def _states(self, tokens: Tensor, past: ContextStates | None) -> ContextStates:
        _, states = self.model.context(tokens, past)
        return newest(states, tokens.shape[1])


def drive(run: Runner, work: Work[T]) -> T:
    """The result of work that has the model for itself."""
    (result,) = drive_all(run, [work])
    return result


def drive_all(run: Runner, works: Sequence[Work[T]]) -> list[T]:
    """The results of several works that go on in step until the last one is done."""
    results: dict[int, T] = {}
    replies: dict[int, Reply | None] = dict.fromkeys(range(len(works)))
    while replies:
        asks: dict[int, Ask] = {}
        for i, reply in replies.items():
            try:
                asks[i] = works[i].send(reply)
            except StopIteration as end:
                results[i] = end.value
        replies = dict(zip(asks, run(list(asks.values())), strict=True)) if asks else {}
    return [results[i] for i in range(len(works))]


def run_rows(model: Denoiser, asks: Sequence[Rows]) -> list[Tensor]:
    """Log-probabilities [M, N, V] for each ask, from one pass over the tokens of all."""
    sizes = [ask.tokens.numel() for ask in asks]
    hidden = packed_hidden(model, asks)  # [S, D]
    plain = F.log_softmax(model.vocabulary_logits(hidden).float(), dim=-1)
    return [
        mixed(model.copy_head, ask, h.view(*ask.tokens.shape, -1), p.view(*ask.tokens.shape, -1))
        for ask, h, p in zip(asks, hidden.split(sizes), plain.split(sizes), strict=True)
    ]


def packed_hidden(model: Denoiser, asks: Sequence[Rows]) -> Tensor:
    """Hidden states [S, D] of all rows' tokens, laid end to end."""
    tokens = torch.cat([ask.tokens.view(1, -1) for ask in asks], dim=1)  # [1, S]
    is_causal = torch.cat([torch.full_like(ask.tokens.view(1, -1), ask.is_causal, dtype=torch.bool) for ask in asks], 1)
    x = model.branch_inputs(tokens, is_causal)  # [1, S, D]
    places = [_place(model, ask) for ask in asks]
    for i, block in enumerate(model.blocks):
        assert isinstance(block, Block)
        x = block.packed(x, [(ask.states.layers[i], place) for ask, place in zip(asks, places, strict=True)])
    return model.norm(x)[0]


def _place(model: Denoiser, ask: Rows) -> Place:
    m, n = ask.tokens.shape
    n_context, device = ask.states.n_tokens, ask.tokens.device
    anchors = torch.full((1, m), n_context - 1, device=device)
    is_causal = torch.full((1, m), ask.is_causal, device=device)
    mask = None if m == 1 and not ask.is_causal else branch_mask(anchors, is_causal, n_context, n)
    positions = torch.arange(n_context, n_context + n, device=device).repeat(m)
    cos, sin = rotary(positions, model.config.head_size, model.config.rope_theta)
    return Place(cos, sin, mask, anchors, n)


def mixed(head: CopyHead, ask: Rows, hidden: Tensor, plain: Tensor) -> Tensor:
    """Vocabulary and copies mixed, as `Denoiser.mixed_log_probs` says, from what the body gave for the rows of ask.

    hidden [M, N, D] are the last hidden states, plain [M, N, V] the vocabulary's own log-probabilities, which may be
    changed. Continuations may copy their own earlier tokens too. On a CPU only the columns of tokens that can be copied
    are touched; elsewhere finding them would make the host wait.
    """
    states, (m, n) = ask.states, ask.tokens.shape
    if not ask.is_causal:
        if states.n_tokens < 2:
            return plain
        weights, gate = head(hidden, states.copy_keys, None, canvas_rows_matches(head, states, ask.tokens))
        if plain.device.type != "cpu":
            return mixture(plain, weights, gate, states.tokens[:, 1:])
        if states.followers is None:
            states.followers = _distinct(states.tokens[:, 1:])
        return mix_in(plain, weights, gate, *states.followers)
    keys = torch.cat((states.copy_keys.expand(m, -1, -1), head.keys(hidden)), dim=1)  # [M, T + N, C]
    tokens = torch.cat((states.tokens.expand(m, -1), ask.tokens), dim=1)
    earlier = torch.ones(n, n - 1, dtype=torch.bool, device=tokens.device).tril(-1)
    may_copy = F.pad(earlier, (states.n_tokens, 0), value=True)
    weights, gate = head(hidden, keys, may_copy, head.matches_after(tokens, n))
    if plain.device.type != "cpu":
        return mixture(plain, weights, gate, tokens[:, 1:])
    return mix_in(plain, weights, gate, *_distinct(tokens[:, 1:]))


def mix_in(plain: Tensor, weights: Tensor, gate: Tensor, ids: Tensor, places: Tensor) -> Tensor:
    """Mix copies into plain [M, N, V], which is changed, touching only the columns of ids [U].

    Log-weights [M, N, S] say how likely each of S tokens is copied, places [M or 1, S] which of ids it is, gate [M, N]
    are the log-odds of copying at all.
    """
    gate = gate.unsqueeze(-1)
    copied = plain.new_zeros(*plain.shape[:2], len(ids))
    copied.scatter_add_(-1, places.unsqueeze(1).expand_as(weights), weights.exp())
    plain += F.logsigmoid(-gate)
    both = torch.logaddexp(plain[..., ids], copied.clamp_min_(1e-20).log_() + F.logsigmoid(gate))
    plain[..., ids] = both
    return plain


def _distinct(tokens: Tensor) -> tuple[Tensor, Tensor]:
    """The distinct ids [U] in tokens [M, S], and the place [M, S] of each token among them."""
    ids, places = tokens.unique(return_inverse=True)
    return ids, places
