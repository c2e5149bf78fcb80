"""Products with 8-bit weights against float64."""

from typing import Any

import pytest
import torch
from quicksilver.kernels.int8_matmul import WEIGHTS, int8_matmul, launch, reference

DTYPES = (torch.float32, torch.float16, torch.bfloat16)


def inputs(n_rows, n_out, width, dtype=torch.float32, weights=torch.int8) -> Any:
    """Every int8 there is, -128 too; float8 from subnormal numbers up to the greatest."""
    torch.manual_seed(n_out)
    weight = torch.randint(-128, 128, (n_out, width))
    if weights != torch.int8:
        weight = (weight / 128) ** 5 * 448
    return [torch.randn(n_rows, width).to(dtype), weight.to(weights), torch.rand(n_out) / 100]


def check(device, assert_as_exact, tensors, n_splits=None):
    x, weight, scale = tensors
    exact = x.double() @ weight.double().T * scale.double()
    on_device = [tensor.to(device) for tensor in tensors]
    assert_as_exact(launch(*on_device, n_splits=n_splits), reference(*on_device), exact)


@pytest.mark.parametrize("weights", WEIGHTS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", ((1, 1, 1), (5, 70, 130), (130, 65, 40)))
def test_every_dtype(device, assert_as_exact, shape, dtype, weights):
    check(device, assert_as_exact, inputs(*shape, dtype=dtype, weights=weights))


@pytest.mark.parametrize("n_splits", (1, 2, 3, 100))
def test_splits_change_nothing(device, assert_as_exact, n_splits):
    check(device, assert_as_exact, inputs(3, 20, 500), n_splits)


def test_sums_are_not_kept_in_half_precision(device):
    """Sums of thousands of equal numbers stop growing where half precision is used; a small scale brings them back."""
    x = torch.full((1, 6000), 4.0, dtype=torch.float16, device=device)
    weight = torch.full((3, 6000), 127, dtype=torch.int8, device=device)
    result = launch(x, weight, torch.full((3,), 2.0**-10, device=device), n_splits=2)
    assert result.tolist() == [[2976.0] * 3]  # 6000 · 4 · 127 / 1024 = 2976.56


def test_strided_rows(device, assert_as_exact):
    x, weight, scale = inputs(4, 10, 24)
    check(device, assert_as_exact, [x.repeat(1, 2)[:, :24], weight.repeat(1, 2)[:, 24:], scale])


def test_the_wrapper_computes_the_reference_here_and_the_kernel_on_a_gpu(device):
    tensors = [tensor.to(device) for tensor in inputs(3, 20, 9)]
    expected = (launch if device.type == "cuda" else reference)(*tensors)
    assert torch.equal(int8_matmul(*tensors), expected)


@pytest.mark.parametrize(
    ("place", "change", "says"),
    (
        (0, torch.Tensor.double, "x must be float32 or float16 or bfloat16, not float64"),
        (0, lambda x: x[0], r"x must have the shape \[any, any\], not \[9\]"),
        (1, torch.Tensor.float, "weight must be int8 or float8_e4m3fn, not float32"),
        (1, lambda weight: weight[:, 1:], r"weight must have the shape \[any, 9\], not \[20, 8\]"),
        (1, lambda weight: weight.T.contiguous().T, "weight's last axis must be dense"),
        (2, torch.Tensor.half, "scale must be float32, not float16"),
        (2, lambda scale: scale[1:], r"scale must have the shape \[20\], not \[19\]"),
        (2, lambda scale: scale.to("meta"), "scale must be on cpu like the first argument, not on meta"),
    ),
)
def test_wrong_arguments_are_named(place, change, says):
    tensors = inputs(3, 20, 9)
    tensors[place] = change(tensors[place])
    with pytest.raises(ValueError, match=says):
        int8_matmul(*tensors)
