"""A replay in other languages than Python: keys, blocks, files and what is counted."""

from pathlib import Path
from typing import cast

import pytest
from quicksilver.benchmarks.replay import scores
from quicksilver.benchmarks.replay.arguments import ReplayOptions
from quicksilver.benchmarks.replay.baselines import FLOORS, LocalOffers
from quicksilver.benchmarks.replay.blocks import TypedBlock, find_blocks, find_programs
from quicksilver.benchmarks.replay.languages import (
    LANGUAGES,
    block_bodies,
    indent_step,
    languages_of,
    parses,
)
from quicksilver.benchmarks.replay.offers import ServerOffers
from quicksilver.benchmarks.replay.run import BlockReplay, BlockRun, DiscreteClock, ShownText
from quicksilver.benchmarks.replay.step import copy_sources
from quicksilver.benchmarks.replay.typist import Typist
from quicksilver.fim.errors import InputError
from quicksilver.fim.terminal.options import read_command_line
from quicksilver.lsp_server.protocol.headless import HeadlessClient

SOURCES = {
    "python": "def area(width):\n    total = width\n    return total\n",
    "javascript": "class Area {\n  area(width) {\n    const total = width;\n    return total;\n  }\n}\n",
    "typescript": "interface Area {\n  width: number;\n  height: number;\n}\n",
    "go": "package area\n\nfunc area(width int) int {\n\ttotal := width\n\treturn total\n}\n",
    "rust": "fn area(width: u8) -> u8 {\n    let total = width;\n    total\n}\n",
    "java": "class Area {\n    int area(int width) {\n        int total = width;\n        return total;\n    }\n}\n",
    "cpp": "int area(int width) {\n    int total = width;\n    return total;\n}\n",
}
BODIES = {
    "python": "total = width\n    return total",
    "javascript": "const total = width;\n    return total;",
    "typescript": "width: number;\n  height: number;",
    "go": "total := width\n\treturn total",
    "rust": "let total = width;\n    total",
    "java": "int total = width;\n        return total;",
    "cpp": "int total = width;\n    return total;",
}


def block(language: str, text: str, target: str) -> TypedBlock:
    start = text.index(target)
    return TypedBlock(Path("/pkg"), "a", text, start, start + len(target), language)


@pytest.mark.parametrize("language", LANGUAGES)
def test_bodies_of_two_lines(language):
    text = SOURCES[language]
    assert BODIES[language] in [text[start:end] for start, end in block_bodies(text, language, 2, 2)]
    assert block_bodies(text, language, 9, 12) == ()


def test_braces_that_share_a_line_with_code_hold_no_body():
    assert block_bodies("function f() { g();\n  h();\n}\n", "javascript", 1, 3) == ()
    assert block_bodies("function f() {\n  g();\n  h(); }\n", "javascript", 1, 3) == ()
    assert block_bodies("function f() {\n\n  g();\n}\n", "javascript", 1, 3) == ()


@pytest.mark.parametrize("language", LANGUAGES)
def test_indentation_is_free(language):
    """An editor indents after an opener and takes a closer one step back, in whatever the file is indented with."""
    text = SOURCES[language]
    one = TypedBlock(Path("/pkg"), "a", text, 0, len(text.rstrip()), language)
    assert one.n_presses(0, len(one.target)) == one.weights[-1]


@pytest.mark.parametrize(
    ("language", "text", "target", "presses"),
    [
        ("go", "func f() {\n\tif a {\n\t\tb()\n\t}\n\tc()\n}\n", "b()\n\t}\n\tc()", 3 + 2 + 4),
        ("go", "func f() {\n\ta(\n\t\tb)\n\tc()\n}\n", "b)\n\tc()", 2 + 2 + 3),  # one Backspace: a tab
        ("typescript", "f(() => {\n  g();\n  if (a)\n    b();\n  c();\n});\n", "b();\n  c();", 4 + 2 + 4),
        ("typescript", "f(() => {\n  if (a)\n    b();\n});\n", "if (a)\n    b();", 6 + 2 + 4),  # one Tab
        ("java", "class A {\n    void f() {\n        g();\n    }\n}\n", "g();\n    }\n}", 4 + 2 + 2),
        ("rust", "fn f() {\n    g(\n        a,\n    );\n}\n", "g(\n        a,\n    );\n}", 2 + 3 + 3 + 2),
        ("cpp", "switch (a) {\n  case 1:\n    b();\n}\n", "case 1:\n    b();", 7 + 1 + 4),
    ],
)
def test_presses_of_a_block(language, text, target, presses):
    one = block(language, text, target)
    assert one.n_presses(0, len(one.target)) == presses


