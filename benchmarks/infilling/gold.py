"""Whether a benchmark's own solutions pass its tests here: a check of files and sandbox before any model runs."""

from collections import Counter
from collections.abc import Sequence

from ...fim.text.printable import printable
from ..progress import progress
from ..quality.decoders import Attempt
from ..sandbox.bubblewrap import isolation
from ..sandbox.execution import Limits, RunVerdict
from ..sandbox.verdicts import VerdictLog, name_of, run_programs
from .tasks import InfillTask

N_SHOWN = 20


def gold_verdicts(tasks: Sequence[InfillTask], limits: Limits, n_at_once: int) -> list[tuple[InfillTask, RunVerdict]]:
    """How the solutions of those tasks end that are run. Raises OSError."""
    programs = [(task, program) for task in tasks if (program := task.program(task.filled(Attempt(task.hole.truth))))]
    names = [name_of(program, limits) for _, program in programs]
    log = VerdictLog(None)
    wanted = {name: program for name, (_, program) in zip(names, programs, strict=True)}
    with progress("solutions run", len(wanted)) as advance:
        run_programs(wanted, limits, n_at_once, log, advance)
    found = [(task, log.find(name)) for name, (task, _) in zip(names, programs, strict=True)]
    return [(task, verdict) for task, verdict in found if verdict is not None]


def check_gold(tasks: Sequence[InfillTask], limits: Limits, n_at_once: int) -> int:
    """Print how many solutions pass, which do not, and what isolated them. Returns 0 where all pass, else 1."""
    verdicts = gold_verdicts(tasks, limits, n_at_once)
    failed = [(task, verdict) for task, verdict in verdicts if verdict.outcome != "passed"]
    n_run = Counter(task.benchmark for task, _ in verdicts)
    n_failed = Counter(task.benchmark for task, _ in failed)
    for benchmark in dict.fromkeys(task.benchmark for task in tasks):
        n = n_run[benchmark]
        passed = f"{n - n_failed[benchmark]} of {n} solutions pass" if n else "nothing is run"
        print(printable(f"{benchmark}: {passed}"))
    for task, verdict in failed[:N_SHOWN]:
        print(printable(f"  {task.name}: {verdict.outcome} {verdict.detail}".rstrip()))
    if len(failed) > N_SHOWN:
        print(f"  and {len(failed) - N_SHOWN} more")
    for line in isolation({verdict.protection for _, verdict in verdicts}):
        print(line)
    return 1 if failed else 0
