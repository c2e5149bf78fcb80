"""Which dialect's shape an error has that is found before its endpoint is reached: a wrong key, method or address."""

from ...fim.text.printable import one_line
from .http import ErrorShape, openai_error
from .llamacpp.answer import llama_error
from .ollama.answer import ollama_error

_OLLAMA = "/api/"
_LLAMACPP = frozenset(
    {
        "/infill", "/completion", "/completions", "/props", "/slots", "/tokenize", "/detokenize", "/apply-template",
        "/embedding", "/embeddings", "/rerank", "/reranking",
    }
)  # fmt: skip
_MAX_SHOWN_CHARS = 200


def error_shape(path: str) -> ErrorShape:
    """The shape of errors at path: that of the dialect whose address it is, OpenAI's for all others."""
    if path.startswith(_OLLAMA):
        return ollama_error
    return llama_error if path in _LLAMACPP else openai_error


def shown_path(path: str) -> str:
    """A path for a message: its beginning, in one printable line."""
    return one_line(path[:_MAX_SHOWN_CHARS])
