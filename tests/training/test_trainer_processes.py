"""Runs as real processes: killed at any moment, and several at a time."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from quicksilver.training.run.state_file import STATE

pytestmark = pytest.mark.slow

PROGRAM = Path(__file__).parent / "tiny_run.py"
N_STEPS = 24
NOISE = ("s", "tokens_per_s")  # times differ from run to run


def start(folder):
    return subprocess.Popen([sys.executable, str(PROGRAM), str(folder), str(N_STEPS)], stdout=subprocess.PIPE)


def lines(folder):
    path = folder / "loss.jsonl"
    whole = path.read_text().split("\n")[:-1] if path.exists() else []
    return [{k: v for k, v in json.loads(line).items() if k not in NOISE} for line in whole]


def state(folder):
    return torch.load(folder / STATE, weights_only=True)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A run that nobody disturbed."""
    folder = tmp_path_factory.mktemp("whole")
    assert start(folder).wait(timeout=300) == 0
    return folder


def test_a_run_that_is_ended_at_any_moment_gives_the_same_curve(tmp_path, whole):
    """By SIGKILL, then by SIGTERM, after which it saves; then it goes on to the end."""
    for n_lines, number in ((5, signal.SIGKILL), (14, signal.SIGTERM)):
        process = start(tmp_path)
        deadline_s = time.monotonic() + 300
        while len(lines(tmp_path)) < n_lines:
            assert process.poll() is None and time.monotonic() < deadline_s
            time.sleep(0.002)
        process.send_signal(number)
        said, _ = process.communicate(timeout=60)
        if number == signal.SIGKILL:
            assert process.returncode == -signal.SIGKILL
        else:
            assert (process.returncode, said) == (0, b"interrupted\n")
        assert len(lines(tmp_path)) < N_STEPS
    process = start(tmp_path)
    assert process.wait(timeout=300) == 0
    assert lines(tmp_path) == lines(whole)
    for name, weight in state(whole)["model"].items():
        assert torch.equal(weight, state(tmp_path)["model"][name]), name


def test_two_ranks_with_half_the_batch_are_one_with_all_of_it(tmp_path, whole):
    """torchrun with gloo: the same losses and weights, up to the order of sums."""
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    result = subprocess.run(
        [*command, str(PROGRAM), str(tmp_path), str(N_STEPS)], env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True, timeout=400, check=False,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr.decode()[-2000:]
    ours, theirs = lines(whole), lines(tmp_path)
    assert [line["step"] for line in theirs] == [line["step"] for line in ours]
    assert [line["tokens"] for line in theirs] == [line["tokens"] for line in ours]
    for name in ("next_token", "canvas"):
        difference = [abs(a[name] - b[name]) for a, b in zip(ours, theirs, strict=True)]
        assert max(difference[:10]) < 2e-3 and max(difference) < 0.05, name
    one, two = state(whole)["model"], state(tmp_path)["model"]
    for name, weight in one.items():
        assert (weight - two[name]).norm() <= 0.05 * weight.norm() + 1e-3, name
