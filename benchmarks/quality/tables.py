"""The report for a terminal: two tables per kind of hole."""

from collections.abc import Iterable, Sequence

from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from ...fim.terminal.console import open_console
from ..rows import ReportRow

QUALITY = ("decoder", "exact", "95 %", "1st line", "similar", "parses", "steps", "ms")
TRUST = ("decoder", "ECE", "risk area", "surest 25 %", "50 %", "75 %")
LEGEND = """\
Shares in per cent. exact: the whole answer, 95 %: its interval (bootstrap over
each package's holes); similar: edit similarity; parses: of the files that did
before, with the answer in place; ms: median of decoding, the context being read.
ECE: calibration error, 15 bins; risk area: under the risk-coverage curve (0 is
best); surest: exact among the answers of highest confidence."""


def quality_cells(row: ReportRow) -> list[str]:
    """One row of a kind's first table, in the order of QUALITY."""
    low, high = row["exact_match_95"]
    return [
        row["name"], percent(row["exact_match"]), f"{100 * low:.1f}–{100 * high:.1f}", percent(row["first_line_match"]),
        percent(row["edit_similarity"]), percent(row["syntax_valid"]), f"{row['mean_steps']:.1f}",
        f"{row['median_ms']:.{1 if row['median_ms'] < 100 else 0}f}",
    ]  # fmt: skip


def trust_cells(row: ReportRow) -> list[str]:
    """One row of a kind's second table, in the order of TRUST."""
    surest = [percent(row[f"precision_at_{coverage}"]) for coverage in (25, 50, 75)]
    return [row["name"], f"{row['ece']:.3f}", f"{row['risk_area']:.3f}", *surest]


def show(result: ReportRow) -> None:
    """Print everything that `heldout` measured, to stdout."""
    model = result["model"]
    for kind in dict.fromkeys(row["kind"] for row in result["scores"]):
        rows = [row for row in result["scores"] if row["kind"] == kind]
        title = f"{model['name']}: {rows[0]['holes']} {kind} holes, split {result['split']}, {model['dtype']}"
        print_table(title, QUALITY, map(quality_cells, rows), n_left=1)
        sure = [row for row in rows if row["ece"] is not None]
        if sure:
            print_table(f"{kind}: confidence", TRUST, map(trust_cells, sure), n_left=1)
    print(LEGEND)


def percent(share: float | None) -> str:
    """A share in per cent, without the sign, for want of width."""
    return "–" if share is None else f"{100 * share:.1f}"


def print_table(title: str, columns: Sequence[str], rows: Iterable[Sequence[str]], n_left: int) -> None:
    """Print a table; the first n_left columns hold words."""
    table = Table(title=Text(title), box=SIMPLE_HEAD, padding=0, pad_edge=False, show_edge=False)
    for i, column in enumerate(columns):
        table.add_column(column, justify="left" if i < n_left else "right", no_wrap=True)
    for row in rows:
        table.add_row(*row)
    open_console().print(table)
    print()
