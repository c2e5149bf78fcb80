"""What a body's denoising head needs to be of use: the body's states are kept, and whoever runs the body asks it."""

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor

from ..checkpoint.checkpoint_files import as_float
from ..checkpoint.head_file import StoredHead
from ..config import DenoiserConfig
from ..network.copy_head import NoCopies
from ..network.denoising_head import DenoisingHead
from ..requests import AskHead, HeadGuess


class Drafter(Protocol):
    """A denoising head that can be asked. n_most tokens of a draft, at most."""

    n_most: int

    def __call__(self, known: Sequence[int], hints: Sequence[int], features: Tensor) -> HeadGuess:
        """The tokens behind known, one to n_most, which follow the tokens whose states are features [T, D].

        hints are guesses of the first of them, as many as there are.
        """
        ...


class KeptStates(NoCopies):
    """In the place of a copy head: its keys are the body's last hidden states, in a type of their own."""

    def __init__(self, config: DenoiserConfig, dtype: torch.dtype) -> None:
        super().__init__(config)
        self.dtype = dtype

    def keys(self, hidden: Tensor) -> Tensor:
        """The hidden states themselves, [B, N, D]."""
        return hidden.to(self.dtype)


def ask_head(drafter: Drafter | None, ask: AskHead) -> HeadGuess:
    """A head's answer. Raises TypeError where there is no head."""
    if drafter is None:
        raise TypeError("this runner has no denoising head")
    return drafter(ask.known, ask.hints, ask.states.copy_keys[0])


class ModelDrafter:
    """A head run by PyTorch, on the device of the body's embedding [V, D]."""

    def __init__(self, head: StoredHead, embedding: Tensor) -> None:
        self.n_most = head.config.n_canvas - 1
        module = DenoisingHead(head.config, torch.from_numpy(head.words))
        own = {name: torch.tensor(as_float(weight)) for name, weight in head.weights.items()}
        module.load_state_dict(own | {"words": module.words})
        self._head = module.to(embedding.device, embedding.dtype).eval()
        self._embedding, self._spoken = embedding, embedding[module.words]

    @torch.inference_mode()
    def __call__(self, known: Sequence[int], hints: Sequence[int], features: Tensor) -> HeadGuess:
        """As `Drafter` says."""
        c, n, device = self._head.config, len(known), self._embedding.device
        newest = features[-c.n_window :].to(device, self._embedding.dtype)
        embedded = self._embedding.new_zeros(1, c.n_canvas, c.width)
        given = torch.tensor([*known, *hints][: c.n_canvas], device=device)
        embedded[0, : len(given)] = self._embedding[given]
        is_mask = torch.arange(c.n_canvas, device=device).unsqueeze(0) >= n
        anchors = torch.tensor([len(newest) - 1], device=device)
        hidden = self._head(newest, embedded, is_mask, anchors)[0, n:]
        best = self._head.logits(hidden, self._spoken).softmax(dim=-1).max(dim=-1)
        return HeadGuess(tuple(self._head.words[best.indices].tolist()), tuple(best.values.tolist()))
