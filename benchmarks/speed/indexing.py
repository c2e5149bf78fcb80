"""The cost of indexing a large workspace: time, memory, and latency for a person who types meanwhile.

The language server and the engine are real, in a home made for the run. Rounds take turns: a server without a
workspace, one that indexes, the same one afterwards. Times are milliseconds.
"""

import asyncio
import os
import tempfile
import time
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import psutil
from rich.table import Table

from ...fim.errors import EngineUnavailable
from ...fim.files.source_file import read_document
from ...fim.terminal.console import open_console
from ...fim.terminal.options import Option
from ...fim.text.document import Document
from ...lsp_server.protocol.headless import HeadlessClient, server_command
from ...serving.client.engine_client import EngineClient
from ...serving.paths import HOME_VARIABLE, find_home
from ..machine import percentile
from ..progress import progress
from ..runner import heading, write_result
from .synthetic_workspace import write_workspace
from .typed_files import cut_stretch

OFF, DURING, AFTER = "without a workspace", "while it is indexed", "when it is indexed"
PHASES = (OFF, DURING, AFTER)
KEY_S = 0.15  # from key to key
POLL_S = 0.02
LONGEST_S = 300.0
STATUS = "quicksilver/workspace"
MIB = 1024 * 1024


@dataclass(frozen=True, kw_only=True)
class IndexingPlan:
    """How large the workspace is, and how much is typed in it."""

    n_files: Annotated[int, Option("of the workspace that is made", least=2, most=50_000)] = 5_000
    n_keys: Annotated[int, Option("to type in each phase", least=1, most=1000)] = 40
    n_rounds: Annotated[int, Option("each phase's turns", least=1, most=100)] = 3


@dataclass(kw_only=True)
class Measured:
    """overhead_ms: request to answer less the engine's share, by phase. The others: one value for each round."""

    overhead_ms: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    indexed_ms: list[float] = field(default_factory=list)
    memory_before: list[float] = field(default_factory=list)
    memory_after: list[float] = field(default_factory=list)
    memory_peak: list[float] = field(default_factory=list)
    n_snippets: list[int] = field(default_factory=list)
    status: dict[str, Any] = field(default_factory=dict)


