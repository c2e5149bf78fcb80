"""Loss curves of one or several runs as a picture, from their loss.jsonl."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ...fim.errors import InputError
from .log import LOG, read_log

NUMBERS = ("tokens", "next_token", "canvas")
SMOOTHING = 0.05  # a line's window, as a share of the run's steps


def smooth(values: Sequence[float], n_window: int) -> list[float]:
    """Means of the last n_window values, fewer at the start."""
    sums = [0.0]
    for value in values:
        sums.append(sums[-1] + value)
    starts = [max(0, i + 1 - n_window) for i in range(len(values))]
    return [(sums[i + 1] - sums[start]) / (i + 1 - start) for i, start in enumerate(starts)]


def draw_curves(runs: Sequence[Path], picture: Path) -> None:
    """Write a PNG: training losses smoothed, validation losses as points, by context tokens seen.

    Raises InputError when a run has no log, or when matplotlib is missing.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError:
        raise InputError("curves need matplotlib: pip install 'quicksilver-lsp[train]'") from None
    figure = Figure(figsize=(11, 4.5), layout="constrained")
    FigureCanvasAgg(figure)
    next_token, canvas = figure.subplots(1, 2)
    for run, colour in zip(runs, (f"C{i % 10}" for i in range(len(runs))), strict=True):
        log = [entry for entry in read_log(run) if all(isinstance(entry.get(name), int | float) for name in NUMBERS)]
        if not log:
            raise InputError(f"{run / LOG} holds no step yet")
        _draw_run(next_token, log, "next_token", "valid_next", run.name, colour)
        _draw_run(canvas, log, "canvas", "valid_canvas", run.name, colour)
    for axes, title in ((next_token, "next context token"), (canvas, "asked canvas token")):
        axes.set(title=title, xlabel="context tokens seen (millions)", ylabel="nats")
        axes.grid(alpha=0.3)
        axes.legend()
    picture.parent.mkdir(parents=True, exist_ok=True)
    try:
        figure.savefig(picture, dpi=120)
    except ValueError as error:  # an ending that names no format
        raise InputError(f"cannot draw {picture.name}: {error}") from error


def _draw_run(axes: Any, log: Sequence[Mapping[str, Any]], trained: str, valid: str, name: str, colour: str) -> None:  # noqa: ANN401
    n_window = max(1, round(SMOOTHING * len(log)))
    axes.plot(
        [entry["tokens"] / 1e6 for entry in log], smooth([entry[trained] for entry in log], n_window),
        color=colour, linewidth=1.2, label=f"{name}, training",
    )  # fmt: skip
    points = [entry for entry in log if valid in entry]
    if points:
        axes.plot(
            [entry["tokens"] / 1e6 for entry in points], [entry[valid] for entry in points],
            "o", color=colour, markersize=4, label=f"{name}, valid split",
        )  # fmt: skip
