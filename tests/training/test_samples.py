import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from quicksilver.model.special_tokens import Special
from quicksilver.training.corpus.corpus import CorpusDocument
from quicksilver.training.data.holes import block_end, cut
from quicksilver.training.data.samples import IGNORE, SampleConfig, SampleStream, draw_mask
from tiny import TEXTS, tiny_tokenizer

TOKENIZER = tiny_tokenizer()
TEXT = (TEXTS[0] + TEXTS[1]) * 12
CONFIG = SampleConfig(n_context=96, n_canvas=8)
STREAM = SampleStream([CorpusDocument("p", "p/a.py", TEXT)], TOKENIZER, CONFIG)
NO_DRAFTS = SampleStream(STREAM.documents, TOKENIZER, SampleConfig(n_context=96, n_canvas=8, draft_share=0.0))
END, MASK, MIDDLE, PAD = (TOKENIZER.special(s) for s in (Special.EOM, Special.MASK, Special.MIDDLE, Special.PAD))


def batch(seed, size=4, stream=STREAM):
    return stream.batch(np.random.default_rng(seed), size)


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 10_000))
def test_shapes_and_targets(seed):
    b = batch(seed)
    assert b.tokens.shape == b.targets.shape == (4, 96)
    assert b.canvases.shape == b.canvas_targets.shape == b.weights.shape == (4, 9, 8)
    assert b.is_causal.tolist() == 4 * [6 * [False] + 3 * [True]]
    known = b.targets[:, :-1] != IGNORE
    assert (b.targets[:, :-1][known] == b.tokens[:, 1:][known]).all()
    assert ((b.anchors >= 1) & (b.anchors < 96)).all()


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 10_000))
@example(525)  # the hole's last token is the last of the context: the end token did not fit
def test_canvases_continue_the_context_at_their_anchor(seed):
    """Near the hole the text is the same, though its tokens may be others."""
    b = batch(seed)
    for row in range(4):
        for canvas in range(b.canvases.shape[1]):
            anchor, target = b.anchors[row, canvas], b.canvas_targets[row, canvas]
            text = b.tokens[row][b.tokens[row] != MIDDLE]  # the mark stands in the context, not in canvases
            following = text[anchor + 1 :]
            ends = np.flatnonzero(target == END)
            n_asked = np.flatnonzero(b.weights[row, canvas] > 0).max(initial=-1) + 1
            asked = TOKENIZER.decode(target[: min([n_asked, *ends])].tolist())
            known = TOKENIZER.decode(following[(following != PAD) & (following != END)].tolist())
            assert known.startswith(asked) or asked.startswith(known)
            if b.weights[row, canvas][ends].any():
                assert asked == known
                assert END in following or PAD not in b.tokens[row]  # a full context may end just before it
            assert not len(ends) or (target[ends[0] :] == END).all()


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 10_000))
def test_continuations_begin_near_the_hole_and_are_asked_for_up_to_their_end(seed):
    b = batch(seed)
    for row in range(4):
        for m in np.flatnonzero(b.is_causal[row]):
            canvas, target, weights = b.canvases[row, m], b.canvas_targets[row, m], b.weights[row, m]
            assert canvas[0] == MIDDLE
            assert (canvas[1:] == target[:-1]).all()
            assert 0 <= b.anchors[row, 0] - b.anchors[row, m] <= CONFIG.n_canvas
            n_asked = int((weights > 0).sum())
            assert (weights[:n_asked] == CONFIG.middle_weight).all()
            assert END not in target[: n_asked - 1]
            if END in b.tokens[row]:
                assert n_asked == len(target) or target[n_asked - 1] == END


def test_most_continuations_see_an_end():
    b = batch(3, 200, SampleStream(STREAM.documents, TOKENIZER, SampleConfig(n_context=200, n_canvas=24)))
    asked_ends = (b.canvas_targets == END) & (b.weights > 0) & b.is_causal[..., None]
    assert asked_ends.any(-1)[b.is_causal].mean() > 0.3


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 10_000))
def test_weights_ask_for_masked_and_falsified_positions_only(seed):
    b = batch(seed, stream=NO_DRAFTS)
    b.weights[b.is_causal] = 0  # they are asked for in full
    known = (b.tokens == END).any(-1)[:, None, None]  # where the hole ends, whole canvases are known
    assert (b.weights[(b.canvases == MASK) & known & ~b.is_causal[..., None]] > 0).all()
    revealed = (b.canvases == b.canvas_targets) & (b.canvases != MASK)
    asked_though_right = revealed & (b.weights > 0)
    assert asked_though_right.mean() < 0.01  # a falsified token may happen to be the right one
    ends = b.canvas_targets == END
    first = ends & (ends.cumsum(-1) == 1) & ~b.is_causal[..., None]
    assert set(b.weights[first].tolist()) <= {0.0, 1.0}
    others = np.where(ends & ~first & ~b.is_causal[..., None], b.weights, 0)
    assert np.allclose(others.sum(-1)[others.any(-1)], 1.0, atol=1e-5)


