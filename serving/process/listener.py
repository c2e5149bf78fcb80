"""The sockets, the lock and the token of one engine: taken without a race, and removed only if they are its own.

Owns "one engine per home": the holder of the serve lock may remove a socket file that a killed engine left behind.
"""

import errno
import os
import secrets
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

from filelock import FileLock, Timeout

from ...fim.errors import EngineUnavailable, InputError
from ..admission import Admission
from ..liveness import birth_s
from ..paths import (
    TRANSPORT_VARIABLE,
    EngineHome,
    EngineInfo,
    read_info,
    read_token,
    running_info,
    write_info,
    write_private,
)
from .port_options import LOCALHOST, LOOPBACK, PortOptions

BACKLOG = 128
_UNIX = getattr(socket, "AF_UNIX", None)
_CLAIM_WAIT_S = 10.0  # an engine that is stopping gives its lock back well before that


FileId = tuple[int, int, int]  # device, number, time of the last change


@dataclass(frozen=True, kw_only=True)
class Address:
    """Where one engine listens, which of the files there are its own, and whom it lets in over TCP."""

    home: EngineHome
    listeners: list[socket.socket]
    admission: Admission
    info: EngineInfo
    socket_id: FileId | None
    info_id: FileId | None
    token_id: FileId | None

    def is_ours(self) -> bool:
        """Whether clients still find this engine there: its files were neither removed nor replaced.

        Opens no file: without a free descriptor it could not tell.
        """
        has_socket = self.home.socket is None or _file_id(self.home.socket) == self.socket_id
        has_token = self.home.socket is not None or _file_id(self.home.token_file) == self.token_id
        return has_socket and has_token and _file_id(self.home.info_file) == self.info_id

    def withdraw(self) -> None:
        """Take the engine's own files away, so that new clients look for another engine.

        To be called before the listeners are closed: as long as its socket is open, no other file gets its number.
        """
        home = self.home
        if home.socket is not None and _file_id(home.socket) == self.socket_id:
            home.socket.unlink(missing_ok=True)
        if read_info(home.info_file) == self.info:
            home.info_file.unlink(missing_ok=True)
        if self.admission.token is not None and read_token(home) == self.admission.token:
            home.token_file.unlink(missing_ok=True)


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
                raise InputError(_holder(home)) from None
            time.sleep(0.05)
    try:
        yield
    finally:
        lock.release()


@contextmanager
def listen(home: EngineHome, options: PortOptions) -> Iterator[Address]:
    """The address of a new engine, listening; needs the claim.

    The UNIX socket of home, and TCP where options name a port. Where home has no UNIX socket, the engine's own clients
    find it on the loopback address. Files that dead engines left behind are removed now, this one's own at the end.
    Raises InputError when the port is taken.
    """
    _remove_left_overs(home)
    listeners: list[socket.socket] = []
    address: Address | None = None
    try:
        if options.port is not None:
            listeners += listen_tcp(options.host, options.port)
        if home.socket is None and not any(map(_is_found_by_clients, listeners)):
            listeners += listen_tcp(LOOPBACK, 0)
        admission = _admission(home, options, has_port=bool(listeners))
        if admission.token is not None:
            write_private(home.token_file, admission.token)
        if home.socket is not None:
            listeners.append(listen_unix(home.socket))
        address = Address(
            home=home, listeners=listeners, admission=admission, info=(info := _own_info(listeners)), info_id=None,
            socket_id=None if home.socket is None else _file_id(home.socket), token_id=_file_id(home.token_file),
        )  # fmt: skip
        write_info(home, info)
        yield replace(address, info_id=_file_id(home.info_file))
    finally:
        if address is not None:
            address.withdraw()
        for listener in listeners:
            listener.close()


def _admission(home: EngineHome, options: PortOptions, *, has_port: bool) -> Admission:
    """Whom the ports let in. A key that a person gave is written nowhere: the token's file is for the engine's own
    clients, where home has no UNIX socket, and for people who gave no key."""
    needs_token = has_port and (options.api_key is None or home.socket is None)
    token = secrets.token_urlsafe(32) if needs_token else None
    return Admission(
        key=options.api_key or token,
        token=token,
        host_names=options.host_names,
        origins=frozenset(options.allowed_origins),
    )


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
        raise EngineUnavailable(
            f"cannot listen on {path}: {error.strerror} (where there are no UNIX sockets, set {TRANSPORT_VARIABLE}=tcp)"
        ) from error
    finally:
        os.umask(mask)
    return listener


