"""Loading the model opens no connection and asks no name server, and neither does what it loads."""

import os
import subprocess
import sys
from importlib.util import find_spec

import pytest

PROGRAM = """
import os, sys

def note(event, arguments):
    if event in ("socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto", "os.fork"):
        os.write(2, f"{event} in {os.getpid()}\\n".encode())

sys.addaudithook(note)
if sys.argv[1] == "ours":
    import quicksilver.model.openvino.graph
    from quicksilver.model.load_infiller import load_infiller
    load_infiller(None)
else:
    import openvino
print("telemetry" if sys.modules.get("openvino_telemetry") else "none")
"""


def run(what, tmp_path):
    command = [sys.executable, "-P", "-c", PROGRAM, what]
    env = {**os.environ, "HOME": str(tmp_path), "OMP_NUM_THREADS": "1"}
    result = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True, env=env)
    events = [line for line in result.stderr.splitlines() if " in " in line and line.split(" in ")[0].count(".") == 1]
    return result.stdout.strip(), events


@pytest.mark.skipif(find_spec("openvino") is None, reason="OpenVINO is not installed")
def test_openvino_tells_nobody(tmp_path):
    assert run("ours", tmp_path) == ("none", [])
    assert not any(tmp_path.iterdir())  # nor does it write who we are
