"""Each format's fields, what is run for them, and lines that cannot be read."""

import gzip
import json

import pytest
from quicksilver.benchmarks.infilling.readers import FORMATS, format_of, read_all
from quicksilver.benchmarks.infilling.tasks import function_body, module_body
from quicksilver.benchmarks.quality.decoders import Attempt, request_of
from quicksilver.benchmarks.sandbox.execution import Limits, execute
from quicksilver.fim.errors import InputError

HEADER = 'def double(x):\n    """Return twice x."""\n'
TEST = "def check(candidate):\n    assert candidate(3) == 6\n"
INFILLING = {
    "task_id": "SingleLineInfilling/HumanEval/7/L1", "prompt": HEADER + "    y = x\n", "suffix": "    return y\n",
    "canonical_solution": "    y += x\n", "test": TEST, "entry_point": "double",
}  # fmt: skip
SANTACODER = {
    "name": "double",
    "language": "py",
    "prompt": HEADER,
    "suffix": "",
    "canonical_solution": "    return 2 * x\n",
}
SAFIM = {
    "task_id": "block_completion_000001", "lang": "python", "ground_truth": "print(2 * x)",
    "prompt": "Double it.\n\nx = int(input())\nif x:\n    # TODO: Your code here\n",
    "eval_prompt": "x = int(input())\nif x:\n    {{completion}}\n",
    "unit_tests": [{"input": "2\n", "output": ["4"]}, {"input": "5\r\n", "output": ["10\r\n"]}],
}  # fmt: skip
HUMANEVAL = {
    "task_id": "HumanEval/7", "prompt": HEADER, "canonical_solution": "    return 2 * x\n", "test": TEST,
    "entry_point": "double",
}  # fmt: skip
HUMANEVAL_X = {
    "task_id": "Python/7", "prompt": HEADER, "declaration": "def double(x):\n",
    "canonical_solution": "    return 2 * x\n", "test": TEST + "\ncheck(double)\n", "example_test": "",
}  # fmt: skip
MBPP = {
    "task_id": 12, "text": "Write a function that doubles a number.", "code": "def double(x):\r\n    return 2 * x",
    "test_list": ["assert double(3) == 6"], "test_setup_code": "",
}  # fmt: skip
ALL = {
    "humaneval-infilling": INFILLING, "santacoder": SANTACODER, "safim": SAFIM, "humaneval": HUMANEVAL,
    "humaneval-x": HUMANEVAL_X, "mbpp": MBPP,
}  # fmt: skip


@pytest.fixture
def read(tmp_path):
    """Reads the tasks of a file with the given lines."""

    def tasks(*lines, **options):
        path = tmp_path / "tasks.jsonl"
        path.write_text("".join((line if isinstance(line, str) else json.dumps(line)) + "\n" for line in lines))
        return read_all([path], **options)

    return tasks


def verdict(task, text):
    program = task.program(task.filled(Attempt(text)))
    return program and execute(program, Limits()).outcome


def test_every_format_is_told_by_its_fields():
    assert {format_of(fields) for fields in ALL.values()} == set(FORMATS) == set(ALL)
    assert all(format_of(fields) == name for name, fields in ALL.items())


@pytest.mark.parametrize("name", sorted(set(ALL) - {"santacoder"}))
def test_the_solution_passes_and_another_fails(read, name):
    (task,) = read(ALL[name])
    assert verdict(task, task.hole.truth) == "passed"
    assert task.same(task.hole, task.filled(Attempt(task.hole.truth)))
    wrong = task.hole.truth.replace("2 * x", "3 * x").replace("+= x", "-= x")
    assert wrong != task.hole.truth and verdict(task, wrong) == "failed"
    assert not task.same(task.hole, wrong)


@pytest.mark.parametrize(
    ("prefix", "benchmark", "kind"),
    [("SingleLineInfilling", "single-line", "whole-line"), ("MultiLineInfilling", "multi-line", "multi-line"),
     ("RandomSpanInfilling", "random-span", "random-span"),
     ("RandomSpanInfillingLight", "random-span-light", "random-span")],
)  # fmt: skip
def test_humaneval_infilling_names_benchmark_and_problem(read, prefix, benchmark, kind):
    (task,) = read({**INFILLING, "task_id": f"{prefix}/HumanEval/7/L1_L2"})
    assert (task.benchmark, task.base, task.hole.kind) == (benchmark, "HumanEval/7", kind)
    assert request_of(task.hole).hole.multiline == (kind != "whole-line")


def test_a_line_break_is_given_or_asked(read):
    (given,), (asked,) = read(INFILLING), read(INFILLING, gives_break=False)
    assert (given.hole.suffix, given.hole.truth) == ("\n    return y\n", "    y += x")
    assert (asked.hole.suffix, asked.hole.truth) == ("    return y\n", "    y += x\n")
    assert verdict(given, "    y += x") == "passed" and verdict(asked, "    y += x") == "failed"
    assert verdict(asked, "    y += x\n") == "passed" and asked.hole.multiline
    assert given.hole.key() != asked.hole.key()


def test_a_single_line_takes_the_first_line_of_an_answer(read):
    (task,) = read(INFILLING)
    assert verdict(task, "    y += x\n    y = 0") == "passed"


