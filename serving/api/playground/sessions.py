"""Who may use the playground's gateway: pages that exchanged a one-time code for a token of their own.

A code travels in the address that a browser is given, where other programs may see it; so it works once, and not for
long. A token is only ever in the page's memory.
"""

import secrets
import time
from collections.abc import Callable

CODE_S = 60.0
MAX_CODES = 16
MAX_SESSIONS = 64


class PlaygroundSessions:
    """The codes that are still good, and the tokens of the pages that are open. For one thread."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._codes: list[tuple[bytes, float]] = []  # and when each expires
        self._tokens: list[bytes] = []

    def issue(self) -> str:
        """A new code, good for CODE_S seconds; of more than MAX_CODES the oldest goes."""
        code = secrets.token_urlsafe(24)
        self._codes = [*self._codes, (_bytes(code), self._clock() + CODE_S)][-MAX_CODES:]
        return code

    def exchange(self, code: str) -> str | None:
        """A new session's token for a code, which is used up; None for a code that is wrong, used or expired.

        Of more than MAX_SESSIONS the oldest ends.
        """
        given, now_s = _bytes(code), self._clock()
        fitting = [secrets.compare_digest(known, given) for known, _ in self._codes]  # all of them, in constant time
        is_good = any(fits and now_s < until_s for fits, (_, until_s) in zip(fitting, self._codes, strict=True))
        self._codes = [entry for entry, fits in zip(self._codes, fitting, strict=True) if not fits and now_s < entry[1]]
        if not is_good:
            return None
        token = secrets.token_urlsafe(32)
        self._tokens = [*self._tokens, _bytes(token)][-MAX_SESSIONS:]
        return token

    def knows(self, token: str) -> bool:
        """Whether a page that is open has this token."""
        given = _bytes(token)
        fitting = [secrets.compare_digest(known, given) for known in self._tokens]  # all of them, in constant time
        return any(fitting)


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")
