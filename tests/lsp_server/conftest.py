import json
import sys
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from quicksilver.lsp_server.protocol.headless import HeadlessClient

from .in_process import in_process_client
from .scripted_server import ScriptedEngine, read_options

SCRIPT = Path(__file__).with_name("scripted_server.py")


class Records:
    """What the scripted engine was asked."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def all(self, event: str) -> list[dict]:
        lines = self.file.read_text(encoding="utf-8").splitlines() if self.file.exists() else []
        return [record for record in map(json.loads, lines) if record["event"] == event]


@pytest.fixture
def records(tmp_path):
    return Records(tmp_path / "records.jsonl")


@pytest.fixture
def editor(records):
    """editor(*script_options, **initialize_options): a client of a scripted server in this event loop, initialised."""

    @asynccontextmanager
    async def start(*script_options, initialize=True, **initialize_options):
        options = read_options(["--record", str(records.file), *script_options])
        with in_process_client(ScriptedEngine(options)) as client:
            async with _living(client, initialize, initialize_options):
                yield client

    return start


@pytest.fixture
def piped_editor(records):
    """The same over the pipes of a process, for tests of the process itself: its life, its log, broken frames."""

    @asynccontextmanager
    async def start(*script_options, initialize=True, **initialize_options):
        command = [sys.executable, "-P", str(SCRIPT), "--record", str(records.file), *script_options]
        client = await HeadlessClient.start(command)
        async with _living(client, initialize, initialize_options):
            yield client

    return start


@asynccontextmanager
async def _living(client, initialize, initialize_options):
    """A client that is ended in any case. New suggestions appear at once here: test_settling.py has the wait."""
    options = initialize_options.get("options")
    if options is None or isinstance(options, dict):
        initialize_options = {**initialize_options, "options": {"settle_ms": 0, **(options or {})}}
    try:
        if initialize:
            await client.initialize(**initialize_options)
        yield
    finally:
        await client.stop()


async def idle(client):
    """Return when an in-process server has read what was sent and has nothing in flight that nobody waits for."""
    await client.explain()
    await client.process.idle()
