"""`quicksilver bench summary`: a page of the current figures, from the results in docs/results/.

A result's file is named by its date and subject; of each subject the newest counts. The page is made from the files
alone.
"""

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from ..fim.errors import InputError
from ..fim.terminal.options import Option

Findings = Mapping[str, Any]
NAMED = re.compile(r"(\d{4}-\d{2}-\d{2})-(.+)")
KEYS = ("keystroke to answer, warm", "of it engine", "first completion, engine cold")
HEAD = """\
# Benchmarks

Made by `quicksilver bench summary` from the newest result of each kind in [results/](results/). Each row names its
file, which says the machine, versions and options; what was tried on the way stands in [log/](log/README.md).
"""


def newest(folder: Path) -> dict[str, tuple[str, Findings]]:
    """By subject, the newest result's file name and content. Raises InputError if one is no result."""
    found: dict[str, tuple[str, Findings]] = {}
    for path in sorted(folder.glob("*.json")):
        named = NAMED.fullmatch(path.stem)
        if named is None:
            raise InputError(f"{path} does not begin with a date")
        try:
            found[named[2]] = path.name, json.loads(path.read_text(encoding="utf-8"))
        except ValueError as error:
            raise InputError(f"{path} is no JSON: {error}") from error
    return found


def page(folder: Path) -> str:
    """The page of the results in folder."""
    results = newest(folder)
    parts, shown = [HEAD], set[str]()
    if not results:
        raise InputError(f"{folder} holds no results")
    for title, about, columns, rows in SECTIONS:
        lines: list[list[str]] = []
        for subject, (name, result) in results.items():
            try:
                found = [*rows(subject, result)]
            except (AttributeError, KeyError, TypeError, ValueError, IndexError) as error:
                raise InputError(f"{name} is no result that this version reads ({type(error).__name__})") from error
            lines += [[*cells, f"[{name}](results/{name})"] for cells in found]
            shown |= {name} if found else set()
        if lines:
            parts.append(f"## {title}\n\n{about}\n\n{_table([*columns, 'result'], lines)}")
    others = sorted(name for name, _ in results.values() if name not in shown)
    if others:
        links = "\n".join(f"- [{name}](results/{name})" for name in others)
        parts.append(f"## Others\n\nOlder runs, and what stands in its file alone.\n\n{links}\n")
    return "\n".join(parts)


def _table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = ["| " + " | ".join(columns) + " |", "|" + "---|" * len(columns)]
    return "\n".join([*lines, *("| " + " | ".join(row) + " |" for row in rows)]) + "\n"


def _infill(subject: str, result: Findings) -> Iterable[list[str]]:
    if not str(result.get("format", "")).startswith("quicksilver-infill") or "languages" in subject:
        return
    floors = [row["solved_micro"] for row in result["scores"] if row["family"] == "floor"]
    for row in result["scores"]:
        if row["name"] == "invoked":
            low, high = row["solved_micro_95"]
            yield [
                row["benchmark"], _model(subject, result),
                str(row["tasks"]), f"**{100 * row['solved_micro']:.1f} %** ({100 * low:.0f}–{100 * high:.0f})",
                f"{100 * max(floors):.1f} %" if floors else "–", f"{row['mean_steps']:.1f}",
                f"{row['median_ms']:.0f} / {row['p95_ms']:.0f}",
            ]  # fmt: skip


def _model(subject: str, result: Findings) -> str:
    """The model's name, and whether its LoRA was left out."""
    return str(result["model"]["name"]) + (", untrained" if "untrained" in subject else "")


def _languages(subject: str, result: Findings) -> Iterable[list[str]]:
    """A row a file: the share of tasks solved in each language."""
    if not str(result.get("format", "")).startswith("quicksilver-infill") or "languages" not in subject:
        return
    rows = [row for row in result["scores"] if row["name"] == "invoked"]
    kind = subject.partition("languages-")[2]
    by_language = {row["benchmark"].rpartition(", ")[2].removeprefix(f"{kind}-"): row for row in rows}
    tasks = "/".join(sorted({str(row["tasks"]) for row in rows}))
    shares = ", ".join(f"{name} {100 * row['solved_micro']:.0f}" for name, row in by_language.items())
    mean = sum(row["solved_micro"] for row in rows) / len(rows)
    yield [kind, result["model"]["name"], tasks, f"**{100 * mean:.0f} %**", shares]


def _replay(subject: str, result: Findings) -> Iterable[list[str]]:
    is_today = result.get("benchmark") == "replay" and not subject.endswith("44c91a1")  # an old commit, beside base
    if not is_today or "fixed_ms" not in json.dumps(result["plan"].get("variants", {})):
        return
    for name, row in result["rows"].items():
        if "texts" in row:
            yield [
                result["plan"].get("language", "python"), str(result["engine"].get("model", "–")),
                subject.removeprefix("replay-") + ("" if name == "default" else f", {name}"),
                str(row["blocks"]), f"**{100 * row['characters_saved']:.1f} %**", f"**{row['wrong_per_1000']:.1f}**",
                f"{100 * (row['steady_right'] or 0):.1f} %",
            ]  # fmt: skip


