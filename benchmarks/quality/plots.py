"""The evaluation's plots as PNG, from the data that `heldout` describes, and the tables and plot of `kernels`.

The only user of matplotlib here.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ...fim.errors import InputError
from ..rows import ReportRow
from ..runner import plain_table

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MISSING = "plots need matplotlib: pip install 'quicksilver-lsp[bench]', or leave --plots or --png out"
# Okabe and Ito's, which colour-blind readers can tell apart, and two more.
COLOURS = ("#999999", "#E69F00", "#000000", "#D55E00", "#0072B2", "#009E73", "#CC79A7", "#56B4E9", "#7B4F2E")
N_COLUMNS = 3
KERNEL_COLUMNS = ("kernel", "batch", "context", "µs", "spread", "floor µs", "of floor", "speedup", "error")
ON_A_GPU = "quicksilver bench kernels --device cuda --size nano,base,7b --json kernels.json"


def new_figure(width: float, height: float) -> "Figure":
    """An empty figure, in inches. Raises InputError without matplotlib."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise InputError(MISSING) from None
    return Figure(figsize=(width, height), layout="constrained")


def drawing_folder(folder: Path) -> None:
    """Make sure that plots can be drawn into folder, before hours are spent. Raises InputError."""
    try:
        import matplotlib  # noqa: F401
    except ImportError:
        raise InputError(MISSING) from None
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"cannot make the folder {folder}: {error.strerror or error}") from error


def draw_plots(result: ReportRow, folder: Path) -> list[Path]:
    """Write exact-match-by-steps.png, risk-coverage.png and reliability.png; returns their paths."""
    rows = result["scores"]
    drawn: list[Path] = []
    for name, draw in (
        ("exact-match-by-steps", draw_steps), ("risk-coverage", draw_risk), ("reliability", draw_reliability)
    ):  # fmt: skip
        figure = _by_kind(rows, draw)
        figure.suptitle(f"{result['model']['name']}, split {result['split']}, {rows[0]['holes']} holes of each kind")
        path = folder / f"{name}.png"
        figure.savefig(path, dpi=130)
        drawn.append(path)
    return drawn


