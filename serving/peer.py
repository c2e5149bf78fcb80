"""Who is at the other end of a UNIX socket: nothing is sent to a process of another user.

Checks the folder before connecting, and the peer's credentials afterwards.
"""

import os
import socket as sockets
import stat
import struct
import sys
from pathlib import Path

from ..fim.errors import EngineUnavailable

_UCRED = struct.Struct("3i")  # pid, uid, gid: what SO_PEERCRED gives on Linux


class EngineNotOurs(EngineUnavailable):
    """What stands in the engine's place does not belong to this user: nothing was sent there."""


def check_folder(folder: Path) -> None:
    """Raise EngineNotOurs unless folder is a real folder of this user, not a link; close it to others if it is open.

    Raises FileNotFoundError if there is none. On Windows the system's own permissions hold.
    """
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode):
        raise EngineNotOurs(f"{folder} is not a folder: remove it")
    if hasattr(os, "geteuid"):
        if found.st_uid != os.geteuid():
            raise EngineNotOurs(f"{folder} belongs to another user: remove it")
        if found.st_mode & 0o077:
            folder.chmod(0o700)


def check_peer(connection: sockets.socket) -> None:
    """Raise EngineNotOurs unless the process that listens at the other end of a UNIX connection is this user's."""
    uid = peer_uid(connection)
    if uid != os.geteuid():
        raise EngineNotOurs(f"the engine's socket belongs to another user (number {uid}): remove it")


def peer_uid(connection: sockets.socket) -> int:
    """The user who listens at the other end of a UNIX connection, as the system tells it."""
    if sys.platform == "linux":
        credentials = connection.getsockopt(sockets.SOL_SOCKET, sockets.SO_PEERCRED, _UCRED.size)
        return _UCRED.unpack(credentials)[1]
    import ctypes  # macOS and the BSDs have another call, which Python does not offer

    uid, gid = ctypes.c_uint32(), ctypes.c_uint32()
    if ctypes.CDLL(None, use_errno=True).getpeereid(connection.fileno(), ctypes.byref(uid), ctypes.byref(gid)):
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return uid.value
