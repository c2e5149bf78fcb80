"""A run's log: one line of JSON a step, in the run's folder. It survives kills: a line is whole or dropped."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ...fim.errors import InputError

LOG, SAMPLES = "loss.jsonl", "samples.jsonl"


def append(folder: Path, entry: Mapping[str, Any], name: str = LOG) -> None:
    """Add one step's line."""
    with (folder / name).open("a", encoding="utf-8") as stream:
        stream.write(json.dumps(entry) + "\n")


def read_log(folder: Path, name: str = LOG) -> list[dict[str, Any]]:
    """All whole lines. Raises InputError when there is no log or it is damaged."""
    path = folder / name
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
        entries = [json.loads(line) for line in lines[:-1]]  # what follows the last line break was cut off by a kill
        if not all(isinstance(entry, dict) and isinstance(entry.get("step"), int) for entry in entries):
            raise ValueError("a line names no step")
        return entries
    except FileNotFoundError:
        raise InputError(f"no run in {folder}: it has no {name}") from None
    except ValueError as error:
        raise InputError(f"{path} is damaged ({error}): delete the broken line") from error


def forget_after(folder: Path, step: int, name: str = LOG) -> None:
    """Drop the lines of steps that were lost with an interruption."""
    path = folder / name
    if path.is_file():
        kept = [entry for entry in read_log(folder, name) if entry["step"] <= step]
        part = path.with_name(name + ".part")
        part.write_text("".join(json.dumps(entry) + "\n" for entry in kept), encoding="utf-8")
        part.replace(path)
