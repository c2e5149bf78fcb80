"""Makes tasks in the formats of infilling benchmarks from the problems in other languages than Python.

    python examples/infilling/derive_languages.py FOLDER

writes JSONL files into FOLDER, such as `single-line-rust.jsonl`, the same ones every time. The problems stand in
`problems.js`, `.ts`, `.go`, `.rs`, `.java` and `.cpp`: 20 each, with a header (what a task always shows), a body (where
holes are) and checks. Numbers measured on them are not comparable to published results.
"""

import json
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from derive import Problem, Task, drawn, infilling, lines_of, random_spans

HERE = Path(__file__).parent
N_LINES, N_RANGES, N_SPANS = 3, 2, 2  # holes of a kind in one problem
WORD = re.compile(r"\w")
_PROBLEM = re.compile(r"^// problem: (\w+)\n(.*?)^// body\n(.*?)^// check\n(.*?)(?=^// problem: |\Z)", re.M | re.S)


@dataclass(frozen=True, kw_only=True)
class Language:
    """A language: the ending of its file, and what stands around the checks; {{ending}} is replaced when they run."""

    name: str
    suffix: str
    before: str
    after: str
    indent: str = ""

    def test(self, checks: str) -> str:
        """The program's end: the checks, and what is printed when they have passed."""
        lines = [self.indent + line if line else line for line in checks.strip().splitlines()]
        return self.before + "\n".join(lines) + "\n" + self.after


SCRIPT = {"before": 'import assert from "node:assert/strict";\n\n', "after": 'console.log("{{ending}}");\n'}
LANGUAGES = (
    Language(name="javascript", suffix="js", **SCRIPT),
    Language(name="typescript", suffix="ts", **SCRIPT),
    Language(
        name="go",
        suffix="go",
        before='func check(ok bool) {\n\tif !ok {\n\t\tpanic("a check failed")\n\t}\n}\n\nfunc main() {\n',
        after='\tfmt.Println("{{ending}}")\n}\n',
        indent="\t",
    ),
    Language(name="rust", suffix="rs", before="fn main() {\n", after='    println!("{{ending}}");\n}\n', indent="    "),
    Language(
        name="java",
        suffix="java",
        before="class Main {\n    static void check(boolean ok) {\n        if (!ok) {\n"
        '            throw new AssertionError("a check failed");\n        }\n    }\n\n'
        "    public static void main(String[] arguments) {\n",
        after='        System.out.println("{{ending}}");\n    }\n}\n',
        indent="        ",
    ),
    Language(
        name="cpp",
        suffix="cpp",
        before="#include <cstdlib>\n#include <iostream>\n\nvoid check(bool ok) {\n    if (!ok) {\n"
        '        std::cerr << "error: a check failed\\n";\n        std::exit(1);\n    }\n}\n\nint main() {\n',
        after='    std::cout << "{{ending}}\\n";\n}\n',
        indent="    ",
    ),
)


@dataclass(frozen=True)
class OtherProblem(Problem):
    """A problem with its checks, which are a program's end."""

    checks: str = ""

    @property
    def test(self) -> str:
        """The checks."""
        return self.checks


def problems(language: Language) -> list[OtherProblem]:
    """All problems of a language, in their order."""
    text = (HERE / f"problems.{language.suffix}").read_text(encoding="utf-8")
    return [
        OtherProblem(number, name, "", header, body, (), language.test(checks))
        for number, (name, header, body, checks) in enumerate(_PROBLEM.findall(text))
    ]


def spans_of(problem: Problem, n_lines: int) -> list[tuple[int, int]]:
    """Spans of whole lines that begin with a line that has a word in it; one line is no bracket alone."""
    return [(start, end) for start, end in lines_of(problem, n_lines) if WORD.search(first_line(problem, start))]


def first_line(problem: Problem, start: int) -> str:
    """The line of the source that begins there."""
    return problem.source[start:].partition("\n")[0]


def single_line(problem: Problem) -> Iterator[Task]:
    """Holes of one line."""
    for span in drawn(problem, "single", spans_of(problem, 1), N_LINES):
        yield infilling(problem, "SingleLineInfilling", f"L{line_number(problem, span[0])}", span)


def multi_line(problem: Problem) -> Iterator[Task]:
    """Holes of two to five lines."""
    spans = [span for n_lines in range(2, 6) for span in spans_of(problem, n_lines)]
    for start, end in drawn(problem, "multi", spans, N_RANGES):
        first, last = line_number(problem, start), line_number(problem, end) - 1
        yield infilling(problem, "MultiLineInfilling", f"L{first}_L{last}", (start, end))


def random_span(problem: Problem) -> Iterator[Task]:
    """Holes from a random character of the body on."""
    return random_spans(problem, "RandomSpanInfilling", N_SPANS)


def line_number(problem: Problem, offset: int) -> int:
    """The line of the body, counted from 0, in which an offset of the source lies."""
    return problem.source[len(problem.header) : offset].count("\n")


def santacoder(problem: Problem) -> Iterator[Task]:
    """Holes of one line, of which only the text counts."""
    for start, end in drawn(problem, "santacoder", spans_of(problem, 1), 1):
        yield {
            "name": problem.name, "prompt": problem.source[:start], "suffix": problem.source[end:],
            "canonical_solution": problem.source[start:end],
        }  # fmt: skip


FORMATS = {"single-line": single_line, "multi-line": multi_line, "random-span": random_span, "santacoder": santacoder}


def derive(folder: Path) -> dict[str, int]:
    """Write a file for each format and language into folder, and return how many tasks each has."""
    folder.mkdir(parents=True, exist_ok=True)
    counts: dict[str, int] = {}
    for language in LANGUAGES:
        found = problems(language)
        for name, tasks_of in FORMATS.items():
            tasks = [_named(task, language) for problem in found for task in tasks_of(problem)]
            file = f"{name}-{language.name}"
            text = "".join(json.dumps(task) + "\n" for task in tasks)
            (folder / f"{file}.jsonl").write_text(text, encoding="utf-8")
            counts[file] = len(tasks)
    return counts


def _named(task: dict[str, Any], language: Language) -> dict[str, Any]:
    """A task that says its language, also in its name."""
    name = task.get("task_id", "").replace("/Quicksilver/", f"/Quicksilver-{language.name}/")
    return {**task, **({"task_id": name} if name else {}), "language": language.name}


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(f"usage: {Path(sys.argv[0]).name} FOLDER")
    for name, n in derive(Path(sys.argv[1])).items():
        print(f"{name}.jsonl: {n} tasks")
