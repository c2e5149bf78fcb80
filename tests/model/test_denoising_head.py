"""The denoising head: who sees whom, and what shapes it refuses."""

from dataclasses import replace

import pytest
import torch
from quicksilver.model.network.denoising_head import DenoisingHead
from quicksilver.model.network.head_config import HeadConfig
from tiny_body import tiny_body

CONFIG = HeadConfig(
    width=24, n_layers=2, n_heads=4, n_kv_heads=2, head_size=6, ffn_width=32, n_words=10, n_canvas=5, n_window=16
)


@pytest.fixture(scope="module")
def head() -> DenoisingHead:
    torch.manual_seed(0)
    made = DenoisingHead(CONFIG, torch.arange(10) * 3)
    for parameter in made.parameters():
        torch.nn.init.normal_(parameter, std=0.4)
    return made.eval()


@pytest.fixture
def inputs() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    torch.manual_seed(1)
    is_mask = torch.rand(3, 5) < 0.6
    return torch.randn(12, 24), torch.randn(3, 5, 24), is_mask, torch.tensor([4, 7, 11])


@torch.no_grad()
def test_canvases_of_one_pass_are_those_of_three(head, inputs):
    features, embedded, is_mask, anchors = inputs
    together = head(*inputs)
    for i in range(3):
        alone = head(features[: anchors[i] + 1], embedded[i : i + 1], is_mask[i : i + 1], anchors[i : i + 1])
        assert torch.allclose(together[i], alone[0], atol=1e-5)


@torch.no_grad()
def test_a_place_sees_both_sides_and_a_hint_is_no_token(head, inputs):
    features, embedded, _, anchors = inputs
    is_mask = torch.tensor([[False, True, True, True, False]] * 3)
    before = head(features, embedded, is_mask, anchors)
    known = head(features, embedded, is_mask & (torch.arange(5) != 3), anchors)
    assert not torch.allclose(known[:, 2], before[:, 2], atol=1e-3)
    for place in (0, 1, 4):
        changed = embedded.clone()
        changed[:, place] += 1
        assert not torch.allclose(head(features, changed, is_mask, anchors)[:, 2], before[:, 2], atol=1e-3)


@torch.no_grad()
def test_logits_are_those_of_the_words(head):
    spoken = torch.randn(10, 24)
    logits = head.logits(torch.randn(2, 5, 24), spoken)
    assert logits.shape == (2, 5, 10) and logits.dtype == torch.float32


def test_a_new_head_begins_as_nothing_but_its_inputs():
    made = DenoisingHead(CONFIG, torch.arange(10))
    assert all(not bool(block.attention.out.weight.any()) for block in made.blocks)  # type: ignore[union-attr]


@pytest.mark.parametrize("change", [{"n_heads": 3}, {"head_size": 5}, {"width": 0}, {"n_canvas": 1.5}])
def test_a_shape_that_cannot_be_is_refused(change):
    with pytest.raises(ValueError, match=r"head|width|n_canvas"):
        replace(CONFIG, **change)


def test_another_number_of_words_is_refused():
    with pytest.raises(ValueError, match="10 words needs as many, not 9"):
        DenoisingHead(CONFIG, torch.arange(9))


@torch.no_grad()
def test_a_head_begins_as_the_bodys_own_next_token_where_there_is_no_hint():
    """Its states have been through its last norm, whose weight is among a head's."""
    body = tiny_body(seed=4)
    hidden, _ = body.context(torch.arange(9).unsqueeze(0))
    config = replace(CONFIG, width=48, head_size=12, n_words=body.config.vocab_size)
    made = DenoisingHead(config, torch.arange(config.n_words))
    made.start_as(body.norm.weight)
    is_mask = torch.tensor([[False, True, True, True, True]] * 3)
    anchors = torch.tensor([2, 5, 8])
    found = made(hidden[0], torch.randn(3, 5, 48) * ~is_mask.unsqueeze(-1), is_mask, anchors)
    wanted = body.vocabulary_logits(hidden[0, anchors]).argmax(dim=-1)
    said = made.logits(found, body.embedding.weight).argmax(dim=-1)
    assert torch.equal(said[:, 1:], wanted.unsqueeze(1).expand(3, 4))
