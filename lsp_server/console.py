"""The terminal that commands print to.

Owns how rich is set up, nothing that is printed.
"""

from typing import NoReturn

from rich.console import Console


class PipedConsole(Console):
    """A Console that reports a reader that went away as BrokenPipeError; rich would end the program in its middle."""

    def on_broken_pipe(self) -> NoReturn:
        """Raise what really happened."""
        raise BrokenPipeError


def open_console() -> PipedConsole:
    """A console on stdout, without guesses at what numbers and paths are."""
    return PipedConsole(highlight=False)
