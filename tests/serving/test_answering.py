"""Calls become answers and pieces: what a stop text holds back, several answers, and what closing a stream ends."""

import asyncio
import dataclasses
from contextlib import aclosing
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from quicksilver.fim.errors import EngineBusy, EngineError, InputError
from quicksilver.fim.types import (
    Alternative,
    AnswerProgress,
    Completion,
    Sampling,
    TokenScore,
    TraceCell,
    TraceFrame,
)
from quicksilver.serving.api.answering import answers, pieces
from quicksilver.serving.api.call import ApiAnswer, ApiCall, CanvasPiece, TextPiece, completion_request, sampling_of


class WritingEngine:
    """Settles its text in the parts given; remembers the requests and how many streams are open."""

    def __init__(self, *parts, alternatives=(), tokens=(), fails_at=None):
        self.parts, self.alternatives, self.tokens, self.fails_at = parts, alternatives, tokens, fails_at
        self.requests, self.n_open = [], 0

    async def complete(self, request):
        self.requests.append(request)
        await asyncio.sleep(0)
        return self._completion(request)

    def _completion(self, request):
        others = tuple(Alternative(text=text, confidence=0.1, source="file", n_tokens=1) for text in self.alternatives)[
            : request.n_alternatives
        ]
        return Completion(
            text="".join(self.parts), range=(0, 0), confidence=0.5, finish_reason="length", steps=1, n_tokens=2,
            model="m", n_context=3, alternatives=others, tokens=self.tokens if request.log_probs else (),
        )  # fmt: skip

    async def stream(self, request):
        self.requests.append(request)
        self.n_open += 1
        try:
            settled = ""
            for i, part in enumerate(self.parts):
                await asyncio.sleep(0)
                if i == self.fails_at:
                    raise EngineBusy("no")
                settled += part
                cells = (TraceCell(text=settled, state="kept"), TraceCell(text="?", state="provisional"))
                frame = TraceFrame(step=i, elapsed_ms=0.0, cells=cells) if request.trace else None
                yield AnswerProgress(settled=settled, steps=i, frame=frame)
            yield self._completion(request)
        finally:
            self.n_open -= 1


def call(stop=(), sampling=None, log_probs=False, **rest):
    return ApiCall(
        request=completion_request(prefix="p", language="python", stop=stop, sampling=sampling, log_probs=log_probs),
        **rest,
    )


async def read(engine, asked) -> list[Any]:
    return [piece async for piece in pieces(engine, asked)]


async def test_pieces_are_what_settles_and_the_answer_is_last():
    found = await read(WritingEngine("a", "", "bc"), call())
    assert found[:-1] == [TextPiece(index=0, text="a"), TextPiece(index=0, text="bc")]
    assert isinstance(found[-1], ApiAnswer)
    assert (found[-1].text, found[-1].end_reason, found[-1].stopped_by) == ("abc", "length", None)


@settings(max_examples=500)
@given(st.lists(st.text("ab\n", max_size=4), max_size=6), st.lists(st.text("ab\n", min_size=1, max_size=3), max_size=3))
@example(["\n", "a", "b"], ["a", "\nab"]).via("the longer stop text began first, and ended last")
def test_pieces_join_to_the_text_before_the_first_stop(parts, stops):
    text = "".join(parts)
    expected = text[: min([text.find(stop) for stop in stops if stop in text], default=len(text))]
    found = asyncio.run(read(WritingEngine(*parts), call(tuple(stops))))
    assert "".join(piece.text for piece in found[:-1]) == found[-1].text == expected
    assert (found[-1].stopped_by is not None) == (expected != text)
    assert (found[-1].end_reason == "stop") == (expected != text)


async def test_what_may_begin_a_stop_text_is_held_back():
    found = await read(WritingEngine("a\n", "\nb"), call(("\n\n",)))
    assert [piece.text for piece in found] == ["a", "a"]
    found = await read(WritingEngine("a\n", "b"), call(("\n\n",)))
    assert [piece.text for piece in found] == ["a", "\nb", "a\nb"]


async def test_frames_instead_of_text_when_diffusing():
    found = await read(WritingEngine("a", "b"), call(diffusing=True, stream=True))
    assert [type(piece) for piece in found] == [CanvasPiece, CanvasPiece, ApiAnswer]
    assert [piece.text for piece in found] == ["a?", "ab?", "ab"]


async def test_an_engine_that_takes_text_back_is_an_error():
    engine = WritingEngine("ab")
    engine._completion = lambda request: dataclasses.replace(WritingEngine("a")._completion(request))
    with pytest.raises(EngineError, match="took back"):
        await read(engine, call())


async def test_several_answers_are_those_that_competed():
    engine = WritingEngine("a", alternatives=("b", "c"))
    found = await answers(engine, call(n=2))
    assert [(answer.index, answer.text, answer.end_reason) for answer in found] == [
        (0, "a", "length"),
        (1, "b", "stop"),
    ]
    assert len(await answers(engine, call(n=9))) == 3
    streamed = await read(engine, call(n=3, stream=True))
    assert [(piece.index, piece.text) for piece in streamed if isinstance(piece, TextPiece)] == [
        (0, "a"), (1, "b"), (2, "c"),
    ]  # fmt: skip


