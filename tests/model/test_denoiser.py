"""The exactness that the engine is built on: cached = uncached, incremental = fresh, batched = single."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from quicksilver.model.config import DenoiserConfig
from quicksilver.model.network.denoiser import Denoiser
from tiny import assert_near, tiny_config, tiny_denoiser

MODEL = tiny_denoiser()


def tokens(seed: int, *shape: int) -> torch.Tensor:
    return torch.randint(0, 330, shape, generator=torch.Generator().manual_seed(seed))


@settings(deadline=None, max_examples=25)
@given(st.lists(st.integers(1, 9), min_size=2, max_size=5), st.integers(0, 99))
def test_incremental_context_equals_fresh(lengths, seed):
    whole = tokens(seed, 1, sum(lengths))
    with torch.inference_mode():
        hidden, fresh = MODEL.context(whole)
        states, parts = None, []
        for part in whole.split(lengths, dim=1):
            one, states = MODEL.context(part, states)
            parts.append(one)
    assert_near(torch.cat(parts, dim=1), hidden)
    assert states is not None
    for a, b in zip(states.layers, fresh.layers, strict=True):
        assert_near(a.keys, b.keys)
        assert_near(a.values, b.values)
        assert_near(a.raw, b.raw)
    assert_near(states.copy_keys, fresh.copy_keys)


def test_context_is_causal():
    a, b = tokens(1, 1, 20), tokens(1, 1, 20)
    b[0, 12:] = tokens(2, 8)
    with torch.inference_mode():
        assert_near(MODEL.context(a)[0][:, :12], MODEL.context(b)[0][:, :12])


def test_a_canvas_in_the_middle_equals_one_at_the_end():
    """Training lays many canvases over one context; decoding has one at its end. Both must see the same."""
    whole, canvases = tokens(3, 2, 24), tokens(4, 2, 3, 8)
    anchors = torch.tensor([[5, 11, 23], [3, 3, 20]])
    with torch.inference_mode():
        _, states = MODEL.context(whole)
        together = MODEL.canvas(canvases, states, anchors)
        for b in range(2):
            for m in range(3):
                _, short = MODEL.context(whole[b : b + 1, : anchors[b, m] + 1])
                alone = MODEL.canvas(canvases[b : b + 1, m : m + 1], short)
                assert_near(alone[0, 0], together[b, m])


def test_canvas_tokens_see_each_other_both_ways():
    _, states = MODEL.context(tokens(5, 1, 10))
    canvas = tokens(6, 1, 1, 8)
    first, last = canvas.clone(), canvas.clone()
    first[..., 0], last[..., 7] = 1, 1
    base = MODEL.canvas(canvas, states)
    assert (MODEL.canvas(first, states)[0, 0, 7] - base[0, 0, 7]).abs().max() > 1e-4
    assert (MODEL.canvas(last, states)[0, 0, 0] - base[0, 0, 0]).abs().max() > 1e-4


def test_one_context_serves_many_canvases():
    _, states = MODEL.context(tokens(7, 1, 12))
    canvases = tokens(8, 5, 1, 8)
    together = MODEL.canvas(canvases, states)
    alone = torch.cat([MODEL.canvas(c.unsqueeze(0), states) for c in canvases])
    assert_near(together, alone)


def test_log_probs_are_a_distribution_and_copying_moves_it():
    whole = tokens(9, 1, 16)
    _, states = MODEL.context(whole)
    canvas = tokens(10, 1, 8)
    hidden = MODEL.canvas(canvas.unsqueeze(1), states).squeeze(1)
    log_probs = MODEL.log_probs(hidden, states, canvas)
    torch.testing.assert_close(log_probs.exp().sum(-1), torch.ones(1, 8), rtol=1e-4, atol=1e-4)
    plain = MODEL.vocabulary_logits(hidden).float().log_softmax(-1)
    follower = whole[0, 1:]
    gained = (log_probs - plain)[0, :, follower].amax(dim=-1)
    absent = [i for i in range(330) if i not in set(follower.tolist())]
    assert (gained > 0).all()
    assert ((log_probs - plain)[0][:, absent] < 0).all()


def test_a_context_of_one_token_has_nothing_to_copy():
    _, states = MODEL.context(tokens(11, 1, 1))
    canvas = tokens(12, 1, 4)
    log_probs = MODEL.log_probs(MODEL.canvas(canvas.unsqueeze(1), states).squeeze(1), states, canvas)
    assert torch.isfinite(log_probs).all()


@pytest.mark.parametrize(
    "change",
    [
        {"width": 0},
        {"n_kv_heads": 3},
        {"head_size": 7},
        {"n_layers": -1},
        {"width": 256.5},
        {"width": 10**12},
        {"n_layers": True},
        {"rope_theta": float("inf")},
        {"rope_theta": "1e4"},
    ],
)
def test_impossible_shapes_are_refused(change):
    good = {f: getattr(tiny_config(330), f) for f in tiny_config(330).__dataclass_fields__}
    with pytest.raises(ValueError):
        DenoiserConfig(**(good | change))


def test_initial_loss_is_that_of_guessing():
    torch.manual_seed(0)
    model = Denoiser(tiny_config(330))
    whole = tokens(13, 1, 30)
    hidden, states = model.context(whole)
    log_probs = model.log_probs(hidden[:, -1:], states)
    assert abs(float(log_probs.mean().detach()) + torch.log(torch.tensor(330.0))) < 0.5
