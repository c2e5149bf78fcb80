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
    latency.set_defaults(run=_latency)
    throughput = benchmarks.add_parser("throughput", help="many editors at once: answers, waiting, quality")
    throughput.add_argument("--json", type=Path, metavar="FILE", help="also write the result as JSON")
    throughput.add_argument("--png", type=Path, metavar="FILE", help="also draw it (needs matplotlib)")
    throughput.add_argument("--editors", default="1,2,4,8,16,32,64", help="how many at once, a run each")
    throughput.add_argument("--seconds", type=float, default=15.0, help="of each run (15)")
    throughput.add_argument("--folder", type=Path, help="Python files to walk through (default: examples/)")
    throughput.add_argument("--model", type=Path, metavar="FOLDER", help="a checkpoint folder (default: built in)")
    throughput.set_defaults(run=_throughput)
    options = parser.parse_args(list(argv))
    if options.model is not None and not options.model.is_dir():
        raise InputError(f"there is no checkpoint folder {options.model}")
    for name in ("json", "png"):
        file = getattr(options, name, None)
        if file is not None and not file.parent.is_dir():
            raise InputError(f"there is no folder {file.parent} to write to")
    return options.run(options)


def _latency(options: argparse.Namespace) -> int:
    from .latency import LatencyPlan, run_latency

    if not (1 <= options.keys <= 10_000 and 1 <= options.starts <= 100 and 1 <= options.cold <= 100):
        raise InputError("--keys must be from 1 to 10000, --starts and --cold from 1 to 100")
    plan = LatencyPlan(
        n_keys=options.keys,
        n_starts=options.starts,
        n_cold=options.cold,
        source=options.file,
        model=_resolved(options.model),
    )
    return run_latency(plan, options.json)


def _throughput(options: argparse.Namespace) -> int:
    from .throughput import ThroughputPlan, run_throughput

    numbers = [part.strip() for part in options.editors.split(",")]
    if not all(part.isdecimal() and 1 <= int(part) <= 1000 for part in numbers):
        raise InputError(f"--editors must be numbers from 1 to 1000 with commas between, not {options.editors!r}")
    if not 0.1 <= options.seconds <= 3600:
        raise InputError("--seconds must be from 0.1 to 3600")
    plan = ThroughputPlan(
        editors=tuple(map(int, numbers)),
        seconds=options.seconds,
        folder=options.folder,
        model=_resolved(options.model),
    )
    return run_throughput(plan, options.json, options.png)


def _resolved(folder: Path | None) -> Path | None:
    return None if folder is None else folder.resolve()