async def test_sampled_answers_are_drawn_with_seeds_of_their_own():
    engine = WritingEngine("a", "b")
    asked = call(n=3, sampling=Sampling(temperature=1.0, seed=7))
    assert [answer.index for answer in await answers(engine, asked)] == [0, 1, 2]
    assert [request.sampling.seed for request in engine.requests] == [7, 8, 9]
    found = await read(engine, asked)
    for index in range(3):
        assert "".join(p.text for p in found if isinstance(p, TextPiece) and p.index == index) == "ab"
    assert sorted(piece.index for piece in found if isinstance(piece, ApiAnswer)) == [0, 1, 2]
    engine = WritingEngine("a")
    await answers(engine, call(n=2, sampling=Sampling(temperature=1.0)))
    assert [request.sampling.seed for request in engine.requests] == [None, None]


@pytest.mark.parametrize("n", [1, 3])
async def test_closing_ends_every_stream(n):
    engine = WritingEngine("a", "b", "c")
    async with aclosing(pieces(engine, call(n=n, sampling=Sampling(temperature=1.0)))) as found:
        await anext(found)
        assert engine.n_open == n
    assert engine.n_open == 0


@pytest.mark.parametrize("n", [1, 3])
async def test_an_error_ends_every_stream(n):
    engine = WritingEngine("a", "b", "c", fails_at=1)
    with pytest.raises(EngineBusy):
        await read(engine, call(n=n, sampling=Sampling(temperature=1.0)))
    assert engine.n_open == 0


class ShortOfTime(WritingEngine):
    """Takes n_taken requests; it has no time for more."""

    def __init__(self, *parts, n_taken):
        super().__init__(*parts)
        self.n_taken = n_taken

    async def complete(self, request):
        if len(self.requests) >= self.n_taken:
            raise EngineBusy("the wait is too long")
        return await super().complete(request)

    async def stream(self, request):
        if len(self.requests) >= self.n_taken:
            raise EngineBusy("the wait is too long")
        async with aclosing(super().stream(request)) as events:
            async for event in events:
                yield event


async def read_ends(engine, asked) -> list[int]:
    return [piece.index for piece in await read(engine, asked) if isinstance(piece, ApiAnswer)]


async def test_with_a_budget_answers_without_time_are_left_out():
    asked = call(n=4, sampling=Sampling(temperature=1.0))
    hurried = dataclasses.replace(asked, request=dataclasses.replace(asked.request, budget_ms=50.0))
    assert [answer.index for answer in await answers(ShortOfTime("a", n_taken=2), hurried)] == [0, 1]
    engine = ShortOfTime("a", n_taken=2)
    assert sorted(await read_ends(engine, hurried)) == [0, 1] and engine.n_open == 0
    for n_taken, refused in ((0, hurried), (2, asked)):  # not even one; a full queue, without a budget
        with pytest.raises(EngineBusy):
            await answers(ShortOfTime("a", n_taken=n_taken), refused)
        engine = ShortOfTime("a", n_taken=n_taken)
        with pytest.raises(EngineBusy):
            await read(engine, refused)
        assert engine.n_open == 0


async def test_tokens_end_where_the_text_does():
    tokens = tuple(TokenScore(text=text, log_prob=-1.0) for text in ("ab", "", "c;", "d"))
    (answer,) = await answers(WritingEngine("abc;d", tokens=tokens), call((";",), log_probs=True))
    assert answer.text == "abc" and [token.text for token in answer.tokens] == ["ab", "", "c"]


def test_sampling_is_asked_for_by_a_temperature():
    assert sampling_of(None, 0.9) is None and sampling_of(0.0, 0.9, 40, 7) is None
    assert sampling_of(0.01) is None and sampling_of(0.011) == Sampling(temperature=0.011)
    assert sampling_of(0.5, None, -1, -1) == Sampling(temperature=0.5)
    assert sampling_of(0.5, 0.9, 40, 7) == Sampling(temperature=0.5, top_p=0.9, top_k=40, seed=7)
    for wrong in ((3.0, None), (0.5, 1.5), (-1.0, None)):
        with pytest.raises(InputError, match=r"request\."):
            sampling_of(*wrong)


def test_requests_are_cut_to_what_the_engine_takes():
    request = completion_request(language="c", snippets=["", *map(str, range(99)), "x" * 99_999], path="p" * 9_999)
    assert len(request.snippets) == 64 and len(request.snippets[-1]) == 16_384 and len(request.path) == 4_096
    with pytest.raises(InputError, match="1 to 131072 tokens"):
        completion_request(language="c", max_tokens=0)
    with pytest.raises(InputError, match="stop"):
        completion_request(language="c", stop=["x"] * 17)


def test_stop_texts_have_the_line_breaks_of_answers():
    assert completion_request(prefix="a\r\n", stop=["\r\n", "x\ry", "\n"]).stop == ("\n", "x\ny", "\n")


def test_messages_about_numbers_do_not_quote_them():
    for wrong in (lambda: completion_request(language="c", max_tokens=10**400), lambda: call(n=10**400)):
        with pytest.raises(InputError) as caught:
            wrong()
        assert len(str(caught.value)) < 100