def run_indexing(plan: IndexingPlan, json_file: Path | None) -> int:
    """Measure, print a table, write JSON. Raises EngineError and CheckpointError."""
    with tempfile.TemporaryDirectory(prefix="quicksilver-bench-") as home:
        folder = Path(home, "workspace")
        folder.mkdir()
        files = write_workspace(folder, plan.n_files)
        document = read_document(max(files[: len(files) // 2], key=lambda path: path.stat().st_size))
        report = asyncio.run(_measure(plan, folder, document, {**os.environ, HOME_VARIABLE: home}))
    _print(report)
    write_result(report, json_file)
    return 0


async def _measure(plan: IndexingPlan, root: Path, document: Document, environ: Mapping[str, str]) -> dict[str, Any]:
    measured = Measured()
    engine = EngineClient(find_home(None, environ))
    try:
        await engine.ensure_running(None)
        health = await engine.health()
        with progress("rounds", plan.n_rounds) as done:
            for _ in range(plan.n_rounds):
                await _without(plan, document, measured, environ)
                await _alone(root, measured, environ)
                await _typing(plan, root, document, measured, environ)
                done()
    finally:
        await engine.shutdown()
    return _report(plan, measured, {"model": health.model, **health.facts})


async def _server(environ: Mapping[str, str]) -> HeadlessClient:
    return await HeadlessClient.start(server_command("--log-level", "warning"), environ)


def _options(*, workspace: bool) -> dict[str, Any]:
    return {"budget_ms": 2000, "reuse": False, "min_confidence": 0, "workspace": workspace}


async def _without(plan: IndexingPlan, document: Document, measured: Measured, environ: Mapping[str, str]) -> None:
    async with await _server(environ) as client:
        await client.initialize(options=_options(workspace=False))
        typist = _Typist(client, document, plan.n_keys)
        measured.overhead_ms[OFF] += [ms for _ in range(plan.n_keys) if (ms := await typist.type_key()) is not None]
        measured.memory_before.append(_memory(client))


async def _alone(root: Path, measured: Measured, environ: Mapping[str, str]) -> None:
    """Without typing: the time from the handshake to the last file, and the memory meanwhile."""
    async with await _server(environ) as client:
        await client.initialize(options=_options(workspace=True), root=root)
        started_s, peak = time.perf_counter(), 0.0
        while not (await client.request(STATUS, {}))["is_ready"]:
            peak = max(peak, _memory(client))
            _check_time(started_s)
            await asyncio.sleep(POLL_S)
        measured.indexed_ms.append((time.perf_counter() - started_s) * 1000)
        measured.memory_peak.append(max(peak, _memory(client)))


async def _typing(
    plan: IndexingPlan, root: Path, document: Document, measured: Measured, environ: Mapping[str, str]
) -> None:
    async with await _server(environ) as client:
        await client.initialize(options=_options(workspace=True), root=root)
        typist = _Typist(client, document, plan.n_keys)
        n_keys = 0
        while n_keys < plan.n_keys and not (await client.request(STATUS, {}))["is_ready"]:
            measured.overhead_ms[DURING] += [ms] if (ms := await typist.type_key()) is not None else []
            n_keys += 1
        started_s = time.perf_counter()
        while not _is_settled(await client.request(STATUS, {})):
            _check_time(started_s)
            await asyncio.sleep(POLL_S)
        typist = _Typist(client, document, plan.n_keys)
        measured.overhead_ms[AFTER] += [ms for _ in range(plan.n_keys) if (ms := await typist.type_key()) is not None]
        measured.memory_after.append(_memory(client))
        measured.status = await client.request(STATUS, {})


def _is_settled(status: Mapping[str, Any]) -> bool:
    return status["is_ready"] and not status["waiting"]


class _Typist:
    """Types a stretch of a document again, a key every KEY_S, and invokes a completion at each, past all gates."""

    def __init__(self, client: HeadlessClient, document: Document, n_keys: int) -> None:
        self._client = client
        self._current, self._offset, self._keys = cut_stretch(document, n_keys)
        self._next_s = time.perf_counter()
        client.open(self._current.uri, self._current.text)

    async def type_key(self) -> float | None:
        """Type the next key; the milliseconds from then to the answer less the engine's, None for no question to it."""
        await asyncio.sleep(max(0.0, self._next_s - time.perf_counter()))
        self._next_s = time.perf_counter() + KEY_S
        before, key = self._current, self._keys[0]
        line, character = before.position_at(self._offset, "utf-32")
        text = before.text[: self._offset] + key + before.text[self._offset :]
        self._current = Document(uri=before.uri, version=before.version + 1, language=before.language, text=text)
        self._offset, self._keys = self._offset + 1, self._keys[1:]
        after = self._current.position_at(self._offset, "utf-32")
        sent_s = time.perf_counter()
        self._client.insert(before.uri, self._current.version, (line, character), key)
        await self._client.complete(before.uri, (after.line, after.character), timeout_s=120)
        waited_ms = (time.perf_counter() - sent_s) * 1000
        facts = await self._client.explain()
        return waited_ms - facts["timings_ms"]["engine"] if "steps" in facts else None


def _memory(client: HeadlessClient) -> float:
    """MiB of the server that are in memory."""
    return psutil.Process(client.process.pid).memory_info().rss / MIB


def _check_time(started_s: float) -> None:
    if time.perf_counter() - started_s > LONGEST_S:
        raise EngineUnavailable(f"the workspace is not indexed after {LONGEST_S:g} s")


def _report(plan: IndexingPlan, measured: Measured, engine: Mapping[str, str | int | float]) -> dict[str, Any]:
    rows = [
        {
            "name": phase,
            "p50": round(percentile(values, 0.5), 3),
            "p95": round(percentile(values, 0.95), 3),
            "p99": round(percentile(values, 0.99), 3),
            "n": len(values),
        }
        for phase in PHASES
        if (values := measured.overhead_ms[phase])
    ]
    return {
        **heading("indexing", ("tree-sitter",)),
        "engine": dict(engine),
        "plan": {"files": plan.n_files, "keys": plan.n_keys, "rounds": plan.n_rounds, "key_ms": KEY_S * 1000},
        "workspace": measured.status,
        "indexed_ms": [round(ms, 1) for ms in measured.indexed_ms],
        "memory_mib": {
            "without": [round(mib, 1) for mib in measured.memory_before],
            "peak": [round(mib, 1) for mib in measured.memory_peak],
            "indexed": [round(mib, 1) for mib in measured.memory_after],
        },
        "overhead_ms": rows,
    }


def _print(report: Mapping[str, Any]) -> None:
    engine, machine = report["engine"], report["machine"]
    where = f"{engine['model']} · {machine['processor']}, {machine['cpus']} CPUs · {report['date']}"
    table = Table(title="quicksilver bench indexing", caption=where, title_justify="left", caption_justify="left")
    table.add_column("keystroke to answer less the engine's share, ms")
    for name in ("p50", "p95", "p99", "n"):
        table.add_column(name, justify="right")
    for row in report["overhead_ms"]:
        table.add_row(row["name"], f"{row['p50']:.1f}", f"{row['p95']:.1f}", f"{row['p99']:.1f}", str(row["n"]))
    console = open_console()
    console.print(table)
    found, memory = report["workspace"], report["memory_mib"]
    console.print(
        f"{found['n_files']:,} files, {found['n_chunks']:,} chunks, {found['n_text_bytes'] / 1e6:.1f} MB of text, "
        f"{found['n_index_bytes'] / 1e6:.1f} MB of index"
    )
    console.print(f"indexed after {', '.join(f'{ms / 1000:.2f}' for ms in report['indexed_ms'])} s while nobody types")
    for name in ("without", "peak", "indexed"):
        console.print(f"memory of the server, {name}: {', '.join(f'{mib:.0f}' for mib in memory[name])} MiB")