def test_santacoder_counts_the_stripped_text_and_runs_nothing(read):
    python, java = read(SANTACODER, {**SANTACODER, "language": "java"})
    assert python.same(python.hole, "return 2 * x  ") and not python.same(python.hole, "return x * 2")
    assert python.program("") is None
    assert (java.benchmark, java.hole.language) == ("santacoder-java", "java")
    assert request_of(java.hole).hole.language == "java"


def test_safim_runs_python_with_tests_and_compares_the_rest(read):
    block, control, java, api = read(
        SAFIM,
        {**SAFIM, "task_id": "control_completion_1", "prompt": "if # TODO: Your code here\n"},
        {**SAFIM, "task_id": "block_completion_2", "lang": "java", "prompt": "{ /* TODO: Your code here */ }"},
        {**{k: v for k, v in SAFIM.items() if k != "unit_tests"}, "task_id": "api_completion_1"},
    )
    assert (block.hole.prefix, block.hole.suffix) == ("Double it.\n\nx = int(input())\nif x:\n    ", "\n")
    assert block.hole.multiline and not control.hole.multiline
    assert java.check is None and java.benchmark == "safim-block-java" and java.same(java.hole, "print(2*x)")
    assert api.check is None and not api.same(api.hole, "print(x)")
    (as_text,) = read({**SAFIM, "unit_tests": json.dumps(SAFIM["unit_tests"])})
    assert as_text.check == block.check


def test_left_to_right_answers_are_cut_where_the_solution_ends(read):
    (task,) = read(HUMANEVAL)
    assert verdict(task, "    return 2 * x\n\n\ndef double(x):\n    return 0\n") == "passed"
    assert function_body("a\n    b\n\n# c\nd") == "a\n    b\n"
    assert module_body("def f():\n    pass\n\nx = 1\nprint(f())\n") == "def f():\n    pass\n\nx = 1"
    (mbpp,) = read(MBPP)
    assert verdict(mbpp, "def double(x):\n    return x + x\nassert False") == "passed"
    assert "assert double(3) == 6" in mbpp.hole.prefix and mbpp.hole.suffix == ""
    (java,) = read({**HUMANEVAL_X, "task_id": "Java/7"})
    assert java.check is None and java.benchmark == "humaneval-x-java"


def test_files_may_be_zipped_and_mixed_and_hold_blank_lines(tmp_path):
    zipped, plain = tmp_path / "a.jsonl.gz", tmp_path / "b.jsonl"
    zipped.write_bytes(gzip.compress((json.dumps(INFILLING) + "\n\n" + json.dumps(HUMANEVAL)).encode()))
    plain.write_text("\ufeff" + json.dumps(MBPP))
    assert [task.benchmark for task in read_all([zipped, plain])] == ["single-line", "humaneval", "mbpp"]


BROKEN = [
    ("{", r"tasks\.jsonl:2: this is no JSON \(.*column 2\)"),
    ("[1]", ":2: this is no object"),
    ("[" * 100_000, ":2: this JSON is nested too deep"),
    ({"prompt": "x"}, r":2: no known format has these fields \(prompt\): name one with --format"),
    ({**INFILLING, "prompt": 3}, ":2: the field 'prompt' is no text"),
    ({**SAFIM, "prompt": "no mark"}, ":2: the field 'prompt' does not hold exactly one '{{completion}}' or '# TODO"),
    ({**SAFIM, "eval_prompt": "{{completion}}{{completion}}"}, ":2: the field 'eval_prompt' does not hold exactly one"),
    ({**SAFIM, "unit_tests": [{"input": "1"}]}, ":2: the field 'unit_tests' is no list of"),
    ({**SAFIM, "unit_tests": "{"}, ":2: the field 'unit_tests' is no list of"),
    ({**SAFIM, "lang": None}, ":2: the field 'language' is no text"),
    ({**MBPP, "test_list": []}, ":2: the field 'test_list' is empty"),
    ({**MBPP, "test_list": "assert"}, ":2: the field 'test_list' is no list of texts"),
    (HUMANEVAL, r":2: the task HumanEval/7 stands in .*tasks\.jsonl:1 already"),
]


@pytest.mark.parametrize(("line", "message"), BROKEN)
def test_a_broken_line_is_one_line_with_file_and_number(read, line, message):
    with pytest.raises(InputError, match=message) as raised:
        read(HUMANEVAL, line)
    assert "\n" not in str(raised.value)


def test_a_format_that_does_not_fit_is_said(read):
    with pytest.raises(InputError, match=":1: the field 'eval_prompt' is missing"):
        read(HUMANEVAL, format_name="safim")


def test_files_that_cannot_be_read_are_one_line(tmp_path):
    for name, content, message in (
        ("empty.jsonl", b"\n", "holds no task"), ("binary.jsonl", b"\xff\xfe\x00", "cannot be read"),
        ("cut.gz", gzip.compress(b"{}" * 1000, mtime=0)[:-9], "cannot be read"),
        ("bad.gz", b"\x1f\x8b\x00", "cannot be read"),
    ):  # fmt: skip
        (tmp_path / name).write_bytes(content)
        with pytest.raises(InputError, match=message):
            read_all([tmp_path / name])
    with pytest.raises(InputError, match=r"there is no file .*yours to get"):
        read_all([tmp_path / "none.jsonl"])
    with pytest.raises(InputError, match="cannot be read"):
        read_all([tmp_path])
