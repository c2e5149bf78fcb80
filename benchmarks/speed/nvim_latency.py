"""From a key to ghost text on the screen of a real Neovim, with our plugin and a server that answers at once.

What is timed are bytes: those of a key go into the pseudo-terminal, and those that draw the answer come out of it. The
editor's own part is timed too: from a key to that key on the screen, with nothing of ours loaded.
"""

import json
import os
import pty
import select
import signal
import statistics
import sys
import tempfile
import termios
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from ...fim.errors import EngineUnavailable, InputError
from ...fim.terminal.console import open_console
from ...fim.terminal.options import Option
from ..machine import percentile
from ..runner import heading, write_result
from .instant_server import MODULE

# No letter twice in a row, and small and capital letters in turns: so a key changes each cell of it, and all are drawn,
# and an answer cannot be taken for the one before, which may still be moving along.
ANSWER = "unmistakable"
FILE = "value = 1\n\n"
PLUGIN = Path(__file__).resolve().parents[2] / "editors" / "nvim"
WAIT_S, PAUSE_S = 10.0, 0.12  # for a screen; between two keys, as somebody types who is quick
N_SKIPPED = 5  # first keys


@dataclass(frozen=True, kw_only=True)
class NvimPlan:
    """Which Neovims, and how many keys, which go into one line."""

    programs: Annotated[
        tuple[str, ...], Option("which one, or several", flag="--nvim", metavar="PROGRAM", repeats=True)
    ] = ("nvim",)
    n_keys: Annotated[int, Option("how many", least=1, most=100)] = 100


class Terminal:
    """A program in a pseudo-terminal, seen as bytes."""

    def __init__(self, fd: int) -> None:
        self._fd = fd

    def write(self, text: str) -> None:
        """Type."""
        os.write(self._fd, text.encode())

    def read_until(self, wanted: bytes, wait_s: float = WAIT_S) -> None:
        """Read until these bytes have come. Raises EngineUnavailable when they do not."""
        seen, end_s = b"", time.monotonic() + wait_s
        while wanted not in seen:
            ready, _, _ = select.select([self._fd], [], [], max(0.0, end_s - time.monotonic()))
            if not ready:
                raise EngineUnavailable(f"Neovim did not draw {wanted.decode()!r} within {wait_s:g} s")
            try:
                seen += os.read(self._fd, 1 << 16)
            except OSError as error:
                raise EngineUnavailable("Neovim ended") from error

    def drain(self, quiet_s: float) -> None:
        """Read until nothing has come for a while."""
        while select.select([self._fd], [], [], quiet_s)[0]:
            os.read(self._fd, 1 << 16)


def run_nvim(plan: NvimPlan, json_file: Path | None) -> int:
    """Measure, print, write JSON. Raises InputError, EngineUnavailable."""
    if not PLUGIN.is_dir():
        raise InputError("the Neovim plugin is not here: run this from a checkout")
    rows = {}
    for program in plan.programs:
        version = version_of(program)
        with tempfile.TemporaryDirectory(prefix="quicksilver-nvim-") as folder:
            ours = _visible_ms(program, Path(folder), plan.n_keys)
            own = _echo_ms(program, Path(folder), plan.n_keys)
        rows[version] = {"key_to_grey_text": _summary(ours), "key_to_key_without_us": _summary(own)}
    result = {
        **heading("nvim"),
        "keys": plan.n_keys,
        "ms": rows,
    }
    open_console().print_json(json.dumps(result))
    write_result(result, json_file)
    return 0


def _visible_ms(program: str, folder: Path, n_keys: int) -> list[float]:
    server = [sys.executable, "-P", "-m", MODULE, "--text", ANSWER]
    quoted = ", ".join(f"[[{part}]]" for part in server)
    setup = f"require('quicksilver').setup({{ cmd = {{ {quoted} }} }})"
    file = folder / "sample.py"
    file.write_text(FILE, encoding="utf-8")
    ms = []
    with nvim_terminal(
        [program, "--clean", "--cmd", f"set rtp^={PLUGIN}", "-c", f"lua {setup}", str(file)], _around(folder)
    ) as terminal:
        terminal.drain(1.5)
        terminal.write("Go")
        for i, key in enumerate(_keys(n_keys)):
            answer = ANSWER.upper() if (len(FILE) + i + 1) % 2 else ANSWER
            terminal.drain(PAUSE_S)
            start_s = time.perf_counter()
            terminal.write(key)
            terminal.read_until(answer.encode())
            ms.append(1000 * (time.perf_counter() - start_s))
    return ms[N_SKIPPED:]


def _echo_ms(program: str, folder: Path, n_keys: int) -> list[float]:
    file = folder / "plain.py"
    file.write_text(FILE, encoding="utf-8")
    ms = []
    with nvim_terminal([program, "--clean", str(file)], _around(folder)) as terminal:
        terminal.drain(1.5)
        terminal.write("Go")
        for key in _keys(n_keys):
            terminal.drain(PAUSE_S)
            start_s = time.perf_counter()
            terminal.write(key)
            terminal.read_until(key.encode())
            ms.append(1000 * (time.perf_counter() - start_s))
    return ms[N_SKIPPED:]


def _keys(n: int) -> Iterator[str]:
    """Letters, none of which the answer begins with."""
    for i in range(n + N_SKIPPED):
        yield "zqxkvw"[i % 6]


def _around(folder: Path) -> dict[str, str]:
    return {**os.environ, "XDG_STATE_HOME": str(folder / "state")}


@contextmanager
def nvim_terminal(command: Sequence[str], environ: Mapping[str, str]) -> Iterator[Terminal]:
    """A program in its own terminal, which is killed at the end."""
    pid, fd = pty.fork()
    if pid == 0:
        try:
            os.execvpe(command[0], list(command), {**environ, "TERM": "xterm-256color"})
        finally:
            os._exit(127)
    termios.tcsetwinsize(fd, (24, 240))  # all keys and the answer fit into one row
    try:
        yield Terminal(fd)
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        os.close(fd)


def version_of(program: str) -> str:
    """The first line of what a Neovim says of itself. Raises InputError for a program that is none."""
    import subprocess

    try:
        found = subprocess.run([program, "--version"], capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError) as error:
        raise InputError(f"{program} is not a Neovim that can be run") from error
    return found.stdout.splitlines()[0]


def _summary(ms: Sequence[float]) -> dict[str, Any]:
    return {"p50": round(statistics.median(ms), 1), "p95": round(percentile(ms, 0.95), 1), "most": round(max(ms), 1)}
