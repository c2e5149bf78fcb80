"""Starts an engine process, and reports why one ended before it answered.

Owns the start lock, the command, and reading the last line of the log.
"""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from ...fim.errors import CheckpointError, EngineUnavailable
from ..paths import EngineHome, last_log_line, package_version

_POLL_S = 0.03
_REFUSED = 2  # exit code of an engine that needs a person: with our own command line, because of its checkpoint


def default_launch(home: EngineHome, *, threads: int | None = None) -> list[str]:
    """The command that starts the engine of home.

    -P keeps the working directory out of the import path: a workspace's own `kernels/` folder must never run.
    """
    command = [sys.executable, "-P", "-m", "quicksilver.cli", "serve", "--detached"]
    if home.model is not None:
        command += ["--model", str(home.model)]
    return command if threads is None else [*command, "--threads", str(threads)]


@dataclass(frozen=True, kw_only=True)
class Started:
    """A process that was started, and where its part of the log begins."""

    process: subprocess.Popen[bytes]
    log_start: int


@asynccontextmanager
async def start_lock(home: EngineHome, check_deadline: Callable[[], None]) -> AsyncIterator[None]:
    """Hold home's start lock; check_deadline raises what ends the wait for it. Raises EngineUnavailable."""
    from filelock import FileLock, Timeout

    lock = FileLock(home.start_lock)
    while True:
        try:
            lock.acquire(blocking=False)
            break
        except Timeout:
            check_deadline()
            await asyncio.sleep(_POLL_S)
        except OSError as error:
            raise EngineUnavailable(f"cannot lock {home.start_lock}: {error.strerror}") from error
    try:
        yield
    finally:
        lock.release()


def spawn(home: EngineHome, launch: Sequence[str]) -> Started:
    """Run launch as the engine of home. Raises EngineUnavailable."""
    version = package_version()
    if version != home.version:
        raise EngineUnavailable(
            f"quicksilver was changed from {home.version} to {version} while running: restart the editor"
        )
    try:
        log = os.open(home.log_file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    except OSError as error:
        raise EngineUnavailable(f"cannot write {home.log_file}: {error.strerror}") from error
    try:
        log_start = os.fstat(log).st_size
        process = subprocess.Popen(
            launch,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,  # ours is the language server's protocol
            stderr=log,
            cwd=home.folder,  # not the workspace: it must stay removable, and it is not to be trusted
            env={**os.environ, **home.environment()},
            start_new_session=True,
        )
    except OSError as error:
        raise EngineUnavailable(f"cannot run {launch[0]}: {error.strerror}") from error
    finally:
        os.close(log)
    return Started(process=process, log_start=log_start)


def raise_if_ended(home: EngineHome, started: Started) -> None:
    """If the process has ended, raise its last line, or what ended it."""
    code = started.process.poll()
    if code is None:
        return
    line = last_log_line(home.log_file, started.log_start)
    if code == _REFUSED and line:
        raise CheckpointError(f"{line} (log: {home.log_file})")
    cause = ending_of(code) if code < 0 or not line else line
    unwritable = "" if line else _reason_for_no_log(home)
    raise EngineUnavailable(f"the engine ended while starting: {unwritable or cause} (log: {home.log_file})")


def ending_of(code: int) -> str:
    """A few words for an exit code, which is negative after a signal."""
    if code >= 0:
        return f"exit code {code}"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = f"signal {-code}"
    return f"killed by {name}" + (", perhaps for want of memory" if name == "SIGKILL" else "")


def _reason_for_no_log(home: EngineHome) -> str:
    """Why the engine could not write its log, "" if it could: on a full disk its last words are lost."""
    try:
        with home.log_file.open("ab", buffering=0) as log:
            log.write(b"\n")
    except OSError as error:
        return f"cannot write {home.log_file}: {error.strerror}"
    return ""
