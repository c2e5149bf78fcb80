"""`quicksilver doctor`: checks the installation and times one completion.

Owns the checks and their order. It imports no runtime: what counts is what the engine reports of itself.
"""

import asyncio
import platform
import sys
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from ..fim.errors import QuicksilverError
from ..fim.hole import find_hole
from ..fim.models.speeds import known_speeds, retry_slow_models
from ..fim.terminal.spinner import waiting
from ..fim.text.document import Document
from ..fim.text.printable import one_line, printable
from ..fim.types import CompletionRequest
from ..model.runners.select import has_gpu_driver
from ..serving.paths import find_home
from ..serving.wire import CHOICE, EngineHealth
from .shared_engine import shared_engine

_OLDEST_PYTHON = (3, 11)
_SAMPLE = "def add(a, b):\n    return "


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One row: what was checked, whether it is all right, and the fact or the reason."""

    name: str
    ok: bool
    fact: str


def run_doctor(model: Path | None, timeout_s: float, package_version: str) -> int:
    """Check, print a table, and say what is broken. Returns 1 when something is."""
    findings = [*check_installation(package_version), *asyncio.run(_gather(model, timeout_s))]
    _print(findings)
    broken = [finding for finding in findings if not finding.ok]
    for finding in broken:
        print(f"quicksilver: {finding.name} is broken: {one_line(finding.fact)}", file=sys.stderr)
    return 1 if broken else 0


def check_installation(package_version: str) -> Iterator[Finding]:
    """The checks that need no engine."""
    wanted = ".".join(map(str, _OLDEST_PYTHON))
    found = f"{platform.python_version()} at {sys.executable}"
    new_enough = sys.version_info[:2] >= _OLDEST_PYTHON
    yield Finding(name="python", ok=new_enough, fact=found if new_enough else f"{found}; {wanted} or newer is needed")
    yield Finding(name="platform", ok=True, fact=f"{platform.system()} {platform.release()}, {platform.machine()}")
    installed = package_version[:1].isdigit()
    yield Finding(name="quicksilver", ok=installed, fact=package_version)
    runtimes = {name: _installed(name) for name in ("openvino", "torch")}
    fact = ", ".join(f"{name} {version or 'not installed'}" for name, version in runtimes.items())
    if any(runtimes.values()):
        gpu = "to use the GPU: pip install 'quicksilver-lsp[gpu]'"
        use = gpu if has_gpu_driver() and not runtimes["torch"] else "torch is for GPUs and published diffusion models"
        yield Finding(name="runtimes", ok=True, fact=f"{fact} ({use})")
    else:
        yield Finding(name="runtimes", ok=False, fact="neither openvino nor torch is installed: pip install openvino")


def _installed(distribution: str) -> str | None:
    """The version of what is installed."""
    try:
        return version(distribution)
    except PackageNotFoundError:
        return None


async def check_engine(model: Path | None) -> AsyncIterator[Finding]:
    """Start the engine, read what it says about itself, and time a completion. Raises QuicksilverError."""
    if model is None:
        retry_slow_models()  # if the engine starts now, or else when it does so next
    engine = shared_engine(model)
    started_s = time.perf_counter()
    with waiting("starting the engine") as tell:
        health = await engine.ensure_running(tell)
    took_ms = (time.perf_counter() - started_s) * 1000
    log_file = find_home(model).log_file
    yield Finding(name="engine", ok=True, fact=f"ready after {took_ms:.0f} ms, process {health.pid}, log {log_file}")
    for finding in _engine_facts(health):
        yield finding
    document = Document(uri="file:///doctor.py", version=1, language="python", text=_SAMPLE)
    request = CompletionRequest(hole=find_hole(document, len(_SAMPLE)), path="doctor.py", budget_ms=30_000.0)
    asked_s = time.perf_counter()
    completion = await engine.complete(request)
    answered_ms = (time.perf_counter() - asked_s) * 1000
    engine_ms = completion.timings_ms.get("engine", answered_ms)
    yield _memory(health.pid)
    for finding in _measured():
        yield finding
    fact = f"{completion.text!r} in {answered_ms:.0f} ms (engine {engine_ms:.0f} ms, {completion.steps} steps)"
    yield Finding(name="completion", ok=completion.steps > 0, fact=fact)


def _engine_facts(health: EngineHealth) -> Iterator[Finding]:
    facts = dict(health.facts)
    device = facts.pop("device", None)
    yield Finding(name="device", ok=device is not None, fact=str(device or "the engine names none"))
    checksum = next((facts.pop(name) for name in ("hash", "checkpoint_hash", "sha256") if name in facts), None)
    named = f"{health.model}, hash {checksum}" if checksum else str(health.model)
    yield Finding(name="checkpoint", ok=bool(health.model), fact=named)
    choice = facts.pop(CHOICE, None)
    if choice is not None:
        yield Finding(name="served", ok=True, fact=str(choice))
    if facts:
        yield Finding(name="model", ok=True, fact=", ".join(f"{name} {value}" for name, value in facts.items()))


def _memory(pid: int) -> Finding:
    """What the engine's process holds in memory."""
    import psutil

    try:
        n_bytes = psutil.Process(pid).memory_info().rss
    except psutil.Error as error:
        return Finding(name="memory", ok=True, fact=f"of the engine: not known ({type(error).__name__})")
    return Finding(name="memory", ok=True, fact=f"the engine holds {n_bytes / 1e6:,.0f} MB")


def _measured() -> Iterator[Finding]:
    """What was measured of each model on this machine."""
    latest = {speed.model: speed for speed in sorted(known_speeds().values(), key=lambda speed: speed.measured_s)}
    for speed in latest.values():
        fact = (
            f"{speed.model}: {speed.key_ms:.0f} ms a warm key, {1000 / max(speed.token_ms, 0.001):,.0f} tokens read a"
        )
        fact += f" second on the {speed.device}, {speed.resident_mb:,.0f} MB of memory"
        if not speed.is_fast:
            fact += "; measured again when the engine starts next (`quicksilver stop` ends the running one)"
        yield Finding(name="measured", ok=True, fact=fact)


async def _gather(model: Path | None, timeout_s: float) -> list[Finding]:
    findings: list[Finding] = []

    async def collect() -> None:
        async for finding in check_engine(model):
            findings.append(finding)

    try:
        await asyncio.wait_for(collect(), timeout_s)
    except QuicksilverError as error:
        stage = "completion" if findings else "engine"
        findings.append(Finding(name=stage, ok=False, fact=str(error)))
    except TimeoutError:
        stage = "completion" if findings else "engine"
        findings.append(Finding(name=stage, ok=False, fact=f"no answer within {timeout_s:g} s"))
    return findings


def _print(findings: list[Finding]) -> None:
    from rich.table import Table
    from rich.text import Text

    from ..fim.terminal.console import open_console

    table = Table(title="quicksilver doctor", title_justify="left", show_header=False)
    for finding in findings:
        mark = Text("ok", style="green") if finding.ok else Text("FAIL", style="bold red")
        table.add_row(finding.name, mark, Text(printable(finding.fact), overflow="fold"))
    open_console().print(table)
