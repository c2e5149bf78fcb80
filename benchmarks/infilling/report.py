"""The report of an infilling evaluation for a terminal: two tables for each benchmark, and how they were measured."""

from ...fim.text.printable import printable
from ..quality.tables import percent, print_table
from ..rows import ReportRow
from ..sandbox.bubblewrap import isolation
from ..sandbox.execution import OUTCOMES

SOLVED = ("decoder", "length", "micro", "95 %", "macro", "95 %", "exact", "similar")
COST = ("decoder", *OUTCOMES[1:], "forwards", "tok/fwd", "ms", "p95")
LEGEND = """\
micro, macro: share of tasks solved in per cent, over tasks and over base
problems; 95 %: bootstrap over base problems; exact: the very text, similar:
edit similarity. length: "own", the decoder's own matter; "oracle", it was told
the truth's number of tokens, which no editor knows; "–", a floor without model.
forwards: mean number for an answer; tok/fwd: tokens of the answers per forward;
ms, p95: decoding alone, the context being read, on this machine."""


def show(result: ReportRow) -> None:
    """Print everything that `step` measured, to stdout."""
    model = result["model"]
    for benchmark in dict.fromkeys(row["benchmark"] for row in result["scores"]):
        rows = [row for row in result["scores"] if row["benchmark"] == benchmark]
        measure = "pass@1" if rows[0]["is_run"] else "exact match"
        about = f"{rows[0]['tasks']} tasks of {rows[0]['problems']} problems, {measure}"
        on = printable(f"{model['name']} on {benchmark}: {about}")
        print_table(on, SOLVED, map(_solved, rows), n_left=2)
        ended = printable(f"{benchmark}: how programs ended, and what answers cost")
        print_table(ended, COST, map(_cost, rows), n_left=1)
    print(LEGEND)
    for line in facts(result):
        print(printable(line))


def facts(result: ReportRow) -> list[str]:
    """What the numbers rest on, a line each."""
    breaks = {
        "given": "Whole lines: the line break that ends the hole was given to every decoder, not asked of it.",
        "asked": "Whole lines: the line break that ends the hole was asked of every decoder.",
    }
    limits = result["limits"]
    lines = [breaks[result["line_break"]]] if result["has_whole_lines"] else []
    if result["drawn"] is not None:
        lines.append(f"At most {result['drawn']} tasks of each benchmark, drawn with seed {result['seed']}.")
    if result["protection"]:
        lines.append(f"Programs ran for at most {limits['seconds']:g} s in {limits['memory_mb']} MB.")
        lines += isolation(result["protection"])
    return [*lines, *_contamination(result["contamination"])]


def _contamination(found: ReportRow) -> list[str]:
    lines = []
    if found["manifest"] is None:
        lines.append("Contamination: this checkpoint does not say what it was trained on.")
    else:
        lines.append(
            f"Contamination: trained on {found['training_packages']} packages, named in the checkpoint's "
            f"{found['manifest']}."
        )
        if found["kept_free_of"]:
            lines.append(f"Its corpus was kept free of {', '.join(found['kept_free_of'])}.")
    runs = found["runs"]
    if runs is None:
        lines.append("The tasks were not compared with the training text (no --corpus).")
    else:
        lines.append(
            f"{runs['shared']} of {runs['checked']} tasks share {runs['n_words']} words in a row with the corpus "
            f"({percent(runs['share'])} %); {runs['tasks'] - runs['checked']} are too short to tell."
        )
        if not runs["is_own_corpus"]:
            lines.append("Mind: that corpus does not hold everything the checkpoint was trained on.")
    return lines


def _interval(ends: tuple[float, float]) -> str:
    return f"{100 * ends[0]:.1f}–{100 * ends[1]:.1f}"


def _solved(row: ReportRow) -> list[str]:
    """One row of a benchmark's first table, in the order of SOLVED."""
    return [
        row["name"], row["length"], percent(row["solved_micro"]), _interval(row["solved_micro_95"]),
        percent(row["solved_macro"]), _interval(row["solved_macro_95"]), percent(row["exact_micro"]),
        percent(row["edit_similarity"]),
    ]  # fmt: skip


def _cost(row: ReportRow) -> list[str]:
    """One row of a benchmark's second table, in the order of COST."""
    ended = [str(row["outcomes"].get(outcome, "–")) for outcome in OUTCOMES[1:]]
    per_forward = "–" if row["tokens_per_forward"] is None else f"{row['tokens_per_forward']:.1f}"
    return [
        row["name"], *ended, f"{row['mean_steps']:.1f}", per_forward,
        *(f"{row[name]:.{1 if row[name] < 100 else 0}f}" for name in ("median_ms", "p95_ms")),
    ]  # fmt: skip
