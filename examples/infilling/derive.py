"""Makes tasks in the formats of infilling benchmarks from the problems in `problems.py`.

    python examples/infilling/derive.py FOLDER

writes one JSONL file for each format into FOLDER, the same ones every time. They are for trying out the evaluation;
numbers measured on them compare with nothing that was published.
"""

import ast
import io
import json
import random
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PROBLEMS = Path(__file__).with_name("problems.py")
N_LINES, N_RANGES, N_SPANS, N_SAFIM = 3, 2, 2, 2  # holes of a kind in one problem
N_SPAN_CHARS = 60
TODO, COMPLETION = "# TODO: Your code here", "{{completion}}"
RUNNER = "\n\nimport ast\n\nprint(repr({name}(*ast.literal_eval(input()))))\n"
Task = dict[str, Any]


@dataclass(frozen=True)
class Problem:
    """One problem: header is its source up to the docstring, body the rest; asserts test it by its name."""

    number: int
    name: str
    about: str
    header: str
    body: str
    asserts: tuple[str, ...]

    @property
    def source(self) -> str:
        """All of it."""
        return self.header + self.body

    @property
    def test(self) -> str:
        """The asserts as a function of whatever is tested."""
        lines = [re.sub(rf"\b{self.name}\b", "candidate", line) for line in self.asserts]
        return "def check(candidate):\n" + "".join(f"    {line}\n" for line in lines)


def problems() -> list[Problem]:
    """All problems, in their order."""
    text = PROBLEMS.read_text(encoding="utf-8")
    lines = text.splitlines(keepends=True)
    found: list[Problem] = []
    asserts: list[str] = []
    for node in reversed(ast.parse(text).body):  # the asserts of a problem stand below it
        if isinstance(node, ast.Assert):
            asserts.insert(0, ast.unparse(node))
        elif isinstance(node, ast.FunctionDef | ast.ClassDef):
            first, last, end = node.lineno - 1, node.body[0].end_lineno, node.end_lineno
            about = ast.get_docstring(node) or ""
            found.append(
                Problem(0, node.name, about, "".join(lines[first:last]), "".join(lines[last:end]), tuple(asserts))
            )
            asserts = []
    return [Problem(number, p.name, p.about, p.header, p.body, p.asserts) for number, p in enumerate(reversed(found))]


def drawn(problem: Problem, kind: str, spans: list[tuple[int, int]], n: int) -> list[tuple[int, int]]:
    """At most n of some spans, the same ones every time, in their order."""
    return sorted(random.Random(f"{kind} {problem.name}").sample(spans, min(n, len(spans))))


def lines_of(problem: Problem, n_lines: int) -> list[tuple[int, int]]:
    """Spans in the source of n_lines whole lines of the body, the first and the last not blank."""
    lines = problem.body.splitlines(keepends=True)
    starts = [len(problem.header)]
    for line in lines:
        starts.append(starts[-1] + len(line))
    return [
        (starts[i], starts[i + n_lines])
        for i in range(len(lines) - n_lines + 1)
        if lines[i].strip() and lines[i + n_lines - 1].strip()
    ]


def infilling(problem: Problem, kind: str, label: str, span: tuple[int, int]) -> Task:
    """A task in HumanEval-Infilling's format."""
    start, end = span
    return {
        "task_id": f"{kind}/Quicksilver/{problem.number}/{label}", "entry_point": problem.name,
        "prompt": problem.source[:start], "suffix": problem.source[end:],
        "canonical_solution": problem.source[start:end], "test": problem.test,
    }  # fmt: skip


def single_line(problem: Problem) -> Iterator[Task]:
    """Holes of one line."""
    for start, end in drawn(problem, "single", lines_of(problem, 1), N_LINES):
        label = f"L{problem.source[len(problem.header) : start].count(chr(10))}"
        yield infilling(problem, "SingleLineInfilling", label, (start, end))


def multi_line(problem: Problem) -> Iterator[Task]:
    """Holes of two to five lines."""
    spans = [span for n_lines in range(2, 6) for span in lines_of(problem, n_lines)]
    for start, end in drawn(problem, "multi", spans, N_RANGES):
        first = problem.source[len(problem.header) : start].count("\n")
        last = first + problem.source[start:end].count("\n") - 1
        yield infilling(problem, "MultiLineInfilling", f"L{first}_L{last}", (start, end))


def random_spans(problem: Problem, kind: str, n: int) -> Iterator[Task]:
    """Holes from a random character of the body on."""
    rng = random.Random(f"{kind} {problem.name}")
    for i in range(n):
        start = rng.randrange(len(problem.header), len(problem.source) - 1)
        end = min(start + rng.randint(1, N_SPAN_CHARS), len(problem.source) - 1)
        yield infilling(problem, kind, str(i + 1), (start, end))


def random_span(problem: Problem) -> Iterator[Task]:
    """Several of them in a problem."""
    return random_spans(problem, "RandomSpanInfilling", N_SPANS)


def random_span_light(problem: Problem) -> Iterator[Task]:
    """One of them in a problem."""
    return random_spans(problem, "RandomSpanInfillingLight", 1)


