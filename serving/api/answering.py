"""Asks the engine for what an `ApiCall` wants: whole answers, or pieces of them as their text settles."""

import asyncio
import contextlib
import dataclasses
from collections.abc import AsyncGenerator, Coroutine, Sequence
from contextlib import aclosing
from typing import Any, Protocol, TypeVar

from ...fim.errors import EngineBusy, EngineError
from ...fim.types import AnswerProgress, Completion, CompletionRequest, TokenScore
from .call import ApiAnswer, ApiCall, CanvasPiece, Piece, TextPiece

T = TypeVar("T")


class StreamingEngine(Protocol):
    """What answers calls: the engine's worker."""

    async def complete(self, request: CompletionRequest) -> Completion:
        """Fill request.hole, as `fim.engine.Engine` says."""
        ...

    def stream(self, request: CompletionRequest) -> AsyncGenerator[AnswerProgress | Completion]:
        """The same, telling how far the answer has come; the completion comes last."""
        ...


async def answers(engine: StreamingEngine, call: ApiCall) -> list[ApiAnswer]:
    """The answers to call, the best first, at least one. Raises the errors of `Engine.complete`.

    With a budget, sampled answers but for the first are left out if the engine has no time for them: they wait for one
    another, so an engine that is idle would call itself busy.
    """
    if call.n == 1 or call.request.sampling is not None:
        first, *others = _requests(call)
        work = [engine.complete(first), *(_complete_if_taken(engine, request) for request in others)]
        completions = [completion for completion in await _together(work) if completion is not None]
    else:
        request = dataclasses.replace(call.request, n_alternatives=call.n - 1)
        completions = _with_alternatives(await engine.complete(request))
    return [_answer(call, index, completion) for index, completion in enumerate(completions)]


async def pieces(engine: StreamingEngine, call: ApiCall) -> AsyncGenerator[Piece]:
    """The answers to call in pieces; an answer's last piece is the `ApiAnswer`. Raises the errors of `Engine.complete`.

    Closing the iterator stops the engine's work within one step. Several answers that are not sampled come whole, since
    they compete with one another. As in `answers`, there may be fewer with a budget.
    """
    if call.n > 1 and call.request.sampling is None:
        for answer in await answers(engine, call):
            if answer.text:
                yield TextPiece(index=answer.index, text=answer.text)
            yield answer
        return
    streams = [_pieces_of(engine, call, index, request) for index, request in enumerate(_requests(call))]
    if call.request.budget_ms is not None:
        streams[1:] = map(_pieces_if_taken, streams[1:])
    async with aclosing(_merge(streams)) as merged:
        async for piece in merged:
            yield piece


async def _pieces_of(
    engine: StreamingEngine, call: ApiCall, index: int, request: CompletionRequest
) -> AsyncGenerator[Piece]:
    """One answer in pieces."""
    n_sent = 0
    async with aclosing(engine.stream(dataclasses.replace(request, trace=call.diffusing))) as events:
        async for event in events:
            if isinstance(event, Completion):
                answer = _answer(call, index, event)
                text = answer.text
            elif event.frame is not None:
                text = "".join(cell.text for cell in event.frame.cells if cell.state != "refused")
                yield CanvasPiece(index=index, text=text, frame=event.frame)
                continue
            else:
                answer, text = None, _sure(event.settled, request.stop)
            if len(text) < n_sent:
                raise EngineError("the engine took back text that it had called settled")
            if len(text) > n_sent and not call.diffusing:
                yield TextPiece(index=index, text=text[n_sent:])
            n_sent = len(text)
            if answer is not None:
                yield answer


async def _complete_if_taken(engine: StreamingEngine, request: CompletionRequest) -> Completion | None:
    """The answer to request; None if it has a budget and the engine has no time for it."""
    try:
        return await engine.complete(request)
    except EngineBusy:
        if request.budget_ms is None:
            raise
        return None