def test_the_hole_ends_with_an_end_token_that_the_context_carries_too():
    b = batch(0, 32)
    rows_with_end = (b.targets == END).any(-1).mean()
    assert rows_with_end > 0.6  # the others are longer than a quarter of this small context


def test_where_the_cursor_stands_says_nothing_about_the_middle():
    """In long documents the context is full; were its room what the middle leaves, its end would tell the length."""
    b = batch(1, 1200)
    ends = [(row.tolist().index(END) if END in row else None) for row in b.targets]
    anchors = b.anchors[:, 0]
    short = [a for a, e in zip(anchors, ends, strict=True) if e is not None and e - a <= 3]
    long = [a for a, e in zip(anchors, ends, strict=True) if e is not None and e - a >= 8]
    assert min(len(short), len(long)) > 60
    assert abs(np.mean(short) - np.mean(long)) < 3.5


def test_drafts_are_canvases_that_ask_for_everything_known():
    stream = SampleStream(STREAM.documents, TOKENIZER, SampleConfig(n_context=96, n_canvas=8, draft_share=1.0))
    b = batch(2, 64, stream)
    drafted = b.canvases[:, 1]
    plain = batch(2, 64, NO_DRAFTS).canvases[:, 1]
    assert (drafted != plain).any(-1).mean() > 0.8
    asked = b.weights[:, 1] > 0
    kept = asked & (drafted == b.canvas_targets[:, 1])
    changed = asked & (drafted != b.canvas_targets[:, 1]) & (drafted != MASK)
    assert kept.sum() > 50
    assert changed.sum() > 20


def test_the_middle_is_marked_and_weighs_more_and_the_cursors_place_is_not_asked_for():
    b = batch(4, 16)
    for row in range(16):
        anchor = b.anchors[row, 0]
        assert b.tokens[row, anchor + 1] == MIDDLE
        assert (b.tokens[row] == MIDDLE).sum() == 1
        assert b.targets[row, anchor] == IGNORE
        asked = b.targets[row] != IGNORE
        assert ((b.target_weights[row] > 0) == asked).all()
        assert (b.target_weights[row, :anchor][asked[:anchor]] == 1).all()
        assert (b.target_weights[row, anchor + 1 :][asked[anchor + 1 :]] == CONFIG.middle_weight).all()


def test_same_generator_same_batch():
    for one, other in zip(vars(batch(5)).values(), vars(batch(5)).values(), strict=True):
        assert (one == other).all()


@settings(deadline=None, max_examples=200)
@given(st.integers(0, 100_000), st.sampled_from([TEXT, "x", "\n\n", "a:\n", "if x:\n    y", "é" * 50]))
def test_cuts_lie_in_the_text(seed, text):
    start, end = cut(np.random.default_rng(seed), text, CONFIG.hole_mix)
    assert 0 <= start <= end <= len(text)


def test_cuts_fall_inside_words():
    rng = np.random.default_rng(0)
    starts = [cut(rng, TEXT, (1, 0, 0, 0))[0] for _ in range(500)]
    inside = [0 < s < len(TEXT) and TEXT[s - 1].isalnum() and TEXT[s].isalnum() for s in starts]
    assert sum(inside) > 100


def test_block_end():
    text = "if x:\n    a\n\n    b\nc\n"
    assert text[: block_end(text, 6, 12)] == "if x:\n    a\n\n    b"


def test_masks_complement_each_other():
    rng = np.random.default_rng(3)
    for _ in range(200):
        first = draw_mask(rng, CONFIG, None)
        assert first.any()
        second = draw_mask(rng, CONFIG, first)
        assert second.any()
        assert first.all() or (second == ~first).all()


def test_a_mix_must_sum_to_one():
    with pytest.raises(ValueError, match="hole_mix"):
        SampleConfig(hole_mix=(1, 1, 1, 1))
