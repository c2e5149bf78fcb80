"""The real language server with an engine that answers at once (run with `python -P -m`), to measure all but the model.

The answer is --text, in capitals after every other key; or, with --mirror, a word that only this prefix and suffix
have, so that a client can tell which document the server sees.
"""

import argparse
import sys
import zlib
from collections.abc import Callable
from pathlib import Path

from ...fim.terminal.logs import log_to_stderr
from ...fim.types import Completion, CompletionRequest, Hole
from ...lsp_server.server import CompletionServer
from ...lsp_server.stdio import serve_stdio
from ...serving.wire import EngineHealth

MODULE = "quicksilver.benchmarks.speed.instant_server"


def mirror(prefix: str, suffix: str) -> str:
    """A word for a text that is cut in two at the cursor."""
    both = f"{prefix}\0{suffix}".encode("utf-8", "surrogatepass")
    return f"w{zlib.crc32(both):08x}"


class InstantEngine:
    """Answers without a model."""

    def __init__(self, word: Callable[[Hole], str]) -> None:
        self._word = word

    async def ensure_running(self, on_progress: Callable[[str], None] | None = None) -> EngineHealth:
        """It always runs."""
        return EngineHealth(status="ready", version="", pid=0, uptime_s=0.0, facts={"languages": "python"})

    async def shutdown(self) -> None:
        """Nothing runs."""

    @property
    def log_file(self) -> Path | None:
        """There is none."""
        return None

    async def complete(self, request: CompletionRequest) -> Completion:
        """The word, as sure as can be."""
        return Completion(
            text=self._word(request.hole),
            range=request.hole.replaced,
            confidence=1.0,
            finish_reason="stop",
            steps=1,
            n_tokens=1,
            model="instant",
            timings_ms={"engine": 0.0},
        )


def main() -> int:
    """Serve over stdio. Returns the exit code."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--text", default="instantly")
    parser.add_argument("--mirror", action="store_true")
    options = parser.parse_args()
    log_to_stderr("error")

    def word(hole: Hole) -> str:
        if options.mirror:
            return mirror(hole.prefix, hole.suffix)
        return options.text.upper() if len(hole.prefix) % 2 else options.text

    return serve_stdio(CompletionServer(InstantEngine(word), "0"))


if __name__ == "__main__":
    sys.exit(main())
