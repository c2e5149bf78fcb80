"""Forwards: how what several jobs ask of the model becomes one pass.

The one denoise loop, verification and prefill are written as if they had the model for themselves (`requests`). Their
driver decides what runs together: `drive` one job alone, `drive_all` several in step. Token-wise layers run over
the tokens of all jobs at once; attention and copying, which differ in their contexts, job by job, on each one's own
cached states, with nothing padded.

Knows tensors and no text, no sockets, no clocks.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from ..network.copy_head import CopyHead, NoCopies
from ..network.denoiser import ContextStates, Denoiser, canvas_rows_matches, mixture, newest
from ..network.transformer import Tail, TransformerBlock, rotations
from ..requests import (
    AskHead,
    Branches,
    Context,
    Extend,
    Extended,
    ForwardReply,
    ForwardRequest,
    Laid,
    Rows,
    T,
    Tree,
    Work,
    flatten,
    no_fill,
)
from .drafting import Drafter, ask_head


class Runner(Protocol):
    """What can answer asks."""

    def __call__(self, asks: Sequence[ForwardRequest]) -> list[ForwardReply]:
        """One reply an ask, in their order."""
        ...


@dataclass(frozen=True)
class ModelRunner:
    """Answers asks with a denoiser on any device: all rows in one pass, contexts one after the other.

    Tokens may come from another device, and log-probabilities go back there; states stay with the model.
    """

    model: Denoiser
    drafter: Drafter | None = None

    @torch.inference_mode()
    def __call__(self, asks: Sequence[ForwardRequest]) -> list[ForwardReply]:
        asks = no_fill(asks)
        branches = [ask for ask in asks if isinstance(ask, Rows | Tree)]
        answers = iter(run_branches(self.model, branches) if branches else [])
        return [
            next(answers).to(ask.tokens.device if isinstance(ask, Rows) else "cpu")
            if isinstance(ask, Rows | Tree)
            else self._states(ask)
            if isinstance(ask, Context)
            else ask_head(self.drafter, ask)
            if isinstance(ask, AskHead)
            else self._extended(ask)
            for ask in asks
        ]

    def _extended(self, ask: Extend) -> Extended:
        hidden, states = self.model.context(_line(ask).to(self.model.embedding.weight.device), ask.states)
        log_probs = F.log_softmax(self.model.vocabulary_logits(hidden[0]).float(), dim=-1)
        return Extended(log_probs.cpu(), newest(states, len(ask.tokens)))

    def _states(self, ask: Context) -> ContextStates:
        _, states = self.model.context(ask.tokens.to(self.model.embedding.weight.device), ask.past)
        return newest(states, ask.tokens.shape[1])


def _line(ask: Extend) -> Tensor:
    return torch.tensor([ask.tokens])


def drive(run: Runner, work: Work[T]) -> T:
    """The result of work that has the model for itself."""
    (result,) = drive_all(run, [work])
    return result


def drive_all(run: Runner, works: Sequence[Work[T]]) -> list[T]:
    """The results of several works that go on in step until the last one is done."""
    results: dict[int, T] = {}
    replies: dict[int, ForwardReply | None] = dict.fromkeys(range(len(works)))
    while replies:
        asks: dict[int, ForwardRequest] = {}
        for i, reply in replies.items():
            try:
                asks[i] = works[i].send(reply)
            except StopIteration as end:
                results[i] = end.value
        replies = dict(zip(asks, run(list(asks.values())), strict=True)) if asks else {}
    return [results[i] for i in range(len(works))]


def run_branches(model: Denoiser, asks: Sequence[Branches]) -> list[Tensor]:
    """The reply to each ask, on the model's device, from one pass over the tokens of all."""
    device = model.embedding.weight.device
    lines = [flatten(ask).to(device) for ask in asks]
    hidden = packed_hidden(model, asks, lines)  # [S, D]
    plain = F.log_softmax(model.vocabulary_logits(hidden).float(), dim=-1)
    sizes = [len(line.tokens) for line in lines]
    return [
        mix(model.copy_head, ask, line, h, p)
        for ask, line, h, p in zip(asks, lines, hidden.split(sizes), plain.split(sizes), strict=True)
    ]


