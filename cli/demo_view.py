"""What `quicksilver demo` prints, for a person who sees Quicksilver for the first time.

Owns words, colours and layout.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from itertools import dropwhile
from typing import Any

from rich.console import Console
from rich.padding import Padding
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from ..fim.models.embedded import EMBEDDED
from ..fim.text.printable import printable
from .complete import percent
from .demo_holes import DemoHole, Trial
from .trace_view import draw_frame, first_line, legend, visible

_BLANKS = 12  # signs that stand for what was cut out
_CURSOR = "▏"
_LINES_BEFORE = 3
_DENOISES = "All blanks are predicted at once, in every step; the surest predictions stay."
_CONTINUES = "This model writes from left to right, and reads what it guessed right in the same step."
_FRAME_S = 0.4  # a denoise step on a terminal
_OPENING = """\
Quicksilver completes code on this machine. For this demo, code was cut out of
real files, and the language server is asked for it as an editor asks:

  while typing   a suggestion appears by itself, but only if the model is sure
  half typed     the same, after a person has typed half of the missing code
  on request     after the completion key: the best guess, however unsure
"""


def show_opening(console: Console) -> None:
    """Say what the demo will do."""
    console.print(Text(_OPENING))


def show_choice(console: Console, choice: str) -> None:
    """Which model serves, and why."""
    if choice:
        console.print(Text(f"Model {printable(choice)}", style="dim"))


def show_trial(console: Console, trial: Trial, number: int, n_holes: int) -> None:
    """One hole: the code around it, what was cut out, and the three answers."""
    hole = trial.hole
    console.print(Rule(Text(f"{number} of {n_holes} · {hole.name}"), align="left", style="dim"))
    line = hole.document.line_of(hole.offset)
    above = [hole.document.line(n) for n in range(max(0, line - _LINES_BEFORE), line)]
    for text in dropwhile(lambda text: not text.strip(), above):
        _code(console, Text(visible(text), style="dim"))
    blanks = ("░" * min(_BLANKS, len(hole.expected)), "yellow")
    _code(console, Text.assemble(visible(hole.line_left), blanks, visible(hole.line_right)))
    typed = hole.expected[: len(hole.expected) - len(trial.further.expected)]
    table = Table.grid(padding=(0, 1), expand=True)
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(ratio=1, no_wrap=True, overflow="ellipsis")
    table.add_column(justify="right", no_wrap=True, width=len("100 % sure"))
    table.add_column(justify="right", no_wrap=True, width=len("10,000 ms"))
    table.add_row(Text("cut out", "dim"), "", Text(_short(hole.expected)), "", "")
    _add_answer(table, "while typing", trial.typing, hole.expected, "")
    _add_answer(table, "half typed", trial.typing_further, trial.further.expected, typed)
    _add_answer(table, "on request", trial.request, hole.expected, "")
    console.print(Padding(table, (0, 1, 1, 1)))


def show_summary(console: Console, trials: Sequence[Trial], n_holes: int) -> None:
    """Say how many answers were right."""
    typing = [(trial.typing, trial.hole.expected) for trial in trials]
    typing += [(trial.typing_further, trial.further.expected) for trial in trials]
    shown = [(facts, expected) for facts, expected in typing if facts["text"]]
    n_right = sum(is_right(facts, expected) for facts, expected in shown)
    n_equal = sum(trial.request["text"] == trial.hole.expected for trial in trials)
    console.print(Rule(style="dim"))
    if len(trials) < n_holes:
        console.print(Text(f"This machine is slow or busy: only {len(trials)} of {n_holes} holes were asked for."))
    _count(console, "While typing", f"{len(shown)} of {len(typing)} suggestions shown, {n_right} of them right")
    _times(console, [facts for facts, _ in typing])
    _count(console, "On request", f"{n_equal} of {len(trials)} exactly what was cut out")
    _times(console, [trial.request for trial in trials])
    console.print(Text("\nThe model is small and often wrong, so an editor shows only what it is sure of."))


def show_steps(console: Console, hole: DemoHole, facts: Mapping[str, Any]) -> None:
    """Play how an answer was denoised, a line for each step; on a terminal one after the other."""
    console.print()
    console.print(Rule(Text(f"How an answer settles · {hole.name}"), align="left", style="dim"))
    console.print(Text(f"{_DENOISES if facts['model'] in EMBEDDED else _CONTINUES}\n"))
    left, right = hole.line_left.lstrip(), hole.line_right
    before: list[str] = []
    for number, frame in enumerate(facts["trace"], 1):
        cells = frame["cells"] if "\n" in hole.expected else first_line(frame["cells"])
        texts = [cell["text"] for cell in cells]
        if texts == before:  # what changed stands on a line that is not shown
            continue
        before = texts
        if console.is_terminal:
            time.sleep(_FRAME_S)
        drawn = draw_frame({**frame, "step": number, "cells": cells}, left, right)
        console.print(drawn, no_wrap=True, overflow="ellipsis")
    console.print(legend())


def show_ending(console: Console) -> None:
    """Say what to do next."""
    console.print(Text("\nTo use it: `quicksilver editors` says how to set up your editor.", style="bold"))


def is_right(facts: Mapping[str, Any], expected: str) -> bool:
    """Whether a text is what was cut out, or its beginning."""
    return bool(facts["text"]) and expected.startswith(facts["text"])


def _add_answer(table: Table, label: str, facts: Mapping[str, Any], expected: str, typed: str) -> None:
    ms = Text(f"{facts['timings_ms'].get('engine', 0.0):,.0f} ms", "dim")
    if not facts["text"]:
        unsure = facts["cause"] == "unsure"
        why = f"nothing: only {percent(facts['confidence'])} sure" if unsure else f"nothing: {facts['reason']}"
        table.add_row(Text(label, "dim"), "", Text(visible(why), "dim"), "", ms)
        return
    right = is_right(facts, expected)
    mark = Text("✓", "bold green") if right else Text("✗", "bold red")
    cursor = (_CURSOR if typed else "", "dim")
    text = Text.assemble((visible(typed), "dim"), cursor, (_short(facts["text"]), "cyan"))
    table.add_row(Text(label, "dim"), mark, text, Text(f"{percent(facts['confidence'])} sure"), ms)


def _count(console: Console, label: str, counted: str) -> None:
    console.print(Text.assemble((f"{label}: ", "bold"), counted), end="")


def _times(console: Console, answers: Sequence[Mapping[str, Any]]) -> None:
    times_ms = sorted(facts["timings_ms"].get("engine", 0.0) for facts in answers)
    console.print(Text(f"; median {times_ms[len(times_ms) // 2]:,.0f} ms", "dim"))


def _code(console: Console, text: Text) -> None:
    console.print(Text.assemble(("  │ ", "dim"), text), no_wrap=True, overflow="ellipsis")


def _short(text: str) -> str:
    """The first line, and how many more there are."""
    first, _, rest = text.partition("\n")
    n_more = rest.count("\n") + 1 if rest else 0
    return visible(first) + (f" (and {n_more} more line{'s' if n_more > 1 else ''})" if n_more else "")
