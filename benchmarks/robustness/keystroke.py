"""What one keystroke runs: files, functions and lines of ours, in the language server and in the engine.

Owns what is recorded and how it is counted: every function of ours that is entered, in any thread, between a key that
is sent and its answer. Server and engine are real, each started through this module (`python -P -m`), in a home and a
workspace made for the run. Of the keys that the engine answered from a warm cache the median one is reported,
and what of it lies in the files that docs/design.md has people read.
"""

import asyncio
import json
import os
import runpy
import sys
import tempfile
import threading
import time
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import CodeType, FrameType
from typing import Annotated, Any

from rich.table import Table

from ...fim.errors import EngineUnavailable
from ...fim.files.atomic_write import write_whole
from ...fim.files.source_file import read_document
from ...fim.models.embedded import EMBEDDED, find_model
from ...fim.terminal.console import open_console
from ...fim.terminal.options import Option, model_option
from ...fim.text.document import Document
from ...lsp_server.protocol.headless import HeadlessClient
from ...serving.client.engine_client import EngineClient
from ...serving.paths import HOME_VARIABLE, find_home
from ..progress import progress
from ..runner import heading, plain_table, write_result
from ..speed.synthetic_workspace import write_workspace
from ..speed.typed_files import cut_stretch
from .line_counts import DESIGN, ROOT, Function, count_lines, read_spine

MODULE = "quicksilver.benchmarks.robustness.keystroke"
SIDES = ("server", "engine")
N_FILES = 60  # of the workspace
N_CALLS_MAX = 1_000_000  # that are kept of a process, the latest
KEY_S = 0.2  # from an answer to the next key
WARM_SHARE = 0.9  # of the context that comes from the cache
LONGEST_S = 120.0
ENDING_S = 30.0  # of a process: an engine that takes no more requests may still have to unload
COLUMNS = {
    "n_files": "files",
    "n_functions": "functions",
    "n_lines": "lines",
    "n_code_lines": "of code",
    "n_file_lines": "in files",
}


@dataclass(frozen=True, kw_only=True)
class KeystrokePlan:
    """How many keys are typed, and with which model."""

    n_keys: Annotated[int, Option("characters to type; the median warm key is reported", least=1, most=1000)] = 40
    model: Annotated[Path | None, model_option(EMBEDDED[0])] = field(default_factory=lambda: find_model(EMBEDDED[0]))


@dataclass(frozen=True, kw_only=True)
class Call:
    """A function that was entered, at so many seconds on the machine's monotonic clock."""

    at_s: float
    function: Function


@dataclass(frozen=True, kw_only=True)
class TypedKey:
    """A key that was typed: when it was sent and answered (monotonic clock, s), and what the server says of it."""

    sent_s: float
    answered_s: float
    facts: Mapping[str, Any]

    @property
    def is_warm(self) -> bool:
        """Whether the engine answered it, and had most of the context in its cache."""
        n_context = self.facts.get("n_context", 0)
        return not self.facts["reused"] and 0 < n_context * WARM_SHARE <= self.facts["n_cached"]


