"""What every benchmark shares: the head of a result, its table, its JSON file."""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.table import Table

from .machine import machine


def heading(benchmark: str, packages: Sequence[str] = ()) -> dict[str, Any]:
    """The first facts of a result: the benchmark's name, the date, the machine, versions of packages, too."""
    date = datetime.now(UTC).isoformat(timespec="seconds")
    return {"benchmark": benchmark, "date": date, "machine": machine(packages)}


def write_result(result: Mapping[str, Any], json_file: Path | None) -> None:
    """Write a result as JSON, where a file is wanted. Raises OSError."""
    if json_file is not None:
        json_file.write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def plain_table(title: str) -> Table:
    """A table for a terminal, without a frame and without columns yet."""
    return Table(title=title, title_justify="left", box=SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
