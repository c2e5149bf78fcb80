"""The language server on a TCP port of this machine, for editors that are not its parent: any number, one after another
or at once.

Only programs of this user may connect, if the system tells whose a connection is (Linux), else any on this machine.
Each connection has its own server; they share the engine.
"""

import asyncio
import ipaddress
import logging
import os
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from ..fim.errors import InputError
from .protocol.framing import FrameReader
from .server import CompletionServer

log = logging.getLogger(__name__)
MAX_UNREAD_BYTES = 32 * 2**20
_READ_BYTES = 1 << 16
_TABLES = ("/proc/net/tcp", "/proc/net/tcp6")
_ESTABLISHED = "01"  # a state in these tables


def read_address(text: str) -> tuple[str, int]:
    """HOST:PORT or PORT, with a loopback address. Raises InputError for any other."""
    host, _, port = text.rpartition(":")
    host = host.strip("[]") or "127.0.0.1"
    host = "127.0.0.1" if host == "localhost" else host
    try:
        is_loopback = ipaddress.ip_address(host).is_loopback
    except ValueError:
        is_loopback = False
    if not is_loopback:
        raise InputError(f"the language server listens on this machine only: 127.0.0.1 or ::1, not {host[:100]}")
    if not port.isdigit() or not 0 <= int(port) <= 65_535:
        raise InputError(f"a port is a number from 0 to 65535, not {port[:100]}")
    return host, int(port)


def run_tcp(address: tuple[str, int], make: Callable[[], CompletionServer]) -> int:
    """Serve until SIGINT or SIGTERM. Returns the exit code."""
    return asyncio.run(_serve(address, make))


async def _serve(address: tuple[str, int], make: Callable[[], CompletionServer]) -> int:
    loop, ended = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        with suppress(NotImplementedError):  # Windows: Ctrl-C raises there
            loop.add_signal_handler(number, ended.set)
    connections: set[asyncio.Task[None]] = set()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        connections.add(task)
        try:
            with suppress(asyncio.CancelledError):  # the server is ending
                await _connection(reader, writer, make)
        finally:
            connections.discard(task)

    listener = await asyncio.start_server(connected, *address)
    host, port = listener.sockets[0].getsockname()[:2]
    print(f"listening on {host}:{port}", file=sys.stderr, flush=True)
    await ended.wait()
    listener.close()
    for task in list(connections):
        task.cancel()
    await asyncio.gather(*connections, return_exceptions=True)
    return 0


async def _connection(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, make: Callable[[], CompletionServer]
) -> None:
    """One editor, from its first byte to its last."""
    if not is_ours(writer.get_extra_info("peername")[:2], writer.get_extra_info("sockname")[:2]):
        log.warning("a connection was refused: it is another user's, or its program has closed it")
        writer.close()
        return
    server, frames = make(), FrameReader()
    stopped = server.strict.stopped
    server.strict.set_writer(_TcpWriter(writer, stopped))
    end = asyncio.ensure_future(stopped.wait())
    try:
        while not stopped.is_set():
            data = asyncio.ensure_future(reader.read(_READ_BYTES))
            await asyncio.wait((data, end), return_when=asyncio.FIRST_COMPLETED)
            if not data.done():
                data.cancel()
                break
            if not (read := data.result()):
                break
            for body in frames.feed(read):
                server.strict.receive(body)
    except (InputError, OSError) as error:
        log.warning("a connection ended: %s", error)
    finally:
        end.cancel()
        server.close()
        writer.close()


class _TcpWriter:
    """Writes to the client for pygls; if the connection is gone, it ends the server without an error."""

    def __init__(self, writer: asyncio.StreamWriter, stopped: asyncio.Event) -> None:
        self._writer, self._stopped = writer, stopped

    def close(self) -> None:
        self._writer.close()

    def write(self, data: bytes) -> None:
        if self._writer.is_closing() or self._writer.transport.get_write_buffer_size() > MAX_UNREAD_BYTES:
            self._stopped.set()  # the client is gone, or never reads
        else:
            self._writer.write(data)


def is_ours(peer: tuple[str, int], own: tuple[str, int], tables: tuple[str, ...] = _TABLES) -> bool:
    """Whether the far end of a connection belongs to this user, by the kernel's table of connections.

    A closed far end belongs to nobody, and the table says root then: only an open one counts. True if there is no such
    table (macOS).
    """
    wanted = [_as_in_table(peer), _as_in_table(own), _ESTABLISHED]
    found_table = False
    for table in tables:
        with suppress(OSError):
            lines = Path(table).read_text(encoding="ascii").splitlines()[1:]
            found_table = True
            for columns in map(str.split, lines):
                if columns[1:4] == wanted:
                    return int(columns[7]) == os.geteuid()
    return not found_table


def _as_in_table(address: tuple[str, int]) -> str:
    """An address in the kernel table's form: words of 32 bits in this machine's byte order, a colon, the port."""
    packed = ipaddress.ip_address(address[0]).packed
    words = (int.from_bytes(packed[n : n + 4], sys.byteorder) for n in range(0, len(packed), 4))
    return f"{''.join(f'{word:08X}' for word in words)}:{address[1]:04X}"
