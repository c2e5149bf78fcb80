"""The progress of a long measurement, on stderr: a bar on a terminal, else a line now and then."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

PLAIN_S = 15.0  # seconds between two plain lines


@contextmanager
def progress(description: str, total: int) -> Iterator[Callable[[], None]]:
    """Yields a function to call once per thing done."""
    if not sys.stderr.isatty():
        yield _plain(description, total)
        return
    try:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
        from rich.progress import TimeRemainingColumn as LeftColumn
    except ImportError:
        yield _plain(description, total)
        return
    columns = (
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TextColumn("left"),
        LeftColumn(),
    )  # fmt: skip
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task(description, total=total)
        yield lambda: bar.advance(task)


def _plain(description: str, total: int) -> Callable[[], None]:
    n_done, shown_s = 0, time.monotonic()

    def advance() -> None:
        nonlocal n_done, shown_s
        n_done += 1
        if n_done == total or time.monotonic() - shown_s > PLAIN_S:
            shown_s = time.monotonic()
            print(f"{description}: {n_done}/{total}", file=sys.stderr, flush=True)

    return advance
