"""The mixed head against all probabilities in float64, and against the denoiser's own."""

from typing import Any

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from quicksilver.kernels.mixture_head import Best, launch, mixture_head, reference
from quicksilver.model.network.matches import context_matches
from tiny import assert_near, tiny_denoiser

DTYPES = (torch.float32, torch.float16, torch.bfloat16)


def inputs(n_batch, rows_each, n_ids, width, n_followers, dtype=torch.float32) -> Any:
    """Followers from few ids, so that most come up again and again; gates from hardly any copying to nothing else."""
    torch.manual_seed(n_ids)
    n_rows = n_batch * rows_each
    hidden, table = torch.randn(n_rows, width).to(dtype), torch.randn(n_ids, width).to(dtype)
    forbidden = torch.rand(n_ids) < 0.3
    weights = (3 * torch.randn(n_rows, n_followers)).softmax(dim=-1)
    followers = torch.randint(0, max(1, n_ids // 3), (n_batch, n_followers))
    followers[:, ::5] = torch.randint(0, n_ids, followers[:, ::5].shape)
    return [hidden, table, forbidden, weights, followers, torch.linspace(-20, 20, n_rows)]


def exactly(hidden, table, forbidden, weights, followers, gate):
    """Log-probabilities [N, V] of the allowed ids, in float64."""
    rows = followers.repeat_interleave(len(hidden) // len(followers), dim=0)
    probs = F.linear(hidden.double(), table.double()).softmax(dim=-1)
    g = gate.double().sigmoid().unsqueeze(-1)
    copied = torch.zeros_like(probs).scatter_add(-1, rows, weights.double())
    return ((1 - g) * probs + g * copied).log().masked_fill(forbidden, float("-inf"))


def check(device, assert_as_exact, tensors):
    on_device = [tensor.to(device) for tensor in tensors]
    kernel, plain, exact = launch(*on_device), reference(*on_device), exactly(*tensors)

    def own(best: Best):
        return exact.gather(1, best.tokens.cpu().unsqueeze(1)).squeeze(1)

    assert kernel.tokens.dtype == torch.int64
    assert_as_exact(own(kernel).float(), own(plain).float(), exact.amax(dim=-1))  # no token is worse than it must be
    assert_as_exact(kernel.log_probs, plain.log_probs, own(kernel))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", ((1, 1, 7, 8, 1), (2, 17, 150, 70, 40), (3, 5, 300, 24, 101)))
def test_every_dtype(device, assert_as_exact, shape, dtype):
    check(device, assert_as_exact, inputs(*shape, dtype=dtype))


def test_more_than_one_block_of_everything(device, assert_as_exact):
    check(device, assert_as_exact, inputs(1, 66, 40, 8, 1030))


def test_a_row_with_nothing_to_copy_and_strided_rows(device, assert_as_exact):
    hidden, table, forbidden, weights, followers, gate = inputs(2, 3, 50, 16, 20)
    weights[1] = 0
    strided = [tensor.repeat(1, 2)[:, : tensor.shape[1]] for tensor in (hidden, table, weights, followers)]
    check(device, assert_as_exact, [*strided[:2], forbidden, *strided[2:], gate])


def whole_numbers(n_ids=60, n_followers=90):
    """Inputs whose logits are exact, and often equal, in whatever order they are added up."""
    torch.manual_seed(1)
    hidden, table = torch.randint(-1, 2, (6, 4)).float(), torch.randint(-1, 2, (n_ids, 4)).float()
    weights = torch.randint(0, 3, (6, n_followers)) / 256
    followers = torch.randint(0, n_ids, (2, n_followers))
    return [hidden, table, torch.rand(n_ids) < 0.3, weights, followers, torch.linspace(-3, 3, 6)]


def test_the_order_of_followers_does_not_matter_to_the_last_bit(device):
    hidden, table, forbidden, weights, followers, gate = (tensor.to(device) for tensor in whole_numbers())
    order = torch.randperm(followers.shape[1], device=device)
    one = launch(hidden, table, forbidden, weights.sqrt(), followers, gate)
    other = launch(hidden, table, forbidden, weights.sqrt()[:, order], followers[:, order], gate)
    assert all(map(torch.equal, one, other))


def test_the_lowest_of_equals_wins(device):
    """Nothing is copied, so that the ties of the logits are ties of the mixture, between followers and others."""
    tensors = whole_numbers()
    tensors[3].zero_()
    exact = exactly(*tensors)
    first = (exact >= exact.amax(dim=-1, keepdim=True) - 1e-9).int().argmax(dim=-1)
    assert torch.equal(launch(*(tensor.to(device) for tensor in tensors)).tokens.cpu(), first)


def test_without_followers_the_gate_plays_no_part(device):
    tensors = inputs(2, 2, 30, 8, 0)
    kernel, plain = launch(*(tensor.to(device) for tensor in tensors)), reference(*tensors)
    assert torch.equal(kernel.tokens.cpu(), plain.tokens)
    torch.testing.assert_close(kernel.log_probs.cpu(), plain.log_probs)


def test_followers_outside_the_vocabulary_are_passed_over(device, assert_as_exact):
    tensors = inputs(1, 4, 30, 8, 12)
    on_device = [tensor.to(device) for tensor in tensors]
    expected = launch(*on_device)
    on_device[3] = torch.cat((on_device[3], on_device[3]), dim=1)
    on_device[4] = torch.cat((on_device[4], on_device[4] * 0 + torch.tensor([-1, 30] * 6, device=device)), dim=1)
    assert all(map(torch.equal, launch(*on_device), expected))


@torch.no_grad()
def test_it_is_what_the_denoiser_predicts(device):
    model = tiny_denoiser()
    n_ids = model.config.vocab_size
    states = model.context(torch.randint(0, 20, (2, 30)))[1]
    canvas = torch.randint(0, 20, (2, 8))
    forbidden = torch.rand(n_ids) < 0.5
    hidden = model.canvas(canvas.unsqueeze(1), states).squeeze(1)
    expected = model.log_probs(hidden, states, canvas).masked_fill(forbidden, float("-inf")).max(dim=-1)

    before = context_matches(states.tokens, 1, model.config.middle)
    matches = model.copy_head.matches_in(canvas.unsqueeze(1), states.tokens, before)
    weights, gate = model.copy_head(hidden, states.copy_keys[:, :-1], torch.ones((), dtype=torch.bool), matches)
    tensors = [
        hidden.flatten(0, 1), model.embedding.weight, forbidden, weights.exp().flatten(0, 1), states.tokens[:, 1:],
        gate.flatten(),
    ]  # fmt: skip
    for best in (reference(*tensors), launch(*(tensor.to(device) for tensor in tensors))):
        assert torch.equal(best.tokens.cpu().view(2, 8), expected.indices)
        assert_near(best.log_probs.cpu().view(2, 8), expected.values)


def test_the_wrapper_computes_the_reference_here_and_the_kernel_on_a_gpu(device):
    tensors = [tensor.to(device) for tensor in inputs(2, 3, 20, 8, 9)]
    expected = (launch if device.type == "cuda" else reference)(*tensors)
    assert all(map(torch.equal, mixture_head(*tensors), expected))


@pytest.mark.parametrize(
    ("place", "change", "says"),
    (
        (0, torch.Tensor.double, "hidden must be float32 or float16 or bfloat16, not float64"),
        (1, lambda table: table[:, 1:], r"table must have the shape \[any, 8\], not \[20, 7\]"),
        (2, torch.Tensor.float, "forbidden must be bool, not float32"),
        (3, torch.Tensor.half, "weights must be float32, not float16"),
        (3, lambda weights: weights[1:], r"weights must have the shape \[6, any\], not \[5, 9\]"),
        (4, torch.Tensor.int, "followers must be int64, not int32"),
        (4, lambda followers: followers[:, 1:], r"followers must have the shape \[any, 9\], not \[2, 8\]"),
        (4, lambda f: f.repeat(2, 1), "hidden's 6 rows cannot be shared by followers' 4 evenly"),
        (4, lambda followers: followers.T.contiguous().T, "followers's last axis must be dense"),
        (5, lambda gate: gate.to("meta"), "gate must be on cpu like the first argument, not on meta"),
    ),
)
def test_wrong_arguments_are_named(place, change, says):
    tensors = inputs(2, 3, 20, 8, 9)
    tensors[place] = change(tensors[place])
    with pytest.raises(ValueError, match=says):
        mixture_head(*tensors)
