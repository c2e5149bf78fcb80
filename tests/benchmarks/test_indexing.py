"""The workspace that `bench indexing` makes, and its command line."""

import ast

import pytest
from quicksilver.benchmarks.bench import main
from quicksilver.benchmarks.speed.synthetic_workspace import N_LINES, write_workspace
from quicksilver.fim.errors import InputError
from quicksilver.fim.workspace.files import SourceFile, read_source, walk
from quicksilver.fim.workspace.imports import files_of, find_imports
from quicksilver.fim.workspace.index import WorkspaceIndex


def test_the_workspace_is_real_python_whose_imports_lead_somewhere(tmp_path):
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    files = write_workspace(tmp_path / "one", 60)
    texts = [path.read_text() for path in files]
    assert len(files) == 60
    for text in texts:
        ast.parse(text)
        assert N_LINES[0] <= text.count("\n") <= N_LINES[1] + 120
    assert [path.read_text() for path in write_workspace(tmp_path / "two", 60)] == texts
    index, root = WorkspaceIndex(), str(tmp_path / "one")
    for file, _ in (found for folder in walk(root) for found in folder):
        read = read_source(file, 500_000)
        assert read is not None
        index.put(file, read[1], read[0])
    here = SourceFile(root, str(files[-1].relative_to(root)))
    imports = [wanted for wanted in find_imports(texts[-1], "python") if wanted.module.startswith("package_")]
    assert len(imports) == 4
    assert all(files_of(wanted, here, "python", index) for wanted in imports)


@pytest.mark.parametrize("wrong", [("--files", "1"), ("--keys", "0"), ("--rounds", "0"), ("--json", "/no/such/x.json")])
def test_a_bad_command_line_is_refused(wrong):
    with pytest.raises(InputError):
        main(["indexing", *wrong])