def run_keystroke(plan: KeystrokePlan, json_file: Path | None) -> int:
    """Measure, print tables, write JSON. Raises InputError, EngineError and CheckpointError."""
    with tempfile.TemporaryDirectory(prefix="quicksilver-bench-") as home:
        workspace = Path(home, "workspace")
        workspace.mkdir()
        files = write_workspace(workspace, N_FILES)
        document = read_document(files[N_FILES // 2])
        records = {side: Path(home, f"{side}.json") for side in SIDES}
        keys, engine = asyncio.run(_type_all(plan, workspace, document, records, home))
        calls = {side: _read_calls(record) for side, record in records.items()}
    report = _report(plan, keys, calls, engine)
    _print(report)
    write_result(report, json_file)
    return 0


async def _type_all(
    plan: KeystrokePlan, root: Path, document: Document, records: Mapping[str, Path], home: str
) -> tuple[list[TypedKey], dict[str, Any]]:
    environ = {**os.environ, HOME_VARIABLE: home}
    named = () if plan.model is None else ("--model", str(plan.model))

    def command(side: str, *arguments: str) -> list[str]:
        return [sys.executable, "-P", "-m", MODULE, str(records[side]), *arguments, *named]

    engine = EngineClient(find_home(plan.model, environ), command("engine", "serve", "--detached"))
    try:
        await engine.ensure_running()
        health = await engine.health()
        start = command("server", "lsp", "--log-level", "warning")
        async with await HeadlessClient.start(start, environ) as client:
            await client.initialize(root=root, options={"budget_ms": 5000, "min_confidence": 0.0})
            keys = await _type(client, document, plan.n_keys)
    finally:
        await engine.shutdown()
    return keys, {"model": health.model, **health.facts}


async def _type(client: HeadlessClient, document: Document, n_keys: int) -> list[TypedKey]:
    """Take a stretch of the document out and type it again, with an automatic question at each key."""
    current, offset, typed = cut_stretch(document, n_keys)
    client.open(current.uri, current.text)
    started_s = time.monotonic()
    while not (status := await client.request("quicksilver/workspace", {}))["is_ready"] or status["waiting"]:
        if time.monotonic() - started_s > LONGEST_S:
            raise EngineUnavailable(f"the workspace is not indexed after {LONGEST_S:g} s")
        await asyncio.sleep(KEY_S)
    keys: list[TypedKey] = []
    with progress("keys", n_keys) as advance:
        for version, key in enumerate(typed, start=2):
            await asyncio.sleep(KEY_S)
            line, character = current.position_at(offset, "utf-32")
            text = current.text[:offset] + key + current.text[offset:]
            current = Document(uri=current.uri, version=version, language=current.language, text=text)
            offset += 1
            after = current.position_at(offset, "utf-32")
            sent_s = time.monotonic()
            client.insert(current.uri, version, (line, character), key)
            await client.complete(current.uri, (after.line, after.character), invoked=False, timeout_s=LONGEST_S)
            answered_s = time.monotonic()
            keys.append(TypedKey(sent_s=sent_s, answered_s=answered_s, facts=await client.explain()))
            advance()
    return keys


def _report(
    plan: KeystrokePlan, keys: Sequence[TypedKey], calls: Mapping[str, Sequence[Call]], engine: Mapping[str, Any]
) -> dict[str, Any]:
    warm = [key for key in keys if key.is_warm]
    warm = [key for key in warm if key.facts["text"]] or warm
    if not warm:
        raise EngineUnavailable(f"of {len(keys)} keys the engine answered none from a warm cache: type more (--keys)")
    of_keys = [{side: _entered(calls[side], key) for side in SIDES} for key in warm]
    order = sorted(range(len(warm)), key=lambda i: sum(map(len, of_keys[i].values())))
    middle = order[len(order) // 2]
    entered, facts = of_keys[middle], warm[middle].facts
    both = [function for side in SIDES for function in entered[side]]
    spine = read_spine(DESIGN.read_text(encoding="utf-8"))
    sides = {**entered, "both": both, "spine": [function for function in both if function.file in spine]}
    return {
        **heading("keystroke"),
        "engine": dict(engine),
        "plan": {"keys": plan.n_keys},
        "keys": {"typed": len(keys), "warm": len(warm)},
        "key": {name: facts[name] for name in ("n_context", "n_cached", "steps")} | {"shown": bool(facts["text"])},
        "rows": [{"name": side, **vars(count_lines(functions))} for side, functions in sides.items()],
        "files": {side: _files_of(functions) for side, functions in entered.items()},
    }


def _entered(calls: Iterable[Call], key: TypedKey) -> list[Function]:
    """The functions that were entered while a key was answered, in the order of their first calls."""
    return list(dict.fromkeys(call.function for call in calls if key.sent_s <= call.at_s <= key.answered_s))


def _files_of(functions: Sequence[Function]) -> list[dict[str, Any]]:
    by_file: dict[str, list[Function]] = {}
    for function in functions:
        by_file.setdefault(function.file, []).append(function)
    return [{"name": file, **vars(count_lines(found))} for file, found in by_file.items()]


def _print(report: Mapping[str, Any]) -> None:
    console = open_console()
    key = report["key"]
    title = f"quicksilver bench keystroke · {report['engine']['model']} · {report['date']}"
    console.print(_table(title, "one warm key", report["rows"]))
    for side, files in report["files"].items():
        console.print(_table(f"{side}, in the order of the first calls", "file", files))
    console.print(
        f"the median of {report['keys']['warm']} warm keys among {report['keys']['typed']}: "
        f"{key['n_context']} tokens of context, {key['n_cached']} of them cached, {key['steps']} forwards"
    )


def _table(title: str, first: str, rows: Sequence[Mapping[str, Any]]) -> Table:
    table = plain_table(title)
    table.add_column(first, no_wrap=True)
    names = {name: about for name, about in COLUMNS.items() if first != "file" or name != "n_files"}
    for about in names.values():
        table.add_column(about, justify="right")
    for row in rows:
        table.add_row(row["name"], *(f"{row[name]:,}" for name in names))
    return table


class Recorder:
    """Notes each call of a function of ours, in this thread and in those that start after it."""

    def __init__(self) -> None:
        self._calls: deque[tuple[float, CodeType]] = deque(maxlen=N_CALLS_MAX)
        self._is_ours: dict[CodeType, bool] = {}

    def start(self) -> None:
        """Begin."""
        threading.setprofile(self._note)
        sys.setprofile(self._note)

    def _note(self, frame: FrameType, event: str, _argument: object) -> None:
        if event != "call":
            return
        code = frame.f_code
        is_ours = self._is_ours.get(code)
        if is_ours is None:
            is_ours = self._is_ours[code] = _is_ours(code)
        if is_ours:
            self._calls.append((time.monotonic(), code))

    def stop(self, file: Path) -> None:
        """End, and write what was called when."""
        sys.setprofile(None)
        threading.setprofile(None)
        numbers: dict[CodeType, int] = {}
        calls = [(at_s, numbers.setdefault(code, len(numbers))) for at_s, code in list(self._calls)]
        functions = [(Path(code.co_filename).relative_to(ROOT).as_posix(), code.co_firstlineno) for code in numbers]
        write_whole(file, json.dumps({"functions": functions, "calls": calls}))


def _is_ours(code: CodeType) -> bool:
    """Whether this is a function of ours with a name: a lambda belongs to the function around it."""
    path = code.co_filename
    is_named = not code.co_name.startswith("<")
    return is_named and path.startswith(f"{ROOT}{os.sep}") and "site-packages" not in path and path != __file__


def _read_calls(file: Path) -> list[Call]:
    """What a process writes when it ends. Raises EngineUnavailable where it writes nothing."""
    until_s = time.monotonic() + ENDING_S
    while not file.exists():
        if time.monotonic() > until_s:
            raise EngineUnavailable(f"the {file.stem} did not say within {ENDING_S:g} s what it called")
        time.sleep(KEY_S)
    found = json.loads(file.read_text(encoding="utf-8"))
    functions = [Function(*each) for each in found["functions"]]
    return [Call(at_s=at_s, function=functions[number]) for at_s, number in found["calls"]]


def main() -> None:
    """Run `quicksilver` with these arguments but the first, the file that gets what was called."""
    record = Path(sys.argv.pop(1))
    recorder, process = Recorder(), os.getpid()
    recorder.start()
    try:
        runpy.run_module("quicksilver.cli", run_name="__main__", alter_sys=True)
    finally:
        if os.getpid() == process:  # not in the copy that watches the editor
            recorder.stop(record)


if __name__ == "__main__":
    main()
