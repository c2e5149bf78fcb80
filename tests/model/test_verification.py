import dataclasses
import math

import numpy as np
import pytest
import torch
from quicksilver.fim.budget import Budget
from quicksilver.model.decoding.denoise import denoise
from quicksilver.model.decoding.policies import threshold
from quicksilver.model.decoding.verification import Verified, opening, predict_verified, verify
from quicksilver.model.requests import tree_of
from quicksilver.model.runners.batching import ModelRunner, run_branches
from quicksilver.model.runners.drive import drive
from quicksilver.model.tokenizers.canvas_tokens import CanvasTokens
from tiny import assert_near, tiny_denoiser

MODEL = tiny_denoiser()
V = MODEL.config.vocab_size
TOKENS = CanvasTokens(
    mask=5,
    end=6,
    forbidden=np.arange(V) == 5,
    stops=(np.arange(V) == 6) | (np.arange(V) == 9),
    may_end_before=np.arange(V) != 9,
)


def ids(seed: int, *shape: int) -> torch.Tensor:
    return torch.randint(10, V, shape, generator=torch.Generator().manual_seed(seed))


def context(n: int = 20):
    return MODEL.context(ids(0, 1, n))


def scores(states, candidates, tokens):
    return drive(ModelRunner(MODEL), verify(states, candidates, tokens))


@torch.inference_mode()
def test_a_continuation_scores_as_if_it_were_context():
    _, states = context()
    rows = ids(1, 4, 6)
    rows[1, 2] = rows[1, 5]  # its own tokens may be copied too
    rows[2, 1] = rows[2, 5]
    rows[3, :3] = rows[2, :3]  # what two begin with stands in the tree once
    tree, paths = tree_of(11, rows.tolist(), states)
    assert len(tree.tokens) == 1 + 24 - 3
    (got,) = run_branches(MODEL, [tree])
    for row, path in zip(rows, paths, strict=True):
        for i, node in enumerate(path):
            followed = torch.cat((states.tokens, torch.tensor([[11]]), row[None, :i]), dim=1)
            hidden, grown = MODEL.context(followed)
            assert_near(got[node], MODEL.log_probs(hidden[:, -1:], grown)[0, 0])


@torch.inference_mode()
def test_a_middle_mark_does_not_break_matches():
    """The text goes on behind the mark: what matched before it still matches, as if the mark were not there."""
    model = tiny_denoiser(marks_middle=True)
    text = [20, 21, 22, 23, 24, 25, 20, 21, 22]
    _, states = model.context(torch.tensor([text]))
    row = torch.tensor([[model.config.middle, 23, 24]])
    tokens = torch.cat((states.tokens, row), dim=1)
    matches = model.copy_head.matches_after(tokens, 3)
    assert matches is not None
    assert matches.classes[0, :, 2].tolist() == [3, 0, 0]
    assert matches.classes[0, 1, 3] == 4
    assert matches.classes[0, 2, 4] == 5
    tree, _ = tree_of(int(row[0, 0]), [row[0, 1:].tolist()], states)
    (got,) = run_branches(model, [tree])
    for i in range(3):
        hidden, grown = model.context(tokens[:, : len(text) + 1 + i])
        assert_near(got[i], model.log_probs(hidden[:, -1:], grown)[0, 0])


@torch.inference_mode()
def test_the_middle_mark_stands_before_every_candidate():
    _, states = context()
    marked = dataclasses.replace(TOKENS, middle=7)
    candidate = ids(4, 5).tolist()
    (verified,) = scores(states, [candidate], marked)
    grown = torch.cat((states.tokens, torch.tensor([[7, *candidate]])), dim=1)
    (plain,) = scores(MODEL.context(grown[:, : states.n_tokens + 1])[1], [candidate], TOKENS)
    assert_near(verified.log_probs, plain.log_probs)
    assert_near(verified.end_log_probs, plain.end_log_probs)


