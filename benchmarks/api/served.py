"""A server that a benchmark asks over HTTP: one that runs already, or an engine that is started for it.

Every request has a connection of its own, as those of the plugins have that call curl. Nothing but this machine is
asked.
"""

import asyncio
import http.client
import json
import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from ...fim.errors import EngineError, EngineUnavailable, InputError
from ...serving.client.engine_client import EngineClient
from ...serving.client.starting import default_launch
from ...serving.paths import HOME_VARIABLE, find_home, read_token, running_info
from ...serving.process.port_options import KEY_VARIABLE

LOOPBACK = ("127.0.0.1", "localhost", "::1")
UNAUTHORIZED = 401
ANSWER_S = 300.0  # in which an answer must come: a cold context on a slow machine


@dataclass(frozen=True, kw_only=True)
class ServerAddress:
    """Where a server of this machine listens, and the key that it wants ("": none)."""

    host: str
    port: int
    key: str = ""

    @property
    def headers(self) -> dict[str, str]:
        """What every request to it carries."""
        said = {"Content-Type": "application/json"}
        return said | {"Authorization": f"Bearer {self.key}"} if self.key else said


def read_address(url: str, key: str = "") -> ServerAddress:
    """The address that a person names, such as http://127.0.0.1:8012.

    Raises InputError if it is not on this machine.
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port, parts = None, None, urlsplit("")
    if parts.scheme != "http" or host not in LOOPBACK or port is None or parts.path not in ("", "/"):
        raise InputError(f"{url} is no server of this machine: name it as http://127.0.0.1:PORT")
    return ServerAddress(host=host, port=port, key=key)


def ask(address: ServerAddress, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:  # noqa: ANN401
    """The JSON of an answer with status 200.

    Raises EngineUnavailable if nobody answers, EngineError for another status or an answer that is no JSON.
    """
    connection = http.client.HTTPConnection(address.host, address.port, timeout=ANSWER_S)
    where = f"http://{address.host}:{address.port}{path}"
    try:
        connection.request(method, path, None if body is None else json.dumps(body), address.headers)
        reply = connection.getresponse()
        text = reply.read()
    except (OSError, http.client.HTTPException) as error:
        raise EngineUnavailable(f"{where} does not answer ({type(error).__name__}): is the server running?") from error
    finally:
        connection.close()
    if reply.status != 200:
        wants = ": it wants another key" if reply.status == UNAUTHORIZED else ""
        raise EngineError(f"{where} answers with status {reply.status}{wants}")
    try:
        return json.loads(text)
    except ValueError as error:
        raise EngineError(f"{where} answers with something that is no JSON") from error


@contextmanager
def served(model: Path | None, *, threads: int | None = None) -> Iterator[ServerAddress]:
    """An engine of its own with this model, on a free port, until the context ends. Raises EngineUnavailable and
    CheckpointError."""
    with tempfile.TemporaryDirectory(prefix="quicksilver-bench-") as folder:
        home = find_home(model, {**os.environ, HOME_VARIABLE: folder})
        client = EngineClient(home, [*default_launch(home, threads=threads), "--port", "0"])
        try:
            asyncio.run(client.ensure_running())
            info, key = running_info(home.info_file), os.environ.get(KEY_VARIABLE) or read_token(home)
            if info is None or info.port is None or not key:
                raise EngineUnavailable(f"the engine opened no port (log: {home.log_file})")
            yield ServerAddress(host="127.0.0.1", port=info.port, key=key)
        finally:
            asyncio.run(client.shutdown())
