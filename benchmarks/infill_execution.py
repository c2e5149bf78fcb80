"""Runs a program and says how it ended: each time a fresh process in an empty folder, within limits, without network.

What the process may not do, and what this does not protect from, says `infill_jail`, which runs inside. From here come
a session of its own, an environment with nothing in it, a wall clock, and the end of whatever is left. Knows no tasks.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Literal

Outcome = Literal["passed", "failed", "timeout", "memory", "crashed"]
OUTCOMES: tuple[Outcome, ...] = ("passed", "failed", "timeout", "memory", "crashed")
JAIL = Path(__file__).with_name("infill_jail.py")
OUTPUT_BYTES = 4_000_000
# As -I, but that the hash seed can be set: the order of a set must not decide whether a program passes.
ISOLATED = ("-P", "-s", "-S", "-B", "-X", "utf8")
ENVIRONMENT = {"PATH": "", "LC_ALL": "C.UTF-8", "PYTHONHASHSEED": "0"}
# A process may be stopped at its start for want of processors; its clock starts when it says that it is ready.
START_S = 20.0


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Of one run of a program: seconds of wall clock, and MB of memory (address space)."""

    seconds: float = 3.0
    memory_mb: int = 512

    def __post_init__(self) -> None:
        if not 0 < self.seconds <= 600 or not 64 <= self.memory_mb <= 1 << 20:
            raise ValueError("a program gets from 0 to 600 seconds and from 64 MB to 1 TB")


@dataclass(frozen=True, kw_only=True)
class Run:
    """One run of a program that reads input and prints: any of outputs is right, blanks at the ends aside."""

    input: str
    outputs: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Program:
    """Python source that must come to its end without an exception; with runs, print the right thing in each."""

    source: str
    runs: tuple[Run, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """How a program ended. protection: "kernel" or, where its filter is missing, "interpreter" (`infill_jail`)."""

    outcome: Outcome
    detail: str = ""
    protection: str = ""
    ms: float = 0.0


def execute(program: Program, limits: Limits) -> Verdict:
    """Run a program, as often as it has runs; the first that does not pass is the verdict. Raises OSError."""
    start_s = time.monotonic()
    verdict = _execute_once(program.source, None, limits) if not program.runs else Verdict(outcome="failed")
    for run in program.runs:
        verdict = _execute_once(program.source, run, limits)
        if verdict.outcome != "passed":
            break
    ms = 1000 * (time.monotonic() - start_s)
    return Verdict(outcome=verdict.outcome, detail=verdict.detail, protection=verdict.protection, ms=round(ms, 1))


def _execute_once(source: str, run: Run | None, limits: Limits) -> Verdict:
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="quicksilver-", ignore_cleanup_errors=True))
        code, given, printed, said = (stack.enter_context(tempfile.TemporaryFile()) for _ in range(4))
        for stream, text in ((code, source), (given, run.input if run else "")):
            stream.write(text.encode("utf-8", "surrogatepass"))
            stream.seek(0)
        process = _start(folder, code, given, printed, said, run is not None, limits)
        try:
            is_late = not _ended(process, said, limits.seconds)
        finally:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        said.seek(0)
        verdict = _verdict(said.read(OUTPUT_BYTES), process.returncode, is_late, limits)
        if run is not None and verdict.outcome == "passed":
            printed.seek(0)
            text = printed.read(OUTPUT_BYTES).decode("utf-8", "replace")
            if not any(_same_output(text, wanted) for wanted in run.outputs):
                return Verdict(outcome="failed", detail="another output", protection=verdict.protection)
        return verdict


def _start(
    folder: str, code: IO[bytes], given: IO[bytes], printed: IO[bytes], said: IO[bytes], may_exit: bool, limits: Limits
) -> subprocess.Popen[bytes]:
    settings: dict[str, Any] = {
        "source": code.fileno(), "verdict": said.fileno(), "may_exit": may_exit, "seconds": limits.seconds,
        "memory_bytes": limits.memory_mb << 20, "output_bytes": OUTPUT_BYTES,
    }  # fmt: skip
    return subprocess.Popen(
        [sys.executable, *ISOLATED, str(JAIL), json.dumps(settings)],
        stdin=given, stdout=printed, stderr=subprocess.DEVNULL, pass_fds=(code.fileno(), said.fileno()), cwd=folder,
        env={**ENVIRONMENT, "HOME": folder, "TMPDIR": folder}, start_new_session=True,
    )  # fmt: skip


def _ended(process: subprocess.Popen[bytes], said: IO[bytes], seconds: float) -> bool:
    """Whether the process came to its end in time, which runs from when it is ready."""
    until_s = time.monotonic() + START_S
    while process.poll() is None and os.fstat(said.fileno()).st_size == 0 and time.monotonic() < until_s:
        time.sleep(0.005)
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        return False
    return True


def _verdict(said: bytes, status: int, is_late: bool, limits: Limits) -> Verdict:
    lines = said.decode("utf-8", "replace").splitlines()
    try:
        parts = [json.loads(line) for line in lines]
        protection = str(parts[0]["protection"]) if parts else ""
        if is_late or -status == signal.SIGXCPU:
            return Verdict(outcome="timeout", detail=f"{limits.seconds:g} s", protection=protection)
        if status < 0:
            return Verdict(outcome="crashed", detail=signal.Signals(-status).name, protection=protection)
        if len(parts) == 2 and parts[1]["outcome"] in OUTCOMES:
            return Verdict(outcome=parts[1]["outcome"], detail=str(parts[1]["detail"]), protection=protection)
    except (ValueError, KeyError, TypeError, IndexError):
        return Verdict(outcome="crashed", detail="the program wrote over its verdict")
    if not parts:
        return Verdict(outcome="crashed", detail=f"the process could not be set up (status {status})")
    return Verdict(outcome="failed", detail="the program left before its end", protection=protection)


def _same_output(text: str, wanted: str) -> bool:
    """Whether two outputs agree, blanks at the ends of lines and of the whole aside."""
    one, other = ([line.rstrip() for line in each.strip().splitlines()] for each in (text, wanted))
    return one == other
