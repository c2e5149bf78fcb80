"""One pass over examples of any length, end to end in one row: no padding; attention stays within each example.

Letters: N tokens of all examples, P positions with a loss, V vocabulary, H heads, K key heads, E head size.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from ...model.network.denoiser import Denoiser
from ...model.network.transformer import Attend, TransformerBlock, rotary
from .lora_examples import LoraExample

N_LOGITS = 256  # positions whose logits are held at a time: 256 of 152,000 take 160 MB in float32


@dataclass(frozen=True)
class Asked:
    """Positions with a loss [P] in the row, the tokens to be predicted there [P], and their weights [P]."""

    places: Tensor
    targets: Tensor
    weights: Tensor

    @classmethod
    def of(cls, examples: Sequence[LoraExample], device: torch.device) -> "Asked":
        """What examples that lie end to end ask."""
        places, targets, weights, start = [], [], [], 0
        for example in examples:
            asked = torch.from_numpy(example.weights).nonzero().squeeze(-1)
            places.append(asked + start)
            targets.append(torch.from_numpy(example.tokens)[asked + 1])
            weights.append(torch.from_numpy(example.weights)[asked])
            start += len(example.weights)  # the last token is asked, not read
        return cls(*(torch.cat(each).to(device) for each in (places, targets, weights)))


def hidden_states(model: Denoiser, rows: Sequence[Tensor]) -> Tensor:
    """Hidden states [N, D] of the rows' tokens, each row by itself."""
    lengths = [len(row) for row in rows]
    tokens = torch.cat([*rows])
    positions = torch.cat([torch.arange(n, device=tokens.device) for n in lengths])
    cos, sin = rotary(positions, model.config.head_size, model.config.rope_theta)
    x, attend = model.embedding(tokens).unsqueeze(0), within(lengths)
    for block in model.blocks:
        assert isinstance(block, TransformerBlock)
        x, _ = block.context(x, cos, sin, attend, None)
    return model.norm(x)[0]


def within(lengths: Sequence[int]) -> Attend:
    """Causal attention within pieces of these lengths."""

    def attend(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """q [1, H, N, E], k and v [1, K, N, E] to [1, H, N, E]."""
        groups = q.shape[1] // k.shape[1]
        k, v = k.repeat_interleave(groups, dim=1), v.repeat_interleave(groups, dim=1)
        parts = zip(*(x.split([*lengths], dim=2) for x in (q, k, v)), strict=True)
        return torch.cat([F.scaled_dot_product_attention(*part, is_causal=True) for part in parts], dim=2)

    return attend


def losses(model: Denoiser, hidden: Tensor, asked: Asked) -> Tensor:
    """The cross entropy [P] in nats of each asked position, from hidden states [N, D]."""
    chunks = zip(asked.places.split(N_LOGITS), asked.targets.split(N_LOGITS), strict=True)
    return torch.cat(
        [
            F.cross_entropy(model.vocabulary_logits(hidden[places]).float(), targets, reduction="none")
            for places, targets in chunks
        ]
    )
