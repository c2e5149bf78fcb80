"""The terminal that commands print to.

Owns how rich is set up, nothing that is printed.
"""

from collections.abc import Iterable
from typing import NoReturn

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

from ..text.printable import printable


class PipedConsole(Console):
    """A Console that escapes control characters in whatever it prints: rich passes most of them on to the terminal.

    It reports a reader that went away as BrokenPipeError; rich would end the program in its middle.
    """

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """The segments of a renderable, their text escaped; what rich itself tells the terminal stays."""
        for segment in super().render(renderable, options):
            text, style, control = segment
            yield segment if control else Segment(printable(text, keep_newlines=True), style)

    def on_broken_pipe(self) -> NoReturn:
        """Raise what really happened."""
        raise BrokenPipeError


def open_console(*, stderr: bool = False) -> PipedConsole:
    """A console on stdout (or stderr), without guesses at what numbers and paths are."""
    return PipedConsole(highlight=False, stderr=stderr)