def _latency(subject: str, result: Findings) -> Iterable[list[str]]:
    if result.get("benchmark") == "latency" and subject == f"latency-{result['engine']['model']}":
        rows = {row["name"]: row for row in result["rows"]}
        cells = [f"{rows[key]['p50']:.0f} / {rows[key]['p95']:.0f}" if key in rows else "–" for key in KEYS]
        yield [subject.removeprefix("latency-"), *cells, result["machine"]["processor"]]


def _llama(subject: str, result: Findings) -> Iterable[list[str]]:
    if result.get("benchmark") == "llama":
        for row in result["rows"]:
            yield [
                row["cache"], str(row["at most"]), f"{row['written']:g}", f"{row['ours ms']:.0f}",
                f"{row['llama ms']:.0f} ({row['first']:.0f})",
                f"**{row['ratio']:.1f}×** ({row['least']:.1f}–{row['most']:.1f})",
            ]  # fmt: skip


def _anytime(subject: str, result: Findings) -> Iterable[list[str]]:
    rows = {
        row["name"]: row
        for row in result.get("scores", ())
        if str(row.get("name", "")).startswith(("within-", "alone-"))
    }
    for kind, label in (("within", "with guesses and drafts"), ("alone", "the model alone")):
        own = {int(name.partition("-")[2]): row for name, row in rows.items() if name.startswith(kind)}
        if own:
            shares = ", ".join(f"{ms} ms {100 * own[ms]['solved_micro']:.0f}" for ms in sorted(own))
            first = next(iter(own.values()))
            yield [
                first["benchmark"],
                _model(subject, result) + (", with a head" if "head" in subject else ""),
                label,
                str(first["tasks"]),
                shares,
            ]


def _typing(subject: str, result: Findings) -> Iterable[list[str]]:
    if subject == "typing":
        for name, row in result["programs"].items():
            yield [
                subject, name, str(row["texts"]), f"{100 * row['steady_right']:.0f} %",
                f"{100 * row['accepted_share']:.1f} %",
            ]  # fmt: skip


CellsOf = Callable[[str, Findings], Iterable[list[str]]]
SECTIONS: tuple[tuple[str, str, tuple[str, ...], CellsOf], ...] = (
    (
        "Infilling tasks in Python",
        "Share of tasks whose tests pass, as an editor inserts it on request, 95 % interval; the best\n"
        "floor; forwards an answer; milliseconds (median / p95) with the context read.",
        ("tasks", "model", "n", "solved", "floor", "forwards", "ms"), _infill,
    ),
    (
        "Infilling tasks in six languages",
        "The mean over the languages, then each one's share of tasks solved, in per cent.",
        ("tasks", "model", "n of each", "mean", "by language"), _languages,
    ),
    (
        "Replay",
        "Held-out code is typed again, an answer taking a fixed time. Saved: characters that were accepted instead of\n"
        "typed; wrong: characters on show that were not to be written, per 1,000 that were; right: of texts on show\n"
        "for 150 ms or more.",
        ("language", "model", "run", "blocks", "saved", "wrong", "right"), _replay,
    ),
    (
        "Latency",
        "Milliseconds, median / p95, through the real language server.",
        ("model", *KEYS, "machine"), _latency,
    ),
    (
        "Against llama.cpp with the same file",
        "Medians over the same holes; written: tokens, of both; in brackets llama.cpp's first token; the ratio's\n"
        "least and most.",
        ("cache", "at most", "written", "ours, ms", "llama.cpp, ms", "ratio"), _llama,
    ),
    (
        "Anytime",
        "Share of tasks solved, in per cent, by the budget of an answer, the context being read.",
        ("tasks", "model", "decoder", "n", "solved by budget"), _anytime,
    ),
    (
        "Programs typed into a real editor",
        "Texts that came up; of those on show for 150 ms or more, the right ones; characters of the program accepted.",
        ("run", "program", "texts", "right", "accepted"), _typing,
    ),
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class SummaryPlan:
    """Which results become which page."""

    results: Annotated[Path, Option("where they are", metavar="FOLDER")] = Path("docs/results")
    page: Annotated[Path, Option("to write")] = Path("docs/benchmarks.md")


def run_summary(plan: SummaryPlan) -> int:
    """Write the page. Raises InputError."""
    if not plan.results.is_dir():
        raise InputError(f"there is no folder {plan.results}")
    plan.page.write_text(page(plan.results), encoding="utf-8")
    return 0
