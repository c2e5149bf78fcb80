"""JSON lines that somebody may be writing meanwhile. Shared by tests of editors."""

import json
from pathlib import Path
from typing import Any


def whole_lines(file: Path) -> list[dict[str, Any]]:
    """The JSON lines of a file, none if it is not there: without the last one while it is being written."""
    lines = file.read_text().splitlines(keepends=True) if file.exists() else []
    return [json.loads(line) for line in lines if line.endswith("\n")]