@torch.inference_mode()
def test_padding_and_siblings_do_not_matter():
    _, states = context()
    candidates = [ids(2, 7).tolist(), ids(3, 3).tolist(), []]
    together = scores(states, candidates, TOKENS)
    for candidate, verified in zip(candidates, together, strict=True):
        (alone,) = scores(states, [candidate], TOKENS)
        assert_near(verified.log_probs, alone.log_probs)
        assert_near(verified.end_log_probs, alone.end_log_probs)
        assert (verified.best == alone.best).all()
        assert len(verified.end_log_probs) == len(candidate) + 1


@torch.inference_mode()
def test_first_tokens_and_ends_are_one_distribution():
    _, states = context()
    allowed = [i for i in range(V) if i not in (5, 6, 9)]
    firsts = scores(states, [[i] for i in allowed], TOKENS)
    total = sum(math.exp(v.log_probs[0]) for v in firsts) + math.exp(firsts[0].end_log_probs[0])
    before, first = opening(states, TOKENS)
    masked = run_branches(MODEL, [tree_of(first, [[]], before)[0]])[0][0, 5].exp()
    assert total == pytest.approx(1 - float(masked), abs=1e-4)


@torch.inference_mode()
@pytest.mark.parametrize("seed", range(12))
def test_verified_decoding_is_what_the_causal_head_writes(seed):
    model = tiny_denoiser(seed=seed)
    _, states = model.context(ids(seed, 1, 12))
    canvas = np.full((1, 8), TOKENS.mask)
    tokens = dataclasses.replace(TOKENS, may_end_before=np.zeros(V, np.bool_))
    work = denoise(states, canvas, tokens, threshold(1e-6), Budget(), predict=predict_verified)
    result = drive(ModelRunner(model), work)
    grown = states.tokens
    for i in range(8):
        hidden, all_states = model.context(grown)
        log_probs = TOKENS.allowed(model.log_probs(hidden[:, -1:], all_states)[0, 0].numpy())
        token = int(log_probs.argmax())
        assert result.canvas[0, i] == token
        assert float(result.log_probs[0, i]) == pytest.approx(float(log_probs[token]), abs=1e-4)
        if TOKENS.stops[token]:
            assert (result.canvas[0, i + 1 :] == TOKENS.end).all()
            break
        grown = torch.cat((grown, torch.tensor([[token]])), dim=1)
    assert result.steps % 2 == 0


def test_nothing_to_verify():
    _, states = context()
    with pytest.raises(ValueError, match="candidate"):
        scores(states, [], TOKENS)


def test_the_likeliest_ends_are_those_of_text_and_end_together():
    log_probs = np.log([0.9, 0.8, 0.1, 0.9])
    ends = np.log([0.9, 0.01, 0.3, 0.2, 0.05])
    verified = Verified([1, 2, 3, 4], log_probs, ends, np.array([1, 2, 3, 4, 5]))
    # ending after 1: .9 * .01, after 2: .72 * .3, after 3: .072 * .2, after all four: .0648 * .05
    assert verified.likelier_ends(9, TOKENS) == [2, 3, 1]
    assert verified.likelier_ends(1, TOKENS) == [2]
    assert verified.likelier_ends(9, dataclasses.replace(TOKENS, may_end_before=np.arange(V) == 4)) == [3]
    assert verified.likelier_ends(9, dataclasses.replace(TOKENS, end_rule="median")) == []
    part = verified.upto(2)
    assert part.log_prob == pytest.approx(float(log_probs[:2].sum() + ends[2]))
    assert (part.tokens, len(part.end_log_probs), len(part.best)) == ([1, 2], 3, 3)


def test_a_text_that_should_not_end_earlier_has_no_other_ends():
    verified = Verified([1, 2], np.zeros(2), np.log([1e-6, 1e-6, 0.9]), np.zeros(3))
    assert verified.likelier_ends(3, TOKENS) == []