def draw_steps(axes: "Axes", rows: Sequence[ReportRow], colours: Mapping[str, str]) -> None:
    """Exact match against mean steps with 95 % intervals, step caps of a decoder joined; floors as level lines."""
    from matplotlib.ticker import FormatStrFormatter, LogLocator, NullFormatter

    for series in dict.fromkeys(map(series_of, rows)):
        points = sorted((row for row in rows if series_of(row) == series), key=lambda row: row["mean_steps"])
        exact = [100 * row["exact_match"] for row in points]
        colour = colours[series]
        if points[0]["family"] == "floor":
            axes.axhline(exact[0], color=colour, linestyle=":", linewidth=1.2, label=series)
            continue
        around = [
            [max(0.0, value - 100 * row["exact_match_95"][0]) for value, row in zip(exact, points, strict=True)],
            [max(0.0, 100 * row["exact_match_95"][1] - value) for value, row in zip(exact, points, strict=True)],
        ]
        steps = [row["mean_steps"] for row in points]
        axes.errorbar(
            steps, exact, yerr=around, capsize=2, linewidth=1, marker="o", markersize=4, color=colour, label=series
        )
    axes.set(xlabel="mean steps", ylabel="exact match, %", xscale="log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axes.xaxis.set_major_formatter(FormatStrFormatter("%g"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_ylim(0, 1.1 * max(5.0, *(100 * row["exact_match_95"][1] for row in rows)))


def series_of(row: ReportRow) -> str:
    """The name of a decoder without its step cap."""
    return str(row["name"]).partition("@")[0]


def draw_risk(axes: "Axes", rows: Sequence[ReportRow], colours: Mapping[str, str]) -> None:
    """The share of wrong answers among the surest, by how many of them are given."""
    for row in without_caps(rows):
        coverage, risk = zip(*row["risk_coverage"], strict=True)
        label = f"{row['name']} (area {row['risk_area']:.3f})"
        axes.plot(coverage, risk, color=colours[series_of(row)], linewidth=1.2, label=label)
    axes.set(xlabel="coverage", ylabel="share that is wrong", xlim=(0, 1), ylim=(0, 1.02))


def draw_reliability(axes: "Axes", rows: Sequence[ReportRow], colours: Mapping[str, str]) -> None:
    """Accuracy against confidence; points grow with the answers in their bin, the diagonal is perfect."""
    axes.plot((0, 1), (0, 1), color="#999999", linestyle="--", linewidth=1)
    for row in without_caps(rows):
        bins, colour = row["reliability"], colours[series_of(row)]
        confidence, accuracy = [b["confidence"] for b in bins], [b["accuracy"] for b in bins]
        axes.plot(confidence, accuracy, color=colour, linewidth=0.8, label=f"{row['name']} (ECE {row['ece']:.3f})")
        axes.scatter(confidence, accuracy, s=[6 + 120 * b["n"] / row["holes"] for b in bins], color=colour)
    axes.set(xlabel="confidence", ylabel="share that is right", xlim=(0, 1), ylim=(0, 1))


def without_caps(rows: Sequence[ReportRow]) -> list[ReportRow]:
    """The rows that have a confidence, without step caps: else there would be too many lines to tell apart."""
    return [row for row in rows if row["risk_coverage"] is not None and row["max_steps"] is None]


DrawPanel = Callable[["Axes", Sequence[ReportRow], Mapping[str, str]], None]


def _by_kind(rows: Sequence[ReportRow], draw: DrawPanel) -> "Figure":
    """One panel per kind of hole, with the same colours for the same decoders."""
    kinds = list(dict.fromkeys(row["kind"] for row in rows))
    colours = {name: COLOURS[i % len(COLOURS)] for i, name in enumerate(dict.fromkeys(map(series_of, rows)))}
    n_columns = min(N_COLUMNS, len(kinds))
    n_rows = -(-len(kinds) // n_columns)
    figure = new_figure(5.2 * n_columns, 4.2 * n_rows + 0.4)
    for i, kind in enumerate(kinds):
        axes = figure.add_subplot(n_rows, n_columns, i + 1)
        draw(axes, [row for row in rows if row["kind"] == kind], colours)
        axes.set_title(kind)
        axes.grid(alpha=0.25)
        if axes.get_legend_handles_labels()[1]:
            axes.legend(fontsize=6)
    return figure


def show_kernels(result: ReportRow) -> None:
    """Print what `kernels` measured: a table for each size, what failed, and how the floors come about."""

    from ...fim.terminal.console import open_console

    console, plan, rates = open_console(), result["plan"], result["ceilings"]
    is_reference = result["computed_by"] == "reference"
    columns = KERNEL_COLUMNS[: -2 if is_reference else None]
    for size in plan["sizes"]:
        title = f"quicksilver bench kernels: {size}, {plan['dtype']}, {result['device']}"
        table = plain_table(title)
        for column in columns:
            table.add_column(column, justify="left" if column == "kernel" else "right", no_wrap=True)
        for row in (row for row in result["rows"] if row["size"] == size):
            table.add_row(*_kernel_cells(row)[: len(columns)])
        console.print(table)
    for row in (row for row in result["rows"] if row["error"] is not None):
        console.print(f"{row['kernel']}, {row['size']}, batch {row['n_batch']}: {row['error']}", markup=False)
    console.print(f"floor: bytes at {rates['gb_per_s']:,.0f} GB/s or FLOPs at {rates['gflop_per_s']:,.0f} GFLOP/s")
    if is_reference:
        console.print("These are the PyTorch references, which run without a GPU. The kernels, on one:")
        console.print(ON_A_GPU, soft_wrap=True)


def _kernel_cells(row: ReportRow) -> list[str]:
    """A row in the order of KERNEL_COLUMNS; the spread lies between the deciles, as a share of the median."""
    median, share = row["median_us"], row["share_of_floor"]
    return [
        row["kernel"], str(row["n_batch"]), "" if row["n_context"] is None else f"{row['n_context']:,}",
        _short(median), "–" if median is None else f"{(row['p90_us'] - row['p10_us']) / median:.0%}",
        _short(row["floor_us"]), "–" if share is None else f"{100 * share:.3g} %",
        _short(row["speedup"]), _short(row["max_error"]),
    ]  # fmt: skip


def _short(value: float | None) -> str:
    return "–" if value is None else f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"


def draw_kernels(result: ReportRow, path: Path) -> None:
    """Time against floor as PNG, both axes logarithmic; hollow: the reference beside a kernel. Raises InputError."""
    figure = new_figure(6.4, 4.8)
    axes = figure.add_subplot()
    rows = [row for row in result["rows"] if row["median_us"] is not None]
    names = dict.fromkeys(row["kernel"].partition(" ")[0] for row in rows)
    for name, colour in zip(names, COLOURS[1:], strict=False):
        own = [row for row in rows if row["kernel"].partition(" ")[0] == name]
        kernel = [(row["floor_us"], row["median_us"]) for row in own]
        axes.scatter(*zip(*kernel, strict=True), s=18, color=colour, label=name)
        reference = [(row["floor_us"], row["reference_us"]) for row in own if row["reference_us"] is not None]
        if reference:
            axes.scatter(*zip(*reference, strict=True), s=18, facecolors="none", edgecolors=colour)
    floors = sorted(row["floor_us"] for row in rows)
    for times in (1, 10):
        axes.plot(floors, [times * floor for floor in floors], color=COLOURS[0], linestyle=":", linewidth=1)
    axes.set(xlabel="floor, µs", ylabel="time, µs (dotted: floor, ten times it)", xscale="log", yscale="log")
    axes.legend(fontsize=7)
    figure.suptitle(f"{result['computed_by']}s, {result['plan']['dtype']}, {result['device']}", fontsize=9)
    figure.savefig(path, dpi=130)
