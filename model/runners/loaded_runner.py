"""A model that is loaded and ready to be run, whatever runs it."""

from collections.abc import Callable
from dataclasses import dataclass

from ...fim.models.formats import Dtype, Runtime
from ..tokenizers.canvas_tokens import CanvasTokens
from .drive import Runner


def free_nothing() -> None:
    """For runtimes that keep no memory back."""


def rehearse_nothing(tokens: CanvasTokens) -> None:
    """For runtimes that compile nothing on first use."""


@dataclass(frozen=True, kw_only=True)
class LoadedRunner:
    """What answers asks, and what people are told of it: runtime, device (`cpu`, `cuda`, `cuda:1` …), number format,
    threads. fills_whole: it answers `Fill` too. rehearse compiles what would be compiled on first use, and raises what
    that raises; free gives memory back that the runtime keeps for later."""

    run: Runner
    runtime: Runtime
    device: str
    dtype: Dtype
    n_threads: int
    fills_whole: bool = False
    rehearse: Callable[[CanvasTokens], None] = rehearse_nothing
    free: Callable[[], None] = free_nothing

    @property
    def is_on_cpu(self) -> bool:
        """Whether the model runs on the CPU."""
        return self.device == "cpu"
