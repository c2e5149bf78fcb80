"""A moving average of the weights (Polyak and Juditsky 1992), kept beside the model."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn


class AveragedWeights:
    """Exponential moving average of a model's parameters, one update a step, in float32 on the model's device."""

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.decay = decay
        self._parameters = list(model.parameters())
        self._names = [name for name, _ in model.named_parameters()]
        self._averages = [p.detach().clone() for p in self._parameters]

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Take in the weights after this step; the first steps count more, so that the start is forgotten."""
        decay = min(self.decay, (1 + step) / (10 + step))
        weights = [p.detach() for p in self._parameters]
        torch._foreach_lerp_(self._averages, weights, 1 - decay)  # pyright: ignore[reportPrivateImportUsage]

    @contextmanager
    def applied(self) -> Iterator[None]:
        """The model holds the averages while this lasts; its own weights come back afterwards, to the bit."""
        self._exchange()
        try:
            yield
        finally:
            self._exchange()

    def _exchange(self) -> None:
        for i, parameter in enumerate(self._parameters):
            parameter.data, self._averages[i] = self._averages[i], parameter.data

    def state_dict(self) -> dict[str, Tensor]:
        """The averages by parameter name."""
        return dict(zip(self._names, self._averages, strict=True))

    @torch.no_grad()
    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Take over what `state_dict` gave. Raises KeyError or RuntimeError when it is another model's."""
        for name, average in zip(self._names, self._averages, strict=True):
            average.copy_(state[name])
