"""A matrix product with 8-bit weights, which are dequantised only in registers.

    out[n, r] = scale[r] · sum_d x[n, d] weight[r, d]

Weights are int8 or float8 (e4m3), one scale per row. Both fit into float16 and bfloat16 without rounding, so products
are exact in x's dtype and are added up in float32; the scale comes last.

Shapes: x [N, D] with N from 1 to some hundreds, weight [R, D], scale [R], out [N, R].

Bytes moved: R · D of weights, once for each block of 64 rows of x, half of what bfloat16 weights take. With few rows of
weights there are too few programs to fill a GPU, so D is split among several, whose float32 parts a second kernel adds
up, always in the same order.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from .arguments import FLOAT32, FLOATS, check
from .jit import Pointer, Scalar, block, constexpr, kernel, n_blocks, n_processors, wants_kernel

tl: Any = None  # Triton's language, from the first launch on

WEIGHTS = (torch.int8, torch.float8_e4m3fn)
BLOCK_OUT = 64  # rows of weights of one program; like all numbers here not yet measured on a GPU
BLOCK_WIDTH_BYTES = 256  # of x
MOST_ROWS = 64
MOST_SPLITS = 16


def int8_matmul(x: Tensor, weight: Tensor, scale: Tensor) -> Tensor:
    """x times the transposed weight: [N, R] in x's dtype.

    x [N, D]: float32, float16 or bfloat16. weight [R, D]: int8 or float8_e4m3fn (on a GPU from compute capability 8.9
    on). scale [R]: float32. Raises ValueError for a wrong shape, dtype, device or stride.
    """
    check("x", x, (None, None), FLOATS, x.device)
    check("weight", weight, (None, x.shape[1]), WEIGHTS, x.device)
    check("scale", scale, (weight.shape[0],), FLOAT32, x.device)
    compute = launch if wants_kernel(x) else reference
    return compute(x, weight, scale)


def reference(x: Tensor, weight: Tensor, scale: Tensor) -> Tensor:
    """`int8_matmul` in plain PyTorch, with the weights as a matrix of x's dtype."""
    return (F.linear(x, weight.to(x.dtype)).float() * scale).to(x.dtype)


@kernel
def _multiply(
    x: Pointer, weight: Pointer, scale: Pointer, out: Pointer,
    n_rows: Scalar, n_out: Scalar, width: Scalar, x_row: Scalar, weight_row: Scalar, per_split: Scalar,
    is_whole: constexpr, block_out: constexpr, block_rows: constexpr, block_width: constexpr,
) -> None:  # fmt: skip
    """A block of out [N, R], or of one split's unscaled part of it, [splits, N, R]. Transposed: weights go first."""
    rows = tl.program_id(0).to(tl.int64) * block_rows + tl.arange(0, block_rows)
    outs = tl.program_id(1).to(tl.int64) * block_out + tl.arange(0, block_out)
    split = tl.program_id(2)
    is_row, is_out = rows < n_rows, outs < n_out
    sums = tl.zeros([block_out, block_rows], tl.float32)
    first = split * per_split
    last = tl.minimum(first + per_split, width)
    for start in range(first, last, block_width):
        d = start + tl.arange(0, block_width)
        is_d = d < last
        w = tl.load(weight + outs[:, None] * weight_row + d[None, :], mask=is_out[:, None] & is_d[None, :], other=0.0)
        part = tl.load(x + rows[None, :] * x_row + d[:, None], mask=is_row[None, :] & is_d[:, None], other=0.0)
        sums = tl.dot(w.to(part.dtype), part, sums, input_precision="ieee")
    at = rows[None, :] * n_out + outs[:, None]
    there = is_row[None, :] & is_out[:, None]
    if is_whole:
        sums *= tl.load(scale + outs, mask=is_out, other=0.0)[:, None]
        tl.store(out + at, sums, mask=there)
    else:
        tl.store(out + split.to(tl.int64) * n_rows * n_out + at, sums, mask=there)


@kernel
def _add_splits(
    parts: Pointer, scale: Pointer, out: Pointer, n_out: Scalar, n_numbers: Scalar, n_splits: Scalar,
    block_numbers: constexpr,
) -> None:  # fmt: skip
    """Add up the splits of a block of out, flattened, and scale it."""
    at = tl.program_id(0).to(tl.int64) * block_numbers + tl.arange(0, block_numbers)
    there = at < n_numbers
    sums = tl.zeros([block_numbers], tl.float32)
    place = at
    for _ in range(0, n_splits):
        sums += tl.load(parts + place, mask=there, other=0.0)
        place += n_numbers
    tl.store(out + at, sums * tl.load(scale + at % n_out, mask=there, other=0.0), mask=there)


def launch(x: Tensor, weight: Tensor, scale: Tensor, n_splits: int | None = None) -> Tensor:
    """`int8_matmul` by the kernels, on any device. n_splits parts of D; None: as suits the device."""
    (n_rows, width), n_out = x.shape, weight.shape[0]
    block_rows = block(n_rows, least=16, most=MOST_ROWS)
    grid = (n_blocks(n_rows, block_rows), n_blocks(n_out, BLOCK_OUT))
    if n_splits is None:
        n_splits = min(MOST_SPLITS, max(1, n_processors(x.device) // max(1, grid[0] * grid[1])))
    block_width = BLOCK_WIDTH_BYTES // x.element_size()
    per_split = max(1, n_blocks(n_blocks(width, block_width), n_splits)) * block_width
    n_splits = max(1, n_blocks(width, per_split))
    out = torch.empty((n_rows, n_out), dtype=x.dtype, device=x.device)
    is_whole = n_splits == 1
    parts = out if is_whole else torch.empty((n_splits, n_rows, n_out), dtype=torch.float32, device=x.device)
    _multiply[(*grid, n_splits)](
        x, weight, scale, parts, n_rows, n_out, width, x.stride(0), weight.stride(0), per_split,
        is_whole, BLOCK_OUT, block_rows, block_width, num_warps=4,
    )  # fmt: skip
    if not is_whole:
        n_numbers = n_rows * n_out
        _add_splits[(n_blocks(n_numbers, 256),)](parts, scale, out, n_out, n_numbers, n_splits, 256)
    return out
