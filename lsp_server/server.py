"""`quicksilver lsp`: the language server, put together. Its life over stdio is in stdio.py.

Owns which message does what. It does not know what any of them does (features/), how messages are read (protocol/), or
torch. Logs go to stderr and hold lengths and timings, never source text.
"""

from collections.abc import Callable
from inspect import isawaitable
from typing import Any

from .engine_backoff import ManagedEngine
from .features import commands, configuration, documents
from .features import inline_completion as questions
from .features import notebook_documents as notebooks
from .features.workspace import FEATURES, READERS
from .observers import observe
from .protocol import params as read
from .protocol.endpoint import types
from .state import ServerState

EXPLAIN = "quicksilver/explain"
WARM = "quicksilver/warm"


class CompletionServer(ServerState):
    """The language server, with its handlers and those who are told of what happens."""

    def __init__(self, engine: ManagedEngine, version: str) -> None:
        super().__init__(engine, version)
        observe(self)
        _register(self)


def _command(handler: Callable[..., Any]) -> Callable[..., Any]:
    """A handler as pygls wants one: it looks up what annotations mean, which ours only say to type checkers."""

    async def run(ls: Any, *arguments: Any) -> Any:  # noqa: ANN401 (JSON values)
        result = handler(ls, *arguments)
        return await result if isawaitable(result) else result

    return run


def _register(server: CompletionServer) -> None:
    features: dict[str, Callable[..., Any]] = {
        types.INITIALIZE: configuration.initialize,
        types.INITIALIZED: configuration.initialized,
        types.WORKSPACE_DID_CHANGE_CONFIGURATION: configuration.did_change_configuration,
        types.TEXT_DOCUMENT_DID_OPEN: documents.did_open,
        types.TEXT_DOCUMENT_DID_CHANGE: documents.did_change,
        types.TEXT_DOCUMENT_DID_CLOSE: documents.did_close,
        types.NOTEBOOK_DOCUMENT_DID_OPEN: notebooks.did_open_notebook,
        types.NOTEBOOK_DOCUMENT_DID_CHANGE: notebooks.did_change_notebook,
        types.NOTEBOOK_DOCUMENT_DID_SAVE: notebooks.did_save_notebook,
        types.NOTEBOOK_DOCUMENT_DID_CLOSE: notebooks.did_close_notebook,
        types.TEXT_DOCUMENT_INLINE_COMPLETION: questions.inline_completion,
        commands.DID_SHOW: commands.did_show,
        commands.DID_PARTIALLY_ACCEPT: commands.did_partially_accept,
        EXPLAIN: questions.explain,
        WARM: documents.cursor_moved,
        **FEATURES,
    }
    for name, handler in features.items():
        options = (
            types.InlineCompletionOptions(work_done_progress=False)
            if name == types.TEXT_DOCUMENT_INLINE_COMPLETION
            else None
        )
        server.feature(name, options)(handler)
    for name, handler in commands.COMMANDS.items():
        server.command(name)(_command(handler))
    server.strict.readers.update(
        {
            types.WORKSPACE_DID_CHANGE_CONFIGURATION: read.read_configuration,
            types.TEXT_DOCUMENT_DID_OPEN: read.read_did_open,
            types.TEXT_DOCUMENT_DID_CHANGE: read.read_did_change,
            types.TEXT_DOCUMENT_DID_CLOSE: read.read_did_close,
            types.NOTEBOOK_DOCUMENT_DID_OPEN: read.read_did_open_notebook,
            types.NOTEBOOK_DOCUMENT_DID_CHANGE: read.read_did_change_notebook,
            types.NOTEBOOK_DOCUMENT_DID_SAVE: read.read_notebook,
            types.NOTEBOOK_DOCUMENT_DID_CLOSE: read.read_notebook,
            types.TEXT_DOCUMENT_INLINE_COMPLETION: lambda params: questions.read_question(server, params),
            commands.DID_SHOW: read.read_item_report,
            commands.DID_PARTIALLY_ACCEPT: read.read_item_report,
            EXPLAIN: read.read_explain,
            WARM: read.read_warm,
            **READERS,
        }
    )
