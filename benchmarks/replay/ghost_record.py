"""The ghost texts that came up on a screen, from the record of an observer inside the editor.

Owns how looks at the screen become texts: when one came up, whether it goes on, how it ended. Knows no editor.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from .blocks import TypedBlock
from .run import ShownText
from .typist import n_equal


@dataclass(frozen=True)
class Look:
    """What was on the screen from at_ms (of the monotonic clock) on: the cursor's offset, and the ghost text."""

    at_ms: float
    offset: int
    text: str


class GhostRecord:
    """The observer's file, read as it grows."""

    def __init__(self, file: Path) -> None:
        self._file, self._position, self._rest = file, 0, b""

    def new(self) -> Iterator[Look]:
        """What has been written since the last call."""
        if not self._file.exists():
            return
        with self._file.open("rb") as file:
            file.seek(self._position)
            data = file.read()
        self._position += len(data)
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            yield Look(*json.loads(line))


class GhostScreen:
    """The ghost texts that came up, from the looks of the observer.

    A text that goes on where its beginning was typed is the same text. Between a key and the plugin's next drawing
    there may be a look without a text or with the old one: what comes back within GAP_MS never went.
    """

    GAP_MS = 25.0

    def __init__(self, block: TypedBlock) -> None:
        self._block = block
        self.shown: list[ShownText] = []
        self.now: ShownText | None = None
        self._gone_ms: float | None = None

    def take(self, look: Look) -> None:
        """Take over one look."""
        now = self.now
        if now is not None and self._goes_on(now, look):
            self._gone_ms = None
            return
        if now is not None and not look.text:
            if self._gone_ms is None:
                self._gone_ms = look.at_ms
            return
        if now is not None:
            self._end(now, look)
        if look.text:
            n_right = n_equal(look.text, self._block.target[look.offset :])
            self.now = ShownText(at=look.offset, text=look.text, n_right=n_right, from_ms=look.at_ms)

    def settle(self, now_ms: float, offset: int) -> None:
        """A text that has not come back is gone."""
        if self.now is not None and self._gone_ms is not None and now_ms - self._gone_ms > self.GAP_MS:
            self._end(self.now, Look(self._gone_ms, offset, ""))

    def rest(self, offset: int) -> str:
        """What of the text on the screen is still to be typed."""
        if self.now is None or self._gone_ms is not None:
            return ""
        return self.now.text[max(0, offset - self.now.at) :]

    def _goes_on(self, now: ShownText, look: Look) -> bool:
        n_typed = look.offset - now.at
        return 0 <= n_typed < len(now.text) and bool(look.text) and now.text.endswith(look.text)

    def _end(self, now: ShownText, look: Look) -> None:
        now.to_ms = look.at_ms if self._gone_ms is None else self._gone_ms
        was_typed = self._block.target[now.at : look.offset].startswith(now.text)
        now.ends = "accepted" if now.n_accepted else "typed" if was_typed else "gone"
        self.shown.append(now)
        self.now, self._gone_ms = None, None
