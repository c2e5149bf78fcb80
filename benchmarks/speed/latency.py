"""How long a person waits, measured through the real language server and the real engine.

The engine runs in a home made for the run, so that the engine of open editors is neither asked nor stopped. Times are
milliseconds; p50 and p95 are nearest-rank percentiles.
"""

import asyncio
import os
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any

from rich.table import Table

from ...fim.errors import EngineUnavailable, InputError
from ...fim.files.source_file import read_document
from ...fim.models.embedded import EMBEDDED, find_model
from ...fim.terminal.console import open_console
from ...fim.terminal.options import KINDS_OF_MODEL, Option, model_option
from ...fim.text.document import Document
from ...lsp_server.protocol.headless import HeadlessClient, server_command
from ...serving.client.engine_client import EngineClient
from ...serving.paths import HOME_VARIABLE, find_home
from ..machine import percentile
from ..progress import progress
from ..runner import heading, write_result
from .typed_files import cut_stretch, enlarge

EXAMPLE = Path(__file__).parents[2] / "examples" / "log_analyser.py"
LARGE_FILE_LINES = 10_000
LARGE_FILE_KEYS = 60
_IMPORT = (
    "import time; t = time.perf_counter(); import quicksilver.lsp_server.server; print((time.perf_counter() - t) * 1e3)"
)

CONTEXT = "new context at a jump of the cursor, engine"
IMPORT, START = "server: import", "server: start to initialized"
COLD = "first completion, engine cold"
KEY, ENGINE, OVERHEAD = "keystroke to answer, warm", "  of it engine", "  of it LSP overhead"
LARGE = f"  LSP overhead, {LARGE_FILE_LINES:,}-line file"
PREFILL, DENOISE, VERIFY, STEPS = "  prefill", "  denoise", "  verify", "  forwards per answer (a count)"
PARTS = {"queue": "  waiting in the engine's queue", "transport": "  to the engine and back", "trim": "  trimming"}
CONTEXTS = (256, 512, 1024, 2048)  # tokens
N_CONTEXTS = 5  # requests of each


@dataclass(frozen=True, kw_only=True)
class LatencyPlan:
    """How much is measured, and with which model.

    Random weights never end a line, so with them max_tokens should say how long answers are.
    """

    n_keys: Annotated[int, Option("characters to type", least=1, most=10_000)] = 200
    n_starts: Annotated[int, Option("how often the server is started", least=1, most=100)] = 5
    n_cold: Annotated[int, Option("how often the engine is started", least=1, most=100)] = 2
    source: Annotated[Path | None, Option("a Python file to type in (default: one of examples/)", flag="--file")] = None
    model: Annotated[Path | None, model_option(f"{KINDS_OF_MODEL} (default: {EMBEDDED[0]})")] = None
    shape: Annotated[str | None, Option("random weights of this size instead of a model", choices=("nano", "base"))] = (
        None
    )
    max_steps: Annotated[int, Option("most forwards of an answer", flag="--steps", least=1, most=1024)] = 64
    max_tokens: Annotated[
        int | None,
        Option("most tokens of an answer (default: the engine's choice)", flag="--tokens", least=1, most=1024),
    ] = None

    def __post_init__(self) -> None:
        if self.shape is not None and self.model is not None:
            raise InputError("--shape is for random weights, --model for a checkpoint: name one of them")

    @property
    def n_large_keys(self) -> int:
        """Characters to type in the large file."""
        return min(self.n_keys, LARGE_FILE_KEYS)

    @property
    def limits(self) -> dict[str, Any]:
        """Settings of the server: the size of answers, and no reuse, so that each key asks the engine."""
        return {"max_steps": self.max_steps, "max_tokens": self.max_tokens, "reuse": False}


@dataclass(kw_only=True)
class Samples:
    """Measured values by name, and how many keys were answered and shown a text."""

    by_name: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    n_keys: int = 0
    n_shown: int = 0

    def add_key(self, waited_ms: float, facts: Mapping[str, Any], overhead_name: str) -> None:
        """One keystroke: the time that the client waited, and the server's account of it."""
        self.n_keys += 1
        self.n_shown += bool(facts["text"])
        if "steps" not in facts:
            return  # answered without the engine: only the server knows why
        ms = facts["timings_ms"]
        self.by_name[overhead_name].append(waited_ms - ms["engine"])
        if overhead_name == LARGE:
            return
        self.by_name[KEY].append(waited_ms)
        self.by_name[ENGINE].append(ms["engine"])
        self.by_name[PREFILL].append(ms.get("prefill", 0.0))
        self.by_name[STEPS].append(facts["steps"])
        self.by_name[DENOISE].append(ms.get("denoise", 0.0))
        self.by_name[VERIFY].append(ms.get("verify", 0.0))
        for part, name in PARTS.items():
            self.by_name[name].append(ms.get(part, 0.0))


