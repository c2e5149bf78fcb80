"""llama.cpp's addresses."""

from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ....fim.errors import EngineUnavailable
from ...engine.worker import N_SLOTS, Worker
from ..answering import answers
from ..call import ApiCall, completion_request
from ..http import HttpError, answering_errors, error_response, json_response, read_body, stream_response, unless_gone
from ..models import check_model
from .answer import answer_body, events_of, llama_error
from .body import LlamaBody, LlamaCall, parse_completion, parse_infill, settings_of
from .indented import cut_answer

_UNSUPPORTED = (
    "/tokenize", "/detokenize", "/apply-template", "/embedding", "/embeddings", "/rerank", "/reranking", "/props",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class LlamaCppDialect:
    """The endpoints over one worker."""

    worker: Worker
    version: str

    def routes(self) -> list[Route]:
        """Its addresses."""
        infill, completion, props, slots, unsupported = (
            answering_errors(each, llama_error)
            for each in (self.infill, self.completion, self.props, self.slots, self.unsupported)
        )
        return [
            Route("/infill", infill, methods=["POST"]),
            *(Route(path, completion, methods=["POST"]) for path in ("/completion", "/completions")),
            Route("/props", props, methods=["GET"]),
            Route("/slots", slots, methods=["GET"]),
            *(Route(path, unsupported, methods=["POST"]) for path in _UNSUPPORTED),
        ]

    async def infill(self, request: Request) -> Response:
        """POST /infill."""
        return await self._complete(request, parse_infill(await read_body(request)))

    async def completion(self, request: Request) -> Response:
        """POST /completion."""
        return await self._complete(request, parse_completion(await read_body(request)))

    async def _complete(self, request: Request, asked: LlamaCall) -> Response:
        check_model(asked.call.model, self.worker.state)
        if asked.call.stream:
            return await stream_response(request, events_of(self.worker, asked), shape=llama_error)
        found = await unless_gone(request, answers(self.worker, asked.call))
        bodies = [answer_body(asked, cut_answer(answer, asked.n_indent)) for answer in found]
        return json_response(bodies if asked.call.n > 1 else bodies[0])

    async def props(self, request: Request) -> Response:
        """GET /props: what clients ask for before they choose how much to send."""
        state = self.worker.state
        if not state.model:
            raise EngineUnavailable(state.reason or "the model is being loaded: ask again in a few seconds")
        return json_response(
            {
                "default_generation_settings": {
                    "params": settings_of(LlamaBody(), ApiCall(request=completion_request(language="python")), None),
                    "n_ctx": state.facts.get("context_tokens", 0),
                },
                "total_slots": N_SLOTS,
                "model_alias": state.model,
                "model_path": state.model,
                "modalities": {"vision": False, "video": False, "audio": False},
                "endpoint_slots": True,
                "endpoint_props": False,
                "endpoint_metrics": True,
                "chat_template": "",
                "build_info": f"quicksilver-{self.version}",
            }
        )

    async def slots(self, request: Request) -> Response:
        """GET /slots: which requests are worked on; with `fail_on_no_slot`, 503 if there is no room for another."""
        n_busy = min(self.worker.n_jobs, N_SLOTS)
        if n_busy == N_SLOTS and request.query_params.get("fail_on_no_slot"):
            raise EngineUnavailable("no slot available")
        n_context = self.worker.state.facts.get("context_tokens", 0)
        return json_response(
            [
                {"id": i, "n_ctx": n_context, "speculative": False, "is_processing": i < n_busy}
                for i in range(N_SLOTS)
            ]
        )  # fmt: skip

    async def unsupported(self, request: Request) -> Response:
        """What llama-server can do, and this engine cannot: 501, as it says of features that are switched off."""
        message = f"This server does not support {request.url.path}"
        return error_response(HttpError(501, message, "not_supported_error"), llama_error)
