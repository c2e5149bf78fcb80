"""The GPU's way to compute the loss against the plain one."""

from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.attention.flex_attention as flex
from quicksilver.model.network.transformer import branch_mask
from quicksilver.training.corpus.corpus import CorpusDocument
from quicksilver.training.data.samples import SampleConfig, SampleStream
from quicksilver.training.run.gpu_loss import FlexMasks, Way, compile_passes, first_that_works, flex_blocks, ways
from quicksilver.training.run.loss import AS_WRITTEN, Passes, combined_loss
from tiny import TEXTS, tiny_denoiser, tiny_tokenizer

pytestmark = pytest.mark.slow

TOKENIZER = tiny_tokenizer()
CPU = torch.device("cpu")
STREAM = SampleStream([CorpusDocument("p", "a.py", (TEXTS[0] + TEXTS[1]) * 9)], TOKENIZER, SampleConfig(n_canvas=24))


@pytest.fixture
def eager_flex(monkeypatch):
    """FlexAttention's own dense form, with gradients; outside a GPU it is refused, though it works."""
    monkeypatch.setattr(flex, "_validate_device", lambda *tensors: None, raising=False)
    monkeypatch.setattr(flex, "_FLEX_ATTENTION_DISABLE_COMPILE_DEBUG", True, raising=False)


def losses_and_gradients(model, passes, device=CPU, seed=0, n_context=160):
    """n_context and canvases (6 x 24) fill more than one block of 128, and none of them evenly."""
    stream = replace(STREAM, config=replace(STREAM.config, n_context=n_context))
    model.zero_grad()
    losses = combined_loss(model, stream.batch(np.random.default_rng(seed), 2), device, 0.5, passes)
    losses.total.backward()
    gradients = {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}
    return losses, gradients


def assert_same(one, other, tolerance):
    for name in ("next_token", "canvas", "total"):
        a, b = (float(getattr(losses, name).detach()) for losses in (one[0], other[0]))
        assert a == pytest.approx(b, rel=tolerance), name
    for name, gradient in one[1].items():
        difference = (gradient - other[1][name].to(gradient.device)).norm() / gradient.norm()
        assert difference < 20 * tolerance, (name, float(difference))


def test_flex_attention_gives_the_plain_losses_and_gradients(eager_flex):
    model = tiny_denoiser(TOKENIZER.vocab_size)
    plain = losses_and_gradients(model, AS_WRITTEN)
    flexible = losses_and_gradients(model, Passes(blocks=flex_blocks(), n_rows=50))
    assert_same(plain, flexible, 1e-5)


def test_compiling_changes_nothing_and_happens_once_a_shape(eager_flex):
    """Traced and differentiated as on a GPU, but run by plain kernels: no graph break, no code for every batch."""
    n_graphs = []

    def traced(function, dynamic):
        def backend(graph, inputs):
            n_graphs.append(function.__name__)
            return torch._dynamo.lookup_backend("aot_eager")(graph, inputs)

        return torch.compile(function, dynamic=dynamic, fullgraph=True, backend=backend)

    model = tiny_denoiser(TOKENIZER.vocab_size)
    passes = compile_passes(flex_blocks(), traced)
    assert_same(losses_and_gradients(model, AS_WRITTEN), losses_and_gradients(model, passes), 1e-5)
    first = list(n_graphs)
    assert_same(losses_and_gradients(model, AS_WRITTEN, seed=1), losses_and_gradients(model, passes, seed=1), 1e-5)
    assert n_graphs == first
    assert first.count("context") == first.count("branch") == 1  # all layers share it


def test_block_masks_are_the_plain_masks():
    anchors = torch.tensor([[5, 129, 0], [131, 64, 127]])
    is_causal = torch.tensor([[False, True, False], [True, False, True]])
    plain = branch_mask(anchors, is_causal, 132, 24)
    assert isinstance(plain, torch.Tensor)
    block = FlexMasks().branch(anchors, is_causal, 132, 24).mask
    b, q, k = (torch.arange(n) for n in (2, 72, 132 + 72))
    sees = block.mask_mod(b.view(-1, 1, 1), torch.tensor(0), q.view(1, -1, 1), k.view(1, 1, -1))
    assert torch.equal(sees, plain.squeeze(1))
    causal = FlexMasks().context(200, CPU).mask
    i = torch.arange(200)
    seen = causal.mask_mod(torch.tensor(0), torch.tensor(0), i.view(-1, 1), i.view(1, -1))
    assert torch.equal(seen, torch.ones(200, 200).tril().bool())


def test_the_first_way_that_works_is_taken():
    said = []

    def trial(passes):
        if passes.n_rows == 1:
            raise RuntimeError("no\ntriton")

    broken, good, last = (Way(str(n), Passes(n_rows=n)) for n in (1, 2, 3))
    assert first_that_works((broken, good, last), trial, said.append) is good
    assert said == ["1: does not work here (RuntimeError: no triton)"]
    assert first_that_works((broken, last), trial, said.append) is last

    def exhausted(passes):
        raise torch.OutOfMemoryError("CUDA out of memory")

    with pytest.raises(torch.OutOfMemoryError):
        first_that_works((good, last), exhausted, said.append)
    assert [way.passes for way in ways(CPU)] == [AS_WRITTEN]


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("number", range(4))
def test_a_gpu_gives_the_same_as_a_cpu(number):
    """float32 on both sides; heads of 64, as FlexAttention's kernels want them."""
    from quicksilver.model.config import DenoiserConfig
    from quicksilver.model.network.denoiser import Denoiser

    torch.manual_seed(0)
    shape = DenoiserConfig(
        vocab_size=TOKENIZER.vocab_size, n_layers=2, width=128, n_heads=4, n_kv_heads=2, head_size=64, ffn_width=256,
        copy_size=64, n_context=256, n_canvas=24, copies_matches=True,
    )  # fmt: skip
    model = Denoiser(shape)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.05)
    on_cpu = losses_and_gradients(model, AS_WRITTEN)
    gpu = torch.device("cuda")
    on_gpu = losses_and_gradients(model.to(gpu), ways(gpu)[number].passes, gpu)
    on_gpu = (on_gpu[0], {name: gradient.cpu() for name, gradient in on_gpu[1].items()})
    assert_same(on_cpu, on_gpu, 1e-3)
