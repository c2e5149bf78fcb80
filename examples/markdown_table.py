"""Formats Markdown: wraps paragraphs and lines up the columns of tables."""

import sys
import unicodedata
from enum import Enum


class Alignment(Enum):
    LEFT = "left"
    RIGHT = "right"
    CENTER = "center"


def display_width(text: str) -> int:
    width = 0
    for character in text:
        if unicodedata.combining(character):
            continue
        width += 2 if unicodedata.east_asian_width(character) in "WF" else 1
    return width


def wrap(text: str, width: int = 80) -> list[str]:
    lines: list[str] = []
    current = ""
    for word in text.split():
        candidate = f"{current} {word}" if current else word
        if display_width(candidate) <= width:
            current = candidate
        else:
            if current:
                lines.append(current)
            current = word
    if current:
        lines.append(current)
    return lines


def split_row(line: str) -> list[str]:
    line = line.strip()
    if line.startswith("|"):
        line = line[1:]
    if line.endswith("|"):
        line = line[:-1]
    return [cell.strip() for cell in line.split("|")]


def parse_alignment(cell: str) -> Alignment:
    if cell.startswith(":") and cell.endswith(":"):
        return Alignment.CENTER
    if cell.endswith(":"):
        return Alignment.RIGHT
    return Alignment.LEFT


def pad(text: str, width: int, alignment: Alignment) -> str:
    missing = width - display_width(text)
    if alignment is Alignment.RIGHT:
        return " " * missing + text
    if alignment is Alignment.CENTER:
        left = missing // 2
        return " " * left + text + " " * (missing - left)
    return text + " " * missing


class Table:
    def __init__(self, header: list[str], alignments: list[Alignment]) -> None:
        self.header = header
        self.alignments = alignments
        self.rows: list[list[str]] = []

    def add_row(self, cells: list[str]) -> None:
        missing = len(self.header) - len(cells)
        self.rows.append(cells + [""] * missing)

    def widths(self) -> list[int]:
        widths = [display_width(cell) for cell in self.header]
        for row in self.rows:
            for index, cell in enumerate(row[: len(widths)]):
                widths[index] = max(widths[index], display_width(cell))
        return widths

    def format(self) -> str:
        widths = self.widths()
        lines = [self._format_row(self.header, widths)]
        lines.append("|" + "|".join("-" * (width + 2) for width in widths) + "|")
        for row in self.rows:
            lines.append(self._format_row(row, widths))
        return "\n".join(lines)

    def _format_row(self, cells: list[str], widths: list[int]) -> str:
        padded = [
            pad(cell, width, alignment) for cell, width, alignment in zip(cells, widths, self.alignments, strict=False)
        ]
        return "| " + " | ".join(padded) + " |"


def parse_table(lines: list[str]) -> Table:
    if len(lines) < 2:
        raise ValueError("a table needs a header and a separator")
    table = Table(split_row(lines[0]), [parse_alignment(cell) for cell in split_row(lines[1])])
    for line in lines[2:]:
        table.add_row(split_row(line))
    return table


def is_table_line(line: str) -> bool:
    return line.strip().startswith("|")


def format_text(text: str, width: int = 80) -> str:
    output: list[str] = []
    paragraph: list[str] = []
    table: list[str] = []

    def flush() -> None:
        if paragraph:
            output.extend(wrap(" ".join(paragraph), width))
            paragraph.clear()
        if table:
            output.append(parse_table(table).format())
            table.clear()

    for line in text.splitlines():
        if is_table_line(line):
            table.append(line)
        elif line.strip():
            paragraph.append(line.strip())
        else:
            flush()
            output.append("")
    flush()
    return "\n".join(output)


if __name__ == "__main__":
    print(format_text(sys.stdin.read()))
