"""Files that are none, and how a loader refuses them: with one printable line, at once. Shared by tests."""

import os
import socket
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from quicksilver.fim.errors import CheckpointError

PATIENCE_S = 60.0  # broken code waits for ever
TERABYTES = 4 * 2**40  # of a sparse file


def _sparse(path: Path) -> None:
    with path.open("wb") as stream:
        stream.truncate(TERABYTES)


def _socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as bound:
        here = Path.cwd()
        os.chdir(path.parent)  # the path of a socket has room for 107 bytes
        try:
            bound.bind(path.name)
        finally:
            os.chdir(here)


KINDS: dict[str, Callable[[Path], None]] = {
    "device": lambda path: path.symlink_to("/dev/zero"),
    "pipe": os.mkfifo,
    "link to a pipe": lambda path: (os.mkfifo(path.with_name("pipe")), path.symlink_to("pipe"))[0],
    "socket": _socket,
    "folder": Path.mkdir,
    "link to nothing": lambda path: path.symlink_to("nothing"),
    "link to itself": lambda path: path.symlink_to(path.name),
    "pseudo-file": lambda path: path.symlink_to("/proc/self/environ"),
    "empty": Path.touch,
    "terabytes": _sparse,
}


def replaced(path: Path, kind: str) -> None:
    """Put something else in a file's place."""
    path.unlink(missing_ok=True)
    KINDS[kind](path)


def refusal(load: Callable[[], object]) -> str:
    """What a loader says; it must neither wait nor load."""
    caught: list[BaseException] = []

    def run() -> None:
        try:
            load()
        except BaseException as error:
            caught.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(PATIENCE_S)
    if thread.is_alive():
        pytest.fail("it hangs")
    if not caught:
        pytest.fail("it loads")
    if not isinstance(caught[0], CheckpointError):
        raise caught[0]
    message = str(caught[0])
    assert message.isprintable() and len(message) < 1000, message
    return message
