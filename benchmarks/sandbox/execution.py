"""Runs a program and reports how it ended: always a fresh process in an empty folder, within limits, without network.

What confines the program is in `bubblewrap` (around the process) and `jail` (inside it). This adds a session, a time
limit, the end of whatever is left, and the verdict: a program has passed by its exit status and a secret that it can
give only by reaching its end.
"""

import contextlib
import json
import os
import secrets
import select
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import IO, Literal

from .bubblewrap import ENVIRONMENT, ISOLATED, bubblewrap, in_bubblewrap, own_folder
from .toolchains import ENDING, Toolchain, toolchain_of

RunOutcome = Literal["passed", "failed", "timeout", "memory", "crashed"]
OUTCOMES: tuple[RunOutcome, ...] = ("passed", "failed", "timeout", "memory", "crashed")
JAIL, BUILD = (Path(__file__).with_name(f"{name}.py") for name in ("jail", "compile_and_run"))
OUTPUT_BYTES = 4_000_000
REPORT_BYTES = 4096
EMPTY_PROGRAMS = {
    "javascript": f'console.log("{ENDING}");',
    "typescript": f'const ending: string = "{ENDING}";\nconsole.log(ending);',
    "rust": f'fn main() {{ println!("{ENDING}"); }}',
    "cpp": f'#include <iostream>\nint main() {{ std::cout << "{ENDING}\\n"; }}',
    "go": f'package main\n\nimport "fmt"\n\nfunc main() {{ fmt.Println("{ENDING}") }}',
    "java": f'class Main {{ public static void main(String[] a) {{ System.out.println("{ENDING}"); }} }}',
}
# A process may be stopped at its start for want of processors; its clock starts when it says that it is ready.
START_S = 20.0
COMPILED_S = START_S + 60.0  # with the compiler's time, see compile_and_run


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
    """Source that must come to its end without an error; with runs (Python only), print the right thing in each."""

    source: str
    runs: tuple[Run, ...] = ()
    language: str = "python"

    @property
    def toolchain(self) -> Toolchain | None:
        """What compiles and runs it; None for Python, and where nothing does."""
        return toolchain_of(self.language)


@dataclass(frozen=True, kw_only=True)
class RunVerdict:
    """How a program ended. detail: where it failed, the program's own words: not to be trusted, nor printed raw.

    protection: what held it back, of bubblewrap, Landlock, seccomp and audit hook, with commas; "" if it never ran.
    """

    outcome: RunOutcome
    detail: str = ""
    protection: str = ""
    ms: float = 0.0


def execute(program: Program, limits: Limits) -> RunVerdict:
    """Run a program, as often as it has runs; the first that does not pass is the verdict. Raises OSError."""
    start_s = time.monotonic()
    verdict = _execute_once(program, None, limits) if not program.runs else RunVerdict(outcome="failed")
    for run in program.runs:
        verdict = _execute_once(program, run, limits)
        if verdict.outcome != "passed":
            break
    ms = 1000 * (time.monotonic() - start_s)
    return RunVerdict(outcome=verdict.outcome, detail=verdict.detail, protection=verdict.protection, ms=round(ms, 1))


def _execute_once(program: Program, run: Run | None, limits: Limits) -> RunVerdict:
    secret = secrets.token_bytes(32)
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(own_folder())
        code, given, printed = (stack.enter_context(tempfile.TemporaryFile()) for _ in range(3))
        for stream, text in ((code, program.source), (given, run.input if run else "")):
            stream.write(text.encode("utf-8", "surrogatepass"))
            stream.seek(0)
        (gate, key), (report, pen) = _pipe(stack), _pipe(stack)
        toolchain = program.toolchain
        process = _start(folder, (code, gate, pen), given, printed, toolchain, run is not None, limits)
        try:
            gate.close()
            pen.close()
            protection = _ready(report, START_S if toolchain is None else COMPILED_S)
            is_late = not _ended(process, key, secret if protection else b"", limits.seconds)
        finally:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        verdict = _verdict(_rest(report), secret, _status(process), is_late, protection, limits)
        if run is not None and verdict.outcome == "passed":
            printed.seek(0)
            text = printed.read(OUTPUT_BYTES).decode("utf-8", "replace")
            if not any(_same_output(text, wanted) for wanted in run.outputs):
                return RunVerdict(outcome="failed", detail="another output", protection=protection)
        return verdict


