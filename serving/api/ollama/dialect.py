"""Ollama's addresses."""

import time
from dataclasses import dataclass, field

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from ....fim.errors import InputError
from ...engine.worker import Worker
from ...engine.worker_state import WorkerState
from ...json_values import read_json
from ..answering import answers
from ..http import (
    LINES,
    HttpError,
    answering_errors,
    error_response,
    json_response,
    read_body,
    stream_response,
    unless_gone,
)
from ..models import check_model
from .answer import TAG, details_of, last_body, line, lines_of, now, ollama_error
from .body import OllamaCall, ShowBody, parse_chat, parse_generate

# The version of the API that is spoken here: clients refuse old ones (Copilot Chat those before 0.6.4).
API_VERSION = "0.12.0"
RUNNING = "Ollama is running: this is Quicksilver, which speaks its API"
# What says that a model infills: clients look for `.Suffix`.
TEMPLATE = "{{ if .Suffix }}{{ .Prompt }}[hole]{{ .Suffix }}{{ else }}{{ .Prompt }}{{ end }}"
NEVER = "9999-12-31T23:59:59Z"

_CHANGES = ("/api/pull", "/api/push", "/api/create", "/api/copy", "/api/delete")
_EMBEDDINGS = ("/api/embed", "/api/embeddings")


@dataclass(frozen=True, kw_only=True)
class OllamaDialect:
    """The endpoints over one worker."""

    worker: Worker
    created_at: str = field(default_factory=now)

    def routes(self) -> list[Route]:
        """Its addresses."""
        generate, chat, show, changes, embeds = (
            answering_errors(each, ollama_error)
            for each in (self.generate, self.chat, self.show, self.refuse_change, self.refuse_embedding)
        )
        return [
            Route("/", self.probe, methods=["GET"]),
            Route("/api/version", self.version, methods=["GET"]),
            Route("/api/tags", self.tags, methods=["GET"]),
            Route("/api/ps", self.running, methods=["GET"]),
            Route("/api/show", show, methods=["POST"]),
            Route("/api/generate", generate, methods=["POST"]),
            Route("/api/chat", chat, methods=["POST"]),
            *(Route(path, changes, methods=["POST", "DELETE"]) for path in _CHANGES),
            *(Route(path, embeds, methods=["POST"]) for path in _EMBEDDINGS),
        ]

    async def probe(self, request: Request) -> Response:
        """GET and HEAD /: clients look whether somebody answers, and some at the first words."""
        return PlainTextResponse(RUNNING)

    async def version(self, request: Request) -> Response:
        """GET /api/version."""
        return json_response({"version": API_VERSION})

    async def tags(self, request: Request) -> Response:
        """GET /api/tags: the served model; the list is empty before its name is known."""
        state = self.worker.state
        return json_response({"models": [self._entry(state) | {"modified_at": self.created_at}] if state.model else []})

    async def running(self, request: Request) -> Response:
        """GET /api/ps: the same, as loaded."""
        state = self.worker.state
        loaded = {"expires_at": NEVER, "size_vram": 0, "context_length": state.facts.get("context_tokens", 0)}
        return json_response({"models": [self._entry(state) | loaded] if state.status == "ready" else []})

    async def show(self, request: Request) -> Response:
        """POST /api/show."""
        body = read_json(await read_body(request), ShowBody, "request", allows_more=True)
        name = body.model or body.name
        if not name:
            raise InputError("model is required")
        state = self.worker.state
        check_model(name, state)
        facts = {
            "general.parameter_count": state.facts.get("parameters"),
            "quicksilver.context_length": state.facts.get("context_tokens"),
        }
        return json_response(
            {
                "license": "",
                "modelfile": f"# {state.model}, served by Quicksilver\nFROM {state.model}\n",
                "parameters": "",
                "template": TEMPLATE,
                "details": details_of(state),
                "model_info": {
                    "general.architecture": "quicksilver",
                    "general.basename": state.model,
                    **{key: value for key, value in facts.items() if value is not None},
                },
                "capabilities": ["completion", "insert"],
                "modified_at": self.created_at,
            }
        )

    async def generate(self, request: Request) -> Response:
        """POST /api/generate."""
        return await self._complete(request, parse_generate(await read_body(request)))

    async def chat(self, request: Request) -> Response:
        """POST /api/chat."""
        return await self._complete(request, parse_chat(await read_body(request)))

    async def _complete(self, request: Request, asked: OllamaCall) -> Response:
        start_s = time.monotonic()
        check_model(asked.name, self.worker.state)
        if asked.call.stream:
            chunks = lines_of(self.worker, asked, start_s)
            return await stream_response(request, chunks, encode=line, media_type=LINES, shape=ollama_error)
        (answer,) = await unless_gone(request, answers(self.worker, asked.call))
        return json_response(last_body(asked, answer, answer.text, start_s))

    async def refuse_change(self, request: Request) -> Response:
        """What would fetch, make or remove models: 501."""
        message = "models cannot be changed over HTTP: use the command quicksilver fetch"
        return error_response(HttpError(501, message, "not_supported_error"), ollama_error)

    async def refuse_embedding(self, request: Request) -> Response:
        """No model here embeds texts: 501."""
        message = "the served model does not support embeddings"
        return error_response(HttpError(501, message, "not_supported_error"), ollama_error)

    def _entry(self, state: WorkerState) -> dict[str, object]:
        """The served model in a list."""
        name = state.model + TAG
        digest = str(state.facts.get("sha256", ""))
        return {"name": name, "model": name, "size": 0, "digest": digest, "details": details_of(state)}
