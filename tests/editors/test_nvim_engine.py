"""Neovim with the real engine and its model: an answer, and another after the engine was killed."""

import asyncio
import os
import signal
import sys
from pathlib import Path

import pytest
from nvim_screen import ASK, TAB
from quicksilver.fim.errors import QuicksilverError
from quicksilver.serving.client.engine_client import EngineClient
from quicksilver.serving.paths import find_home

CONTENT = "import os\n\n\ndef size(path):\n    return os.path.getsize(path)\n\n\ndef exists(path):\n    return\n"
SERVER = Path(sys.executable).with_name("quicksilver")
PATIENT = "settings = { min_confidence = 0, budget_ms = 60000, invoked_budget_ms = 60000 },"


@pytest.fixture
def engine(tmp_path):
    """A client of the engine that Neovim's server starts, with a home of its own."""
    engine = EngineClient(find_home(None, {"QUICKSILVER_HOME": str(tmp_path / "q")}))
    yield engine
    asyncio.run(engine.shutdown())


def pid_of(engine):
    """The engine's process id, None while there is none."""
    try:
        return asyncio.run(engine.health()).pid
    except QuicksilverError:
        return None


def test_an_engine_that_is_killed_comes_back(project, engine, tmp_path):
    project.file.write_text(CONTENT)
    around = {"QUICKSILVER_HOME": str(tmp_path / "q"), "OMP_NUM_THREADS": "2"}
    screen = project.start(str(project.file), server=[str(SERVER), "lsp"], options=PATIENT, env=around)
    screen.timeout_s = 120.0
    screen.wait_for_server()
    screen.wait(lambda _: screen.lua("return require('quicksilver').status()") == "qs ready", "the engine")
    screen.send("GA os")
    screen.wait(lambda _: screen.ghost, "ghost text of the real model")
    screen.picture("engine")
    first = pid_of(engine)
    assert first is not None
    os.kill(first, signal.SIGKILL)
    screen.send(TAB)
    screen.wait(lambda _: len(screen.buffer[8]) > len("    return os"), "it in the text")
    screen.send("\r\r\rdef name(path):\r    return os" + ASK)
    screen.wait(lambda _: pid_of(engine) not in (None, first), "another engine")
    screen.wait(lambda _: screen.ghost, "ghost text of the other one")
    assert screen.evaluate("mode()") == "i"
