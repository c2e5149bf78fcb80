"""A hole in the first column: which indentations are tried, and that the rest goes on as if one had been typed."""

import dataclasses

import pytest
import torch
from quicksilver.fim.types import CompletionRequest, Hole
from quicksilver.model.checkpoint import checkpoint
from quicksilver.model.completion.indentation import NONE, indentation, indentations, with_prefix
from quicksilver.model.completion.infiller import DenoisingInfiller
from quicksilver.model.load_infiller import load_infiller
from quicksilver.model.requests import never
from quicksilver.model.runners.drive import drive
from tiny import tiny_denoiser, tiny_tokenizer

BLOCK = "def f(a):\n    if a:\n        return a\n"


@pytest.fixture(scope="module")
def infiller(tmp_path_factory) -> DenoisingInfiller:
    tokenizer = tiny_tokenizer()
    folder = tmp_path_factory.mktemp("models") / "c"
    checkpoint.save(folder, "tiny", tiny_denoiser(tokenizer.vocab_size), tokenizer)
    return load_infiller(folder, runtime="torch", dtype="float32")


def request(prefix: str, suffix: str = "\n", **more) -> CompletionRequest:
    at = len(prefix)
    hole = Hole(prefix=prefix, suffix=suffix, language="python", replaced=(at, at), multiline=True)
    return CompletionRequest(hole=hole, budget_ms=None, drafts=0, **more)


@pytest.mark.parametrize(
    ("prefix", "suffix", "tried"),
    [
        (BLOCK, "\n", ["            ", "        ", "    ", ""]),
        (BLOCK, "\n    return b\n", ["            ", "        ", "    ", ""]),
        ("def f(a):\n", "\n", ["    ", ""]),
        ("def f(a):\n", "\n  return 1\n", ["  ", ""]),
        ("class A {\n\tint a;\n", "\n}\n", ["\t\t", "\t", ""]),
        ("if a:\n  b()\n\n\n", "\n", ["    ", "  ", ""]),
        (BLOCK[:-1], "\n", []),
        (BLOCK + "    ", "\n", []),
        (BLOCK, "    return b\n", []),
        ("\n\n", "\n", []),
        ("", "\n", []),
    ],
)
def test_what_is_tried(prefix: str, suffix: str, tried: list[str]):
    assert indentations(prefix, suffix) == tried


def test_few_are_tried():
    deep = "".join(" " * i + "x\n" for i in range(60, 0, -1))
    assert len(indentations(deep, "\n")) == 8


def chosen(infiller: DenoisingInfiller, asked: CompletionRequest):
    tokens = infiller.tokens_for(asked.hole)
    work = indentation(asked, infiller.context_of, infiller.cache, tokens, infiller.tokenizer)
    return drive(infiller.run, work)


def test_the_likeliest_is_chosen(infiller):
    """By the causal head, given the code before the line breaks; compared with one pass a token."""
    asked = request(BLOCK + "\n")
    found = chosen(infiller, asked)
    scores = []
    with torch.inference_mode():
        model, tokens = infiller.checkpoint.model, infiller.tokens_for(asked.hole)
        context = infiller.context_of(with_prefix(asked, BLOCK.rstrip("\n")))
        tried = indentations(BLOCK, "\n")
        for text in tried:
            new = infiller.tokenizer.encode("\n\n" + text)
            line, score = [*context, *([] if tokens.middle is None else [tokens.middle])], 0.0
            for token in new:
                hidden, states = model.context(torch.tensor([line]))
                log_probs = model.log_probs(hidden[:, -1:], states)[0, 0]
                score += float(log_probs[token])
                line.append(token)
            scores.append(score)
    shares = torch.tensor(scores).softmax(0)
    assert found.text == tried[int(shares.argmax())]
    assert found.probability == pytest.approx(float(shares.max()), rel=1e-4)
    assert found.n_cached == 0
    assert chosen(infiller, asked).n_cached is None
    assert chosen(infiller, request(BLOCK + "    ")) is NONE


def test_an_answer_is_as_if_it_had_been_typed(infiller):
    plain = infiller.complete(request(BLOCK, n_alternatives=4), never)
    begins = chosen(infiller, request(BLOCK))
    typed = infiller.complete(request(BLOCK + begins.text, n_alternatives=4), never)
    assert plain.text == begins.text + typed.text and typed.text
    assert plain.confidence == pytest.approx(typed.confidence * begins.probability)
    assert plain.range == (len(BLOCK), len(BLOCK))
    assert (plain.steps, plain.n_tokens) == (typed.steps, typed.n_tokens)


def test_drafts_and_their_parts_begin_with_it_too(infiller):
    text = "def f():\n    total = 1\n    return total\n\n\ndef g():\n    total = 1\n"
    hole = dataclasses.replace(request(text).hole, multiline=False)
    asked = dataclasses.replace(request(text), hole=hole, drafts=6, n_alternatives=4)
    plain = infiller.complete(asked, never)
    begins = chosen(infiller, asked)
    typed = infiller.complete(with_prefix(asked, text + begins.text), never)
    n = len(begins.text)
    assert [each.text for each in plain.alternatives] == [begins.text + each.text for each in typed.alternatives]
    assert [place for place, _ in plain.prefixes] == [place + n for place, _ in typed.prefixes]


def test_line_breaks_of_windows(infiller):
    plain, windows = (infiller.complete(request(text), never) for text in (BLOCK, BLOCK.replace("\n", "\r\n")))
    assert (windows.text, windows.range[0]) == (plain.text, len(BLOCK) + 3)


def test_reading_ahead_reads_what_will_be_asked_for(infiller):
    infiller.cache.clear()
    infiller.complete(request(BLOCK, warms=True), never)
    completion = infiller.complete(request(BLOCK), never)
    assert completion.n_cached == completion.n_context