async def _pieces_if_taken(stream: AsyncGenerator[Piece]) -> AsyncGenerator[Piece]:
    """What stream yields; nothing if the engine has no time for it."""
    async with aclosing(stream):
        with contextlib.suppress(EngineBusy):  # raised before the first piece only
            async for piece in stream:
                yield piece


def _requests(call: ApiCall) -> list[CompletionRequest]:
    """A request for each answer; only seeds differ."""
    sampling = call.request.sampling
    if sampling is None:
        return [call.request]
    seeds = [None if sampling.seed is None else sampling.seed + i for i in range(call.n)]
    return [dataclasses.replace(call.request, sampling=dataclasses.replace(sampling, seed=seed)) for seed in seeds]


def _with_alternatives(completion: Completion) -> list[Completion]:
    others = [
        dataclasses.replace(
            completion, text=each.text, confidence=each.confidence, source=each.source, n_tokens=each.n_tokens,
            prefixes=each.prefixes, finish_reason="stop", alternatives=(), tokens=(),
        )
        for each in completion.alternatives
    ]  # fmt: skip
    return [completion, *others]


def _answer(call: ApiCall, index: int, completion: Completion) -> ApiAnswer:
    end, stop = _first_stop(completion.text, call.request.stop)
    reason = "stop" if stop is not None or completion.finish_reason == "stop" else "length"
    return ApiAnswer(
        index=index,
        text=completion.text[:end],
        end_reason=reason,
        stopped_by=stop,
        completion=completion,
        tokens=_first_tokens(completion.tokens, end),
    )


def _first_stop(text: str, stops: Sequence[str]) -> tuple[int, str | None]:
    """Where the first of stops begins in text, and which one it is; the text's length and None if none is there."""
    found = [(at, stop) for stop in stops if (at := text.find(stop)) >= 0]
    return min(found, default=(len(text), None), key=lambda each: each[0])


def _first_tokens(tokens: Sequence[TokenScore], n_chars: int) -> tuple[TokenScore, ...]:
    """The tokens of the first n_chars characters; the last one's text may be cut."""
    kept: list[TokenScore] = []
    for token in tokens:
        if n_chars <= 0:
            break
        kept.append(dataclasses.replace(token, text=token.text[:n_chars]))
        n_chars -= len(token.text)
    return tuple(kept)


def _sure(settled: str, stops: Sequence[str]) -> str:
    """The beginning of a settled text that no stop text can cut: not what may be the beginning of one."""
    end, _ = _first_stop(settled, stops)
    for begun in stops:  # one that began before another was complete may still come first
        n = next((n for n in range(min(len(begun) - 1, len(settled)), 0, -1) if settled.endswith(begun[:n])), 0)
        end = min(end, len(settled) - n)
    return settled[:end]


async def _together(work: Sequence[Coroutine[Any, Any, T]]) -> list[T]:
    """The results of work, all at once; when one fails, or this is cancelled, the others are cancelled."""
    tasks = [asyncio.ensure_future(each) for each in work]
    try:
        return list(await asyncio.gather(*tasks))
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _merge(streams: Sequence[AsyncGenerator[T]]) -> AsyncGenerator[T]:
    """What streams yield, as it comes. The first error ends all of them, and so does closing this."""
    if len(streams) == 1:
        async with aclosing(streams[0]) as only:
            async for each in only:
                yield each
        return
    waiting: dict[asyncio.Task[T], AsyncGenerator[T]] = {}

    def ask(stream: AsyncGenerator[T]) -> None:
        waiting[asyncio.ensure_future(anext(stream))] = stream

    try:
        for stream in streams:
            ask(stream)
        while waiting:
            done, _ = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                stream = waiting.pop(task)
                if not isinstance(error := task.exception(), StopAsyncIteration):
                    if error is not None:
                        raise error
                    ask(stream)
                    yield task.result()
    finally:
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
        for stream in streams:
            await stream.aclose()
