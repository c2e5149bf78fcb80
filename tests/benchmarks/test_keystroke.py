"""`bench keystroke`: how lines are counted, and one key through a real server and a real engine."""

import json

import pytest
from quicksilver.benchmarks.bench import main
from quicksilver.benchmarks.robustness.line_counts import (
    DESIGN,
    ROOT,
    Function,
    code_lines,
    count_lines,
    read_doors,
    read_spine,
)
from quicksilver.fim.errors import InputError

SOURCE = '''"""A module."""

# a comment
NUMBER = """
a text"""


def double(number):  # so much
    """Twice
    as much."""

    return 2 * number
'''


def test_lines_of_code_are_neither_blank_nor_comment_nor_docstring():
    assert code_lines(SOURCE) == {4, 5, 8, 12}


def test_functions_are_counted_once_with_what_is_inside_them():
    file = "fim/reuse.py"
    lines = (ROOT / file).read_text(encoding="utf-8").split("\n")
    first = lines.index("def n_typed(shown: Shown, document: Document) -> int | None:") + 1
    second = next(n for n, line in enumerate(lines, start=1) if line.startswith("def typed_through"))
    counted = count_lines([Function(file, first), Function(file, second), Function(file, first)])
    assert (counted.n_files, counted.n_functions, counted.n_file_lines) == (1, 2, len(lines) - 1)
    assert 0 < counted.n_code_lines < counted.n_lines < counted.n_file_lines


@pytest.mark.slow
def test_a_key_through_server_and_engine(tmp_path):
    report = tmp_path / "report.json"
    assert main(["keystroke", "--model", "nano", "--keys", "12", "--json", str(report)]) == 0
    found = json.loads(report.read_text(encoding="utf-8"))
    files = {side: {file["name"] for file in found["files"][side]} for side in ("server", "engine")}
    assert "lsp_server/answering/completion.py" in files["server"] - files["engine"]
    assert "model/decoding/denoise.py" in files["engine"] - files["server"]
    page = DESIGN.read_text(encoding="utf-8")
    known = (*read_spine(page), *read_doors(page))
    assert [file for file in files["server"] | files["engine"] if not file.startswith(known)] == []
    both = next(row for row in found["rows"] if row["name"] == "both")
    assert both["n_files"] == len(files["server"] | files["engine"])
    assert 0 < found["key"]["n_cached"] <= found["key"]["n_context"]


@pytest.mark.parametrize("wrong", [("--keys", "0"), ("--model", "nothing"), ("--json", "/no/such/x.json")])
def test_a_bad_command_line_is_refused(wrong):
    with pytest.raises(InputError):
        main(["keystroke", *wrong])
