"""`quicksilver bench`: which benchmark, with what options.

Owns the command line. It does not know what is measured or how.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from ..fim.errors import InputError


class Parser(argparse.ArgumentParser):
    """Says what is wrong with the command line in one line, as an InputError."""

    def error(self, message: str) -> NoReturn:
        raise InputError(f"{self.prog.removeprefix('quicksilver ')}: {message}")


def main(argv: Sequence[str]) -> int:
    """Run a benchmark. Returns the exit code; raises InputError (bad command line), EngineError, CheckpointError."""
    parser = Parser(prog="quicksilver bench", description="Measure through the real server and engine.")
    benchmarks = parser.add_subparsers(title="benchmarks", metavar="BENCHMARK", required=True)
    latency = benchmarks.add_parser("latency", help="start, first completion, keystrokes, steps")
    latency.add_argument("--json", type=Path, metavar="FILE", help="also write the result as JSON")
    latency.add_argument("--keys", type=int, default=200, help="characters to type (200)")
    latency.add_argument("--starts", type=int, default=5, help="how often the server is started (5)")
    latency.add_argument("--cold", type=int, default=2, help="how often the engine is started (2)")
    latency.add_argument("--file", type=Path, help="a Python file to type in (default: one of examples/)")
    latency.add_argument("--model", type=Path, metavar="FOLDER", help="a checkpoint folder (default: the built-in one)")
    options = parser.parse_args(list(argv))
    if options.model is not None and not options.model.is_dir():
        raise InputError(f"there is no checkpoint folder {options.model}")
    if not (1 <= options.keys <= 10_000 and 1 <= options.starts <= 100 and 1 <= options.cold <= 100):
        raise InputError("--keys must be from 1 to 10000, --starts and --cold from 1 to 100")
    if options.json is not None and not options.json.parent.is_dir():
        raise InputError(f"there is no folder {options.json.parent} to write to")

    from .latency import LatencyPlan, run_latency

    plan = LatencyPlan(
        n_keys=options.keys,
        n_starts=options.starts,
        n_cold=options.cold,
        source=options.file,
        model=None if options.model is None else options.model.resolve(),
    )
    return run_latency(plan, options.json)
