"""A replay's report: tables for a terminal, JSON, and a folder with pictures. Knows metrics and names, no server."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.table import Table

from ...fim.terminal.console import open_console
from ..quality.plots import new_figure
from ..rows import ReportRow
from ..runner import heading, plain_table, write_result
from . import scores
from .blocks import TypedBlock
from .deciding import WATCHED
from .plan import ReplayPlan, Variant
from .run import BlockRun

WIDTH = 150  # of the tables, also where there is no terminal

KEPT = ("characters_saved", "keys_saved", "time_saved", "accepted_of_shown", "accepted_of_seen", "exact")
HEADINGS = (
    "variant", "chars\nsaved", "keys\nsaved", "time\nsaved", "wrong\n/1,000", "shown", "kept of\nshown",
    "kept of\n≥ .75 s", "exact", "similar",
)  # fmt: skip
# What variants are compared by: a scale, and a ratio of two sums over files.
MEASURES = {
    "characters_saved": (1.0, scores.chars_saved, scores.chars_typed),
    "wrong_per_1000": (1000.0, scores.wrong_shown, scores.chars_typed),
    "steady_right": (1.0, scores.n_steady_right, scores.n_steady),
    "flickers_per_1000": (1000.0, scores.n_flickers, scores.chars_typed),
}
FAULTS = ("parse_errors", "bracket_errors", "indent_errors", "duplications")
TEXT_HEADINGS = ("variant", "texts", "right", "≥ 150 ms", "right", "flickers", "longest\nright", "several\nlines")
AGAINST_HEADINGS = (
    "variant", "chars saved, points", "wrong per 1,000", "right of ≥ 150 ms, points", "flickers per 1,000",
    "blocks\ndecided", "asked",
)  # fmt: skip
COST_HEADINGS = (
    "variant", "questions", "cancelled", "stale", "reused", "forwards", "unseen", "answer ms\np50/p95/p99",
    "visible ms\np50/p95/p99", "parse", "bracket", "indent", "repeat",
)  # fmt: skip
LEGEND = """\
Characters, keys, time: saved against typing all of it, per cent. wrong: characters on show that were not to be written,
per 1,000 that were. shown: texts visible for 250 ms at least; kept: accepted at least in part; exact: right to the end.
Flicker: a text gone within 150 ms that was neither typed nor accepted. unseen: share of forwards whose answer nobody
saw. The last four: shown texts, per cent, with which the file does not parse, brackets (told in Python only) or
indentation are wrong, or the line below comes twice. Blocks decided: in how many the rule changed or stopped anything
(with all rules on); asked: questions whose answers were not in the file of answers."""


def report(
    plan: ReplayPlan,
    blocks: Sequence[TypedBlock],
    runs: Mapping[str, Sequence[BlockRun]],
    engine: Mapping[str, Any],
    folder: Path | None,
    json_file: Path | None,
) -> None:
    """Print the tables; write JSON and pictures where that is wanted. Raises OSError, InputError (no matplotlib)."""
    rows = {name: scores.score(each) for name, each in runs.items()}
    base = next(iter(runs))
    ablated = {variant.name for variant in plan.variants if variant.rule is not None}
    result = {
        **heading("replay"),
        "engine": dict(engine),
        "plan": {
            "files": len({(block.root, block.path) for block in blocks}),
            "language": ",".join(plan.languages),
            "packages": sorted({block.root.name for block in blocks}),
            "blocks": [block.name for block in blocks],
            "seeds": list(plan.seeds),
            "policy": plan.policy,
            "reader": plan.reader,
            "programs": plan.types_programs,
            "invoked": plan.invokes,
            "mode": plan.mode,
            "variants": {v.name: {"settings": dict(v.settings), "fixed_ms": v.fixed_ms} for v in plan.variants},
        },
        "rows": rows,
        "against": {name: _against(each, runs[base]) for name, each in runs.items() if name != base},
        "decided": dict(Counter(sorted(rule for run in runs[base] for rule in run.decided))),
        "reliability": {name: scores.reliability(each) for name, each in runs.items() if name not in ablated},
        "risk_coverage": {name: thin(scores.risk_coverage(each)) for name, each in runs.items() if name not in ablated},
    }
    show(rows, result, base)
    if result["reliability"][base]:
        show_reliability(base, result["reliability"][base])
    write_result(result, json_file)
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "replay.json").write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
        draw(plan, result, folder)


def _against(runs: Sequence[BlockRun], base: Sequence[BlockRun]) -> dict[str, list[float]]:
    """Differences from the first variant and their 95 % intervals."""
    return {
        name: [round(scale * value, 5) for value in scores.difference(runs, base, above, below)]
        for name, (scale, above, below) in MEASURES.items()
    }


def thin(points: Sequence[tuple[float, float]], n: int = 200) -> list[list[float]]:
    """At most about n of the points."""
    step = max(1, len(points) // n)
    return [[round(x, 4), round(y, 4)] for x, y in points[::step]]


def show(rows: Mapping[str, ReportRow], result: Mapping[str, Any], base: str) -> None:
    """Print everything to stdout."""
    against, language = result["against"], result["plan"]["language"].replace(",", ", ")
    console = open_console()
    console.width = max(console.width, WIDTH)
    first = next(iter(rows.values()))
    title = f"quicksilver bench replay: {first['blocks']} blocks of {language} typed"
    console.print(_table(title, HEADINGS, _kept_rows(rows)))
    console.print(_table("what came up on the screen", TEXT_HEADINGS, _text_rows(rows)))
    console.print(_table("what it cost, what was wrong", COST_HEADINGS, _cost_rows(rows)))
    if against:
        title = f"apart from {base}, 95 % (paired bootstrap over files)"
        console.print(_table(title, AGAINST_HEADINGS, _against_rows(result)))
    sources = {name: row["sources"] for name, row in rows.items() if row["sources"]}
    for name, each in list(sources.items())[:1]:
        console.print(f"{name}, accepted characters by source: {_shares(each)}; empty answers: {rows[name]['causes']}")
    console.print(LEGEND)


def show_reliability(name: str, bins: Sequence[ReportRow]) -> None:
    """Print what texts promised and what was right."""
    rows = [
        [f"from {row['from']:g}", str(row["texts"]), _percent(row["promised"]), _percent(row["right"])] for row in bins
    ]
    show_table(f"{name}: confidence, and how often it was right", ("confidence", "texts", "promised", "right"), rows)


def show_table(title: str, headings: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print one table to stdout."""
    console = open_console()
    console.width = max(console.width, WIDTH)
    console.print(_table(title, headings, rows))