def test_indent_steps():
    assert indent_step("a {\n\tb\n}\n") == 1
    assert indent_step("/**\n * a\n */\na {\n  b {\n    c\n") == 2
    assert indent_step("a\n") == 4


@pytest.mark.parametrize("language", LANGUAGES)
def test_what_parses(language):
    assert parses(SOURCES[language], language) and not parses(SOURCES[language] + "(((", language)


def package(folder: Path) -> Path:
    root = folder / "thing"
    (root / "node_modules").mkdir(parents=True)
    for name in ("a.go", "b.go", "node_modules/c.go"):
        body = SOURCES["go"].replace("area", f"area{name[0]}")
        (root / name).write_text("// Copyright\n// Licence\n\n" + body.partition("\n\n")[2] * 20)
    (root / "a.py").write_text(SOURCES["python"] * 20)
    return root


def test_only_files_of_the_language_are_copied_and_typed(tmp_path):
    [copy] = copy_sources([package(tmp_path)], tmp_path / "copy", "go")
    assert {path.name for path in copy.rglob("*") if path.is_file()} == {"a.go", "b.go"}
    blocks = find_blocks([copy], 10, 2, 1, "go")
    assert {each.path for each in blocks} == {"a.go", "b.go"} and {each.language for each in blocks} == {"go"}
    assert all("\n\t" in each.text and each.target == each.target.strip() for each in blocks)
    programs = find_programs([copy], 10, 1, "go")
    assert len(programs) == 2 and all(each.target.startswith("func area") for each in programs)
    with pytest.raises(InputError, match="no rust file"):
        find_blocks([copy], 1, 1, 1, "rust")


def test_the_languages_are_named_or_told_by_the_files(tmp_path):
    assert languages_of([Path("a.ts"), Path("b.mts")], None) == ("typescript",)
    assert languages_of([Path("a.ts")], ("javascript",)) == ("javascript",)
    assert languages_of([tmp_path], None) == ("python",)
    for paths in (["a.ts", "b.go"], ["a.cob"]):
        with pytest.raises(InputError, match="--language"):
            languages_of([Path(path) for path in paths], None)


def test_a_language_that_cannot_be_typed_is_refused():
    def options(*argv):
        return read_command_line(ReplayOptions, argv, prog="replay", description="")

    assert options("a", "--language", "go").language == ("go",)
    assert options("a", "--language", "go,rust,go").language == ("go", "rust")
    with pytest.raises(InputError, match="--language"):
        options("a", "--language", "cobol")


class Editor:
    """Stands for the client: notes how documents are opened."""

    def __init__(self):
        self.opened = []

    def notify(self, method, params):
        pass

    def open(self, uri, text, *, language):
        self.opened.append((uri, language))

    async def request(self, method, params):
        return {"is_on": False}

    def expect(self, method):
        raise InputError("asked")  # far enough


async def test_the_server_is_told_the_language():
    editor = Editor()
    with pytest.raises(InputError, match="asked"):
        await ServerOffers(cast(HeadlessClient, editor), in_real_time=False).begin(
            block("go", SOURCES["go"], BODIES["go"]), 100.0
        )
    assert editor.opened == [("file:///pkg/a", "go")]


async def test_an_oracle_saves_nearly_everything_in_every_language():
    for language in LANGUAGES:
        one = block(language, SOURCES[language], BODIES[language])
        run = await BlockReplay(one, Typist(1, "words"), LocalOffers(FLOORS["oracle"], 5.0), DiscreteClock()).run()
        row = scores.score([run])
        assert row["characters_saved"] > 0.8 and row["parse_errors"] == 0.0
        assert row["sources"] == {"editor": 1.0}


@pytest.mark.parametrize(
    ("language", "text", "breaks", "is_odd"),
    [
        ("go", "total := width\n\treturn total", 0.0, 0.0),
        ("go", "total := (\n    x", 1.0, 1.0),
        ("typescript", "width: number;\n  height: number;", 0.0, 0.0),
        ("typescript", "width: {\n\theight", 1.0, 1.0),
        ("typescript", "width: {\n   height", 1.0, 1.0),
    ],
)
def test_faults_are_told_by_the_language_s_grammar(language, text, breaks, is_odd):
    run = BlockRun(block=block(language, SOURCES[language], BODIES[language]))
    run.shown.append(ShownText(at=0, text=text, n_right=0, from_ms=0.0, to_ms=1000.0))
    row = scores.score([run])
    assert (row["parse_errors"], row["indent_errors"], row["bracket_errors"]) == (breaks, is_odd, None)
