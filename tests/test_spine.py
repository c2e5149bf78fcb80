"""The path of a keystroke stays short enough to be read: the files that docs/design.md lists, and their code."""

import ast
import re

from quicksilver.benchmarks.robustness.line_counts import DESIGN, ROOT, code_lines, read_doors, read_spine

MAX_FILES, MAX_LINES = 16, 1_500
PAGE = DESIGN.read_text(encoding="utf-8")
SPINE = read_spine(PAGE)


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


def test_every_door_of_the_server_and_the_domain_says_in_a_paragraph_what_stands_behind_it():
    rooms = [door for door in re.findall(r"`((?:fim|lsp_server)/[a-z_]+/)`", PAGE) if door in read_doors(PAGE)]
    told = {
        room: ast.get_docstring(ast.parse((ROOT / room / "__init__.py").read_text("utf-8"))) or "" for room in rooms
    }
    assert len(told) >= 7
    assert [room for room, about in told.items() if len(about) < 300] == []
