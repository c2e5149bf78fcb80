"""Runs the programs of many answers, several at a time, each different one once, and reuses earlier verdicts.

Owns the file of verdicts: one JSON object a line, named by the program and its limits.
"""

import hashlib
import json
import platform
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ..quality.answer_log import ResultLog
from .bubblewrap import memory_kept_private
from .execution import Limits, Program, RunVerdict, execute


@dataclass(frozen=True)
class KeptVerdict:
    """A verdict, and the name of its program."""

    program: str
    verdict: RunVerdict


class VerdictLog(ResultLog[KeptVerdict]):
    """The verdicts of an evaluation."""

    line_start, name = '{"program": "', "verdicts"

    def __init__(self, path: Path | None) -> None:
        """Read what path holds. Raises InputError when it is no such log, is in use or cannot be written."""
        self._verdicts: dict[str, RunVerdict] = {}
        super().__init__(path)

    def keep(self, result: KeptVerdict) -> None:
        """Remember a verdict."""
        self._verdicts[result.program] = result.verdict

    def result_of(self, fields: dict[str, Any]) -> KeptVerdict:
        """A verdict from a line's fields."""
        return KeptVerdict(fields["program"], RunVerdict(**fields["verdict"]))

    def fields_of(self, result: KeptVerdict) -> dict[str, Any]:
        """A line's fields."""
        return asdict(result)

    def find(self, program: str) -> RunVerdict | None:
        """How a program ended, if it has run."""
        return self._verdicts.get(program)


def name_of(program: Program, limits: Limits) -> str:
    """Names a run by all that its end depends on: source, input and output, limits, what runs it."""
    toolchain = program.toolchain
    version = platform.python_version() if toolchain is None else toolchain.version
    parts = [program.source, [asdict(run) for run in program.runs], asdict(limits), version]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:24]


def run_programs(
    programs: Mapping[str, Program], limits: Limits, n_at_once: int, log: VerdictLog, advance: Callable[[], None]
) -> None:
    """Run those programs (by name) that log has no verdict on; advance is called once for each, run or not.

    An interruption waits for what is running, at most the limit, and keeps it. Raises OSError.
    """
    missing = {name: program for name, program in programs.items() if log.find(name) is None}
    for _ in range(len(programs) - len(missing)):
        advance()
    with memory_kept_private(), ThreadPoolExecutor(n_at_once) as pool:
        running = {pool.submit(execute, program, limits): name for name, program in missing.items()}
        try:
            for done in as_completed(running):
                log.add([KeptVerdict(running[done], done.result())])
                advance()
        except BaseException:
            pool.shutdown(wait=True, cancel_futures=True)
            raise
