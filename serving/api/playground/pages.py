"""The page's files over HTTP, with the headers that keep a browser from loading or sending anything elsewhere."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

PAGE = "/playground"
INDEX = "index.html"
FOLDER = Path(__file__).with_name("static")
MEDIA_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
HEADERS: Mapping[str, str] = {
    "Content-Security-Policy": (
        "default-src 'self'; object-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none';"
        " require-trusted-types-for 'script'; trusted-types 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}


@dataclass(frozen=True)
class PlaygroundPages:
    """The files of the page, each at an address of its own."""

    folder: Path = FOLDER

    def files(self) -> dict[str, Path]:
        """The file for each address. Nothing else is ever read."""
        found = {f"{PAGE}/{path.name}": path for path in sorted(self.folder.iterdir()) if path.suffix in MEDIA_TYPES}
        index = found.pop(f"{PAGE}/{INDEX}")
        return {PAGE: index, f"{PAGE}/": index, **found}

    def routes(self) -> list[Route]:
        """Its addresses; all of them answer GET and HEAD."""
        return [Route(address, _serving(path), methods=["GET"]) for address, path in self.files().items()]


def _serving(path: Path) -> Callable[[Request], Awaitable[Response]]:
    """An endpoint that answers with one file, read anew each time."""

    async def serve(request: Request) -> Response:
        return Response(path.read_bytes(), media_type=MEDIA_TYPES[path.suffix], headers=dict(HEADERS))

    return serve
