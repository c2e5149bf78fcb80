"""Where else than at its UNIX socket an engine listens, and whom it lets in there: options of `quicksilver serve`."""

import ipaddress
import re
from dataclasses import dataclass, field
from typing import Annotated

from ...fim.errors import InputError
from ...fim.terminal.options import Option
from ...fim.text.printable import one_line
from ..admission import ANY_ORIGIN, LOOPBACK_NAMES

KEY_VARIABLE = "QUICKSILVER_API_KEY"
LOOPBACK = "127.0.0.1"
LOCALHOST = "localhost"
MIN_KEY_CHARS = 8
MAX_KEY_CHARS = 1024

_KEY = re.compile(r"[!-~]+")  # what a header can hold
_ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://[^\s/?#@,]*")


@dataclass(frozen=True, kw_only=True)
class PortOptions:
    """A TCP port, if any, and what its clients must bring. Raises InputError for what does not go together."""

    port: Annotated[
        int | None,
        Option(
            "also listen on port N, for clients that send a key (0: any free port)", metavar="N", least=0, most=65_535
        ),
    ] = None
    host: Annotated[
        str, Option("IP address, or localhost, to listen on; with a key of yours also one of other machines")
    ] = LOOPBACK
    api_key: Annotated[
        str | None,
        Option(
            f"the key that clients send (default: {KEY_VARIABLE}, which no list of processes shows; else a new one,"
            " in a file that is named at the start)",
            metavar="KEY",
        ),
    ] = field(default=None, repr=False)
    allowed_origins: Annotated[
        tuple[str, ...],
        Option(
            "let web pages of ORIGIN use the engine, such as http://localhost:3000; may be given again; with a key of"
            f" yours also {ANY_ORIGIN!r}: all pages",
            flag="--allow-origin",
            metavar="ORIGIN",
            repeats=True,
        ),
    ] = ()

    def __post_init__(self) -> None:
        if self.port is None and (self.host != LOOPBACK or self.api_key is not None or self.allowed_origins):
            raise InputError("--host, --api-key and --allow-origin are for a port: name it with --port")
        if self.api_key is not None:
            _check_key(self.api_key)
        if not self.is_loopback and self.api_key is None:
            raise InputError(
                f"other machines can reach {self.host}: choose a key with --api-key or {KEY_VARIABLE}, or drop --host"
            )
        for origin in self.allowed_origins:
            self._check_origin(origin)

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach the port. Raises InputError if host is no address."""
        try:
            return self.host == LOCALHOST or ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            raise InputError(f"--host must be an IP address or localhost, not {one_line(self.host)}") from None

    @property
    def host_names(self) -> frozenset[str] | None:
        """The names in Host headers that are let in; None: any (`api.origins` says why)."""
        own = f"[{self.host}]" if ":" in self.host else self.host
        return LOOPBACK_NAMES | {own.lower()} if self.is_loopback else None

    def _check_origin(self, origin: str) -> None:
        if origin == ANY_ORIGIN:
            if self.api_key is None:
                raise InputError(
                    f"--allow-origin '*' lets every web page in: choose a key with --api-key or {KEY_VARIABLE}"
                )
        elif not _ORIGIN.fullmatch(origin):
            example = "such as http://localhost:3000, in lower case and without a path"
            raise InputError(f"--allow-origin must be an origin {example}, not {one_line(origin)}")


def _check_key(key: str) -> None:
    """Raise InputError, which does not quote the key."""
    if not _KEY.fullmatch(key):
        wrong = "is empty" if not key else "has blanks or characters that are not ASCII"
        raise InputError(f"the key of --api-key or {KEY_VARIABLE} {wrong}: take letters, digits and punctuation")
    if not MIN_KEY_CHARS <= len(key) <= MAX_KEY_CHARS:
        limits = f"{MIN_KEY_CHARS} to {MAX_KEY_CHARS:,} characters"
        raise InputError(f"the key of --api-key or {KEY_VARIABLE} must have {limits}, not {len(key):,}")
