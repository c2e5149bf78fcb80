"""Examples of a LoRA's training are what serving makes of the same hole."""

import numpy as np
import pytest
from quicksilver.fim.errors import InputError
from quicksilver.fim.types import CompletionRequest, Hole
from quicksilver.model.completion.layout import BodyLayout
from quicksilver.training.adapt.lora_examples import LoraExampleConfig, LoraStream
from tiny_lora import DOCUMENTS, SMALL, TEXT, tiny_body, tiny_stream


@pytest.fixture(scope="module")
def stream(tmp_path_factory: pytest.TempPathFactory) -> LoraStream:
    return tiny_stream(tiny_body(tmp_path_factory.mktemp("body"))[1])


def request(start: int, end: int, text: str = TEXT, path: str = "") -> CompletionRequest:
    hole = Hole(prefix=text[:start], suffix=text[end:], language="", replaced=(start, end), multiline=True)
    return CompletionRequest(hole=hole, path=path, snippets=("x = 1",) if path else ())


@pytest.mark.parametrize("start", range(0, len(TEXT), 3))
@pytest.mark.parametrize("path", ["", "one/sums.py"])
def test_tokens_are_those_of_serving_and_of_the_whole_text(stream: LoraStream, start: int, path: str):
    tokenizer, end = stream.tokenizer, min(len(TEXT), start + 9)
    asked = request(start, end, path=path)
    example = stream.of_request(asked, TEXT[start:end], n_context=1_000, n_middle=60)
    if example is None:
        return  # the hole's text changes the tokens left of the cursor
    context = BodyLayout(tokenizer).context(asked, 1_000)
    assert example.tokens[: example.n_context].tolist() == context
    assert context.index(tokenizer.marks.suffix) == context.index(tokenizer.marks.prefix) + 1, "suffix first"
    assert example.open_piece == tokenizer.open_piece(TEXT[:start])
    target = example.tokens[example.n_context :].tolist()
    assert target[-1] == tokenizer.marks.end and example.is_whole
    typed = context[context.index(tokenizer.marks.middle) + 1 :]
    assert [*typed, *target[:-1]] == tokenizer.encode(TEXT[:end])


def test_holes_that_change_the_tokens_before_them_are_few(stream: LoraStream):
    made = [stream.of_request(request(i, min(len(TEXT), i + 9)), TEXT[i : i + 9], 1_000, 60) for i in range(len(TEXT))]
    assert sum(example is None for example in made) <= len(made) / 20


def test_the_loss_is_on_the_hole_more_on_its_end_and_a_little_on_what_was_typed(stream: LoraStream):
    example = stream.of_request(request(40, 60), TEXT[40:60], n_context=1_000, n_middle=60)
    assert example is not None
    n_target = len(example.tokens) - example.n_context
    assert example.weights[-1] == SMALL.end_weight
    assert (example.weights[-n_target:-1] == 1).all()
    middle = example.tokens.tolist().index(stream.tokenizer.marks.middle)
    assert (example.weights[:middle][: example.n_context - 1 - SMALL.n_prefix] == 0).all()
    typed = example.weights[middle : example.n_context - 1]
    assert (typed[-SMALL.n_prefix :] == np.float32(SMALL.prefix_weight)).all()


def test_a_text_with_more_tokens_than_there_is_room_for_has_no_end(stream: LoraStream):
    example = stream.of_request(request(0, 80), TEXT[:80], n_context=64, n_middle=16)
    assert example is not None and not example.is_whole
    assert len(example.tokens) == example.n_context + 16
    assert stream.tokenizer.marks.end not in example.tokens.tolist()
    assert example.weights.max() == 1


def test_examples_depend_on_the_generator_alone_and_vary(stream: LoraStream):
    one, other = ([stream.example(rng) for _ in range(60)] for rng in (np.random.default_rng(3) for _ in range(2)))
    assert all((a.tokens == b.tokens).all() for a, b in zip(one, other, strict=True))
    marks = stream.tokenizer.marks
    heads = [marks.file in example.tokens for example in one]
    assert 10 < sum(heads) < 60
    assert any(marks.repository in example.tokens for example in one)
    assert any(example.tokens.tolist().index(marks.middle) - example.tokens.tolist().index(marks.suffix) == 1
               for example in one), "some have no suffix"  # fmt: skip
    assert sum(example.is_whole for example in one) > 2


def test_half_of_the_examples_are_python(stream: LoraStream):
    python = LoraStream(DOCUMENTS[:1] * 30 + DOCUMENTS[2:], stream.tokenizer, SMALL)
    shares = np.diff(python._ends, prepend=0)
    assert shares[:30].sum() == pytest.approx(0.5) and shares[30] == pytest.approx(0.5)


def test_no_documents_and_empty_ones_are_one_line(stream: LoraStream):
    with pytest.raises(InputError, match="no document"):
        LoraStream([], stream.tokenizer, SMALL)
    with pytest.raises(ValueError, match="hole_mix"):
        LoraExampleConfig(hole_mix=(1, 1, 1, 1))
