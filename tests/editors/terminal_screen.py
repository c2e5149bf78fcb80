"""A program in a pseudo-terminal, and what a person would see of it: characters, colours, the cursor.

Owns the terminal (pexpect), its screen (pyte), waiting for what the screen shows, and pictures of it. It does not know
which editor runs in it.
"""

import os
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import pexpect
import pyte

READ_BYTES = 1 << 16
POLL_S = 0.02
PALETTE = {
    "black": "000000", "red": "cd3131", "green": "0dbc79", "brown": "e5e510", "blue": "2472c8",
    "magenta": "bc3fbc", "cyan": "11a8cd", "white": "e5e5e5",
}  # fmt: skip
PAPER, INK = "1e1e1e", "d4d4d4"


class TerminalScreen:
    """A running program and its screen. Use as a context manager; leaving it ends the program."""

    def __init__(
        self,
        command: Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        rows: int = 24,
        columns: int = 100,
        timeout_s: float = 20.0,
    ) -> None:
        self.screen = pyte.Screen(columns, rows)
        self._stream = pyte.ByteStream(self.screen)
        self.timeout_s = timeout_s
        name, *arguments = command
        self.process = pexpect.spawn(
            name,
            list(arguments),
            env=os.environ | dict(env or {}),
            cwd=None if cwd is None else str(cwd),
            dimensions=(rows, columns),
            timeout=None,
        )
        self.process.delaybeforesend = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the program, if it has not ended by itself."""
        self.process.close(force=True)

    def send(self, keys: str) -> None:
        """Type keys, as the bytes that a terminal would send for them."""
        self.process.send(keys)

    def wait(self, seen: Callable[[Self], Any], what: str, timeout_s: float | None = None) -> Any:
        """Read until seen(self) is true, and return what it said. Fails with the screen when that takes too long."""
        end_s = time.monotonic() + (self.timeout_s if timeout_s is None else timeout_s)
        while not (found := seen(self)):
            if time.monotonic() > end_s:
                raise AssertionError(f"not seen: {what}\n{self.describe()}")
            if not self.read() and not self.process.isalive():
                raise AssertionError(f"the program ended before this was seen: {what}\n{self.describe()}")
        return found

    def wait_for(self, text: str, timeout_s: float | None = None) -> None:
        """Wait until text stands somewhere on the screen, within a line."""
        self.wait(lambda screen: text in screen.text, repr(text), timeout_s)

    def read(self) -> bool:
        """Take over what the program has written, waiting a moment for it; False when that was nothing."""
        try:
            data = self.process.read_nonblocking(READ_BYTES, timeout=POLL_S)
        except (pexpect.TIMEOUT, pexpect.EOF):
            return False
        self._stream.feed(data)
        return True

    @property
    def lines(self) -> list[str]:
        """The rows of the screen, without blanks at their ends."""
        return [line.rstrip() for line in self.screen.display]

    @property
    def text(self) -> str:
        """The rows of the screen, joined by newlines."""
        return "\n".join(self.lines)

    @property
    def cursor(self) -> tuple[int, int]:
        """Row and column of the cursor, from 0."""
        return self.screen.cursor.y, self.screen.cursor.x

    def coloured(self, colour: str) -> str:
        """What is drawn in a foreground colour, such as "8a8a8a": its rows, without blanks at their ends.

        Cells between two coloured ones of a row count too, since nobody sees the colour of a blank.
        """
        rows = []
        for y in range(self.screen.lines):
            columns = [x for x in range(self.screen.columns) if self.screen.buffer[y][x].fg == colour]
            cells = [self.screen.buffer[y][x].data for x in range(columns[0], columns[-1] + 1)] if columns else []
            if text := "".join(cells).rstrip():
                rows.append(text)
        return "\n".join(rows)

    def describe(self) -> str:
        """The screen as text for a failing test."""
        row, column = self.cursor
        frame = "-" * self.screen.columns
        return f"{frame}\n{self.text}\n{frame}\ncursor: row {row}, column {column}"

    def save_picture(self, name: str) -> None:
        """Save the screen as NAME.png in the folder that QUICKSILVER_SCREENSHOTS names, if it names one."""
        if folder := os.environ.get("QUICKSILVER_SCREENSHOTS"):
            self.save_png(Path(folder) / f"{name}.png")

    def save_png(self, file: Path, *, scale: int = 2) -> None:
        """Draw the screen into an image file."""
        import matplotlib
        from PIL import Image, ImageDraw, ImageFont

        font_file = Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSansMono.ttf"
        font = ImageFont.truetype(str(font_file), 14 * scale)
        width, height = round(font.getlength("M")), 18 * scale
        image = Image.new("RGB", (width * self.screen.columns, height * self.screen.lines), f"#{PAPER}")
        draw = ImageDraw.Draw(image)
        for y in range(self.screen.lines):
            for x in range(self.screen.columns):
                cell = self.screen.buffer[y][x]
                ink, paper = _rgb(cell.fg, INK), _rgb(cell.bg, PAPER)
                if cell.reverse != ((y, x) == self.cursor and not self.screen.cursor.hidden):
                    ink, paper = paper, ink
                left, top = x * width, y * height
                if paper != PAPER:
                    draw.rectangle((left, top, left + width - 1, top + height - 1), fill=f"#{paper}")
                draw.text((left, top + scale), cell.data, font=font, fill=f"#{ink}")
        file.parent.mkdir(parents=True, exist_ok=True)
        image.save(file)


def _rgb(colour: str, default: str) -> str:
    """The hexadecimal digits of a colour as pyte names it."""
    if colour == "default":
        return default
    return PALETTE.get(colour.removeprefix("bright"), colour)
