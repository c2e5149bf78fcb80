"""The denoise steps of one completion, drawn for a terminal.

Owns colours and signs.
"""

import re
from collections.abc import Mapping, Sequence
from io import StringIO
from typing import Any

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from ..fim.text.printable import printable

MASKED, END, LINE_END = "░", "∎", "⏎"
_DIM = "dim"
_STYLES = {"new": "bold black on green", "kept": "", "refused": "red strike", "provisional": "dim italic"}


def draw_trace(trace: Sequence[Mapping[str, Any]], before: str, after: str) -> Text:
    """One line per frame of an explained answer; before and after are what stands left and right on the cursor line."""
    return Text("\n").join([*(draw_frame(frame, before, after) for frame in trace), legend()])


def legend() -> Text:
    """What the signs mean."""
    return Text.assemble(
        (f"{MASKED} blank  ", _DIM), ("likely", _STYLES["provisional"]), "  ", (" chosen now ", _STYLES["new"]), "  ",
        ("guessed and refused", _STYLES["refused"]), (f"  kept   {END} end of text", _DIM),
    )  # fmt: skip


def first_line(cells: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The cells up to the first line break: where one line is wanted, what lies beyond is dropped."""
    for number, cell in enumerate(cells):
        if "\n" in cell["text"]:
            return [*cells[:number], {**cell, "text": cell["text"].partition("\n")[0] + "\n"}]
    return list(cells)


def visible(text: str) -> str:
    """Text for one terminal line: line ends become a sign, tabs become spaces, other control characters escapes."""
    shown = text.replace("\r\n", LINE_END).replace("\n", LINE_END).replace("\r", LINE_END).replace("\t", "    ")
    return printable(shown)


def draw_frame(frame: Mapping[str, Any], before: str, after: str) -> Text:
    """One step in one line."""
    line = Text()
    line.append(f"step {frame['step']:>3} {frame['elapsed_ms']:>8.1f} ms  {visible(before)}", style=_DIM)
    cells = list(frame["cells"])
    while len(cells) > 1 and _is_end(cells[-1]) and _is_end(cells[-2]):
        cells.pop()  # the canvas is filled up with end signs; one is enough
    for cell in cells:
        if cell["state"] == "masked" or (cell["state"] == "provisional" and not cell["text"]):
            line.append(MASKED, style=_DIM)
        else:
            line.append(visible(cell["text"]) or END, style=_STYLES[cell["state"]])
    line.append(visible(after), style=_DIM)
    return line


def _is_end(cell: Mapping[str, Any]) -> bool:
    return cell["state"] == "kept" and not cell["text"]


def svg(drawing: Text, title: str) -> str:
    """A drawing as an SVG that loads nothing: rich's own fetches a font."""
    width = max(map(cell_len, drawing.plain.split("\n")))
    console = Console(record=True, width=width, file=StringIO(), force_terminal=True)
    console.print(drawing, soft_wrap=True)
    drawn = console.export_svg(title=title)
    return re.sub(r"@font-face \{.*?\}\s*", "", drawn, flags=re.DOTALL).replace("Fira Code, ", "")
