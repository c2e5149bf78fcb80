"""N-grams as guesses of a body: fewer forwards, the same text, and a damaged file that is left alone."""

import logging
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from quicksilver.fim.types import CompletionRequest, Hole, Offer
from quicksilver.model.checkpoint.checkpoint import load
from quicksilver.model.checkpoint.checkpoint_files import TOKENIZER, read
from quicksilver.model.completion.infiller import DenoisingInfiller
from quicksilver.model.decoding.ngrams import NGRAMS, write_ngrams
from quicksilver.model.decoding.recent import Recent
from quicksilver.model.load_infiller import infiller_of
from quicksilver.model.tokenizers.body_tokenizer import BodyTokenizer
from quicksilver.training.adapt.ngram_counts import count
from tiny_body import Wanting, save_body, tiny_body

WANTED = " add(a, b) + i * 10"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return save_body(tmp_path / "body", tiny_body())


def put_ngrams(folder: Path, text: str) -> None:
    """N-grams of a text that was seen often."""
    stored = read(folder)
    tokens = np.array(stored.tokenizer.encode(text) * 6)
    write_ngrams(folder / NGRAMS, count(tokens), str(stored.config["sha256"][TOKENIZER]))


def asked(prefix: str, **more: object) -> CompletionRequest:
    hole = Hole(prefix=prefix, suffix="\n", language="python", replaced=(0, 0), multiline=bool(more.pop("lines", 0)))
    return replace(CompletionRequest(hole=hole, path="", budget_ms=None), **more)  # type: ignore[arg-type]


def wanting(folder: Path, prefix: str = "x =") -> tuple[DenoisingInfiller, Wanting]:
    infiller = infiller_of(load(folder))
    assert isinstance(infiller.tokenizer, BodyTokenizer)
    run = Wanting(infiller.run, infiller.tokenizer, f"{prefix}{WANTED}\ny".encode(), infiller.tokenizer.marks.end)
    infiller.run = run
    return infiller, run


@pytest.mark.parametrize(
    ("seen", "n_forwards"), [("y = 2" + WANTED + "\nz", 6), ("y = 2 add(a, b) - 7\nz", 11), ("return x\n", 14)]
)
def test_what_was_seen_often_saves_forwards_and_the_text_stays(folder, seen: str, n_forwards: int):
    put_ngrams(folder, seen)
    infiller, run = wanting(folder)
    found = infiller.complete(asked("x ="), lambda: False)
    assert (found.text, found.finish_reason, found.source) == (WANTED, "stop", "denoiser")
    assert len(run.counts) == found.steps == n_forwards


def test_a_draft_goes_before_what_was_counted(folder):
    put_ngrams(folder, "x = return return return return\n")
    infiller, run = wanting(folder)
    offers = (Offer(text=WANTED, source="workspace", n_before=9),)
    found = infiller.complete(asked("x =", offers=offers, drafts=1), lambda: False)
    assert found.text == WANTED and len(run.counts) <= 3


@pytest.mark.parametrize("runtime", ["torch", "openvino"])
def test_the_text_is_the_bodys_own_whatever_was_counted(folder, runtime):
    alone = infiller_of(load(folder), runtime=runtime)
    requests = [
        asked(prefix, lines=lines, max_tokens=n)
        for prefix in ("x = ", "def add(a, b):\n    ret", "for i in", "", "y = 'é")
        for lines in (False, True)
        for n in (3, 12)
    ]
    wanted = [alone.complete(request, lambda: False) for request in requests]
    for text in ("x = 1\ny = 2\n", "".join(each.text for each in wanted)):
        put_ngrams(folder, text)
        counted = infiller_of(load(folder), runtime=runtime)
        assert counted.checkpoint.ngrams is not None
        for request, expected in zip(requests, wanted, strict=True):
            counted.recent = Recent()
            found = counted.complete(request, lambda: False)
            assert (found.text, found.finish_reason) == (expected.text, expected.finish_reason)


def test_a_damaged_file_is_said_once_and_left_alone(folder, caplog):
    put_ngrams(folder, "x = 1\ny = 2\n")
    (folder / NGRAMS).write_bytes((folder / NGRAMS).read_bytes()[:-3])
    with caplog.at_level(logging.WARNING):
        assert load(folder).ngrams is None
    assert [NGRAMS in record.getMessage() for record in caplog.records] == [True]