def _pipe(stack: contextlib.ExitStack) -> tuple[IO[bytes], IO[bytes]]:
    """The ends of a pipe, to read from and to write to, unbuffered."""
    reads, writes = os.pipe()
    return stack.enter_context(os.fdopen(reads, "rb", 0)), stack.enter_context(os.fdopen(writes, "wb", 0))


def _start(
    folder: str,
    passed: tuple[IO[bytes], ...],
    given: IO[bytes],
    printed: IO[bytes],
    toolchain: Toolchain | None,
    may_exit: bool,
    limits: Limits,
) -> subprocess.Popen[bytes]:
    descriptors = [stream.fileno() for stream in passed]
    values = (*descriptors, int(may_exit), limits.memory_mb << 20, OUTPUT_BYTES, limits.seconds)
    script = [str(JAIL if toolchain is None else BUILD), *map(str, values)]
    more = [] if toolchain is None else [json.dumps(toolchain.facts())]
    sandbox = bubblewrap()
    around = in_bubblewrap(sandbox, folder) if sandbox else []
    return subprocess.Popen(
        [*around, sys.executable, *ISOLATED, *script, *more],
        stdin=given, stdout=printed, stderr=subprocess.DEVNULL, pass_fds=descriptors, cwd=folder,
        env={**ENVIRONMENT, "HOME": folder, "TMPDIR": folder}, start_new_session=True,
    )  # fmt: skip


def _ready(report: IO[bytes], patience_s: float) -> str:
    """What confines the program, as the process reports before it gets the program; "" if it ends earlier."""
    waiting = select.poll()
    waiting.register(report, select.POLLIN)
    told = report.read(REPORT_BYTES).decode().strip() if waiting.poll(1000 * patience_s) else ""
    return f"bubblewrap, {told}" if told and bubblewrap() else told


def _ended(process: subprocess.Popen[bytes], key: IO[bytes], secret: bytes, seconds: float) -> bool:
    """Let the program begin, by handing out the secret. Returns whether the process came to its end in time."""
    with contextlib.suppress(BrokenPipeError):  # the process has ended: its status says how
        key.write(secret)
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        return False
    return True


def _rest(report: IO[bytes]) -> bytes:
    os.set_blocking(report.fileno(), False)
    return report.read(REPORT_BYTES) or b""


def _status(process: subprocess.Popen[bytes]) -> int:
    """The exit status, or the signal as a negative number; bubblewrap tells a signal as 128 more than its number."""
    status = process.returncode
    return 128 - status if status > 128 and bubblewrap() else status


def _verdict(said: bytes, secret: bytes, status: int, is_late: bool, protection: str, limits: Limits) -> RunVerdict:
    def ended(outcome: RunOutcome, detail: str = "") -> RunVerdict:
        return RunVerdict(outcome=outcome, detail=detail, protection=protection)

    if is_late or -status == signal.SIGXCPU:
        return ended("timeout", f"{limits.seconds:g} s")
    if not protection:
        return ended("crashed", f"the process could not be set up (status {status})")
    if status < 0:
        return ended("crashed", _signal_name(-status))
    if said == secret and status == 0:
        return ended("passed")
    kind, _, detail = said.decode("utf-8", "replace").partition(" ")
    if kind in ("failed", "memory"):
        return ended(kind, detail[:200])
    if said:
        return ended("crashed", "the program wrote over its verdict")
    return ended("failed", "the program left before its end")


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:  # real-time signals have no names but the first and the last
        return f"signal {number}"


def _same_output(text: str, wanted: str) -> bool:
    """Whether two outputs agree, blanks at the ends of lines and of the whole aside."""
    one, other = ([line.rstrip() for line in each.strip().splitlines()] for each in (text, wanted))
    return one == other


@cache
def runs_here(language: str) -> bool:
    """Whether programs of a language can be run: always those of Python; others where a toolchain is installed and an
    empty program comes to its end behind a filter and a layer that keeps files elsewhere from being written."""
    if language == "python":
        return True
    if language not in EMPTY_PROGRAMS or toolchain_of(language) is None:
        return False
    verdict = execute(Program(source=EMPTY_PROGRAMS[language], language=language), Limits(seconds=20.0))
    layers = set(verdict.protection.split(", "))
    return verdict.outcome == "passed" and "seccomp" in layers and not layers.isdisjoint({"bubblewrap", "Landlock"})
