"""What the page asks the engine: which model it is, and to fill a hole, shown step by step.

`POST /playground/fill` answers with server-sent events: `{"type": "frame"}` for the canvas after each step,
`{"type": "answer"}` with the text, what of it an editor would insert, counts and times, and last, if they were asked
for, `{"type": "candidates"}`: all texts that competed for the hole when drafts and other lengths were tried too, the
chosen one first.
"""

import tomllib
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Literal, get_args

from msgspec import Meta
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ....fim.trimming.trim import trim
from ....fim.types import MAX_CANDIDATES, Completion, CompletionRequest, Number, PolicyName, TraceFrame
from ...engine.worker import Worker
from ...json_values import read_json
from ..answering import pieces
from ..call import ApiAnswer, ApiCall, CanvasPiece, completion_request
from ..http import answering_errors, event, json_response, openai_error, read_body, stream_response
from .pages import PAGE

MODELS, FILL = f"{PAGE}/models", f"{PAGE}/fill"
EXAMPLES = Path(__file__).with_name("examples.toml")
N_LENGTHS, N_MENDS = 3, 2  # of a line's candidates, as on request in an editor

WritingMode = Literal["canvas", "left-to-right"]


@dataclass(frozen=True, kw_only=True)
class PlaygroundHole:
    """The body of `POST /playground/fill`: a hole, what its answer may cost, and how it is to be written.

    policy is for the mode "canvas"; None leaves it to the engine. candidates asks for all texts that compete.
    """

    prefix: str
    suffix: str = ""
    language: str = "python"
    path: str = ""
    multiline: bool = True
    mode: WritingMode = "canvas"
    policy: PolicyName | None = None
    budget_ms: Number | None = None
    max_tokens: Annotated[int, Meta(ge=1)] | None = None
    candidates: bool = False


@dataclass(frozen=True, kw_only=True)
class PlaygroundApi:
    """The page's endpoints over one worker."""

    worker: Worker

    def routes(self) -> list[Route]:
        """Its addresses."""
        return [
            Route(MODELS, answering_errors(self.models, openai_error), methods=["GET"]),
            Route(FILL, answering_errors(self.fill, openai_error), methods=["POST"]),
        ]

    async def models(self, request: Request) -> Response:
        """GET /playground/models: the model, whether it is ready, facts about it, its policies, and the examples."""
        state = self.worker.state
        return json_response(
            {
                "status": state.status,
                "reason": state.reason,
                "model": state.model,
                "facts": dict(state.facts),
                "policies": policies_of(state.facts),
                "examples": read_examples(),
            }
        )

    async def fill(self, request: Request) -> Response:
        """POST /playground/fill."""
        asked = read_json(await read_body(request), PlaygroundHole, "request")
        return await stream_response(request, self._events(asked))

    async def _events(self, asked: PlaygroundHole) -> AsyncGenerator[bytes]:
        request = request_of(asked)
        n_frames = 0
        async for piece in pieces(self.worker, ApiCall(request=request, stream=True, diffusing=True)):
            match piece:
                case CanvasPiece():
                    n_frames += 1
                    yield event(frame_event(piece.frame))
                case ApiAnswer():
                    for frame in piece.completion.trace if not n_frames else ():  # a model that tells no progress
                        yield event(frame_event(frame))
                    yield event(answer_event(request, piece.completion))
        if asked.candidates:
            competed = await self.worker.complete(with_candidates(request))
            yield event(candidates_event(request, competed))


def request_of(asked: PlaygroundHole) -> CompletionRequest:
    """The engine's request for a hole of the page. Raises InputError."""
    request = completion_request(
        prefix=asked.prefix,
        suffix=asked.suffix,
        language=asked.language,
        path=asked.path,
        multiline=asked.multiline,
        max_tokens=asked.max_tokens,
        budget_ms=asked.budget_ms,
    )
    return replace(request, policy="left" if asked.mode == "left-to-right" else asked.policy)


def with_candidates(request: CompletionRequest) -> CompletionRequest:
    """The request again, now with drafts and canvases of other lengths in competition."""
    return replace(request, n_alternatives=MAX_CANDIDATES, lengths=N_LENGTHS, mends=N_MENDS)


def policies_of(facts: Mapping[str, str | int | float]) -> list[PolicyName]:
    """The unmask policies that a request to the model with these facts may name; none for one without canvases."""
    if not facts.get("canvases", 1):
        return []
    return [name for name in get_args(PolicyName) if name != "verified" or "family" not in facts]


def read_examples() -> list[dict[str, str]]:
    """The page's examples, each with title, language, path, and the text's prefix, hole and suffix."""
    found = []
    for example in tomllib.loads(EXAMPLES.read_text(encoding="utf-8"))["example"]:
        prefix, _, rest = example.pop("text").partition("⟦")
        hole, _, suffix = rest.partition("⟧")
        found.append({**example, "prefix": prefix, "hole": hole, "suffix": suffix})
    return found


def frame_event(frame: TraceFrame) -> dict[str, object]:
    """A frame of the canvas as the page reads it."""
    cells = [{"text": cell.text, "state": cell.state, "confidence": cell.confidence} for cell in frame.cells]
    return {"type": "frame", "step": frame.step, "elapsed_ms": frame.elapsed_ms, "cells": cells}


def answer_event(request: CompletionRequest, completion: Completion) -> dict[str, object]:
    """The answer as the page reads it. inserted is what an editor would insert of its text."""
    return {
        "type": "answer",
        "text": completion.text,
        "inserted": trim(request.hole, completion.text),
        "finish_reason": completion.finish_reason,
        "confidence": completion.confidence,
        "source": completion.source,
        "model": completion.model,
        "steps": completion.steps,
        "n_tokens": completion.n_tokens,
        "n_context": completion.n_context,
        "n_cached": completion.n_cached,
        "timings_ms": dict(completion.timings_ms),
    }


def candidates_event(request: CompletionRequest, completion: Completion) -> dict[str, object]:
    """All texts that competed, the chosen one first, as an editor would insert them."""
    return {
        "type": "candidates",
        "timings_ms": dict(completion.timings_ms),
        "candidates": [
            {
                "text": trim(request.hole, each.text),
                "source": each.source,
                "confidence": each.confidence,
                "n_tokens": each.n_tokens,
            }
            for each in (completion, *completion.alternatives)
        ],
    }
