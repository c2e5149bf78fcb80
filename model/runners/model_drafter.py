"""A body's denoising head run by PyTorch, on the device of the body."""

from collections.abc import Sequence

import torch
from torch import Tensor

from ..checkpoint.checkpoint_files import as_float
from ..checkpoint.head_file import StoredHead
from ..config import DenoiserConfig
from ..network.copy_head import NoCopies
from ..network.denoising_head import DenoisingHead
from ..requests import HeadGuess


class KeptStates(NoCopies):
    """In the place of a copy head: its keys are the body's last hidden states, in a type of their own."""

    def __init__(self, config: DenoiserConfig, dtype: torch.dtype) -> None:
        super().__init__(config)
        self.dtype = dtype

    def keys(self, hidden: Tensor) -> Tensor:
        """The hidden states themselves, [B, N, D]."""
        return hidden.to(self.dtype)


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
        """As `drafting.Drafter` says."""
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
