"""Progress for a person who waits for a command, on stderr: a spinner on a terminal, elsewhere a line now and then."""

import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from ..text.printable import one_line

LINE_S = 10.0  # between two lines if there is no terminal

Tell = Callable[[str], None]


@contextmanager
def waiting(news: str, *, line_s: float = LINE_S) -> Iterator[Tell]:
    """Show news during the block; yields a function that replaces it."""
    if not sys.stderr.isatty():
        with _lines(news, line_s) as tell:
            yield tell
        return
    from rich.text import Text

    from .console import open_console

    with open_console(stderr=True).status(Text(f"{news} …")) as shown:
        yield lambda later: shown.update(Text(f"{later} …"))


@contextmanager
def _lines(news: str, line_s: float) -> Iterator[Tell]:
    latest, done = [news], threading.Event()

    def print_lines() -> None:
        while not done.wait(line_s):
            print(f"quicksilver: {one_line(latest[0])} …", file=sys.stderr, flush=True)

    thread = threading.Thread(target=print_lines, name="waiting", daemon=True)
    thread.start()
    try:
        yield lambda later: latest.__setitem__(0, later)
    finally:
        done.set()
        thread.join()