def listen_tcp(host: str, port: int) -> list[socket.socket]:
    """Sockets listening on that port of an IP address, or of both loopback addresses for "localhost".

    0 is any free port. "::" takes IPv4 connections too. Raises InputError when the port is in use or forbidden.
    """
    if host != LOCALHOST:
        return [_listen_at(host, port)]
    listeners = [_listen_at(LOOPBACK, port)]
    if socket.has_ipv6:
        try:
            listeners.append(_listen_at("::1", listeners[0].getsockname()[1]))
        except _NoSuchAddressError:
            pass
        except InputError:
            listeners[0].close()
            raise
    return listeners


class _NoSuchAddressError(InputError):
    """The machine has no such address."""


def _listen_at(host: str, port: int) -> socket.socket:
    listener: socket.socket | None = None
    try:
        numeric = socket.AI_NUMERICHOST  # nobody is asked for a name
        family, _, _, _, where = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=numeric)[0]
        listener = socket.socket(family, socket.SOCK_STREAM)
        if os.name == "posix":  # elsewhere the option would let two processes share the port
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0 if host == "::" else 1)
        listener.bind(where)
        listener.listen(BACKLOG)
    except OSError as error:
        if listener is not None:
            listener.close()
        if error.errno == errno.EADDRINUSE:
            raise InputError(f"port {port} is in use: choose another with --port") from error
        if error.errno in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT) or isinstance(error, socket.gaierror):
            raise _NoSuchAddressError(f"this machine has no address {host}: choose another with --host") from error
        raise InputError(f"cannot listen on port {port}: {error.strerror}") from error
    return listener


def _remove_left_overs(home: EngineHome) -> None:
    """Remove what an engine of this home left behind when it was killed or the disk was full."""
    for path in [home.info_file, home.token_file, *home.folder.glob(f"{home.key}.*.tmp")]:
        path.unlink(missing_ok=True)


def _file_id(path: Path) -> FileId | None:
    """What tells the file at path from any other; None if there is none, or none that this user can reach."""
    try:
        found = path.lstat()
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return None
    return found.st_dev, found.st_ino, found.st_mtime_ns


def _own_info(listeners: list[socket.socket]) -> EngineInfo:
    ports = [listener.getsockname()[1] for listener in listeners if listener.family != _UNIX]
    found = [listener.getsockname()[1] for listener in listeners if _is_found_by_clients(listener)]
    started_s = birth_s(os.getpid())
    assert started_s is not None
    return EngineInfo(pid=os.getpid(), started_s=started_s, port=next(iter(found + ports), None))


def _is_found_by_clients(listener: socket.socket) -> bool:
    """Whether the engine's own clients, which connect to 127.0.0.1, reach it there."""
    return listener.family == socket.AF_INET and listener.getsockname()[0] in (LOOPBACK, "0.0.0.0")


def _holder(home: EngineHome) -> str:
    """One line about an engine that holds the lock and does not answer."""
    info = running_info(home.info_file)
    if info is None:
        return f"another engine is starting or stopping in {home.folder}: try again later"
    return f"the engine (process {info.pid}) in {home.folder} does not answer: `quicksilver stop` ends it"


def _refuse_if_live(home: EngineHome) -> None:
    """Raise InputError when the engine of home answers; one that is starting or stopping gets time."""
    info = running_info(home.info_file)
    if info is None:
        return
    stop = "stop it with `quicksilver stop`, or use `serve --replace`"
    if home.socket is None:
        raise InputError(f"an engine (process {info.pid}) already serves port {info.port}: {stop}")
    if _accepts(home.socket):
        raise InputError(f"an engine (process {info.pid}) already serves {home.socket}: {stop}")


def _accepts(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1.0)
        return probe.connect_ex(str(path)) == 0
