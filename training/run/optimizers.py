"""Two optimizers: Muon for the blocks' matrices, AdamW for the rest, with one schedule of learning rates."""

from dataclasses import dataclass

import torch

from ...model.network.denoiser import Denoiser
from .config import TrainConfig


def optimizers(model: Denoiser, config: TrainConfig) -> list[torch.optim.Optimizer]:
    """Muon for the blocks' matrices (Jordan et al. 2024), AdamW for embeddings, norms and heads."""
    matrices = [p for block in model.blocks for p in block.parameters() if p.ndim == 2]
    chosen = set(map(id, matrices))
    others = [p for p in model.parameters() if id(p) not in chosen]
    return [
        torch.optim.Muon(matrices, lr=config.matrix_rate, momentum=0.95, weight_decay=config.weight_decay),
        torch.optim.AdamW(others, lr=config.vector_rate, betas=(0.9, 0.95), weight_decay=0.0),
    ]


@dataclass(frozen=True)
class Optimizers:
    """Several optimizers that step together. rates: each parameter group's learning rate at factor 1."""

    parts: list[torch.optim.Optimizer]
    rates: list[float]

    @classmethod
    def of(cls, model: Denoiser, config: TrainConfig) -> "Optimizers":
        """The optimizers of a run."""
        parts = optimizers(model, config)
        return cls(parts, [group["lr"] for part in parts for group in part.param_groups])

    def step(self, factor: float) -> None:
        """Update the weights with all learning rates times factor."""
        groups = [group for part in self.parts for group in part.param_groups]
        for group, rate in zip(groups, self.rates, strict=True):
            group["lr"] = rate * factor
        for part in self.parts:
            part.step()

    def zero_grad(self) -> None:
        """Forget the gradients."""
        for part in self.parts:
            part.zero_grad(set_to_none=True)

    def state_dict(self) -> list[dict]:
        """Each one's state."""
        return [part.state_dict() for part in self.parts]

    def load_state_dict(self, states: list[dict]) -> None:
        """Take over what `state_dict` gave. Raises ValueError when it is another model's."""
        for part, state in zip(self.parts, states, strict=True):
            part.load_state_dict(state)
