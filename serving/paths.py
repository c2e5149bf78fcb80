"""The home of one engine: its private folder and the names of its socket, locks, log, token and info files.

There is one engine per user, model folder, package version and protocol. The names carry a hash of the last three, so a
front end of another version or model never talks to the wrong engine.
"""

import hashlib
import json
import os
import re
import socket as sockets
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ..fim.errors import EngineUnavailable
from ..fim.files.user_folders import HOME_VARIABLE, home_override
from .liveness import is_same
from .peer import EngineNotOurs, check_folder

TRANSPORT_VARIABLE = "QUICKSILVER_TRANSPORT"  # "tcp" where UNIX sockets do not work (some network file systems)
DISTRIBUTION = "quicksilver-lsp"
PROTOCOL = 4  # of wire and info file: the next number if they change, because a checkout keeps its package version

# sockaddr_un holds 108 bytes on Linux, 104 on macOS and the BSDs, with the closing NUL.
MAX_SOCKET_BYTES = 103

_TAIL_BYTES = 65_536  # of a log, in which its last line is looked for
_LOG_STAMP = re.compile(r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} [A-Z]+ \d+ ")


@dataclass(frozen=True, kw_only=True)
class EngineInfo:
    """What a running engine writes down about itself; port is None without a TCP listener.

    started_s is the process's creation time as `liveness` tells it: it proves that pid still means the same process.
    """

    pid: int
    started_s: float
    port: int | None


@dataclass(frozen=True, kw_only=True)
class EngineHome:
    """The files of one engine. socket is None if only loopback TCP is used.

    override is the QUICKSILVER_HOME in force, which a started engine must be given too.
    """

    folder: Path
    log_file: Path
    socket: Path | None
    key: str
    version: str
    model: Path | None
    override: Path | None

    @property
    def start_lock(self) -> Path:
        """Held by the front end that is starting the engine."""
        return self.folder / f"{self.key}.start.lock"

    @property
    def serve_lock(self) -> Path:
        """Held by the engine as long as it lives."""
        return self.folder / f"{self.key}.serve.lock"

    @property
    def info_file(self) -> Path:
        """Process id and TCP port of the running engine, as JSON."""
        return self.folder / f"{self.key}.json"

    @property
    def token_file(self) -> Path:
        """The secret of the running engine's TCP port; every engine makes a new one."""
        return self.folder / f"{self.key}.token"

    def environment(self) -> dict[str, str]:
        """The variables that make another process find this same home."""
        variables = {} if self.override is None else {HOME_VARIABLE: str(self.override)}
        return variables if self.socket is not None else {**variables, TRANSPORT_VARIABLE: "tcp"}

    def prepare(self) -> None:
        """Create the folders, private to this user. Raises EngineUnavailable if that is impossible."""
        folders = {self.folder, self.log_file.parent}
        if self.socket is not None:
            folders.add(self.socket.parent)
        for folder in sorted(folders):
            make_private(folder)


def package_version() -> str:
    """The version of the installed package, read from disk now."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version(DISTRIBUTION)
    except PackageNotFoundError:
        return "unknown"


def find_home(model: Path | None = None, environ: Mapping[str, str] = os.environ) -> EngineHome:
    """The home of the engine that serves model (a checkpoint folder; None: whichever is best on this machine).

    Nothing is created. Raises EngineUnavailable when the system offers no private folder.
    """
    override = home_override(environ)
    resolved = None if model is None else model.expanduser().resolve()
    version = package_version()
    key = "engine-" + _short_hash(f"{version}\0{resolved or ''}\0{PROTOCOL}")
    folder, log_folder = (override / "run", override / "run") if override is not None else _user_folders()
    use_unix = hasattr(sockets, "AF_UNIX") and environ.get(TRANSPORT_VARIABLE) != "tcp"
    return EngineHome(
        folder=folder,
        log_file=log_folder / f"{key}.log",
        socket=_socket_path(folder, key) if use_unix else None,
        key=key,
        version=version,
        model=resolved,
        override=override,
    )


def make_private(folder: Path) -> None:
    """Make folder ours alone (mode 0700). Raises EngineUnavailable for a link, another owner, or no permission."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        check_folder(folder)
    except EngineNotOurs as error:
        raise EngineNotOurs(f"{error} or set {HOME_VARIABLE}") from error
    except OSError as error:
        raise EngineUnavailable(f"cannot use the folder {folder}: {error.strerror}") from error


