"""A server whose editor has gone ends soon, even while a thread holds the interpreter lock; no other one does."""

import asyncio
import signal
import subprocess
import sys
import time

import psutil
import pytest

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the watch is there on Linux only")
ENDING_MS = 500
LONG_S = 20.0  # the call below takes years
SERVER = """
import re, sys, time
from quicksilver.lsp_server.protocol.editor_watch import EditorWatch
watch = EditorWatch(0, *map(float, sys.argv[2:]))
print("watched", flush=True)
if "ending" in sys.argv[1]:
    watch.ending()
if "busy" in sys.argv[1]:
    re.match("(a+)+$", 60 * "a" + "b")
sys.stdin.read()
if "slow" in sys.argv[1]:
    time.sleep(2.0)
"""


def start(*options: str) -> subprocess.Popen[bytes]:
    pipe = subprocess.PIPE
    process = subprocess.Popen([sys.executable, "-P", "-c", SERVER, *options], stdin=pipe, stdout=pipe)
    assert process.stdout is not None
    assert process.stdout.readline() == b"watched\n"
    return process


def ended(process: subprocess.Popen[bytes]) -> int | None:
    try:
        return process.wait(LONG_S)
    except subprocess.TimeoutExpired:
        return None
    finally:
        process.kill()
        process.wait()


def test_the_end_of_stdin_ends_a_server_that_holds_the_lock():
    process = start("busy", str(ENDING_MS))
    assert process.stdin is not None
    process.stdin.close()
    assert ended(process) == -signal.SIGKILL


def test_a_server_that_cannot_finish_ending_is_ended():
    assert ended(start("busy-ending", str(ENDING_MS))) == -signal.SIGKILL


@pytest.mark.slow
def test_a_busy_server_lives_as_long_as_its_editor():
    process = start("busy", str(ENDING_MS))
    try:
        assert process.stdin is not None
        process.stdin.write(b"unread")
        process.stdin.flush()
        time.sleep(ENDING_MS / 1000 + 0.5)
        assert process.poll() is None
    finally:
        process.kill()
        process.wait()


def test_an_orderly_end_is_not_disturbed_and_leaves_no_process():
    process = start("orderly")
    (watch,) = psutil.Process(process.pid).children()
    out, _ = process.communicate(timeout=LONG_S)  # its stdout ends with it, not with the watch
    assert (process.returncode, out) == (0, b"")
    assert psutil.wait_procs([watch], timeout=LONG_S)[1] == []


def test_a_killed_server_leaves_no_process():
    process = start("busy", str(ENDING_MS))
    (watch,) = psutil.Process(process.pid).children()
    process.kill()
    process.wait()
    assert psutil.wait_procs([watch], timeout=LONG_S)[1] == []


def test_a_slow_server_may_finish_ending():
    process = start("slow")
    assert process.stdin is not None
    process.stdin.close()
    assert ended(process) == 0


@pytest.mark.slow
async def test_a_language_server_in_one_long_call_ends_with_its_editor(piped_editor, records):
    async with piped_editor("--hold-lock") as client:
        client.open("file:///a.py", "x = ")
        client.ask(
            "textDocument/inlineCompletion",
            {
                "textDocument": {"uri": "file:///a.py"},
                "position": {"line": 0, "character": 4},
                "context": {"triggerKind": 1},
            },
        )
        async with asyncio.timeout(LONG_S):
            while not records.all("asked"):
                await asyncio.sleep(0.02)
        client.process.stdin.close()
        async with asyncio.timeout(LONG_S):
            assert await client.process.wait() == -signal.SIGKILL
