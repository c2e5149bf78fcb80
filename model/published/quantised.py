"""Matrices of a published backbone in one byte per number: int8, or fp8 (e4m3), with a float32 scale per row.

They take half the memory of bfloat16, and a step reads half the bytes. Both kinds are exact in bfloat16, so products
are computed in it and scaled afterwards; on a GPU short inputs go through our kernel, which reads only the bytes.
"""

import torch
from torch import Tensor, nn

from ...fim.models.formats import WeightFormat
from ...kernels.int8_matmul import int8_matmul, reference

LARGEST = {"int8": 127.0, "fp8": 448.0}  # the value that a row's greatest number is scaled to
TYPES = {"int8": torch.int8, "fp8": torch.float8_e4m3fn}
MOST_ROWS = 256  # of an input for the kernel; for longer ones reading weights is not the bottleneck
N_ROWS = 4096  # quantised at a time: bounds the float32 copy


class NarrowLinear(nn.Module):
    """x W^T + b with W [R, C] in one byte per number and scales [R]. A drop-in for `nn.Linear`."""

    values: Tensor
    scales: Tensor

    def __init__(self, weight: Tensor, bias: Tensor | None, kind: WeightFormat) -> None:
        super().__init__()
        values, scales = narrow_weight(weight, kind)
        self.register_buffer("values", values)
        self.register_buffer("scales", scales)
        self.bias = None if bias is None else nn.Parameter(bias, requires_grad=False)

    def forward(self, x: Tensor) -> Tensor:
        """x [..., C] to [..., R]."""
        rows = x.flatten(0, -2)
        product = int8_matmul if len(rows) <= MOST_ROWS else reference
        y = product(rows, self.values, self.scales).unflatten(0, x.shape[:-1])
        return y if self.bias is None else y + self.bias


def narrow_weight(weight: Tensor, kind: WeightFormat) -> tuple[Tensor, Tensor]:
    """weight [R, C] rounded to one byte per number, and its scales [R] in float32."""
    values = torch.empty(weight.shape, dtype=TYPES[kind], device=weight.device)
    scales = torch.empty(weight.shape[0], device=weight.device)
    for start in range(0, weight.shape[0], N_ROWS):
        rows = weight[start : start + N_ROWS].float()
        scale = rows.abs().amax(dim=1).clamp_min(1e-12) / LARGEST[kind]
        rows = rows / scale.unsqueeze(1)
        values[start : start + N_ROWS] = (rows.round() if kind == "int8" else rows).to(TYPES[kind])
        scales[start : start + N_ROWS] = scale
    return values, scales


def narrow(module: nn.Module, kind: WeightFormat) -> None:
    """Replace every `nn.Linear` below module, one at a time, so that at most one is in memory twice."""
    for name, child in module.named_children():
        if isinstance(child, nn.Linear):
            bias = None if child.bias is None else child.bias.detach()
            setattr(module, name, NarrowLinear(child.weight.detach(), bias, kind))
            child.weight = nn.Parameter(torch.empty(0))
        else:
            narrow(child, kind)
