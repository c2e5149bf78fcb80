"""`quicksilver complete FILE:LINE:COL`: one completion through the real language server.

Owns what is asked and printed. It does not know the engine: the server does.
"""

import argparse
import asyncio
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..fim.document import Document
from ..fim.errors import CheckpointError, EngineError, EngineUnavailable, InputError
from ..fim.printable import one_line, printable
from .headless import HeadlessClient, server_command
from .source_file import parse_place, position_of, read_document

_REFUSED = ("off", "closed", "gated")


def run_complete(options: argparse.Namespace, model: Path | None) -> int:
    """Answer the command line. Raises InputError and EngineError."""
    place = parse_place(options.target)
    document = read_document(place.path)
    position = position_of(document, place)
    settings = server_settings(options.budget_ms, policy=options.policy, max_tokens=options.max_tokens)
    settings["trace"] = options.trace
    facts = asyncio.run(_within(options.timeout_s, ask_once(document, position, settings, model)))
    if options.json:
        print(json.dumps(facts, indent=2))
        return 0
    if options.trace:
        _show_trace(facts, document.line(position[0]), position[1])
    if facts.get("finish_reason") == "budget":
        _say("the time was too short: open places took a first guess (see --budget-ms)")
    if facts["text"]:
        print(for_stdout(facts["text"]))
    else:
        _say(str(facts["reason"]))
    return 0


async def ask_once(
    document: Document, position: tuple[int, int], settings: Mapping[str, Any], model: Path | None
) -> dict[str, Any]:
    """What a new server, given the document, answers at position (line, code points) and says about its answer.

    Raises InputError (the server refuses this place), CheckpointError and EngineError.
    """
    command = server_command("--log-level", "warning", *model_options(model))
    async with await HeadlessClient.start(command) as client:
        await client.initialize(options=settings)
        client.open(document.uri, document.text, language=document.language)
        await client.complete(document.uri, position, timeout_s=600)
        return checked(await client.explain())


def checked(facts: dict[str, Any]) -> dict[str, Any]:
    """An explained answer, unless it says that there was none. Raises InputError, CheckpointError and EngineError."""
    if facts["cause"] in _REFUSED:
        raise InputError(f"no completion here: {facts['reason']}")
    if facts["cause"] == "checkpoint":
        raise CheckpointError(facts["reason"])
    if facts["cause"] not in ("answered", "nothing"):
        raise EngineError(facts["reason"])
    return facts


def model_options(model: Path | None) -> tuple[str, ...]:
    """Command line options of the server for a checkpoint folder."""
    return () if model is None else ("--model", str(model))


def server_settings(budget_ms: float, *, policy: str | None = None, max_tokens: int | None = None) -> dict[str, Any]:
    """`initializationOptions` for requests by hand. Raises InputError for numbers that the server would refuse."""
    if not 1 <= budget_ms <= 60_000:
        raise InputError(f"--budget-ms must be from 1 to 60000, not {budget_ms:g}")
    if max_tokens is not None and not 1 <= max_tokens <= 1024:
        raise InputError(f"--max-tokens must be from 1 to 1024, not {max_tokens}")
    settings: dict[str, Any] = {"invoked_budget_ms": budget_ms, "policy": policy, "max_tokens": max_tokens}
    return settings


def for_stdout(text: str) -> str:
    """A completion as it is for a pipe or a file; for a terminal, which would act on control characters, escaped."""
    return printable(text, keep_newlines=True) if sys.stdout.isatty() else text


async def _within(timeout_s: float, work: Any) -> dict[str, Any]:  # noqa: ANN401
    try:
        return await asyncio.wait_for(work, timeout_s)
    except TimeoutError as error:
        raise EngineUnavailable(f"no answer within {timeout_s:g} s: try `quicksilver doctor`") from error


def _show_trace(facts: Mapping[str, Any], line: str, column: int) -> None:
    from .console import open_console
    from .trace_view import draw_trace

    open_console().print(draw_trace(facts["trace"], line[:column], line[column:]), soft_wrap=True)


def _say(message: str) -> None:
    print(f"quicksilver: {one_line(message)}", file=sys.stderr)