def run_latency(plan: LatencyPlan, json_file: Path | None) -> int:
    """Measure, print a table, write JSON. Raises InputError, EngineError and CheckpointError."""
    document = read_document(EXAMPLE if plan.source is None else plan.source)
    with tempfile.TemporaryDirectory(prefix="quicksilver-bench-") as home:
        environ = {**os.environ, HOME_VARIABLE: home}
        if plan.shape is not None:
            from .shapes import write_random

            plan = replace(plan, model=write_random(Path(home), plan.shape), shape=None)
        elif plan.model is None:
            plan = replace(plan, model=find_model(EMBEDDED[0]))
        with progress("starts and keys", plan.n_starts + plan.n_cold + plan.n_keys + plan.n_large_keys) as advance:
            report = asyncio.run(_measure(plan, document, environ, advance))
    _print(report)
    write_result(report, json_file)
    return 0


async def _measure(
    plan: LatencyPlan, document: Document, environ: Mapping[str, str], advance: Callable[[], None]
) -> dict[str, Any]:
    samples = Samples()
    engine = EngineClient(find_home(plan.model, environ))
    try:
        for _ in range(plan.n_starts):
            samples.by_name[IMPORT].append(_import_ms(environ))
            samples.by_name[START].append(await _start_ms(plan, environ))
            advance()
        for _ in range(plan.n_cold):
            await engine.shutdown()
            samples.by_name[COLD].append(await _cold_ms(plan, document, environ))
            advance()
        health = await engine.health()
        async with await _server(plan, environ) as client:
            await client.initialize(options={"budget_ms": 2000, **plan.limits})
            await _jump(client, document, samples)
            await _read_contexts(client, document, samples)
            large = enlarge(document, LARGE_FILE_LINES), plan.n_large_keys
            for name, (typed, n_keys) in ((OVERHEAD, (document, plan.n_keys)), (LARGE, large)):
                async for waited_ms in _type(client, typed, n_keys):
                    samples.add_key(waited_ms, await client.explain(), name)
                    advance()
    finally:
        await engine.shutdown()
    return _report(plan, document, samples, {"model": health.model, **health.facts})


def _import_ms(environ: Mapping[str, str]) -> float:
    command = [sys.executable, "-P", "-c", _IMPORT]
    result = subprocess.run(command, capture_output=True, text=True, env=dict(environ), check=False)
    if result.returncode != 0:
        raise EngineUnavailable("the language server cannot be imported: try `quicksilver doctor`")
    return float(result.stdout)


async def _server(plan: LatencyPlan, environ: Mapping[str, str]) -> HeadlessClient:
    model = () if plan.model is None else ("--model", str(plan.model))
    return await HeadlessClient.start(server_command("--log-level", "warning", *model), environ)


async def _start_ms(plan: LatencyPlan, environ: Mapping[str, str]) -> float:
    async with await _server(plan, environ) as client:
        await client.initialize(options={"start_engine": False})
        return (time.perf_counter() - client.started_s) * 1000


async def _cold_ms(plan: LatencyPlan, document: Document, environ: Mapping[str, str]) -> float:
    """From the start of a server that has no engine yet to its first answer."""
    async with await _server(plan, environ) as client:
        await client.initialize(options={"invoked_budget_ms": 10_000, **plan.limits})
        client.open(document.uri, document.text)
        await client.complete(document.uri, (document.line_count - 1, 0), timeout_s=120)
        waited_ms = (time.perf_counter() - client.started_s) * 1000
        facts = await client.explain()
    if "steps" not in facts:
        raise EngineUnavailable(f"no completion came: {facts['reason']}")
    return waited_ms