def santacoder(problem: Problem) -> Iterator[Task]:
    """Holes of one line in SantaCoder-FIM's format, of which only the text counts."""
    for start, end in drawn(problem, "santacoder", lines_of(problem, 1), 1):
        yield {
            "name": problem.name, "language": "py", "prompt": problem.source[:start], "suffix": problem.source[end:],
            "canonical_solution": problem.source[start:end],
        }  # fmt: skip


def safim(problem: Problem) -> Iterator[Task]:
    """Blocks, conditions and calls in SAFIM's format; the first two are tested by what a program prints."""
    tests = list(printed(problem))
    if not tests:  # of a class
        return
    for part, spans in syntactic_spans(problem).items():
        for start, end in drawn(problem, part, spans, N_SAFIM):
            before, after = problem.source[:start], problem.source[end:] + RUNNER.format(name=problem.name)
            task = {
                "task_id": f"{part}_completion_{problem.number:03}_{start}_{end}", "lang": "python",
                "prompt": f"# {problem.about}\n\n{before}{TODO}{after}", "eval_prompt": before + COMPLETION + after,
                "ground_truth": problem.source[start:end],
            }  # fmt: skip
            yield task if part == "api" else {**task, "unit_tests": tests}


def syntactic_spans(problem: Problem) -> dict[str, list[tuple[int, int]]]:
    """Spans of blocks, conditions and calls in a problem's source."""
    starts = [0]
    for line in problem.source.splitlines(keepends=True):
        starts.append(starts[-1] + len(line))

    def span(first: ast.stmt | ast.expr, last: ast.stmt | ast.expr) -> tuple[int, int]:
        assert last.end_lineno is not None and last.end_col_offset is not None
        return starts[first.lineno - 1] + first.col_offset, starts[last.end_lineno - 1] + last.end_col_offset

    spans: dict[str, list[tuple[int, int]]] = {"block": [], "control": [], "api": []}
    for node in ast.walk(ast.parse(problem.source)):
        if isinstance(node, ast.For | ast.While | ast.If):
            spans["block"].append(span(node.body[0], node.body[-1]))
        if isinstance(node, ast.If | ast.While):
            spans["control"].append(span(node.test, node.test))
        if isinstance(node, ast.Call):
            spans["api"].append(span(node, node))
    return {part: sorted(set(found)) for part, found in spans.items()}


def printed(problem: Problem) -> Iterator[Task]:
    """Input and output of a program that calls the problem's function as its asserts do."""
    for line in problem.asserts:
        for call in ast.walk(ast.parse(line)):
            if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == problem.name:
                values = [ast.literal_eval(argument) for argument in call.args]
                space: dict[str, Any] = {"__name__": "problem"}
                with redirect_stdout(io.StringIO()):
                    exec(problem.source, space)
                    result = space[problem.name](*values)
                if type(result).__module__ == "builtins":
                    yield {"input": f"{tuple(values)!r}\n", "output": [f"{result!r}\n"]}


def humaneval_x(problem: Problem) -> Iterator[Task]:
    """The whole body in HumanEval-X's format, left to right."""
    yield {
        "task_id": f"Python/{problem.number}", "prompt": problem.header, "canonical_solution": problem.body,
        "declaration": problem.header.split("\n", 1)[0] + "\n", "test": f"{problem.test}\n\ncheck({problem.name})\n",
    }  # fmt: skip


def humaneval(problem: Problem) -> Iterator[Task]:
    """The whole body in HumanEval's format, left to right."""
    yield {
        "task_id": f"HumanEval/{problem.number}", "prompt": problem.header, "canonical_solution": problem.body,
        "test": problem.test, "entry_point": problem.name,
    }  # fmt: skip


def mbpp(problem: Problem) -> Iterator[Task]:
    """All of it in MBPP's format, left to right from a description and tests."""
    yield {
        "task_id": problem.number, "text": problem.about, "code": problem.source, "test_list": list(problem.asserts),
        "test_setup_code": "",
    }  # fmt: skip


FORMATS: dict[str, Callable[[Problem], Iterator[Task]]] = {
    "single-line": single_line, "multi-line": multi_line, "random-span": random_span,
    "random-span-light": random_span_light, "safim": safim, "santacoder": santacoder, "humaneval-x": humaneval_x,
    "humaneval": humaneval, "mbpp": mbpp,
}  # fmt: skip


def derive(folder: Path) -> dict[str, int]:
    """Write FORMATS' files into folder, and return how many tasks each has."""
    folder.mkdir(parents=True, exist_ok=True)
    found = problems()
    counts: dict[str, int] = {}
    for name, tasks_of in FORMATS.items():
        tasks = [task for problem in found for task in tasks_of(problem)]
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(task) + "\n" for task in tasks), encoding="utf-8")
        counts[name] = len(tasks)
    return counts


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(f"usage: {Path(sys.argv[0]).name} FOLDER")
    for name, n in derive(Path(sys.argv[1])).items():
        print(f"{name}.jsonl: {n} tasks")
