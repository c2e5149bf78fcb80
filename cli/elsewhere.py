"""`quicksilver complete FILE:LINE:COL --elsewhere NAME --arms FILE`: one completion by a server elsewhere, to compare.

It is asked once, on request, about the same hole as our own engine would be, and its text is trimmed by the same rules.
Says what was sent. Without the two options nothing of this is imported.
"""

import asyncio
import json
import sys
from pathlib import Path

from ..fim.errors import EngineUnavailable, InputError
from ..fim.files.source_file import parse_place, position_of, read_document
from ..fim.gating import is_secret, reason_for_silence
from ..fim.hole import find_hole
from ..fim.syntax.tree import parse
from ..fim.terminal.spinner import waiting
from ..fim.text.printable import one_line, printable
from ..fim.trimming import Trimmer
from ..fim.types import Completion, CompletionRequest
from ..serving.elsewhere.endpoint import ForeignEndpoint, find_endpoint, read_endpoints
from ..serving.elsewhere.foreign_engine import ForeignEngine
from ..serving.elsewhere.outgoing import outgoing_request
from .options import CompleteOptions


def run_elsewhere(options: CompleteOptions, name: str, arms: Path) -> int:
    """Answer the command line. Raises InputError and EngineError."""
    endpoint = find_endpoint(read_endpoints(arms), name)
    place = parse_place(options.target)
    document = read_document(place.path)
    line, character = position_of(document, place)
    offset = document.line_start(line) + character
    refusal = reason_for_silence(document, offset, invoked=True)
    if is_secret(str(place.path.absolute())):  # a link's own name; the document has that of its target
        refusal = "the file looks like one that holds secrets"
    if refusal is not None:
        raise InputError(f"no completion here, and nothing is sent: {refusal}")
    syntax = parse(document.text, document.language, near=offset)
    hole = find_hole(document, offset, syntax)
    request = CompletionRequest(
        hole=hole, path=str(place.path.resolve()), budget_ms=options.budget_ms, max_tokens=options.max_tokens
    )
    with waiting(f"asking {endpoint.name} at {endpoint.host}"):
        completion = asyncio.run(_ask(endpoint, request, options.timeout_s))
    text = Trimmer(hole, syntax).trimmed(completion.text).replace("\n", document.eol)
    if options.json:
        print(json.dumps(_facts(endpoint, request, completion, text), indent=2))
    elif text:
        print(printable(text, keep_newlines=True) if sys.stdout.isatty() else text, flush=True)
    _say(_about(endpoint, request, completion, text))
    return 0


async def _ask(endpoint: ForeignEndpoint, request: CompletionRequest, timeout_s: float) -> Completion:
    async with ForeignEngine(endpoint) as engine:
        try:
            return await asyncio.wait_for(engine.complete(request), timeout_s)
        except TimeoutError:
            raise EngineUnavailable(f"no answer of {endpoint.name} within {timeout_s:g} s") from None


def _facts(
    endpoint: ForeignEndpoint, request: CompletionRequest, completion: Completion, text: str
) -> dict[str, object]:
    sent = outgoing_request(endpoint, request).hole
    return {
        "text": text,
        "untrimmed": completion.text,
        "elsewhere": endpoint.name,
        "host": endpoint.host,
        "sent_chars": {"prefix": len(sent.prefix), "suffix": len(sent.suffix)},
        "model": completion.model,
        "finish_reason": completion.finish_reason,
        "n_tokens": completion.n_tokens,
        "n_context": completion.n_context,
        "timings_ms": dict(completion.timings_ms),
    }


def _about(endpoint: ForeignEndpoint, request: CompletionRequest, completion: Completion, text: str) -> str:
    """What became of the request, and what was sent, in one line."""
    sent = outgoing_request(endpoint, request).hole
    what = f"{len(sent.prefix):,} characters left and {len(sent.suffix):,} right of the cursor were sent"
    ms = f"{completion.timings_ms['engine']:,.0f} ms"
    if completion.finish_reason == "budget":
        return f"no answer of {endpoint.name} at {endpoint.host} within {ms}, see --budget-ms; {what}"
    verdict = "" if text else "nothing to insert: " if completion.text.strip() else "an empty answer: "
    return f"{verdict}{endpoint.name} at {endpoint.host}, model {completion.model}, {ms}; {what}"


def _say(message: str) -> None:
    print(f"quicksilver: {one_line(message)}", file=sys.stderr)
