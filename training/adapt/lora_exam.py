"""How a body with its LoRA does on held-out holes: loss, exact greedy answers, and where they end.

The true text is shown token by token: a greedy answer equals it just where the best token does at every place. The
first tokens have to agree with the open piece, as in serving.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ...model.network.denoiser import Denoiser
from ...model.tokenizers.body_tokenizer import BodyTokenizer
from .lora_examples import LoraExample
from .lora_pass import hidden_states


@dataclass(frozen=True, kw_only=True)
class LoraExam:
    """nats: loss a target token; end_nats: of the end mark alone. exact: share of whole holes that greedy decoding
    fills word for word, the end included. ends: share of ends where the end mark is the best token; early: share of
    holes where it is so before the text is over."""

    nats: float
    end_nats: float
    exact: float
    ends: float
    early: float


@torch.inference_mode()
def examine(model: Denoiser, tokenizer: BodyTokenizer, examples: Sequence[LoraExample]) -> LoraExam:
    """How a model does on some examples."""
    device = next(model.parameters()).device
    nats, end_nats, exact, ends, early = [], [], [], [], []
    end = tokenizer.marks.end
    for example in examples:
        tokens = torch.from_numpy(example.tokens).to(device)
        hidden = hidden_states(model, [tokens[:-1]])[example.n_context - 1 :]
        target = tokens[example.n_context :]
        log_probs = model.vocabulary_logits(hidden).float().log_softmax(-1)  # [P, V]
        found = -log_probs.gather(-1, target.unsqueeze(-1)).squeeze(-1)
        nats += found.tolist()
        best = _best(log_probs, target, example.open_piece, tokenizer)
        early.append(bool((best[: len(best) - example.is_whole] == end).any()))
        if example.is_whole:
            end_nats.append(float(found[-1]))
            ends.append(bool(best[-1] == end))
            exact.append(bool((best == target).all()))
    return LoraExam(
        nats=_mean(nats), end_nats=_mean(end_nats), exact=_mean(exact), ends=_mean(ends), early=_mean(early)
    )  # fmt: skip


def _best(log_probs: Tensor, target: Tensor, open_piece: str, tokenizer: BodyTokenizer) -> Tensor:
    """The best token [P] at each place; where the open piece is not over, the best of those that agree with it."""
    best = log_probs.argmax(-1)
    rest = open_piece.encode()
    for i, token in enumerate(target.tolist()):
        if not rest:
            break
        allowed = torch.tensor(tokenizer.agreeing_with(rest), device=best.device)
        best[i] = allowed[log_probs[i, allowed].argmax()]
        rest = rest[len(tokenizer.bytes_of(token)) :]
    return best


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else float("nan")