def write_private(path: Path, text: str) -> None:
    """Put text into path, mode 0600, whole or not at all; what a failed try leaves behind is removed."""
    draft = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    try:
        draft.unlink(missing_ok=True)
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as file:
            file.write(text)
        draft.replace(path)
    except OSError:
        draft.unlink(missing_ok=True)
        raise


def write_info(home: EngineHome, info: EngineInfo) -> None:
    """Put info beside the socket, whole or not at all."""
    value = {"pid": info.pid, "started_s": info.started_s, "port": info.port}
    write_private(home.info_file, json.dumps(value))


def read_info(info_file: Path) -> EngineInfo | None:
    """What the engine wrote, or None if there is nothing readable."""
    try:
        found = json.loads(info_file.read_bytes())
        port = found["port"]
        return EngineInfo(
            pid=int(found["pid"]), started_s=float(found["started_s"]), port=None if port is None else int(port)
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None


def read_token(home: EngineHome) -> str | None:
    """The token of the engine that runs, or None when there is none."""
    try:
        return home.token_file.read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        return None


def running_info(info_file: Path) -> EngineInfo | None:
    """What the engine wrote, or None when its process does not run (any more).

    Raises EngineNotOurs for the folder of another user, who could name any port and any process there.
    """
    try:
        check_folder(info_file.parent)
    except OSError:
        return None
    info = read_info(info_file)
    return info if info is not None and is_same(info.pid, info.started_s) else None


def last_log_line(log_file: Path, start: int) -> str:
    """The last line that was written after byte start, without its time stamp; "" for none."""
    try:
        size = log_file.stat().st_size
        with log_file.open("rb") as file:
            file.seek(max(0 if size < start else start, size - _TAIL_BYTES))  # a smaller file was rotated: read it all
            lines = file.read(_TAIL_BYTES).decode("utf-8", "replace").split("\n")
    except OSError:
        return ""
    return next((_LOG_STAMP.sub("", line).strip() for line in reversed(lines) if line.strip()), "")


def _user_folders() -> tuple[Path, Path]:
    import platformdirs

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it warns when XDG_RUNTIME_DIR is unset; its fallback is what we want
            runtime = platformdirs.user_runtime_path("quicksilver", appauthor=False)
    except PermissionError as error:
        raise EngineUnavailable(f"no private folder for the engine ({error}): set {HOME_VARIABLE}") from error
    logs = platformdirs.user_log_path("quicksilver", appauthor=False)
    return runtime, logs if _can_be_made(logs) else runtime


def _can_be_made(folder: Path) -> bool:
    """Whether folder is there and can be written, or can be made: a home may be read-only."""
    nearest = next(path for path in (folder, *folder.parents) if path.exists() or path == path.parent)
    return nearest.is_dir() and os.access(nearest, os.W_OK | os.X_OK)


def _socket_path(folder: Path, key: str) -> Path:
    path = folder / f"{key}.sock"
    if len(os.fsencode(path)) <= MAX_SOCKET_BYTES:
        return path
    import tempfile

    user = os.geteuid() if hasattr(os, "geteuid") else 0
    short = f"quicksilver-{user}-{_short_hash(str(folder))}/{key}.sock"
    path = Path(tempfile.gettempdir()) / short
    return path if len(os.fsencode(path)) <= MAX_SOCKET_BYTES else Path("/tmp") / short


def _short_hash(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:12]
