"""The progress of a run: a bar on a terminal, else plain lines."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

LINE_S = 10.0  # seconds between two plain lines

ProgressReport = Callable[[str, float], None]  # what to say, and the share that is done


@contextmanager
def progress(is_shown: bool) -> Iterator[ProgressReport]:
    """A function to report to while this lasts."""
    if not is_shown:
        yield lambda text, done: None
        return
    try:
        from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn
    except ImportError:
        yield plain_lines()
        return
    if not sys.stderr.isatty():
        yield plain_lines()
        return
    from rich.console import Console

    columns = (TextColumn("{task.description}"), BarColumn(bar_width=20), TaskProgressColumn())
    with Progress(*columns, console=Console(stderr=True), refresh_per_second=1) as bar:
        task = bar.add_task("", total=1000)
        yield lambda text, done: bar.update(task, description=text, completed=round(1000 * done))


@contextmanager
def counting(label: str, total: int) -> Iterator[Callable[[int], None]]:
    """Yields a function to call with how many more of total things are done."""
    n_done = 0
    with progress(True) as report:

        def advance(n: int) -> None:
            nonlocal n_done
            n_done += n
            report(f"{label}: {n_done:,} of {total:,}", n_done / max(1, total))

        yield advance


def plain_lines(every_s: float = LINE_S) -> ProgressReport:
    """Reports that print a line to stderr now and then."""
    last_s = [float("-inf")]

    def report(text: str, done: float) -> None:
        if time.monotonic() - last_s[0] >= every_s:
            last_s[0] = time.monotonic()
            print(f"{done:6.1%} {text}", file=sys.stderr, flush=True)

    return report


def duration(seconds: float) -> str:
    """Hours, minutes and seconds, as short as possible."""
    seconds = max(0, round(seconds))
    hours, rest = divmod(seconds, 3600)
    return f"{hours}:{rest // 60:02}:{rest % 60:02}" if hours else f"{rest // 60}:{rest % 60:02}"
