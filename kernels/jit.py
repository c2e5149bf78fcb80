"""Compiles kernels with Triton at their first launch, and decides which tensors a kernel is for.

Importing a kernel's file must cost nothing and must work without Triton. So `kernel` only keeps a function, and the
first launch passes all kernels of that file to `triton.jit`. At the same moment the file's global `tl` becomes Triton's
language. Kernel files postpone annotations (`from __future__ import annotations`): Triton reads the word `constexpr`
from their text.
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
constexpr = Any  # a number that is compiled into a kernel, by Triton's name for it
ANNOTATIONS = ("Pointer", "Scalar", "constexpr")

Launch = Callable[..., Any]

N_PROCESSORS_CPU = 4  # assumed for interpreted launches: enough that work is split


class Kernel:
    """A function for Triton, compiled at the first launch: `kernel[grid](…)`, as with `triton.jit`."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = function
        self.jitted: Any = None

    def __getitem__(self, grid: tuple[int, ...]) -> Launch:
        if self.jitted is not None:
            return self.jitted[grid]
        _compile_all(self.function.__globals__)
        return self[grid]

    def __call__(self, *args: Any) -> Any:  # noqa: ANN401
        """Only inside other kernels, where Triton has replaced this object."""
        raise TypeError(f"{self.function.__name__} is launched with a grid: {self.function.__name__}[grid](…)")


def kernel(function: Callable[..., Any]) -> Kernel:
    """Keep function for Triton. It may call other kernels of its file and Triton's language under the name `tl`."""
    return Kernel(function)


def _compile_all(namespace: dict[str, Any]) -> None:
    """Pass a file's kernels to Triton, and set Triton's language and the compiled kernels in the file's namespace."""
    triton = import_module("triton")
    namespace["tl"] = language = import_module("triton.language")
    namespace.update(dict.fromkeys(ANNOTATIONS, language.constexpr))  # Triton looks them up, and knows only its own
    for name, value in list(namespace.items()):
        if isinstance(value, Kernel):
            value.jitted = value.jitted or triton.jit(value.function)
            namespace[name] = value.jitted


@cache
def has_triton() -> bool:
    """Whether Triton is installed."""
    return find_spec("triton") is not None


def wants_kernel(tensor: Tensor) -> bool:
    """Whether to run a kernel on tensor: it is on a GPU and Triton is installed. Otherwise the reference runs."""
    return tensor.is_cuda and has_triton()


def n_processors(device: torch.device) -> int:
    """The number of programs that a device surely runs side by side: its streaming multiprocessors."""
    if device.type != "cuda":
        return N_PROCESSORS_CPU
    return torch.cuda.get_device_properties(device).multi_processor_count


def block(n: int, least: int = 1, most: int = 1 << 20) -> int:
    """The size of a block that holds n: the next power of two, within bounds that are powers of two."""
    return min(most, max(least, 1 << max(0, n - 1).bit_length()))


def n_blocks(n: int, size: int) -> int:
    """The number of blocks of size that hold n."""
    return -(-n // size)
