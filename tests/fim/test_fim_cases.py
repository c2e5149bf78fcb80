"""The golden cases of the data files beside this one: gating, holes, cursors' classes, trimming, portable answers."""

import tomllib
from pathlib import Path
from typing import Any

import pytest
from quicksilver.fim.cursor_class import class_at
from quicksilver.fim.gating import GATING_RULES, reason_for_silence
from quicksilver.fim.hole import HOLE_RULES, cut_hole, find_hole
from quicksilver.fim.insertion import portable
from quicksilver.fim.syntax.tree import Syntax, parse
from quicksilver.fim.text.document import Document
from quicksilver.fim.trimming.trim import TRIM_RULES, trim
from quicksilver.fim.types import Hole
from quicksilver.fim.typing_rhythm import Rhythm

CURSOR = "‸"
Case = dict[str, Any]


def read_cases(name: str) -> list[Case]:
    return tomllib.loads((Path(__file__).parent / name).read_text(encoding="utf-8"))["case"]


def cases(name: str) -> list[Any]:
    return [pytest.param(case, id=case["name"]) for case in read_cases(name)]


def with_and_without_tree(name: str) -> list[Any]:
    """Every case with a tree, and without one unless it needs it."""
    return [
        pytest.param(case, tree, id=f"{case['name']}, {'with' if tree else 'without'} a tree")
        for case in read_cases(name)
        for tree in (True, False)
        if tree or not case.get("needs_tree")
    ]


def read_document(case: Case) -> tuple[Document, list[int]]:
    """The document without its cursors, and where they stood."""
    parts = case["document"].split(CURSOR)
    cursors = [len("".join(parts[: i + 1])) for i in range(len(parts) - 1)]
    uri = case.get("uri", "file:///home/ada/shop/cart.py")
    return Document(uri, 1, case.get("language", "python"), "".join(parts)), cursors


def read_syntax(document: Document, tree: bool = True) -> Syntax | None:
    return parse(document.text, document.language) if tree else None


def read_hole(case: Case, tree: bool = True) -> tuple[Hole, Syntax | None]:
    document, cursors = read_document(case)
    syntax = read_syntax(document, tree)
    if "multiline" not in case and len(cursors) == 1:
        return find_hole(document, cursors[0], syntax), syntax
    return cut_hole(document, cursors[0], cursors[-1], case.get("multiline", False)), syntax


def read_rhythm(case: Case) -> Rhythm:
    edits = [(0, 1)] * case.get("deletions", 0) + [(1, 0)] * case.get("typed", 0)
    rhythm = Rhythm()
    for i, (n_inserted, n_deleted) in enumerate(edits):
        rhythm = rhythm.after(n_inserted, n_deleted, at_s=i / 10)
    return rhythm


@pytest.mark.parametrize(("case", "tree"), with_and_without_tree("trim_cases.toml"))
def test_trim(case: Case, tree: bool) -> None:
    hole, syntax = read_hole(case, tree)
    eol = case.get("eol", "\n")
    assert trim(hole, case["text"], eol, syntax) == case["expect"]
    assert trim(hole, case["expect"], eol, syntax) == case["expect"]


@pytest.mark.parametrize("rule", [name for name, _ in TRIM_RULES])
def test_every_trimming_rule_has_cases_that_it_alone_decides(rule: str) -> None:
    assert sum(is_decided_by(rule, case) for case in read_cases("trim_cases.toml")) >= 2


def is_decided_by(rule: str, case: Case) -> bool:
    hole, syntax = read_hole(case)
    without = trim(hole, case["text"], case.get("eol", "\n"), syntax, off=(rule,))
    return case["rule"] == rule and without != case["expect"]


@pytest.mark.parametrize("case", [case for case in cases("trim_cases.toml") if case.values[0].get("needs_tree")])
def test_what_needs_a_tree_goes_wrong_without_one(case: Case) -> None:
    hole, _ = read_hole(case)
    assert trim(hole, case["text"], case.get("eol", "\n")) != case["expect"]


@pytest.mark.parametrize(("case", "tree"), with_and_without_tree("hole_cases.toml"))
def test_find_hole(case: Case, tree: bool) -> None:
    document, [cursor] = read_document(case)
    hole = find_hole(document, cursor, read_syntax(document, tree))
    assert hole.multiline is case["multiline"]
    assert (len(hole.prefix), hole.prefix + hole.suffix) == (cursor, document.text)
    assert hole.replaced == (cursor, cursor)
    assert hole.language == document.language


@pytest.mark.parametrize("case", [case for case in cases("hole_cases.toml") if case.values[0].get("needs_tree")])
def test_a_hole_that_needs_a_tree_is_another_without_one(case: Case) -> None:
    document, [cursor] = read_document(case)
    assert find_hole(document, cursor).multiline is not case["multiline"]


@pytest.mark.parametrize("case", [case for case in cases("hole_cases.toml") if not case.values[0]["multiline"]])
def test_hole_rules_can_be_switched_off(case: Case) -> None:
    """Then several lines are allowed wherever nothing stands right of the cursor."""
    document, [cursor] = read_document(case)
    hole = find_hole(document, cursor, off=[name for name, _ in HOLE_RULES])
    assert hole.multiline is (case["rule"] != "right")


@pytest.mark.parametrize("case", cases("class_cases.toml"))
def test_class_at(case: Case) -> None:
    document, [cursor] = read_document(case)
    syntax = read_syntax(document)
    assert syntax is not None
    assert class_at(syntax, cursor) == case["class"]


@pytest.mark.parametrize("case", cases("portable_cases.toml"))
def test_portable(case: Case) -> None:
    document, [start, *others] = read_document(case)
    hole = cut_hole(document, start, *others, multiline=True) if others else find_hole(document, start)
    sent, replaced = portable(hole, case["text"])
    assert sent == case["sent"]
    assert replaced == (start, start + len(case["held"]))
    assert document.text[slice(*replaced)] == case["held"]


@pytest.mark.parametrize("case", cases("gating_cases.toml"))
@pytest.mark.parametrize("invoked", [False, True])
def test_why_not(case: Case, invoked: bool) -> None:
    expected = case["invoked" if invoked else "reason"]
    reason = ask_why_not(case, invoked)
    if expected:
        assert reason is not None and expected in reason and "\n" not in reason
    else:
        assert reason is None


@pytest.mark.parametrize("case", [case for case in cases("gating_cases.toml") if case.values[0]["reason"]])
def test_gating_rules_can_be_switched_off(case: Case) -> None:
    """All but those for safety; each case has a rule that alone decides it."""
    is_for_safety = case["rule"] == "safety"
    off = [name for name, _ in GATING_RULES] if is_for_safety else [case["rule"]]
    assert (ask_why_not(case, off=off) is not None) is is_for_safety


def ask_why_not(case: Case, invoked: bool = False, off: list[str] | None = None) -> str | None:
    document, [cursor] = read_document(case)
    return reason_for_silence(
        document,
        cursor,
        invoked=invoked,
        known_languages={"python", *([document.language] if case.get("known") else [])},
        syntax=read_syntax(document),
        rhythm=read_rhythm(case),
        off=off or [],
    )
