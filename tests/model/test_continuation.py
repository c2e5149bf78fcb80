"""Healing at the cursor and a body's own next tokens: what it wants to write is the answer, whatever was guessed."""

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from quicksilver.fim.types import Completion, CompletionRequest, Hole, Offer
from quicksilver.model.body_tokenizer import BodyTokenizer
from quicksilver.model.checkpoint import load
from quicksilver.model.forwards import ModelRunner, drive
from quicksilver.model.healing import healing_of, is_stop
from quicksilver.model.infiller import DenoisingInfiller
from tiny_body import Wanting, save_body, tiny_body

CURSORS = {  # what stands left of the cursor, and what is to come on the line and below
    "inside a word": ("def add(a, b):\n    ret", "urn a + b", "\n\nx = 1\n    y"),
    "after a blank": ("def add(a, b):\n    return ", "a + b", "\n"),
    "after two blanks": ("x =  ", "a", "\nb"),
    "after a bracket": ("x = add(", "a, b)", "\ny"),
    "in column 0": ("x = 1\n", "return x", "\ny = 2"),
    "a line that begins with blanks": ("x = 1\n", "    return x", "\ny = 2"),
    "after indentation": ("for i in x:\n    ", "return i", "\n    x\n"),
    "after indentation below a word": ("else\n    ", "return i", "\n    x\n"),
    "after two line breaks and blanks": ("x = 1\n\n    ", "return i", "\n"),
    "after a colon": ("for i in x:", " return", "\n"),
    "at the end of a line with a colon": ("for i in x:\n", "    return i", "\n    x"),
    "before a colon and line break": ("for i in range(10)", ":", "\n    return i\n"),
    "nothing on this line": ("for i in range(10):", "", "\n    return i\n"),
    "nothing behind a bracket": ("f(", "", "\n    x,\n)"),
    "nothing in column 0": ("x = 1\n", "", "\n\ny"),
    "in a string": ("x = 'it is", " don't'", "\n"),
    "empty prefix": ("", "def add(a, b):", "\n    return a"),
    "prefix of one piece": ("re", "turn x", "\n"),
    "prefix of one line break": ("\n", "return x", "\n"),
    "not ASCII": ("y = 'é", "😀 ñ'", "\n"),
    "inside a word that is not ASCII": ("x = ca", "fé中", "\n"),
    "an emoji before": ("x = '😀", "é😀'", "\n"),
    "a lone surrogate": ("x = '\ud800", "a'", "\n"),
    "a piece that is too long": ("x" * 60, " = y", "\n"),
    "indentation that is too long": ("x\n" + " " * 60, "return x", "\n"),
    "a mark as text": ("x = '<|fim_", "middle|>'", "\n"),
}
EVERY_CURSOR = pytest.mark.parametrize("cursor", CURSORS)


@pytest.fixture(scope="module")
def body_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[bool], DenoisingInfiller]:
    made: dict[bool, DenoisingInfiller] = {}

    def of(suffix_first: bool) -> DenoisingInfiller:
        if suffix_first not in made:
            folder: Path = tmp_path_factory.mktemp("body")
            made[suffix_first] = DenoisingInfiller(load(save_body(folder, tiny_body(), suffix_first=suffix_first)))
        return made[suffix_first]

    return of


@pytest.fixture(scope="module")
def infiller(body_of: Callable[[bool], DenoisingInfiller]) -> DenoisingInfiller:
    return body_of(True)


def asked(
    prefix: str, *, multiline: bool = False, suffix: str = "\n", offers: Sequence[str] = (), **more
) -> CompletionRequest:
    hole = Hole(prefix=prefix, suffix=suffix, language="python", replaced=(0, 0), multiline=multiline)
    sent = tuple(Offer(text=text, source="workspace", n_before=9) for text in offers)
    return CompletionRequest(hole=hole, **{"budget_ms": None, "offers": sent, "drafts": len(sent), **more})


class Written:
    """An answer of a body that wants a text, and the numbers of tokens of the forwards that wrote it."""

    def __init__(self, completion: Completion, counts: list[int]) -> None:
        self.completion, self.counts = completion, counts


def written(
    infiller: DenoisingInfiller, request: CompletionRequest, wanted: str, below: str, end: int | None = None
) -> Written:
    """What comes of a request where the body wants to write wanted and, behind it, below and an end mark."""
    tokenizer, run = infiller.tokenizer, infiller.run
    assert isinstance(tokenizer, BodyTokenizer)
    clean, marks = request.hole.prefix.replace("\ud800", "\ufffd"), tokenizer.marks
    open_piece = healing_of(tokenizer, clean).text
    data = (clean if marks.suffix_first else open_piece) + wanted + below
    oracle = Wanting(run, tokenizer, data.encode(), marks.end if end is None else end)
    infiller.run = oracle
    try:
        return Written(infiller.complete(request, lambda: False), oracle.counts)
    finally:
        infiller.run = run


@EVERY_CURSOR
@pytest.mark.parametrize("suffix_first", [True, False])
@pytest.mark.parametrize("ends", ["by the next line", "by its end", "by another end"])
def test_a_line_that_the_body_wants_is_the_answer(body_of, cursor: str, suffix_first: bool, ends: str):
    infiller, (prefix, wanted, below) = body_of(suffix_first), CURSORS[cursor]
    end = infiller.tokenizer.marks.ends[0] if ends == "by another end" else None
    found = written(infiller, asked(prefix), wanted, below if ends == "by the next line" else "", end).completion
    assert (found.text, found.finish_reason, found.source) == (wanted, "stop", "denoiser")


@EVERY_CURSOR
@pytest.mark.parametrize("kind", ["right", "half right", "wrong", "empty"])
def test_drafts_do_not_change_what_the_body_wants(infiller: DenoisingInfiller, cursor: str, kind: str):
    prefix, wanted, below = CURSORS[cursor]
    offers = {
        "right": [wanted], "half right": [wanted[: len(wanted) // 2 + 1] + "zz"], "wrong": ["zz(y)", "q"],
        "empty": [" ", wanted + wanted],
    }[kind]  # fmt: skip
    found = written(infiller, asked(prefix, offers=offers), wanted, below)
    assert (found.completion.text, found.completion.finish_reason) == (wanted, "stop")


@EVERY_CURSOR
@pytest.mark.parametrize("ends", ["end", "other end"])
@pytest.mark.parametrize("offers", [[], ["zz\n"], ["wanted"]])
def test_lines_that_the_body_wants_are_the_answer(
    infiller: DenoisingInfiller, cursor: str, ends: str, offers: list[str]
):
    prefix, wanted, below = CURSORS[cursor]
    wanted = wanted + below
    offers = [wanted if offer == "wanted" else offer for offer in offers]
    end = infiller.tokenizer.marks.ends[0] if ends == "other end" else None
    found = written(infiller, asked(prefix, offers=offers, multiline=True), wanted, "", end).completion
    assert (found.text, found.finish_reason) == (wanted, "stop")
