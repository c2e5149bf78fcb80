import json
import sys
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from quicksilver.lsp_server.headless import HeadlessClient

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
    """editor(*script_options, **initialize_options): a client of a scripted server, initialised."""

    @asynccontextmanager
    async def start(*script_options, initialize=True, **initialize_options):
        command = [sys.executable, "-P", str(SCRIPT), "--record", str(records.file), *script_options]
        client = await HeadlessClient.start(command)
        try:
            if initialize:
                await client.initialize(**initialize_options)
            yield client
        finally:
            await client.stop()

    return start
