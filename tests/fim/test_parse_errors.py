"""Answers held against the document without them."""

import pytest
from quicksilver.fim.hole import cut_hole, find_hole
from quicksilver.fim.syntax.tree import Syntax, parse
from quicksilver.fim.text.document import Document
from quicksilver.fim.trimming.parse_errors import errors_before, new_errors
from quicksilver.fim.types import Hole


def cut(marked: str, language: str = "python") -> tuple[Syntax, Hole]:
    left, _, right = marked.partition("‸")
    syntax = parse(left + right, language)
    assert syntax is not None
    return syntax, find_hole(Document("file:///a", 1, language, left + right), len(left))


@pytest.mark.parametrize(
    ("marked", "text", "n"),
    [
        ("x = ‸\n", "1", 0),
        ("x = ‸\n", "+", 1),
        ("x = ‸\n", "a b", 1),
        ("x = ‸\n", "f(", 0),  # it may be closed on the next line
        ("x = f(‸\n", "a, b", 0),
        ("x = f(‸)\n", "a, b", 0),
        ("x = f(‸)\n", "a)", 1),
        ("x = f(‸)\n", "(a", 1),
        ("x = 1‸\n", " + 2", 0),
        ("x = 1‸\n", ")", 1),
        ("def f():\n    ‸\n", "return 1", 0),
        ("def f():\n    ‸\n", "return return", 1),
        ("y = )\nx = ‸\n", "1", 0),  # what was broken before is none of the answer's
    ],
)
def test_new_errors(marked: str, text: str, n: int) -> None:
    syntax, hole = cut(marked)
    assert min(new_errors(syntax, hole, text), 1) == n
    assert new_errors(syntax, hole, text, errors_before(syntax, hole)) == new_errors(syntax, hole, text)


@pytest.mark.parametrize(
    ("language", "marked", "text", "is_new"),
    [
        ("javascript", "if (a) {\n  ‸\n}\n", "b();", False),
        ("javascript", "‸\n", "if (a) {", False),
        ("javascript", "f(‸);\n", "a b", True),
        ("go", "package a\n\nfunc f() {\n\t‸\n}\n", "return", False),
        ("rust", "fn f() {\n    ‸\n}\n", "let = 1;", True),
        ("java", "class A {\n    ‸\n}\n", "int a;\n    void f() {}", False),
        ("c", "int f(void) {\n    ‸\n}\n", "return 1;\n}", True),
    ],
)
def test_other_languages(language: str, marked: str, text: str, is_new: bool) -> None:
    syntax, hole = cut(marked, language)
    assert (new_errors(syntax, hole, text) > 0) is is_new


def test_an_answer_that_mends_what_stands_counts_below_zero() -> None:
    syntax, hole = cut("f(\n    ‸\n\nx = = 1\n")
    assert errors_before(syntax, hole) > new_errors(syntax, hole, "1)") + errors_before(syntax, hole)


def test_a_text_that_is_cut_out_does_not_count() -> None:
    text = "x = [1, 2]\ny = 3\n"
    syntax = parse(text, "python")
    assert syntax is not None
    hole = cut_hole(Document("file:///a", 1, "python", text), 4, 10, multiline=False)
    assert errors_before(syntax, hole) == 0  # with the line blank
    assert new_errors(syntax, hole, "[1, 2]") == 0
    assert new_errors(syntax, hole, "1, 2]") > 0


def test_what_cannot_be_parsed_has_no_errors(monkeypatch: pytest.MonkeyPatch) -> None:
    syntax, hole = cut("x = ‸\n")
    monkeypatch.setattr("quicksilver.fim.syntax.tree.MAX_CHARS", 0)
    assert errors_before(syntax, hole) == 0
    assert new_errors(syntax, hole, "+") == 0
