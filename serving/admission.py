"""Whom an engine's TCP ports let in. UNIX sockets ask nothing: their file permissions guard them."""

from dataclasses import dataclass, field

LOOPBACK_NAMES = frozenset({"127.0.0.1", "localhost", "[::1]"})
ANY_ORIGIN = "*"


@dataclass(frozen=True, kw_only=True)
class Admission:
    """What a request over TCP must bring.

    key: what clients send; None: none gets in by a key. token: what our own client proves to know (`proof`); None: none
    gets in by a proof. host_names: what the Host header may name, in lower case; None: any name. origins: the web pages
    that may send requests besides the engine's own, or ANY_ORIGIN.
    """

    key: str | None = field(default=None, repr=False)
    token: str | None = field(default=None, repr=False)
    host_names: frozenset[str] | None = LOOPBACK_NAMES
    origins: frozenset[str] = frozenset()
