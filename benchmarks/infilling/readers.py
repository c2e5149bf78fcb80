"""The files of infilling benchmarks: JSONL, plain or .gz, one small function for each format.

Owns which fields mean what. A line that cannot be read is an InputError with file and line; nothing is skipped in
silence. Formats, and where their fields are described:

* humaneval-infilling (Bavarian et al. 2022, github.com/openai/human-eval-infilling): task_id
  ("SingleLineInfilling/HumanEval/0/L0"), prompt, suffix, canonical_solution, test, entry_point; and, of ours, language:
  then test is a program's end, which prints {{ending}} last, and entry_point is not called.
* santacoder (Allal et al. 2023, bigcode/santacoder-fim-task): prompt, suffix, canonical_solution, language; not run.
* safim (Gong et al. 2024, gonglinyuan/safim): prompt with a "TODO: Your code here" comment, eval_prompt with
  {{completion}}, ground_truth, lang, unit_tests [{input, output}]; run where it is Python and has tests.
* humaneval (Chen et al. 2021), humaneval-x (Zheng et al. 2023), mbpp (Austin et al. 2021): left to right, no suffix.

Where a language cannot be run (`execution.runs_here`) the exact match counts.
"""

import gzip
import json
import re
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...fim.errors import InputError
from ..quality.holes import Kind, Task
from ..sandbox.execution import Run, runs_here
from .tasks import (
    Check,
    InfillTask,
    function_body,
    hole_of_lines,
    module_body,
    same_squeezed,
    same_stripped,
    same_text,
)

TaskFields = Mapping[str, Any]
LANGUAGES = {"py": "python", "js": "javascript", "ts": "typescript", "cs": "csharp", "rs": "rust", "c++": "cpp"}
INFILLING = {
    "SingleLineInfilling": "single-line", "MultiLineInfilling": "multi-line", "RandomSpanInfilling": "random-span",
    "RandomSpanInfillingLight": "random-span-light",
}  # fmt: skip
PLACEHOLDERS = ("{{completion}}", "# TODO: Your code here", "/* TODO: Your code here */")
COMPLETION = "{{completion}}"


@dataclass(frozen=True, kw_only=True)
class Line:
    """One line of a file, and whether the line break that ends a hole of whole lines is given."""

    fields: TaskFields
    number: int
    gives_break: bool

    def text(self, name: str) -> str:
        """A field that has to be text. Raises InputError."""
        value = self.fields.get(name)
        if not isinstance(value, str):
            raise InputError(f"the field {name!r} is {'missing' if value is None else 'no text'}")
        return value.replace("\r\n", "\n")

    def texts(self, name: str) -> list[str]:
        """A field that may be missing, or a list of texts. Raises InputError."""
        value = self.fields.get(name) or []
        if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
            raise InputError(f"the field {name!r} is no list of texts")
        return value

    def name(self) -> str:
        """The task's name."""
        value = self.fields.get("task_id", self.fields.get("name", f"line-{self.number}"))
        return str(value)

    def language(self) -> str:
        """The programming language, in our words; Python where nothing is said."""
        value = self.fields.get("lang", self.fields.get("language", "python"))
        if not isinstance(value, str):
            raise InputError("the field 'language' is no text")
        return LANGUAGES.get(value.lower(), value.lower())


def humaneval_infilling(line: Line) -> InfillTask:
    """HumanEval-Infilling."""
    name, prompt, suffix = line.name(), line.text("prompt"), line.text("suffix")
    truth, test, entry_point = line.text("canonical_solution"), line.text("test"), line.text("entry_point")
    parts = name.split("/")
    benchmark = INFILLING.get(parts[0], "infilling")
    base = "/".join(parts[1:-1]) if benchmark != "infilling" and len(parts) > 2 else name
    language, line_break = line.language(), ""
    if benchmark in ("single-line", "multi-line"):
        kind: Kind = "whole-line" if benchmark == "single-line" else "multi-line"
        hole, line_break = hole_of_lines(
            base, prompt, suffix, truth, kind, gives_break=line.gives_break, language=language
        )
    else:
        hole = Task(base, "", prompt, suffix, truth, "random-span", language)
    call = f"check({entry_point})\n" if language == "python" else ""
    check = Check(before=prompt, after=f"{suffix}\n{test}\n{call}") if runs_here(language) else None
    benchmark = benchmark if language == "python" else f"{benchmark}-{language}"
    return InfillTask(name=name, benchmark=benchmark, base=base, hole=hole, check=check, line_break=line_break)


