"""Canvas attention against dense attention in float64, over scattered pages full of poison."""

import math
from typing import Any

import pytest
import torch
from quicksilver.kernels import canvas_attention
from quicksilver.kernels.canvas_attention import launch, reference

DTYPES = (torch.float32, torch.float16, torch.bfloat16)


def inputs(
    context_lengths, canvas_lengths, n_slots, head_size, n_heads=4, n_kv_heads=2, page_size=16, dtype=torch.float32
) -> Any:
    """Pages in a random order, with NaN wherever nothing was cached, in the canvas's padding too."""
    torch.manual_seed(0)
    b, n_pages = len(context_lengths), max(1, -(-max(context_lengths) // page_size))
    pages = torch.randn(2, b * n_pages + 1, n_kv_heads, page_size, head_size).to(dtype)
    table = torch.randperm(b * n_pages).view(b, n_pages).int() + 1
    k, v = torch.randn(2, b, n_kv_heads, n_slots, head_size).to(dtype)
    is_cached = torch.zeros(pages.shape[1], page_size, dtype=torch.bool)
    for row, length in enumerate(context_lengths):
        t = torch.arange(length)
        is_cached[table[row, t // page_size], t % page_size] = True
        table[row, -(-length // page_size) :] = 1 << 30  # must not be looked up
        k[row, :, canvas_lengths[row] :] = v[row, :, canvas_lengths[row] :] = float("nan")
    pages.masked_fill_(~is_cached[None, :, None, :, None], float("nan"))
    q = torch.randn(b, n_heads, n_slots, head_size).to(dtype)
    lengths = [torch.tensor(some, dtype=torch.int32) for some in (context_lengths, canvas_lengths)]
    return [q, pages[0], pages[1], table, lengths[0], k, v, lengths[1]]


def exactly(q, k_pages, v_pages, table, context_lengths, k, v, canvas_lengths):
    """One row, one head at a time, in float64: gather, softmax, mix."""
    out = torch.zeros(q.shape, dtype=torch.float64)
    page_size = k_pages.shape[2]
    for b, n_canvas in enumerate(canvas_lengths.tolist()):
        t = torch.arange(int(context_lengths[b]))
        page, place = table[b, t // page_size].long(), t % page_size
        for h in range(q.shape[1]):
            kv = h // (q.shape[1] // k.shape[1])
            keys = torch.cat((k_pages[page, kv, place], k[b, kv, :n_canvas])).double()
            values = torch.cat((v_pages[page, kv, place], v[b, kv, :n_canvas])).double()
            scores = q[b, h, :n_canvas].double() @ keys.T / math.sqrt(q.shape[3])
            out[b, h, :n_canvas] = scores.softmax(dim=-1) @ values
    return out


def check(device, assert_as_exact, tensors, n_splits=None):
    on_device = [tensor.to(device) for tensor in tensors]
    assert_as_exact(launch(*on_device, n_splits=n_splits), reference(*on_device), exactly(*tensors))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("head_size", (12, 16, 64, 128))
def test_every_head_size_and_dtype(device, assert_as_exact, head_size, dtype):
    check(device, assert_as_exact, inputs([70, 3], [9, 5], 9, head_size, dtype=dtype), n_splits=2)


@pytest.mark.parametrize("n_splits", (None, 1, 2, 7))
def test_splits_change_nothing(device, assert_as_exact, n_splits):
    """Also where there are more splits than blocks of keys, and rows without a context or without a canvas."""
    tensors = inputs([257, 0, 64, 65], [5, 5, 0, 1], 5, 12)
    check(device, assert_as_exact, tensors, n_splits)


@pytest.mark.parametrize(("n_heads", "n_kv_heads"), ((2, 2), (5, 1), (14, 2)))
@pytest.mark.parametrize("n_slots", (1, 70))
def test_shared_key_heads(device, assert_as_exact, n_heads, n_kv_heads, n_slots):
    """70 slots of 5 and 7 heads take more than one block of rows, and the canvas more than one block of keys."""
    check(device, assert_as_exact, inputs([30], [n_slots], n_slots, 12, n_heads, n_kv_heads))


@pytest.mark.parametrize("page_size", (1, 5, 64))
def test_page_sizes(device, assert_as_exact, page_size):
    check(device, assert_as_exact, inputs([66, 11], [4, 4], 4, 12, page_size=page_size), n_splits=2)


def test_strided_tensors(device, assert_as_exact):
    """Heads and slots swapped in memory, pages cut from a pool of several layers."""
    q, k_pages, v_pages, table, lengths, k, v, canvas_lengths = inputs([40], [6], 6, 16)
    pool = torch.stack((k_pages, v_pages, k_pages), dim=1)
    tensors = [
        q.transpose(1, 2).contiguous().transpose(1, 2), pool[:, 0], pool[:, 1], table, lengths,
        k.transpose(1, 2).contiguous().transpose(1, 2), v.transpose(1, 2).contiguous().transpose(1, 2), canvas_lengths,
    ]  # fmt: skip
    check(device, assert_as_exact, tensors)


def test_scores_far_from_zero(device, assert_as_exact):
    """The online softmax meets its greatest score last."""
    tensors = inputs([130], [3], 3, 16)
    tensors[0] *= 100
    check(device, assert_as_exact, tensors, n_splits=3)


def test_the_wrapper_computes_the_reference_here_and_the_kernel_on_a_gpu(device):
    tensors = [tensor.to(device) for tensor in inputs([20, 0], [4, 3], 4, 12)]
    expected = (launch if device.type == "cuda" else reference)(*tensors)
    assert torch.equal(canvas_attention.canvas_attention(*tensors), expected)


@pytest.mark.parametrize(
    ("place", "change", "says"),
    (
        (0, lambda q: q[0], r"q must have the shape \[any, any, any, any\], not \[4, 4, 12\]"),
        (0, lambda q: q[:, :3], "q's 3 heads cannot share the 2 key heads of k_pages evenly"),
        (0, torch.Tensor.double, "q must be float32 or float16 or bfloat16, not float64"),
        (1, lambda pages: pages[..., :8], "k_pages must have the shape"),
        (2, torch.Tensor.half, "v_pages must be float32, not float16"),
        (2, lambda pages: pages.transpose(2, 3).contiguous().transpose(2, 3), "v_pages's last axis must be dense"),
        (3, torch.Tensor.long, "page_table must be int32, not int64"),
        (4, lambda lengths: lengths[:1], r"context_lengths must have the shape \[2\], not \[1\]"),
        (5, lambda k: k.to("meta"), "k must be on cpu like the first argument, not on meta"),
        (6, lambda v: v.transpose(1, 2).contiguous().transpose(1, 2), "v must have the strides of k"),
        (7, torch.Tensor.float, "canvas_lengths must be int32, not float32"),
    ),
)
def test_wrong_arguments_are_named(place, change, says):
    tensors = inputs([20, 0], [4, 3], 4, 12)
    tensors[place] = change(tensors[place])
    with pytest.raises(ValueError, match=says):
        canvas_attention.canvas_attention(*tensors)