def packed_hidden(model: Denoiser, asks: Sequence[Branches], lines: Sequence[Laid]) -> Tensor:
    """Hidden states [S, D] of all asks' tokens, laid end to end."""
    tokens = torch.cat([line.tokens for line in lines]).unsqueeze(0)  # [1, S]
    is_causal = torch.cat([torch.full_like(line.tokens, not line.is_canvas, dtype=torch.bool) for line in lines])
    x = model.branch_inputs(tokens, is_causal.unsqueeze(0))  # [1, S, D]
    tails = [_tail(model, line, ask.states.n_tokens) for ask, line in zip(asks, lines, strict=True)]
    for i, block in enumerate(model.blocks):
        assert isinstance(block, TransformerBlock)
        x = block.packed(x, [(ask.states.layers[i], tail) for ask, tail in zip(asks, tails, strict=True)])
    return model.norm(x)[0]


def _tail(model: Denoiser, line: Laid, n_context: int) -> Tail:
    cos, sin = rotations(n_context + line.depths, model.config)
    mask = None if line.sees is None else F.pad(line.sees, (n_context, 0), value=True)
    return Tail(cos, sin, mask, line.before)


def mix(head: CopyHead | NoCopies, ask: Branches, line: Laid, hidden: Tensor, plain: Tensor) -> Tensor:
    """The reply to ask: vocabulary and copies mixed, as `Denoiser.mixed_log_probs` says, from what the body gave.

    hidden [S, D] are the last hidden states of the ask's tokens, line, plain [S, V] the vocabulary's own
    log-probabilities, which may be changed. Continuations may copy their own earlier tokens too.
    """
    if not isinstance(head, CopyHead):
        return plain if isinstance(ask, Tree) else plain.view(*ask.tokens.shape, -1)
    if isinstance(ask, Tree):
        return _mixed_tree(head, ask.states, line, hidden, plain)
    states, shape = ask.states, ask.tokens.shape
    plain = plain.view(*shape, -1)
    if states.n_tokens < 2:
        return plain
    matches = canvas_rows_matches(head, states, line.tokens.view(shape))
    weights, gate = head(hidden.view(*shape, -1), states.copy_keys[:, :-1], None, matches)
    if plain.device.type == "cpu" and states.followers is None:
        states.followers = _distinct(states.tokens[0, 1:])
    return _mixture(plain, weights, gate, states.tokens[0, 1:], states.followers)


def _mixed_tree(head: CopyHead, states: ContextStates, line: Laid, hidden: Tensor, plain: Tensor) -> Tensor:
    hidden, last = hidden.unsqueeze(0), states.n_tokens - 1
    assert line.sees is not None
    keys = torch.cat((states.copy_keys[0], head.keys(hidden)[0]))  # [T + S, C]
    keys = torch.cat((keys[:last], keys[line.before + last]))  # of the place before each token but the first
    may_copy = F.pad(line.sees, (last, 0), value=True)
    matches = head.matches_in_tree(states.tokens[0], line.tokens, line.before)
    weights, gate = head(hidden, keys.unsqueeze(0), may_copy, matches)
    followers = torch.cat((states.tokens[0, 1:], line.tokens))
    return _mixture(plain.unsqueeze(0), weights, gate, followers)[0]


def _mixture(
    plain: Tensor, weights: Tensor, gate: Tensor, followers: Tensor, distinct: tuple[Tensor, Tensor] | None = None
) -> Tensor:
    """plain [M, N, V] and copies of followers [S] mixed; distinct: those of `_distinct`, where they are known.

    On a CPU only the columns of tokens that can be copied are touched; elsewhere finding them would make the host wait.
    """
    if plain.device.type != "cpu":
        return mixture(plain, weights, gate, followers.unsqueeze(0))
    return mix_in(plain, weights, gate, *(distinct or _distinct(followers)))


def mix_in(plain: Tensor, weights: Tensor, gate: Tensor, ids: Tensor, places: Tensor) -> Tensor:
    """Mix copies into plain [M, N, V], which is changed, touching only the columns of ids [U].

    Log-weights [M, N, S] say how likely each of S tokens is copied, places [S] which of ids it is, gate [M, N] are the
    log-odds of copying at all.
    """
    gate = gate.unsqueeze(-1)
    copied = plain.new_zeros(*plain.shape[:2], len(ids))
    copied.scatter_add_(-1, places.expand_as(weights), weights.exp())
    plain += F.logsigmoid(-gate)
    both = torch.logaddexp(plain[..., ids], copied.clamp_min_(1e-20).log_() + F.logsigmoid(gate))
    plain[..., ids] = both
    return plain


def _distinct(tokens: Tensor) -> tuple[Tensor, Tensor]:
    """The distinct ids [U] in tokens [S], and the place [S] of each token among them."""
    ids, places = tokens.unique(return_inverse=True)
    return ids, places
