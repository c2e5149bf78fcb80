"""Triton at arm's length: kernels that meet it at their first launch, and what launches share.

Owns when Triton is imported and which tensors a kernel is for.

Importing a kernel's file must cost nothing and must work where Triton is not installed. So `kernel` only keeps a
function, and the first launch hands all kernels of that file to `triton.jit`. At the same moment the file's global `tl`
becomes Triton's language. Kernel files postpone annotations (`from __future__ import annotations`): Triton reads the
word `constexpr` from their text.
"""

from collections.abc import Callable
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor

Pointer = Any  # a tensor's address, inside a kernel
Scalar = Any  # a number or a block of them, inside a kernel
constexpr = Any  # a number that is compiled into a kernel; Triton knows it by this name
ANNOTATIONS = ("Pointer", "Scalar", "constexpr")

Launch = Callable[..., Any]

N_PROCESSORS_CPU = 4  # what an interpreted launch plans for: enough that work is split


class Kernel:
    """A function for Triton, handed over at the first launch: `kernel[grid](…)`, as with `triton.jit`."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = function
        self.jitted: Any = None

    def __getitem__(self, grid: tuple[int, ...]) -> Launch:
        if self.jitted is not None:
            return self.jitted[grid]
        _hand_over(self.function.__globals__)
        return self[grid]

    def __call__(self, *args: Any) -> Any:  # noqa: ANN401
        """Only inside other kernels, where Triton has taken this object's place."""
        raise TypeError(f"{self.function.__name__} is launched with a grid: {self.function.__name__}[grid](…)")


def kernel(function: Callable[..., Any]) -> Kernel:
    """Keep function for Triton. It may call other kernels of its file and Triton's language under the name `tl`."""
    return Kernel(function)


def _hand_over(namespace: dict[str, Any]) -> None:
    """Give a file's kernels to Triton, and the file Triton's language and its kernels as Triton has them."""
    triton = import_module("triton")
    namespace["tl"] = language = import_module("triton.language")
    namespace.update(dict.fromkeys(ANNOTATIONS, language.constexpr))  # it looks them up, and only knows its own things
    for name, value in list(namespace.items()):
        if isinstance(value, Kernel):
            value.jitted = value.jitted or triton.jit(value.function)
            namespace[name] = value.jitted


@cache
def has_triton() -> bool:
    """Whether Triton is installed."""
    return find_spec("triton") is not None


def wants_kernel(tensor: Tensor) -> bool:
    """Whether a kernel is to work on tensor: it lies on a GPU and Triton is there. Else the reference does."""
    return tensor.is_cuda and has_triton()


def n_processors(device: torch.device) -> int:
    """How many programs a device runs side by side at least: its streaming multiprocessors."""
    if device.type != "cuda":
        return N_PROCESSORS_CPU
    return torch.cuda.get_device_properties(device).multi_processor_count


def block(n: int, least: int = 1, most: int = 1 << 20) -> int:
    """The size of a block that holds n: the next power of two, within bounds that are powers of two."""
    return min(most, max(least, 1 << max(0, n - 1).bit_length()))


def n_blocks(n: int, size: int) -> int:
    """How many blocks of size hold n."""
    return -(-n // size)
