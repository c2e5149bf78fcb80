"""The sockets, the lock and the token of one engine: taking them without a race, giving them back.

Owns "one engine per home": who holds the serve lock may remove a socket file that a killed engine left behind. It does
not know HTTP or models.
"""

import errno
import os
import secrets
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
from filelock import FileLock, Timeout

from ..fim.errors import EngineUnavailable, InputError
from .home import EngineHome, EngineInfo, read_info, write_info

BACKLOG = 128
_CLAIM_WAIT_S = 10.0  # an engine that is stopping gives its lock back well before that


@contextmanager
def claim(home: EngineHome, wait_s: float = _CLAIM_WAIT_S) -> Iterator[None]:
    """Hold the serve lock of home. Raises InputError when a live engine serves there already."""
    lock = FileLock(home.serve_lock)
    deadline_s = time.monotonic() + wait_s
    while True:
        try:
            lock.acquire(blocking=False)
            break
        except Timeout:
            _refuse_if_live(home)
            if time.monotonic() >= deadline_s:
                message = f"another engine is starting or stopping in {home.folder}: try again later"
                raise InputError(message) from None
            time.sleep(0.05)
    try:
        yield
    finally:
        lock.release()


@contextmanager
def listen(home: EngineHome, port: int | None) -> Iterator[tuple[list[socket.socket], str | None]]:
    """Listening sockets and the token of the TCP one (None without TCP); needs the claim.

    The UNIX socket of home, and loopback TCP on port (0: any free one) where port is given or home has no UNIX socket.
    Socket and info file are removed at the end. Raises InputError when the port is taken.
    """
    listeners: list[socket.socket] = []
    token: str | None = None
    try:
        if port is not None or home.socket is None:
            listeners.append(listen_loopback(port or 0))
            token = read_or_make_token(home.token_file)
        if home.socket is not None:
            listeners.append(listen_unix(home.socket))
        write_info(home, _own_info(listeners))
        yield listeners, token
    finally:
        for listener in listeners:
            listener.close()
        withdraw(home)


def withdraw(home: EngineHome) -> None:
    """Take the socket and info file away, so that new clients look for another engine; needs the claim."""
    for path in (home.socket, home.info_file):
        if path is not None:
            path.unlink(missing_ok=True)


def listen_unix(path: Path) -> socket.socket:
    """A socket listening at path, mode 0600 from its first moment; a stale file there is removed."""
    with suppress(FileNotFoundError):
        path.unlink()
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    mask = os.umask(0o177)
    try:
        listener.bind(str(path))
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        raise EngineUnavailable(f"cannot listen on {path}: {error.strerror}") from error
    finally:
        os.umask(mask)
    return listener


def listen_loopback(port: int) -> socket.socket:
    """A socket listening on 127.0.0.1:port. Raises InputError when the port is in use or forbidden."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        if os.name == "posix":  # elsewhere the option would let two processes share the port
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", port))
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRINUSE:
            raise InputError(f"port {port} is in use: choose another with --port") from error
        raise InputError(f"cannot listen on port {port}: {error.strerror}") from error
    return listener


def read_or_make_token(path: Path) -> str:
    """The token in path; made there (mode 0600, whole or not at all) if there is none."""
    if not path.exists():
        draft = path.with_name(f"{path.name}.{os.getpid()}.tmp")
        draft.touch(mode=0o600)
        draft.write_text(secrets.token_urlsafe(32), encoding="ascii")
        with suppress(FileExistsError):  # another engine was faster: its token holds
            os.link(draft, path)
        draft.unlink()
    token = path.read_text(encoding="ascii").strip()
    if not token:
        raise EngineUnavailable(f"the token file {path} is empty: remove it")
    return token


def _own_info(listeners: list[socket.socket]) -> EngineInfo:
    ports = [listener.getsockname()[1] for listener in listeners if listener.family == socket.AF_INET]
    process = psutil.Process()
    return EngineInfo(pid=process.pid, started_s=process.create_time(), port=ports[0] if ports else None)


def _refuse_if_live(home: EngineHome) -> None:
    info = read_info(home)
    if home.socket is not None and _accepts(home.socket):
        process = "" if info is None else f" (process {info.pid})"
        raise InputError(f"an engine{process} already serves {home.socket}")
    if home.socket is None and info is not None and info.port is not None and psutil.pid_exists(info.pid):
        raise InputError(f"an engine (process {info.pid}) already serves port {info.port}")


def _accepts(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1.0)
        return probe.connect_ex(str(path)) == 0