def santacoder(line: Line) -> InfillTask:
    """SantaCoder-FIM: lines of which only the exact match counts."""
    language, name = line.language(), line.name()
    base = f"{language}/{name}"
    hole, line_break = hole_of_lines(
        base, line.text("prompt"), line.text("suffix"), line.text("canonical_solution"), "whole-line",
        gives_break=True, language=language,
    )  # fmt: skip
    benchmark = f"santacoder-{language}"
    return InfillTask(
        name=f"{base}#{line.number}", benchmark=benchmark, base=base, hole=hole, line_break=line_break,
        same=same_stripped,
    )  # fmt: skip


def safim(line: Line) -> InfillTask:
    """SAFIM: blocks, control-flow expressions, calls of functions."""
    name, language = line.name(), line.language()
    part = next((part for part in ("block", "control", "api") if name.startswith(part)), "other")
    before, after = _halves(line.text("eval_prompt"), "eval_prompt", (COMPLETION,))
    prefix, suffix = _halves(line.text("prompt"), "prompt", PLACEHOLDERS)
    kind: Kind = "block" if part in ("block", "other") else "rest-of-line"
    hole = Task(name, "", prefix, suffix, line.text("ground_truth"), kind, language)
    runs = tuple(_runs(line.fields.get("unit_tests")))
    is_run = language == "python" and bool(runs)
    check = Check(before=before, after=after, runs=runs) if is_run else None
    benchmark = f"safim-{part}" if language == "python" else f"safim-{part}-{language}"
    return InfillTask(
        name=name, benchmark=benchmark, base=name, hole=hole, check=check, same=same_text if is_run else same_squeezed
    )


def humaneval(line: Line) -> InfillTask:
    """HumanEval, left to right."""
    entry_point = line.text("entry_point")
    return _function(line, "humaneval", "python", f"{line.text('test')}\ncheck({entry_point})\n")


def humaneval_x(line: Line) -> InfillTask:
    """HumanEval-X, left to right, in several languages; its tests call themselves."""
    line.text("declaration")
    language = line.name().split("/")[0].lower()
    benchmark = "humaneval-x" if language == "python" else f"humaneval-x-{language}"
    return _function(line, benchmark, language, line.text("test"))


def _function(line: Line, benchmark: str, language: str, test: str) -> InfillTask:
    name, prompt = line.name(), line.text("prompt")
    hole = Task(name, "", prompt, "", line.text("canonical_solution"), "block", language)
    check = Check(before=prompt, after=f"\n{test}\n") if language == "python" else None
    return InfillTask(name=name, benchmark=benchmark, base=name, hole=hole, check=check, cut=function_body)


def mbpp(line: Line) -> InfillTask:
    """MBPP, left to right: the description and the tests as a docstring at a file's beginning."""
    tests = line.texts("test_list")
    if not tests:
        raise InputError("the field 'test_list' is empty")
    text = line.text("text" if "text" in line.fields else "prompt")
    prefix = '"""\n' + "\n".join([text.strip(), *tests]) + '\n"""\n'
    setup = [str(line.fields.get("test_setup_code") or ""), *line.texts("test_imports")]
    name = f"MBPP/{line.name()}"
    hole = Task(name, "", prefix, "", line.text("code"), "block")
    check = Check(before=prefix, after="\n" + "\n".join([*setup, *tests]) + "\n")
    return InfillTask(name=name, benchmark="mbpp", base=name, hole=hole, check=check, cut=module_body)


