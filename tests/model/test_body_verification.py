"""What a body thinks of candidates: given what is healed, all texts together have at most all odds."""

import math
from collections.abc import Sequence
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import torch
from quicksilver.model.decoding.healing import Healing
from quicksilver.model.decoding.verification import Verified, opening, verify
from quicksilver.model.network.states import ContextStates
from quicksilver.model.numerics import log_softmax
from quicksilver.model.requests import ForwardReply, ForwardRequest, Tree, tree_of
from quicksilver.model.runners.batching import ModelRunner, run_branches
from quicksilver.model.runners.drive import drive
from quicksilver.model.tokenizers.canvas_tokens import CanvasTokens, canvas_tokens
from tiny_body import tiny_body, tiny_body_tokenizer

TOKENIZER = tiny_body_tokenizer()
BODY = tiny_body(std=0.3)
LINE, LINES = (canvas_tokens(TOKENIZER, multiline=multiline) for multiline in (False, True))


def id_of(text: str) -> int:
    """The one token that is text."""
    return next(i for i in TOKENIZER.text_ids if TOKENIZER.bytes_of(i) == text.encode())


@cache
def context() -> ContextStates:
    with torch.inference_mode():
        return BODY.context(torch.tensor([[TOKENIZER.marks.middle, *TOKENIZER.encode("for i in")]]))[1]


def scores(candidates: list[list[int]], healed: str, tokens: CanvasTokens) -> list[Verified]:
    return drive(ModelRunner(BODY), verify(context(), candidates, tokens, Healing(TOKENIZER, healed)))


@torch.inference_mode()
def after(tokens: list[int]) -> np.ndarray:
    """The model's own log-probabilities of what follows tokens behind the context."""
    before, first = opening(context(), LINE)
    tree, (path,) = tree_of(first, [tokens], before)
    return LINE.allowed(run_branches(BODY, [tree])[0].numpy())[path[-1]]


class Ending:
    """A runner that likes to end texts, and to say line breaks with what stands before them; at random otherwise."""

    def __init__(self) -> None:
        self.liked = LINE.stops | np.isin(np.arange(len(LINE.stops)), list(LINE.joined))

    def __call__(self, asks: Sequence[ForwardRequest]) -> list[ForwardReply]:
        return [self.log_probs(ask) for ask in asks if isinstance(ask, Tree)]

    def log_probs(self, ask: Tree) -> np.ndarray:
        paths: list[tuple[int, ...]] = []
        for token, parent in zip(ask.tokens, ask.parents, strict=True):
            paths.append((*(paths[parent] if parent >= 0 else ()), token))
        noise = [np.random.default_rng(abs(hash(path))).standard_normal(len(self.liked)) for path in paths]
        return log_softmax(np.stack(noise) + 4 * self.liked)


@pytest.mark.parametrize("healed", ["", " ", "(", "\n", "    ", "é", "ret", ")", "):", " x"])
@pytest.mark.parametrize("tokens", [LINE, LINES], ids=["line", "lines"])
def test_all_texts_together_have_at_most_all_odds(healed: str, tokens: CanvasTokens):
    """Every text of one or two tokens after what is healed, the empty one among them."""
    single = [i for i in TOKENIZER.text_ids if tokens is LINES or b"\n" not in TOKENIZER.bytes_of(i)]
    shown = [TOKENIZER.decode([i]) for i in single]
    firsts = [TOKENIZER.decode([i]) for i in LINE.joined] + shown[::40]
    texts = {"", *shown, *(first + second for first in firsts for second in shown[::3])}
    healing = Healing(TOKENIZER, healed)
    candidates = [healing.encode(text) for text in texts if "\ufffd" not in text]
    found = drive(Ending(), verify(context(), candidates, tokens, healing))
    assert all(float(each.log_probs.max()) <= 1e-5 for each in found if each.tokens)
    assert all(float(each.end_log_probs.max()) <= 1e-5 for each in found)
    total = sum(math.exp(each.log_prob) for each in found)
    assert 0 < total <= 1 + 1e-4


def test_a_colon_has_the_mass_of_a_colon_with_a_line_break():
    colon, joined = id_of(":"), [i for i in TOKENIZER.text_ids if TOKENIZER.bytes_of(i).startswith(b":\n")]
    x = TOKENIZER.encode(" x")
    assert joined
    (found,) = scores([[*x, colon]], "", LINE)
    behind_x, behind_colon = np.exp(after(x)), np.exp(after([*x, colon]))
    end = float(behind_colon[LINE.stop_ids].sum())
    expected = float(behind_x[colon]) * end + float(behind_x[joined].sum())
    whole = math.exp(float(found.log_prob) - float(found.log_probs[: len(x)].sum()))
    assert whole == pytest.approx(expected, rel=1e-3)
    assert math.exp(float(found.log_probs[-1])) == pytest.approx(float(behind_x[[colon, *joined]].sum()), rel=1e-3)


def test_what_follows_a_colon_has_the_share_of_the_colon_alone():
    """The text that goes on behind it does not have what the line break has."""
    colon, y = id_of(":"), id_of("y")
    (found,) = scores([[colon, y]], "", LINE)
    expected = float(after([])[colon] + after([colon])[y])
    assert float(found.log_probs.sum()) == pytest.approx(expected, rel=1e-3)


def test_text_of_several_tokens_joined_with_a_line_break():
    """`):` is two tokens here, and `):` with a line break one."""
    whole = id_of("):\n")
    said = LINE.before_break[whole]
    assert len(said) == 2
    (found,) = scores([list(said)], "", LINE)
    first, second = np.exp(after([])), np.exp(after([said[0]]))
    end = np.exp(after(list(said)))[LINE.stop_ids].sum()
    colons = [i for i in TOKENIZER.text_ids if TOKENIZER.bytes_of(i).startswith(b":\n")]
    expected = first[whole] + first[said[0]] * (second[said[1]] * end + second[colons].sum())
    assert math.exp(found.log_prob) == pytest.approx(float(expected), rel=1e-3)


def test_what_is_healed_is_given():
    """Its own tokens cost only what other ways to spell it have."""
    (found,) = scores([TOKENIZER.encode("): x")], "):", LINES)
    agreeing = TOKENIZER.agreeing_with(b"):")
    first = log_softmax(after([])[agreeing])
    assert float(found.log_probs[0]) == pytest.approx(float(first[agreeing.index(found.tokens[0])]), abs=1e-4)
    assert float(found.end_log_probs[0]) == -math.inf
    plain = replace(LINES, joined={})
    assert scores([TOKENIZER.encode("): x")], "):", plain)[0].log_prob == found.log_prob


def test_what_stands_before_a_line_break_in_a_token():
    for stop, said in LINE.before_break.items():
        text, spelt = TOKENIZER.bytes_of(stop), b"".join(map(TOKENIZER.bytes_of, said))
        assert text.startswith(spelt + b"\n") and spelt.strip()
        assert (said, stop) in [(tokens, i) for tokens, ids in LINE.joined[said[0]] for i in ids.tolist()]
    assert not LINES.before_break and not LINES.joined
    assert LINE.other_ends == TOKENIZER.marks.ends
    assert all(bool(LINE.stops[i]) and bool(LINES.stops[i]) for i in (LINE.end, *LINE.other_ends))
