"""Engines for the tests: the real process around a fake model, in a private home, never left behind."""

import asyncio
import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import pytest
from quicksilver.fim.types import CompletionRequest, Hole
from quicksilver.serving.client.engine_client import EngineClient
from quicksilver.serving.paths import EngineHome, find_home

FAKE_ENGINE = Path(__file__).with_name("fake_engine.py")


@dataclass
class Rig:
    """One private home and what happens in it."""

    folder: Path
    environ: dict[str, str] = field(default_factory=dict)

    @property
    def home(self) -> EngineHome:
        return find_home(environ={"QUICKSILVER_HOME": str(self.folder), **self.environ})

    @property
    def fake_log(self) -> Path:
        return self.folder / "fake.jsonl"

    def launch(self, *arguments: str) -> list[str]:
        return [sys.executable, "-P", str(FAKE_ENGINE), "--fake-log", str(self.fake_log), *arguments]

    def client(self, *arguments: str, start_timeout_s: float = 60.0) -> EngineClient:
        return EngineClient(self.home, self.launch("--detached", *arguments), start_timeout_s=start_timeout_s)

    def events(self, event: str) -> list[dict]:
        if not self.fake_log.exists():
            return []
        written = self.fake_log.read_text(encoding="ascii").split("\n")[:-1]  # without a line that is being written
        return [line for line in map(json.loads, written) if line["event"] == event]

    async def event(self, event: str, n_events: int = 1) -> list[dict]:
        async with asyncio.timeout(30):
            while len(found := self.events(event)) < n_events:
                await asyncio.sleep(0.005)
        return found

    def processes(self) -> list[psutil.Process]:
        found = []
        for process in psutil.process_iter(["cmdline", "status"]):
            if str(self.fake_log) in (process.info["cmdline"] or []) and process.info["status"] != psutil.STATUS_ZOMBIE:
                found.append(process)
        return found

    def end(self) -> None:
        for process in self.processes():
            process.kill()


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    rig = Rig(tmp_path)
    yield rig
    rig.end()


@pytest.fixture(scope="module")
def shared_rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    """One running engine for a whole module, on its UNIX socket and on a free TCP port."""
    rig = Rig(tmp_path_factory.mktemp("engine"))
    try:
        asyncio.run(rig.client("--port", "0", "--fake-step-ms", "0.2").ensure_running())
        yield rig
    finally:
        rig.end()


@pytest.fixture
def ask() -> Callable[..., CompletionRequest]:
    def make(prefix: str = "x = ", suffix: str = "", *, n_steps: int = 1, budget_ms: float | None = None, **rest):
        at = len(prefix)
        hole = Hole(prefix=prefix, suffix=suffix, language="python", replaced=(at, at), multiline=True)
        return CompletionRequest(hole=hole, max_evaluations=n_steps, budget_ms=budget_ms, **rest)

    return make
