"""The checkpoints through the real engine and the real server: the built-in one, and the smallest where that is enough.

Skipped only while there is no checkpoint.
"""

import asyncio
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from quicksilver.lsp_server import __file__ as package_file
from quicksilver.lsp_server.protocol.headless import HeadlessClient, server_command
from quicksilver.serving.client.engine_client import EngineClient
from quicksilver.serving.paths import find_home

NANO = Path(package_file).parent.parent / "model" / "checkpoints" / "nano"
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not NANO.is_dir(), reason="no trained checkpoint in model/checkpoints/nano yet"),
]

SOURCE = "import os\n\n\ndef size(path):\n    return os.path.getsize(path)\n\n\ndef exists(path):\n    return \n"
CURSOR = (8, 11)
HOLE = '[[hole]]\nfile = "few.py"\nanchor = "    return os.path."\ntext = "getsize(path)"\n'


@pytest.fixture(scope="module")
def environ(tmp_path_factory):
    """A home for this file's engine alone; the engine is stopped at the end."""
    home = tmp_path_factory.mktemp("home")
    found = {**os.environ, "QUICKSILVER_HOME": str(home)}
    yield found
    for model in (None, NANO):
        asyncio.run(EngineClient(find_home(model, found)).shutdown())


def quicksilver(environ, *arguments, cwd=None):
    command = [sys.executable, "-P", "-m", "quicksilver.cli", *map(str, arguments)]
    return subprocess.run(command, env=environ, cwd=cwd, capture_output=True, text=True, timeout=300, check=False)


def test_complete_json_on_a_file_elsewhere(environ, tmp_path):
    (tmp_path / "sizes.py").write_text(SOURCE, encoding="utf-8")
    result = quicksilver(
        environ, "complete", "sizes.py:9:12", "--invoke", "--json", "--budget-ms", 60_000, cwd=tmp_path
    )
    assert result.returncode == 0, result.stderr
    facts = json.loads(result.stdout)
    assert facts["cause"] in ("answered", "unsure", "nothing")
    assert facts["range"]["start"] == {"line": 8, "character": 11}
    assert 0.0 <= facts["confidence"] <= 1.0
    assert facts["steps"] >= 1
    assert facts["timings_ms"]["engine"] > 0
    assert "\n" not in facts["text"]


def test_the_trace_ends_in_the_text(environ, tmp_path):
    (tmp_path / "sizes.py").write_text(SOURCE, encoding="utf-8")
    result = quicksilver(
        environ,
        "complete",
        f"{tmp_path / 'sizes.py'}:9:12",
        "--invoke",
        "--trace",
        "--json",
        "--policy",
        "one",
        "--model",
        NANO,
        "--budget-ms",
        60_000,
    )
    facts = json.loads(result.stdout)
    frames = facts["trace"]
    assert [frame["step"] for frame in frames] == sorted({frame["step"] for frame in frames})
    assert 0 < len(frames) <= facts["steps"]  # forwards that verify candidates have no frame
    assert all(any(cell["state"] == "new" for cell in frame["cells"]) for frame in frames[:-1])
    if facts["finish_reason"] in ("stop", "length"):
        assert "".join(cell["text"] for cell in frames[-1]["cells"]) == facts["raw_text"]


async def test_an_engine_killed_between_two_keystrokes_is_back_for_the_second(environ):
    engine = EngineClient(find_home(NANO, environ))
    uri = "file:///tmp/killed.py"
    async with await HeadlessClient.start(server_command("--model", str(NANO)), environ) as client:
        await client.initialize(options={"budget_ms": 60_000, "reuse": False})
        client.open(uri, SOURCE)
        await client.complete(uri, CURSOR, invoked=False, timeout_s=120)
        first = await client.explain()
        pid = (await engine.health()).pid
        os.kill(pid, signal.SIGKILL)
        client.insert(uri, 2, CURSOR, "o")
        await client.complete(uri, (CURSOR[0], CURSOR[1] + 1), invoked=False, timeout_s=120)
        second = await client.explain()
        assert (await engine.health()).pid != pid
    for facts in (first, second):
        assert facts["cause"] in ("answered", "unsure", "nothing"), facts["reason"]
        assert facts["steps"] >= 1
    assert second["version"] == 2


def test_doctor_demo_and_bench(environ, tmp_path):
    doctor = quicksilver(environ, "doctor")
    assert doctor.returncode == 0, doctor.stdout + doctor.stderr
    (tmp_path / "few.py").write_text(SOURCE, encoding="utf-8")
    (tmp_path / "holes.toml").write_text(HOLE, encoding="utf-8")
    demo = quicksilver(environ, "demo", "--examples", tmp_path)
    assert demo.returncode == 0, demo.stderr
    assert " exactly what was cut out" in demo.stdout
    file = tmp_path / "latency.json"
    small = ("--model", NANO, "--keys", 3, "--starts", 1, "--cold", 1, "--steps", 4, "--tokens", 8)
    bench = quicksilver(environ, "bench", "latency", *small, "--json", file)
    assert bench.returncode == 0, bench.stderr
    report = json.loads(file.read_text(encoding="utf-8"))
    names = {row["name"] for row in report["rows"]}
    assert {
        "server: import",
        "first completion, engine cold",
        "prefill",
        "denoise",
        "verify",
        "of it LSP overhead",
    } <= names
