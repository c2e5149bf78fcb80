"""How engine and client prove over TCP that they know the same token, without sending it.

Each side sends a nonce, and answers with an HMAC over both nonces and the two ports of the connection. So a
proof is useless on another connection, and a program that takes over an engine's port learns nothing.
"""

import hashlib
import hmac
import os
from dataclasses import dataclass
from typing import Literal

PROOF_TARGET = "/v1/proof"
NONCE_HEADER = "Quicksilver-Nonce"
PROOF_SCHEME = "Quicksilver"
MAX_NONCE_CHARS = 128

ProofSide = Literal["engine", "client"]


@dataclass(frozen=True, kw_only=True)
class Challenge:
    """What both sides of one connection know: ports and nonces."""

    client_nonce: str
    engine_nonce: str
    client_port: int
    engine_port: int

    def proof(self, token: str, side: ProofSide) -> str:
        """The proof by which side shows that it knows token."""
        parts = (side, self.client_nonce, self.engine_nonce, str(self.client_port), str(self.engine_port))
        return hmac.new(token.encode(), _bytes("\n".join(parts)), hashlib.sha256).hexdigest()

    def holds(self, given: str, token: str, side: ProofSide) -> bool:
        """Whether given is that proof."""
        return hmac.compare_digest(_bytes(given), self.proof(token, side).encode())


def new_nonce() -> str:
    """A number that was never used before."""
    return os.urandom(16).hex()


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")  # the other side may send anything
