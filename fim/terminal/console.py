"""The console that commands print to, by rich."""

from collections.abc import Iterable
from typing import NoReturn

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

from ..text.printable import printable


class PipedConsole(Console):
    """A Console that escapes control characters in all it prints: rich passes most of them on to the terminal.

    If the reader has gone it raises BrokenPipeError; rich would exit.
    """

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """The segments of a renderable, their text escaped; rich's own control codes stay."""
        for segment in super().render(renderable, options):
            text, style, control = segment
            yield segment if control else Segment(printable(text, keep_newlines=True), style)

    def on_broken_pipe(self) -> NoReturn:
        """Raise BrokenPipeError."""
        raise BrokenPipeError


def open_console(*, stderr: bool = False) -> PipedConsole:
    """A console on stdout (or stderr), without highlighting of numbers and paths."""
    return PipedConsole(highlight=False, stderr=stderr)