async def _jump(client: HeadlessClient, document: Document, samples: Samples) -> None:
    """Ask at the ends of distant lines, where little of the context is cached."""
    client.open(document.uri, document.text)
    for line in range(document.line_count // 4, document.line_count - 1, max(1, document.line_count // 12)):
        end = document.position_at(document.line_end(line), "utf-32")
        await client.complete(document.uri, (end.line, end.character), timeout_s=120)
        facts = await client.explain()
        if "steps" in facts:
            samples.by_name[CONTEXT].append(facts["timings_ms"]["engine"])


async def _read_contexts(client: HeadlessClient, document: Document, samples: Samples) -> None:
    """Ask at the end of unread texts, up to the length of the model's context."""
    n_chars_per_token = 4.0
    for wanted in CONTEXTS:
        for number in range(-1, N_CONTEXTS):  # the first one tells how long a text must be
            n_chars = int(wanted * n_chars_per_token)
            text = f"# {wanted} {number}\n" + (document.text * (n_chars // len(document.text) + 1))[:n_chars]
            new = Document(uri=f"{document.uri}-{wanted}-{number}.py", version=1, language=document.language, text=text)
            client.open(new.uri, new.text)
            end = new.position_at(len(text), "utf-32")
            await client.complete(new.uri, (end.line, end.character), timeout_s=120)
            facts = await client.explain()
            if facts.get("n_context", 0) < (0.5 if number < 0 else 0.93) * wanted:
                return  # more than the model takes
            if number < 0:
                n_chars_per_token *= wanted / facts["n_context"]
            else:
                samples.by_name[context_of(wanted)].append(facts["timings_ms"]["engine"])


def context_of(n_tokens: int) -> str:
    """The name of requests with about n tokens of context."""
    return f"{n_tokens:,} tokens of context, none cached, engine"


async def _type(client: HeadlessClient, document: Document, n_keys: int) -> AsyncIterator[float]:
    """Take a stretch of the file out and type it again; yields the milliseconds until the answer to every key."""
    without, offset, typed = cut_stretch(document, n_keys)
    client.open(without.uri, without.text)
    current = without
    for number, key in enumerate(typed, start=2):
        line, character = current.position_at(offset, "utf-32")
        text = current.text[:offset] + key + current.text[offset:]
        current = Document(uri=current.uri, version=number, language=current.language, text=text)
        offset += 1
        after = current.position_at(offset, "utf-32")
        sent_s = time.perf_counter()
        client.insert(current.uri, number, (line, character), key)
        await client.complete(current.uri, (after.line, after.character), invoked=False, timeout_s=120)
        yield (time.perf_counter() - sent_s) * 1000


def _report(
    plan: LatencyPlan, document: Document, samples: Samples, engine: Mapping[str, str | int | float]
) -> dict[str, Any]:
    order = (
        *(IMPORT, START, COLD, *map(context_of, CONTEXTS), CONTEXT),
        *(KEY, ENGINE, PREFILL, DENOISE, VERIFY, STEPS, OVERHEAD, *PARTS.values(), LARGE),
    )
    rows = [
        {
            "name": name.strip(),
            "p50": round(percentile(values, 0.5), 3),
            "p95": round(percentile(values, 0.95), 3),
            "p99": round(percentile(values, 0.99), 3),
            "n": len(values),
        }
        for name in order
        if (values := samples.by_name.get(name))
    ]
    return {
        **heading("latency"),
        "engine": dict(engine),
        "file": Path(document.uri).name,
        "keys": {"typed": samples.n_keys, "shown": samples.n_shown},
        "plan": {"keys": plan.n_keys, "starts": plan.n_starts, "cold": plan.n_cold, **plan.limits},
        "rows": rows,
    }


def _print(report: Mapping[str, Any]) -> None:
    engine, machine = report["engine"], report["machine"]
    device = engine.get("device", "unknown device")
    where = f"{engine['model']} on {device} · {machine['processor']}, {machine['cpus']} CPUs · {report['date']}"
    table = Table(title="quicksilver bench latency", caption=where, title_justify="left", caption_justify="left")
    table.add_column("milliseconds")
    for name in ("p50", "p95", "p99", "n"):
        table.add_column(name, justify="right")
    for row in report["rows"]:
        table.add_row(row["name"], f"{row['p50']:.1f}", f"{row['p95']:.1f}", f"{row['p99']:.1f}", str(row["n"]))
    console = open_console()
    console.print(table)
    keys = report["keys"]
    console.print(f"{keys['typed']} keys typed, a text was shown after {keys['shown']}; file {report['file']}")
