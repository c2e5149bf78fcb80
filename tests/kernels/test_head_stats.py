"""The head's statistics against all logits in float64."""

from typing import Any

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from quicksilver.kernels.head_stats import HeadStats, head_stats, launch, reference

DTYPES = (torch.float32, torch.float16, torch.bfloat16)


def inputs(n_rows, n_ids, width, dtype=torch.float32, scale=1.0) -> Any:
    torch.manual_seed(n_rows)
    hidden = scale * torch.randn(n_rows, width)
    return hidden.to(dtype), torch.randn(n_ids, width).to(dtype), torch.rand(n_ids) < 0.3


def check(device, assert_as_exact, hidden, table, forbidden, n_splits=None):
    on_device = [tensor.to(device) for tensor in (hidden, table, forbidden)]
    kernel, plain = launch(*on_device, n_splits=n_splits), reference(*on_device)
    logits = F.linear(hidden.double(), table.double())
    log_probs = logits.log_softmax(dim=-1)
    allowed = log_probs.masked_fill(forbidden, float("-inf"))
    entropy = -(log_probs.exp() * log_probs).sum(dim=-1)

    def own(stats: HeadStats):
        return allowed.gather(1, stats.tokens.cpu().unsqueeze(1)).squeeze(1)

    assert kernel.tokens.dtype == torch.int64
    assert_as_exact(kernel.lse, plain.lse, logits.logsumexp(dim=-1))
    assert_as_exact(kernel.entropy, plain.entropy, entropy)
    assert_as_exact(own(kernel).float(), own(plain).float(), allowed.amax(dim=-1))  # no token is worse than it must be
    assert_as_exact(kernel.log_probs, plain.log_probs, own(kernel))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", ((1, 5, 8), (17, 300, 70), (70, 129, 64)))
def test_every_dtype(device, assert_as_exact, shape, dtype):
    check(device, assert_as_exact, *inputs(*shape, dtype=dtype))


@pytest.mark.parametrize("n_splits", (1, 2, 5, 100))
def test_splits_change_nothing(device, assert_as_exact, n_splits):
    check(device, assert_as_exact, *inputs(3, 700, 20), n_splits=n_splits)


@pytest.mark.parametrize("scale", (0.0, 30.0))
def test_uniform_and_peaked_rows(device, assert_as_exact, scale):
    """Logits of hundreds: one row's entropy is next to nothing, and what is lost of it is lost to the logits."""
    hidden, table, forbidden = inputs(6, 260, 16, scale=scale)
    hidden[0] /= 100
    check(device, assert_as_exact, hidden, table, forbidden, 2)


def test_strided_rows(device, assert_as_exact):
    hidden, table, forbidden = inputs(5, 40, 24)
    check(device, assert_as_exact, torch.cat((hidden, hidden), 1)[:, :24], table.repeat(1, 2)[:, 24:], forbidden)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n_splits", (1, 3))
def test_the_lowest_of_equals_wins(device, dtype, n_splits):
    """Small whole numbers: logits are exact in every dtype and often equal, within a block and across splits."""
    torch.manual_seed(0)
    hidden, table = torch.randint(-1, 2, (9, 4)).to(dtype), torch.randint(-1, 2, (400, 4)).to(dtype)
    forbidden = torch.rand(400) < 0.5
    logits = F.linear(hidden.float(), table.float()).masked_fill(forbidden, float("-inf"))
    first = (logits == logits.amax(dim=-1, keepdim=True)).int().argmax(dim=-1)
    on_device = [tensor.to(device) for tensor in (hidden, table, forbidden)]
    assert torch.equal(launch(*on_device, n_splits=n_splits).tokens.cpu(), first)
    assert torch.equal(reference(hidden, table, forbidden).tokens, first)


def test_every_id_forbidden(device):
    hidden, table, _ = (tensor.to(device) for tensor in inputs(2, 150, 8))
    forbidden = torch.ones(150, dtype=torch.bool, device=device)
    kernel, plain = launch(hidden, table, forbidden, 2), reference(hidden, table, forbidden)
    for stats in (kernel, plain):
        assert stats.tokens.tolist() == [0, 0]
        assert stats.log_probs.tolist() == [float("-inf")] * 2
    torch.testing.assert_close(kernel.entropy, plain.entropy)


def test_the_wrapper_computes_the_reference_here_and_the_kernel_on_a_gpu(device):
    tensors = [tensor.to(device) for tensor in inputs(3, 20, 8)]
    expected = (launch if device.type == "cuda" else reference)(*tensors)
    assert all(map(torch.equal, head_stats(*tensors), expected))


@pytest.mark.parametrize(
    ("place", "change", "says"),
    (
        (0, lambda hidden: hidden.unsqueeze(0), r"hidden must have the shape \[any, any\], not \[1, 3, 8\]"),
        (0, torch.Tensor.long, "hidden must be float32 or float16 or bfloat16, not int64"),
        (1, lambda table: table[:, :7], r"table must have the shape \[any, 8\], not \[20, 7\]"),
        (1, torch.Tensor.bfloat16, "table must be float32, not bfloat16"),
        (1, lambda table: table.T.contiguous().T, r"table's last axis must be dense \(stride 1\), not stride 20"),
        (1, lambda table: table.to("meta"), "table must be on cpu like the first argument, not on meta"),
        (2, torch.Tensor.int, "forbidden must be bool, not int32"),
        (2, lambda forbidden: forbidden[1:], r"forbidden must have the shape \[20\], not \[19\]"),
    ),
)
def test_wrong_arguments_are_named(place, change, says):
    tensors = list(inputs(3, 20, 8))
    tensors[place] = change(tensors[place])
    with pytest.raises(ValueError, match=says):
        head_stats(*tensors)
