"""`quicksilver complete FILE:LINE:COL`: one completion through the real language server.

Owns what is asked and printed.
"""

import asyncio
import json
import math
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..fim.errors import EngineUnavailable, InputError
from ..fim.files.atomic_write import write_whole
from ..fim.files.source_file import FilePlace, parse_place, position_of, read_document
from ..fim.gating import reason_for_silence
from ..fim.terminal.spinner import Tell, waiting
from ..fim.text.document import Document
from ..fim.text.printable import one_line, printable
from ..lsp_server.languages import KnownLanguages, about_language
from ..lsp_server.protocol.explanation import check_explained, model_options
from ..lsp_server.protocol.headless import HeadlessClient, server_command
from ..serving.wire import CHOICE
from .options import CompleteOptions
from .shared_engine import shared_engine

UNKNOWN_LANGUAGE = 3  # exit code
SOURCES = {
    "denoiser": "denoised",
    "file": "found in this file",
    "open file": "found in an open file",
    "workspace": "found in the workspace",
    "snippet": "found in a snippet",
    "elsewhere": "from a server elsewhere",
}


def run_complete(options: CompleteOptions) -> int:
    """Answer the command line. Raises InputError, CheckpointError and EngineError."""
    model, place = options.model, parse_place(options.target)
    document = read_document(place.path)
    position = position_of(document, place)
    refusal = reason_for_silence(document, document.line_start(position[0]) + position[1], invoked=True)
    if refusal is not None:
        raise InputError(f"no completion here: {refusal}")
    settings = {
        "budget_ms": options.budget_ms, "invoked_budget_ms": options.budget_ms, "policy": options.policy,
        "max_tokens": options.max_tokens, "trace": options.trace or options.trace_svg is not None,
    }  # fmt: skip
    with waiting("starting the language server") as tell:
        work = ask_once(document, position, settings, model, invoked=options.invoke, tell=tell)
        facts = asyncio.run(_within(options.timeout_s, work))
        choice = asyncio.run(engine_choice(model)) if options.verbose else ""
    if options.json:
        print(json.dumps(facts, indent=2))
    else:
        _show(facts, document.line(position[0]), position[1], options)
    if options.trace_svg is not None:
        _draw_trace(facts, document.line(position[0]), position[1], options.trace_svg, place)
    if choice:
        _say(choice)
    about = about_language(document.language, KnownLanguages(facts["languages"]))
    if about is not None:
        _say(about)
    if not facts["text"] and (about is None or options.invoke):
        _say(_why_nothing(facts, options.invoke))
    return UNKNOWN_LANGUAGE if about is not None and not options.invoke else 0


async def ask_once(
    document: Document,
    position: tuple[int, int],
    settings: Mapping[str, Any],
    model: Path | None,
    *,
    invoked: bool,
    tell: Tell,
) -> dict[str, Any]:
    """The explained answer of a new server at position (line, code points) of the document.
    Its key languages has those that the model completes by itself.

    Raises InputError (the server refuses this place), CheckpointError and EngineError.
    """
    command = server_command("--log-level", "warning", *model_options(model))
    async with await HeadlessClient.start(command) as client:
        client.on_status = tell
        await client.initialize(options=settings, status=True)
        client.open(document.uri, document.text, language=document.language)
        await client.complete(document.uri, position, invoked=invoked, timeout_s=600)
        facts = check_explained(await client.explain())
        status = await client.request("workspace/executeCommand", {"command": "quicksilver.status", "arguments": []})
        return facts | {"languages": status["languages"]}


def for_stdout(text: str) -> str:
    """A completion: unchanged for a pipe or a file; for a terminal, with control characters escaped."""
    return printable(text, keep_newlines=True) if sys.stdout.isatty() else text


async def engine_choice(model: Path | None) -> str:
    """What the engine that has answered says of its model. Raises EngineUnavailable."""
    return str((await shared_engine(model).health()).facts.get(CHOICE, ""))


async def _within(timeout_s: float, work: Any) -> dict[str, Any]:  # noqa: ANN401
    try:
        return await asyncio.wait_for(work, timeout_s)
    except TimeoutError as error:
        raise EngineUnavailable(f"no answer within {timeout_s:g} s: try `quicksilver doctor`") from error


def _show(facts: Mapping[str, Any], line: str, column: int, options: CompleteOptions) -> None:
    """The completion on stdout, and on stderr how sure it is."""
    if options.trace and facts.get("trace"):
        _show_trace(facts, line, column)
    if facts.get("finish_reason") == "budget":
        _say("the answer was cut short: its time or its steps were used up (see --budget-ms)")
    if facts["text"]:
        print(for_stdout(facts["text"]), flush=True)
        _say(about_answer(facts))


def _why_nothing(facts: Mapping[str, Any], invoked: bool) -> str:
    if invoked:
        return f"no suggestion: {facts['reason']}"
    return f"an editor shows nothing here: {facts['reason']} (--invoke asks for the best guess)"


def about_answer(facts: Mapping[str, Any]) -> str:
    """How sure an answer is, where it came from and how long it took, in one line."""
    source = SOURCES.get(facts["source"], facts["source"])
    cut = ", the sure beginning of a longer text" if facts.get("cut") else ""
    more = f", {len(facts['others'])} more in --json" if facts["others"] else ""
    ms = facts["timings_ms"]["engine"]
    return f"{percent(facts['confidence'])} sure, {source}{cut}; {ms:,.0f} ms, model {facts['model']}{more}"


def percent(share: float) -> str:
    """0.917 as `91 %`: rounded down, so that nothing looks surer than it is."""
    return f"{math.floor(100 * share)} %"


def _show_trace(facts: Mapping[str, Any], line: str, column: int) -> None:
    from ..fim.terminal.console import open_console
    from .trace_view import draw_trace

    open_console().print(draw_trace(facts["trace"], line[:column], line[column:]), soft_wrap=True)


def _draw_trace(facts: Mapping[str, Any], line: str, column: int, path: Path, place: FilePlace) -> None:
    """Write the steps, if there were any, as a picture. Raises InputError if path cannot be written."""
    from .trace_view import draw_trace, svg

    if not facts.get("trace"):
        _say(f"the model was not asked: {path} is not written")
        return
    title = printable(f"{place.path.name}, line {place.line}: {facts['model']}")
    try:
        write_whole(path, svg(draw_trace(facts["trace"], line[:column], line[column:]), title))
    except (OSError, ValueError) as error:  # ValueError: a NUL character in the name
        raise InputError(f"cannot write {path}: {getattr(error, 'strerror', None) or error}") from error


def _say(message: str) -> None:
    print(f"quicksilver: {one_line(message)}", file=sys.stderr)
