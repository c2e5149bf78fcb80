"""What a kernel accepts: shapes, dtypes, devices and strides, with a plain sentence for what is wrong.

A kernel reads whatever its addresses point at, so every public wrapper checks first. Values are never looked at: that
would wait for the device.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

FLOATS = (torch.float32, torch.float16, torch.bfloat16)
FLOAT32 = (torch.float32,)
INT32 = (torch.int32,)
INT64 = (torch.int64,)
BOOL = (torch.bool,)


def check(
    name: str, tensor: Tensor, shape: Sequence[int | None], dtypes: Sequence[torch.dtype], device: torch.device
) -> None:
    """ValueError unless tensor has this shape (None: any size), one of dtypes, this device and a dense last axis."""
    fits = tensor.dim() == len(shape) and all(
        want is None or want == size for want, size in zip(shape, tensor.shape, strict=True)
    )
    if not fits:
        wanted = ", ".join("any" if size is None else str(size) for size in shape)
        raise ValueError(f"{name} must have the shape [{wanted}], not {list(tensor.shape)}")
    if tensor.dtype not in dtypes:
        raise ValueError(f"{name} must be {' or '.join(map(_name, dtypes))}, not {_name(tensor.dtype)}")
    if tensor.device != device:
        raise ValueError(f"{name} must be on {device} as the first argument is, not on {tensor.device}")
    if tensor.dim() and tensor.shape[-1] > 1 and tensor.stride(-1) != 1:
        raise ValueError(f"{name}'s last axis must be dense (stride 1), not stride {tensor.stride(-1)}")


def check_same_strides(name: str, tensor: Tensor, other_name: str, other: Tensor) -> None:
    """ValueError unless both tensors lie in memory alike."""
    if tensor.stride() != other.stride():
        raise ValueError(f"{name} must have the strides of {other_name}, {other.stride()}, not {tensor.stride()}")


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
