"""Answers asks with PyTorch: what several jobs ask of the model becomes one pass.

Token-wise layers run over the tokens of all jobs at once; attention and copying, which differ in their contexts, job by
job, on each one's own cached states, with nothing padded.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from ..network.copy_head import CopyHead, NoCopies
from ..network.denoiser import Denoiser, canvas_rows_matches, mixture
from ..network.states import ContextStates, newest
from ..network.transformer import Tail, TransformerBlock, rotations
from ..requests import (
    AskHead,
    Branches,
    Context,
    Extend,
    Extended,
    ForwardReply,
    ForwardRequest,
    Rows,
    Tree,
    flatten,
    no_fill,
)
from .drafting import Drafter, ask_head


@dataclass(frozen=True)
class ModelRunner:
    """Answers asks with a denoiser on any device: all rows in one pass, contexts one after the other.

    States stay with the model.
    """

    model: Denoiser
    drafter: Drafter | None = None

    @torch.inference_mode()
    def __call__(self, asks: Sequence[ForwardRequest]) -> list[ForwardReply]:
        asks = no_fill(asks)
        branches = [ask for ask in asks if isinstance(ask, Rows | Tree)]
        answers = iter(run_branches(self.model, branches) if branches else [])
        return [
            next(answers).cpu().numpy()
            if isinstance(ask, Rows | Tree)
            else self._states(ask)
            if isinstance(ask, Context)
            else ask_head(self.drafter, ask)
            if isinstance(ask, AskHead)
            else self._extended(ask)
            for ask in asks
        ]

    def _extended(self, ask: Extend) -> Extended:
        hidden, states = self.model.context(self._tensor(np.array([ask.tokens])), ask.states)
        log_probs = F.log_softmax(self.model.vocabulary_logits(hidden[0]).float(), dim=-1)
        return Extended(log_probs.cpu().numpy(), newest(states, len(ask.tokens)))

    def _states(self, ask: Context) -> ContextStates:
        _, states = self.model.context(self._tensor(ask.tokens), ask.past)
        return newest(states, ask.tokens.shape[1])

    def _tensor(self, tokens: np.ndarray) -> Tensor:
        return torch.tensor(tokens, device=self.model.embedding.weight.device)


class FlatTensors(NamedTuple):
    """What `requests.FlatTokens` says, on the model's device."""

    tokens: Tensor
    depths: Tensor
    before: Tensor
    sees: Tensor | None
    is_canvas: bool


def line_of(ask: Branches, device: torch.device) -> FlatTensors:
    """An ask's tokens in one line, on a device."""
    laid = flatten(ask)
    tokens, depths, before = (torch.tensor(each, device=device) for each in (laid.tokens, laid.depths, laid.before))
    sees = None if laid.sees is None else torch.tensor(laid.sees, device=device)
    return FlatTensors(tokens, depths, before, sees, laid.is_canvas)


def run_branches(model: Denoiser, asks: Sequence[Branches]) -> list[Tensor]:
    """The reply to each ask, on the model's device, from one pass over the tokens of all."""
    lines = [line_of(ask, model.embedding.weight.device) for ask in asks]
    hidden = packed_hidden(model, asks, lines)  # [S, D]
    plain = F.log_softmax(model.vocabulary_logits(hidden).float(), dim=-1)
    sizes = [len(line.tokens) for line in lines]
    return [
        mix(model.copy_head, ask, line, h, p)
        for ask, line, h, p in zip(asks, lines, hidden.split(sizes), plain.split(sizes), strict=True)
    ]


def packed_hidden(model: Denoiser, asks: Sequence[Branches], lines: Sequence[FlatTensors]) -> Tensor:
    """Hidden states [S, D] of all asks' tokens, laid end to end."""
    tokens = torch.cat([line.tokens for line in lines]).unsqueeze(0)  # [1, S]
    is_causal = torch.cat([torch.full_like(line.tokens, not line.is_canvas, dtype=torch.bool) for line in lines])
    x = model.branch_inputs(tokens, is_causal.unsqueeze(0))  # [1, S, D]
    tails = [_tail(model, line, ask.states.n_tokens) for ask, line in zip(asks, lines, strict=True)]
    for i, block in enumerate(model.blocks):
        assert isinstance(block, TransformerBlock)
        x = block.packed(x, [(ask.states.layers[i], tail) for ask, tail in zip(asks, tails, strict=True)])
    return model.norm(x)[0]


def _tail(model: Denoiser, line: FlatTensors, n_context: int) -> Tail:
    cos, sin = rotations(n_context + line.depths, model.config)
    mask = None if line.sees is None else F.pad(line.sees, (n_context, 0), value=True)
    return Tail(cos, sin, mask, line.before)


def mix(head: CopyHead | NoCopies, ask: Branches, line: FlatTensors, hidden: Tensor, plain: Tensor) -> Tensor:
    """The reply to ask: vocabulary and copies mixed, as `Denoiser.mixed_log_probs` says, from what the body gave.

    hidden [S, D] are the last hidden states of the ask's tokens, line, plain [S, V] the vocabulary's own
    log-probabilities. Continuations may copy their own earlier tokens too.
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
    return mixture(plain, weights, gate, states.tokens[:, 1:])


def _mixed_tree(head: CopyHead, states: ContextStates, line: FlatTensors, hidden: Tensor, plain: Tensor) -> Tensor:
    hidden, last = hidden.unsqueeze(0), states.n_tokens - 1
    assert line.sees is not None
    keys = torch.cat((states.copy_keys[0], head.keys(hidden)[0]))  # [T + S, C]
    keys = torch.cat((keys[:last], keys[line.before + last]))  # of the place before each token but the first
    may_copy = F.pad(line.sees, (last, 0), value=True)
    matches = head.matches_in_tree(states.tokens[0], line.tokens, line.before)
    weights, gate = head(hidden, keys.unsqueeze(0), may_copy, matches)
    followers = torch.cat((states.tokens[0, 1:], line.tokens))
    return mixture(plain.unsqueeze(0), weights, gate, followers.unsqueeze(0))[0]
