"""Imports and declarations: what a document imports, which files that means, what they declare."""

import pytest
from quicksilver.fim.workspace.declarations import N_MEMBERS_MAX, comment_sign, find_declarations
from quicksilver.fim.workspace.files import SourceFile, Stamp
from quicksilver.fim.workspace.imports import N_IMPORTS_MAX, Import, files_of, find_imports
from quicksilver.fim.workspace.index import WorkspaceIndex

PYTHON = {
    "import os": [Import("os", alias="os")],
    "import a.b as c, d": [Import("a.b", alias="c"), Import("d", alias="d")],
    "from .x import y": [Import("x", 1, (("y", "y"),))],
    "from .. import y as z  # why": [Import("", 2, (("y", "z"),))],
    "from a.b import (  # many\n    c,\n    d as e,\n)": [Import("a.b", 0, (("c", "c"), ("d", "e")))],
    "    from a import b": [Import("a", 0, (("b", "b"),))],
    "from a import \\\n  b": [],
    "from a import *": [],
    "from a import (b, c": [],
    "x = 'import os'": [],
    "def broken(:\nimport a": [Import("a", alias="a")],
}


@pytest.mark.parametrize(("text", "expected"), PYTHON.items())
def test_imports_of_python(text, expected):
    assert list(find_imports(text, "python")) == expected


def test_imports_of_other_languages():
    script = 'import { A, type B as C } from "./a";\nimport "./b.css";\nconst d = require("../d");\nimport x from "x";'
    assert [each.module for each in find_imports(script, "typescript")] == ["./a", "./b.css", "../d"]
    assert find_imports('#include <a.h>\n# include "b/c.h"\n', "c") == (Import("b/c.h"),)
    assert find_imports("import static a.b.C;\n", "java") == (Import("a.b.C", names=(("C", "C"),)),)
    assert find_imports("import a\n", "cobol") == ()


def test_very_many_imports_are_cut_off():
    assert len(find_imports("import a\n" * 1_000, "python")) == N_IMPORTS_MAX


def index_of(*paths):
    index = WorkspaceIndex()
    for path in paths:
        index.put(SourceFile("/w", path), Stamp(1, 1), "x = 1\n")
    return index


FILES = index_of(
    "app/__init__.py", "app/models.py", "app/deep/__init__.py", "app/deep/tools.py", "src/lib/core.py",
    "src/lib/__init__.py", "json.py", "vendored/app/models.py", "vendored/app/__init__.py",
    "vendored/__init__.py", "web/a.ts", "web/ui/index.tsx", "web/b.js", "inc/x.h", "main.c", "j/com/x/Y.java",
)  # fmt: skip


@pytest.mark.parametrize(
    ("here", "wanted", "expected"),
    [
        ("app/views.py", Import("models", 1), ["app/models.py"]),
        ("app/deep/tools.py", Import("models", 2), ["app/models.py"]),
        ("app/deep/tools.py", Import("", 2), ["app/__init__.py"]),
        ("app/views.py", Import("deep.tools", 1), ["app/deep/tools.py"]),
        ("top.py", Import("x", 3), []),
        ("top.py", Import("app.models"), ["app/models.py"]),
        ("top.py", Import("lib.core"), ["src/lib/core.py"]),
        ("top.py", Import("project.lib.core"), ["src/lib/core.py"]),
        ("top.py", Import("os.path"), []),
        ("top.py", Import("models"), []),
        ("top.py", Import("nowhere"), []),
    ],
)
def test_modules_of_python(here, wanted, expected):
    assert [file.path for file in files_of(wanted, SourceFile("/w", here), "python", FILES)] == expected


def test_paths_of_other_languages():
    here = SourceFile("/w", "web/ui/page.ts")
    found = {path: files_of(Import(path), here, "typescript", FILES) for path in ("../a", ".", "../b", "../../../x")}
    assert {path: [file.path for file in files] for path, files in found.items()} == {
        "../a": ["web/a.ts"], ".": ["web/ui/index.tsx"], "../b": ["web/b.js"], "../../../x": [],
    }  # fmt: skip
    [header] = files_of(Import("x.h"), SourceFile("/w", "main.c"), "c", FILES)
    [java] = files_of(Import("com.x.Y"), None, "java", FILES)
    assert (header.path, java.path) == ("inc/x.h", "j/com/x/Y.java")
    assert files_of(Import("models", 1), None, "python", FILES) == []


SOURCE = '''
import os
LIMIT: int = 3
if True:
    FLAG = 1

@dataclass(frozen=True)
class Job(Base):
    """A job.

    More of it.
    """
    name: str
    _hidden = 1

    def __init__(self, a: int,
                 b: str = "x") -> None:  # why
        self.a = a

    @property
    def size(self) -> int:
        """How large."""
        return 1

    def _private(self): ...

async def run(job: Job, *, n: int = 3) -> None:
    """Run it."""

def broken(
'''


def test_declarations_of_python():
    found = find_declarations(SOURCE, "python")
    assert list(found)[:4] == ["LIMIT", "FLAG", "Job", "run"]
    assert found["LIMIT"].render() == "LIMIT: int = 3"
    assert found["run"].render() == 'async def run(job: Job, *, n: int = 3) -> None:\n    """Run it."""'
    assert found["Job"].render() == "\n".join(
        [
            "@dataclass(frozen=True)",
            "class Job(Base):",
            '    """A job."""',
            "    name: str",
            '    def __init__(self, a: int, b: str = "x") -> None: ...',
            "    @property",
            "    def size(self) -> int: ...",
        ]
    )


def test_members_near_the_cursor_come_first():
    text = "class A:\n" + "".join(f"    def m{n}(self):\n        pass\n" for n in range(40))
    declared = find_declarations(text, "python")["A"]
    assert "m39" not in declared.render()
    assert "m39" in declared.render({"m39"})
    assert declared.render({"m39"}).count("\n") == N_MEMBERS_MAX


@pytest.mark.parametrize(
    ("language", "text", "expected"),
    [
        ("typescript", "export interface A { b: X; c(): Y }", {"A": "interface A\n    b: X\n    c(): Y"}),
        ("javascript", "export function f(a) { return a }\nconst K = 3;", {"f": "function f(a)", "K": "const K = 3;"}),
        ("go", "package p\nfunc (s *S) Run(a int) error { return nil }\n", {"Run": "func (s *S) Run(a int) error"}),
        ("rust", "struct A { x: i32 }\nimpl A { fn go(&self) {} }", {"A": "struct A\n    x: i32\n    fn go(&self)"}),
        ("java", "class A { void go(String s) { } }", {"A": "class A\n    void go(String s)"}),
        ("c", "int add(int a, int b) { return a; }", {"add": "int add(int a, int b)"}),
        ("cobol", "int a;", {}),
    ],
)  # fmt: skip
def test_declarations_of_other_languages(language, text, expected):
    assert {name: declared.render() for name, declared in find_declarations(text, language).items()} == expected


def test_a_file_too_long_declares_nothing():
    assert find_declarations("x = 1\n" * 100_000, "python") == {}


def test_comment_signs():
    assert (comment_sign("python"), comment_sign("go"), comment_sign(None)) == ("#", "//", "//")
