"""Completions for a script, without an editor: pygls' own client starts the language server and asks it.

    python examples/headless.py FOLDER [COMMAND …]    # COMMAND: the server, by default `quicksilver lsp`

Write <CURSOR> into the files of FOLDER where you want a completion. All files in UTF-8 that are not hidden are opened,
without the marks, and each place is asked about as with the editor's key. An answer is a line of JSON: file, line and
character (from 0, in code points, as in the file without marks), text ("" for none), latency_ms. What is said to people
goes to stderr; exit code 1 if there is no engine. Needs `pip install pygls`.
"""

import asyncio
import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lsprotocol import types as lsp
from pygls.lsp.client import LanguageClient

MARK = "<CURSOR>"
LANGUAGES = {
    ".py": "python",
    ".js": "javascript",
    ".ts": "typescript",
    ".rs": "rust",
    ".rb": "ruby",
}  # others: the suffix
START_S = 120.0


async def main(folder: Path, command: list[str]) -> int:
    client = LanguageClient("headless", "1")
    states: list[str] = []
    ready = asyncio.Event()

    @client.feature("quicksilver/status")
    def note_status(status: Any) -> None:  # noqa: ANN401 (pygls makes a type for it)
        states.append(status.state)  # "ready" counts after "starting": the first says that nothing was asked yet
        if status.state == "failed" or (status.state == "ready" and "starting" in states):
            ready.set()

    @client.feature(lsp.WINDOW_SHOW_MESSAGE)
    def show_message(params: lsp.ShowMessageParams) -> None:
        print(params.message, file=sys.stderr)

    await client.start_io(*command)
    general = lsp.GeneralClientCapabilities(position_encodings=[lsp.PositionEncodingKind.Utf32])
    capabilities = lsp.ClientCapabilities(general=general, experimental={"quicksilver": {"status": True}})
    await client.initialize_async(lsp.InitializeParams(capabilities=capabilities, root_uri=folder.as_uri()))
    client.initialized(lsp.InitializedParams())
    await asyncio.wait_for(ready.wait(), START_S)
    if "failed" not in states:
        for path, place in list(open_files(client, folder)):
            asked_s = time.perf_counter()
            text = await ask(client, path, place)
            latency_ms = round((time.perf_counter() - asked_s) * 1000, 1)
            found = {"file": path.relative_to(folder).as_posix(), "line": place.line, "character": place.character}
            print(json.dumps({**found, "text": text, "latency_ms": latency_ms}), flush=True)
    await client.shutdown_async(None)
    client.exit(None)
    await client.stop()
    return int("failed" in states)


def open_files(client: LanguageClient, folder: Path) -> Iterator[tuple[Path, lsp.Position]]:
    """Open all files; the places of their marks."""
    for path in sorted(folder.rglob("*")):
        if not path.is_file() or any(part.startswith(".") for part in path.relative_to(folder).parts):
            continue
        try:
            text, *rest = path.read_bytes().decode().split(MARK)
        except UnicodeDecodeError:
            continue
        for after in rest:
            yield path, lsp.Position(line=text.count("\n"), character=len(text) - text.rfind("\n") - 1)
            text += after
        language = LANGUAGES.get(path.suffix, path.suffix[1:] or "plaintext")
        document = lsp.TextDocumentItem(uri=path.as_uri(), language_id=language, version=1, text=text)
        client.text_document_did_open(lsp.DidOpenTextDocumentParams(text_document=document))


async def ask(client: LanguageClient, path: Path, place: lsp.Position) -> str:
    """The best text for a place."""
    document = lsp.TextDocumentIdentifier(uri=path.as_uri())
    context = lsp.InlineCompletionContext(trigger_kind=lsp.InlineCompletionTriggerKind.Invoked)
    params = lsp.InlineCompletionParams(text_document=document, position=place, context=context)
    answer = await client.text_document_inline_completion_async(params)
    items = answer.items if isinstance(answer, lsp.InlineCompletionList) else answer or []
    return str(items[0].insert_text) if items else ""


if __name__ == "__main__":
    sys.exit(asyncio.run(main(Path(sys.argv[1]).resolve(), sys.argv[2:] or ["quicksilver", "lsp"])))
