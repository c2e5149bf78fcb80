"""JSON-RPC messages on a byte stream: `Content-Length` headers and bodies, for server and headless client."""

import json
from collections.abc import Mapping
from typing import Any

from ...fim.errors import InputError

MAX_HEADER_BYTES = 8 * 1024
MAX_BODY_BYTES = 256 * 1024 * 1024
_SEPARATOR = b"\r\n\r\n"
_BEGINNING = b"content-"  # of every header; a web page's request begins differently


def encode(message: Mapping[str, Any]) -> bytes:
    """One framed message; the body is ASCII JSON, so lone surrogates survive."""
    body = json.dumps(message, separators=(",", ":")).encode("ascii")
    return b"Content-Length: %d\r\n\r\n" % len(body) + body


class FrameReader:
    """Cuts a stream of bytes into message bodies; header names in any case (pygls matches one spelling only)."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._body_bytes: int | None = None

    def feed(self, data: bytes) -> list[bytes]:
        """The bodies that data completes, in order. Raises InputError if the stream is not JSON-RPC."""
        self._buffer += data
        bodies: list[bytes] = []
        while (body := self._take()) is not None:
            bodies.append(body)
        return bodies

    def _take(self) -> bytes | None:
        if self._body_bytes is None:
            if not _BEGINNING.startswith(self._buffer[: len(_BEGINNING)].lower()):
                raise InputError("the stream is not JSON-RPC: it does not begin with a Content- header")
            end = self._buffer.find(_SEPARATOR)
            if end < 0:
                if len(self._buffer) > MAX_HEADER_BYTES:
                    raise InputError("the stream is not JSON-RPC: no end of headers in sight")
                return None
            self._body_bytes = _content_length(bytes(self._buffer[:end]))
            del self._buffer[: end + len(_SEPARATOR)]
        if len(self._buffer) < self._body_bytes:
            return None
        body = bytes(self._buffer[: self._body_bytes])
        del self._buffer[: self._body_bytes]
        self._body_bytes = None
        return body


def _content_length(headers: bytes) -> int:
    for line in headers.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.strip().lower() == b"content-length":
            if not value.strip().isdigit() or len(value.strip()) > 12:
                raise InputError("the stream is not JSON-RPC: Content-Length is not a number")
            n_bytes = int(value)
            if n_bytes > MAX_BODY_BYTES:
                raise InputError(f"a message of {n_bytes} bytes is too large (the limit is {MAX_BODY_BYTES})")
            return n_bytes
    raise InputError("the stream is not JSON-RPC: no Content-Length header")
