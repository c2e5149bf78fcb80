"""Token shift, norms and rotation against the model's own, and against float64."""

from typing import Any

import pytest
import torch
from quicksilver.kernels.norm_rope import launch, norm_rope, reference
from quicksilver.model.network.transformer import Attention, rotary
from tiny import tiny_config

DTYPES = (torch.float32, torch.float16, torch.bfloat16)
EPS = 1e-6


def inputs(b, n, n_heads, n_kv_heads, head_size, dtype=torch.float32, per_row=True) -> Any:
    torch.manual_seed(n)
    width = (n_heads + 2 * n_kv_heads) * head_size
    raw, previous = torch.randn(2, b, n, width).to(dtype)
    shift, q_weight, k_weight = torch.randn(width), 1 + torch.rand(head_size), 1 + torch.rand(head_size)
    positions = torch.randint(0, 3000, (b if per_row else 1, n))
    tensors = [raw, previous, shift, q_weight, k_weight, *rotary(positions, head_size, 10_000.0)]
    return tensors, {"n_heads": n_heads, "n_kv_heads": n_kv_heads, "eps": EPS}


def exactly(tensors, n_heads, n_kv_heads, eps):
    raw, previous, shift, q_weight, k_weight, cos, sin = (tensor.double() for tensor in tensors)
    x = (raw + shift * previous).unflatten(-1, (-1, len(q_weight)))  # [B, N, heads, E]
    weight = torch.cat((q_weight.expand(n_heads, -1), k_weight.expand(n_kv_heads, -1)))
    y = x[:, :, : n_heads + n_kv_heads]
    y = y / (y.pow(2).mean(dim=-1, keepdim=True) + eps).sqrt() * weight
    turned = torch.complex(*y.chunk(2, dim=-1)) * torch.complex(cos, sin).unsqueeze(2)
    y = torch.cat((turned.real, turned.imag), dim=-1).transpose(1, 2)
    return y[:, :n_heads], y[:, n_heads:], x[:, :, n_heads + n_kv_heads :].transpose(1, 2)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", ((1, 1, 1, 1, 2), (2, 5, 4, 2, 12), (3, 2, 5, 1, 64)))
def test_every_dtype(device, assert_as_exact, shape, dtype):
    tensors, sizes = inputs(*shape, dtype=dtype)
    on_device = [tensor.to(device) for tensor in tensors]
    kernel, plain = (compute(*on_device, **sizes) for compute in (launch, reference))
    for one, other, exact in zip(kernel, plain, exactly(tensors, **sizes), strict=True):
        assert one.is_contiguous() and other.shape == one.shape
        assert_as_exact(one, other, exact)


def test_shared_positions_and_strided_tokens(device, assert_as_exact):
    """previous is a view of raw one token further left; rows share cos and sin."""
    tensors, sizes = inputs(2, 7, 4, 2, 16, per_row=False)
    tensors[:2] = tensors[0][:, 1:], tensors[0][:, :-1]
    tensors[5:] = tensors[5][:, 1:], tensors[6][:, 1:]
    on_device = [tensor.to(device) for tensor in tensors]
    kernel, plain = (compute(*on_device, **sizes) for compute in (launch, reference))
    for one, other, exact in zip(kernel, plain, exactly(tensors, **sizes), strict=True):
        assert_as_exact(one, other, exact)


@torch.no_grad()
@pytest.mark.parametrize("dtype", (torch.float32, torch.bfloat16))
@pytest.mark.parametrize("per_row", (False, True))
def test_it_is_what_the_model_computes(device, dtype, per_row):
    config = tiny_config(330)
    attention = Attention(config)
    assert config.norm_eps == EPS
    for parameter in attention.parameters():
        torch.nn.init.normal_(parameter)
    shape = (2, 6, config.n_heads, config.n_kv_heads, config.head_size)
    (raw, previous, _, _, _, cos, sin), sizes = inputs(*shape, dtype=dtype, per_row=per_row)
    expected = attention.project(raw, previous, cos.unsqueeze(1), sin.unsqueeze(1))
    tensors = [raw, previous, attention.shift, attention.q_norm.weight, attention.k_norm.weight, cos, sin]
    assert all(map(torch.equal, reference(*tensors, **sizes), expected))
    kernel = launch(*(tensor.to(device) for tensor in tensors), **sizes)
    for one, other in zip(kernel, expected, strict=True):
        tolerance = 1e-5 if dtype == torch.float32 else 0.03
        torch.testing.assert_close(one.cpu(), other, rtol=tolerance, atol=tolerance)


def test_the_wrapper_computes_the_reference_here_and_the_kernel_on_a_gpu(device):
    tensors, sizes = inputs(2, 3, 4, 2, 12)
    on_device = [tensor.to(device) for tensor in tensors]
    expected = (launch if device.type == "cuda" else reference)(*on_device, **sizes)
    result = norm_rope(*on_device, **sizes)
    assert all(map(torch.equal, result, expected))


@pytest.mark.parametrize(
    ("place", "change", "says"),
    (
        (0, lambda raw: raw[0], r"raw must have the shape \[any, any, any\], not \[3, 96\]"),
        (0, lambda raw: raw[..., 12:], r"raw's width 84 is not that of 4 \+ 2 · 2 heads of 12, q_weight's length"),
        (1, torch.Tensor.half, "previous must be float32, not float16"),
        (1, lambda previous: previous[:, 1:], r"previous must have the shape \[2, 3, 96\], not \[2, 2, 96\]"),
        (2, lambda shift: shift.to("meta"), "shift must be on cpu like the first argument, not on meta"),
        (3, lambda weight: weight[:3], "cannot rotate 4 and 2 heads of 3"),
        (4, lambda weight: torch.cat((weight, weight))[::2], "k_weight's last axis must be dense"),
        (5, torch.Tensor.bfloat16, "cos must be float32, not bfloat16"),
        (6, lambda sin: sin[:1], r"sin must have the shape \[2, 3, 6\], not \[1, 3, 6\]"),
    ),
)
def test_wrong_arguments_are_named(place, change, says):
    tensors, sizes = inputs(2, 3, 4, 2, 12)
    tensors[place] = change(tensors[place])
    with pytest.raises(ValueError, match=says):
        norm_rope(*tensors, **sizes)