TaskReader = Callable[[Line], InfillTask]
FORMATS: Mapping[str, tuple[tuple[str, ...], TaskReader]] = {  # the first whose fields are all there is the one
    "mbpp": (("code", "test_list"), mbpp),
    "safim": (("eval_prompt", "ground_truth"), safim),
    "humaneval-infilling": (("prompt", "suffix", "canonical_solution", "test", "entry_point"), humaneval_infilling),
    "santacoder": (("prompt", "suffix", "canonical_solution"), santacoder),
    "humaneval-x": (("prompt", "declaration", "canonical_solution", "test"), humaneval_x),
    "humaneval": (("prompt", "canonical_solution", "test", "entry_point"), humaneval),
}


def format_of(fields: TaskFields) -> str:
    """The format that a line's fields tell. Raises InputError."""
    for name, (needed, _) in FORMATS.items():
        if all(field in fields for field in needed):
            return name
    have = ", ".join(sorted(map(str, fields))[:8]) or "none"
    raise InputError(f"no known format has these fields ({have}): name one with --format")


def read_all(paths: Sequence[Path], format_name: str | None = None, *, gives_break: bool = True) -> list[InfillTask]:
    """The tasks of several files, in their order. Raises InputError for the first line that is none, or comes twice."""
    seen: dict[tuple[str, str], str] = {}
    tasks: list[InfillTask] = []
    for path in paths:
        n_before = len(tasks)
        for number, task in _read(path, format_name, gives_break):
            at = f"{path}:{number}"
            first = seen.setdefault((task.benchmark, task.name), at)
            if first != at:
                raise InputError(f"{at}: the task {task.name} stands in {first} already")
            tasks.append(task)
        if len(tasks) == n_before:
            raise InputError(f"{path} holds no task: give JSONL, one task on each line")
    return tasks


def _read(path: Path, format_name: str | None, gives_break: bool) -> Iterator[tuple[int, InfillTask]]:
    for number, text in enumerate(_lines(path), start=1):
        if not text.strip():
            continue
        try:
            fields = json.loads(text)
            if not isinstance(fields, dict):
                raise InputError("this is no object")
            _, reader = FORMATS[format_name or format_of(fields)]
            yield number, reader(Line(fields=fields, number=number, gives_break=gives_break))
        except json.JSONDecodeError as error:
            raise InputError(f"{path}:{number}: this is no JSON ({error.msg}, column {error.colno})") from None
        except RecursionError:
            raise InputError(f"{path}:{number}: this JSON is nested too deep") from None
        except InputError as error:
            raise InputError(f"{path}:{number}: {error}") from None


def _lines(path: Path) -> Iterable[str]:
    try:
        raw = path.read_bytes()
        return (gzip.decompress(raw) if raw[:2] == b"\x1f\x8b" else raw).decode("utf-8-sig").split("\n")
    except FileNotFoundError:
        raise InputError(
            f"there is no file {path}: the benchmark's file is yours to get, see docs/evaluation.md"
        ) from None
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise InputError(f"{path} cannot be read ({why}): give JSONL in UTF-8, plain or .gz") from None


def _halves(text: str, field: str, marks: Sequence[str]) -> tuple[str, str]:
    """text left and right of the hole, which the one mark that it holds stands for. Raises InputError."""
    for mark in marks:
        if text.count(mark) == 1:
            before, _, after = text.partition(mark)
            return before, after
    raise InputError(f"the field {field!r} does not hold exactly one {' or '.join(map(repr, marks))}")


def _runs(value: object) -> Iterator[Run]:
    """unit_tests: a list of {input, output}, or that as JSON; output is a text or several of which one is right."""
    try:
        tests = json.loads(value) if isinstance(value, str) and value.strip() else value or []
        if not isinstance(tests, list):
            raise TypeError
        for test in tests:
            outputs = [test["output"]] if isinstance(test["output"], str) else test["output"]
            yield Run(input=re.sub(r"\r\n?", "\n", test["input"]), outputs=tuple(str(each) for each in outputs))
    except (ValueError, TypeError, KeyError):
        raise InputError("the field 'unit_tests' is no list of {input, output}") from None
