"""The path of a keystroke stays short enough to be read: the files that docs/design.md lists, and their code."""

from quicksilver.benchmarks.robustness.keystroke import DESIGN, ROOT, code_lines, read_spine

MAX_FILES, MAX_LINES = 16, 1_500
SPINE = read_spine(DESIGN.read_text(encoding="utf-8"))


def test_the_spine_is_short():
    lines = {file: len(code_lines((ROOT / file).read_text(encoding="utf-8"))) for file in SPINE}
    assert 10 <= len(SPINE) <= MAX_FILES
    assert sum(lines.values()) <= MAX_LINES
    assert {file: (said, lines[file]) for file, said in SPINE.items() if abs(said - lines[file]) > 10} == {}


def test_it_leads_from_the_edit_to_the_answer_through_server_and_engine():
    rooms = list(dict.fromkeys(file.partition("/")[0] for file in SPINE))
    assert rooms == ["lsp_server", "fim", "serving", "model"]
    assert next(iter(SPINE)).endswith("documents.py")
    assert next(reversed(SPINE)).startswith("lsp_server/")
