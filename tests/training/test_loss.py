import numpy as np
import pytest
import torch
from quicksilver.model.network.copy_head import Matches
from quicksilver.model.network.matches import context_matches
from quicksilver.training.corpus.corpus import CorpusDocument
from quicksilver.training.data.samples import IGNORE, SampleConfig, SampleStream
from quicksilver.training.run.loss import combined_loss, target_log_probs, vocabulary_scores
from tiny import TEXTS, tiny_denoiser, tiny_tokenizer

TOKENIZER = tiny_tokenizer()
MODEL = tiny_denoiser(TOKENIZER.vocab_size)
MARKING = tiny_denoiser(TOKENIZER.vocab_size, marks_middle=True)
UNTOLD = tiny_denoiser(TOKENIZER.vocab_size, copies_matches=False)
CPU = torch.device("cpu")


def batch(seed=0, size=2):
    config = SampleConfig(n_context=64, n_canvas=8)
    stream = SampleStream([CorpusDocument("p", "a.py", (TEXTS[0] + TEXTS[1]) * 6)], TOKENIZER, config)
    return stream.batch(np.random.default_rng(seed), size)


def test_target_log_probs_are_those_of_decoding():
    """What training optimises must be the very distribution that decoding reads."""
    tokens = torch.randint(0, 300, (1, 20), generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        _, states = MODEL.context(tokens)
        canvas = torch.randint(0, 300, (1, 8))
        hidden = MODEL.canvas(canvas.unsqueeze(1), states).squeeze(1)
        targets = torch.tensor([[int(tokens[0, 5]), 3, 299, int(tokens[0, 0]), 7, 8, 9, int(tokens[0, 19])]])
        expected = MODEL.log_probs(hidden, states, canvas).gather(-1, targets.unsqueeze(-1)).squeeze(-1)
        matches = MODEL.copy_head.matches_in(canvas.unsqueeze(1), tokens, context_matches(tokens, 1))
        may_copy = torch.ones((), dtype=torch.bool)
        got, _ = target_log_probs(MODEL, hidden, targets, states, may_copy, matches=matches)
    torch.testing.assert_close(got, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("model", [MODEL, MARKING, UNTOLD], ids=["plain", "middle marked", "without matches"])
def test_the_loss_equals_a_plain_reference(model):
    """One row and canvas at a time, every context run anew, full distributions: the same numbers."""
    b = batch()
    with torch.no_grad():
        losses = combined_loss(model, b, CPU)
        next_token, n_next, canvas_sum = 0.0, 0, 0.0
        for row in range(len(b.tokens)):
            tokens = torch.from_numpy(b.tokens[row : row + 1])
            for at in range(1, tokens.shape[1]):
                if b.targets[row, at] == IGNORE:
                    continue
                hidden, states = model.context(tokens[:, : at + 1])
                next_token -= float(model.log_probs(hidden[:, -1:], states)[0, 0, b.targets[row, at]])
                n_next += 1
            for m in np.flatnonzero(~b.is_causal[row]):
                _, states = model.context(tokens[:, : b.anchors[row, m] + 1])
                canvas = torch.from_numpy(b.canvases[row : row + 1, m : m + 1])
                log_probs = model.log_probs(model.canvas(canvas, states).squeeze(1), states, canvas[0])[0]
                chosen = log_probs.gather(-1, torch.from_numpy(b.canvas_targets[row, m]).unsqueeze(-1)).squeeze(-1)
                canvas_sum -= float((chosen * torch.from_numpy(b.weights[row, m])).sum())
    assert float(losses.next_token) == pytest.approx(next_token / n_next, rel=1e-3)
    assert float(losses.canvas) == pytest.approx(canvas_sum / b.weights[~b.is_causal].sum(), rel=1e-3)


@pytest.mark.parametrize(
    "model", [MARKING, tiny_denoiser(TOKENIZER.vocab_size, marks_middle=True, copies_matches=False)]
)
def test_continuations_are_what_the_causal_head_says_after_the_mark(model, monkeypatch):
    """Each one's context read anew, its tokens run as more context, copies from the context alone."""
    monkeypatch.setattr("quicksilver.training.run.loss.Z_LOSS", 0.0)
    b = batch(2, 3)
    b.target_weights[:] = 0
    total = 0.0
    with torch.no_grad():
        for row, m in zip(*np.nonzero(b.is_causal), strict=True):
            tokens = torch.from_numpy(b.tokens[row : row + 1, : b.anchors[row, m] + 1])
            continuation = torch.from_numpy(b.canvases[row, m : m + 1])
            _, states = model.context(tokens)
            hidden, _ = model.context(continuation, states)
            matches = model.copy_head.matches_after(torch.cat((tokens, continuation), dim=1), continuation.shape[1])
            matches = matches and Matches(matches.classes[..., : tokens.shape[1] - 1], None)
            may_copy = torch.ones((), dtype=torch.bool)
            log_probs = model.mixed_log_probs(hidden, states.copy_keys, tokens[:, 1:], may_copy, matches)[0]
            chosen = log_probs.gather(-1, torch.from_numpy(b.canvas_targets[row, m]).unsqueeze(-1)).squeeze(-1)
            total -= float((chosen * torch.from_numpy(b.weights[row, m])).sum())
        got = combined_loss(model, b, CPU, canvas_share=0.0).total
    assert float(got) == pytest.approx(total / b.weights[b.is_causal].sum(), rel=1e-3)


def test_sliced_scores_have_the_right_gradients(monkeypatch):
    monkeypatch.setattr("quicksilver.training.run.loss.N_ROWS", 3)
    hidden = torch.randn(1, 7, 48, requires_grad=True)
    targets = torch.randint(0, TOKENIZER.vocab_size, (1, 7))
    weight = torch.randn(2, 1, 7)

    def gradients(scores):
        MODEL.zero_grad()
        hidden.grad = None
        (scores[0] * weight[0] + scores[1] * weight[1]).sum().backward()
        assert hidden.grad is not None and MODEL.embedding.weight.grad is not None
        return hidden.grad.clone(), MODEL.embedding.weight.grad.clone()

    logits = MODEL.vocabulary_logits(hidden)
    plain = gradients((logits.gather(-1, targets.unsqueeze(-1)).squeeze(-1), logits.logsumexp(-1)))
    sliced = gradients(vocabulary_scores(MODEL, hidden, targets))
    for a, b in zip(plain, sliced, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-4)


def test_every_parameter_learns():
    MODEL.zero_grad()
    combined_loss(MODEL, batch(3), CPU).total.backward()
    for name, parameter in MODEL.named_parameters():
        assert parameter.grad is not None and torch.isfinite(parameter.grad).all(), name
        assert parameter.grad.abs().sum() > 0, name