def _kept_rows(rows: Mapping[str, ReportRow]) -> list[list[str]]:
    return [
        [name, *(_percent(row[key]) for key in KEPT[:3]), f"{row['wrong_per_1000']:.1f}", str(row["shown"])]
        + [_percent(row[key]) for key in (*KEPT[3:], "edit_similarity")]
        for name, row in rows.items()
    ]


def _text_rows(rows: Mapping[str, ReportRow]) -> list[list[str]]:
    return [
        [name, str(row["texts"]), _percent(row["texts_right"]), str(row["steady"]), _percent(row["steady_right"])]
        + [str(row[key]) for key in ("flickers", "longest_right", "lines_right")]
        for name, row in rows.items()
    ]


def _cost_rows(rows: Mapping[str, ReportRow]) -> list[list[str]]:
    return [
        [name, *(str(row[key]) for key in ("questions", "cancelled", "stale", "reused", "forwards"))]
        + [_percent(row["forwards_unseen"]), _three(row["answer_ms"]), _three(row["visible_ms"])]
        + [_percent(row[key]) for key in FAULTS]
        for name, row in rows.items()
    ]


def _against_rows(result: Mapping[str, Any]) -> list[list[str]]:
    """asked: questions whose answer was not in the file of answers, so a variant that asks other questions has many."""
    asked, variants, decided = result["engine"].get("asked", {}), result["plan"]["variants"], result["decided"]
    rows = []
    for name, each in result["against"].items():
        [rule] = variants[name]["settings"].get("without", [None])
        cells = [_interval([100 * x for x in each["characters_saved"]], 2), _interval(each["wrong_per_1000"], 1)]
        cells += [_interval([100 * x for x in each["steady_right"]], 2), _interval(each["flickers_per_1000"], 1)]
        n_decided = str(decided.get(rule, 0)) if rule in WATCHED else "–"
        rows.append([name, *cells, n_decided, str(asked.get(name, "–"))])
    return rows


def _interval(values: Sequence[float], digits: int) -> str:
    value, low, high = values
    return f"{value:+.{digits}f} ({low:+.{digits}f} … {high:+.{digits}f})"


def _three(values: Mapping[str, float] | None) -> str:
    return "–" if values is None else "/".join(f"{value:.0f}" for value in values.values())


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{100 * share:.1f}"


def _shares(shares: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {100 * share:.0f} %" for name, share in shares.items())


def _table(title: str, headings: Sequence[str], rows: Sequence[Sequence[str]]) -> Table:
    table = plain_table(title)
    for i, name in enumerate(headings):
        table.add_column(name, justify="left" if i == 0 else "right", no_wrap=True)
    for row in rows:
        table.add_row(*row)
    return table


def draw(plan: ReplayPlan, result: Mapping[str, Any], folder: Path) -> None:
    """Write savings.png (against latency and against wrong characters) and risk-coverage.png."""
    figure = new_figure(10, 4)
    by_time, by_wrong = figure.subplots(1, 2)
    rows = result["rows"]
    timed = sorted(
        (v.fixed_ms, 100 * rows[v.name]["characters_saved"])
        for v in plan.variants
        if v.fixed_ms is not None and v in (plan.variants[0], Variant(name=v.name, fixed_ms=v.fixed_ms))
    )
    if timed:
        by_time.plot(*zip(*timed, strict=True), marker="o", color="#0072B2")
    by_time.set(xlabel="ms to an answer", ylabel="characters saved, %")
    for name, row in rows.items():
        if not name.startswith(("without", "floor: oracle", "floor: copied-line")) and name not in {
            t for t, _ in timed
        }:
            x, y = row["wrong_per_1000"], 100 * row["characters_saved"]
            by_wrong.plot(x, y, marker="o", linestyle="", color="#D55E00" if name.startswith("floor") else "#0072B2")
            by_wrong.annotate(name, (x, y), fontsize=6, xytext=(3, 3), textcoords="offset points")
    by_wrong.set(xlabel="wrong characters shown per 1,000", ylabel="characters saved, %")
    figure.savefig(folder / "savings.png", dpi=130)
    figure = new_figure(5, 4)
    axes = figure.subplots(1, 1)
    for name, points in result["risk_coverage"].items():
        if points and (name == next(iter(rows)) or name.startswith("gate")):
            axes.plot(*zip(*points, strict=True), label=name, linewidth=1)
    axes.set(xlabel="share of questions with a text, the surest first", ylabel="share of them not entirely right")
    axes.legend(fontsize=6)
    figure.savefig(folder / "risk-coverage.png", dpi=130)
