"""The golden cases of the data files beside this one: trimming, holes and gating."""

import tomllib
from pathlib import Path
from typing import Any

import pytest
from quicksilver.fim.document import Document
from quicksilver.fim.gating import why_not
from quicksilver.fim.hole import cut_hole, find_hole
from quicksilver.fim.trim import trim
from quicksilver.fim.types import Hole

CURSOR = "‸"
Case = dict[str, Any]


def cases(name: str) -> list[Any]:
    data = tomllib.loads((Path(__file__).parent / name).read_text(encoding="utf-8"))
    return [pytest.param(case, id=case["name"]) for case in data["case"]]


def read_document(case: Case) -> tuple[Document, list[int]]:
    """The document without its cursors, and where they stood."""
    parts = case["document"].split(CURSOR)
    cursors = [len("".join(parts[: i + 1])) for i in range(len(parts) - 1)]
    uri = case.get("uri", "file:///home/ada/shop/cart.py")
    return Document(uri, 1, case.get("language", "python"), "".join(parts)), cursors


def read_hole(case: Case) -> Hole:
    document, cursors = read_document(case)
    if "multiline" not in case:
        return find_hole(document, cursors[0])
    return cut_hole(document, cursors[0], cursors[-1], case["multiline"])


@pytest.mark.parametrize("case", cases("trim_cases.toml"))
def test_trim(case: Case) -> None:
    hole = read_hole(case)
    eol = case.get("eol", "\n")
    assert trim(hole, case["text"], eol) == case["expect"]
    assert trim(hole, case["expect"], eol) == case["expect"]


@pytest.mark.parametrize("case", cases("hole_cases.toml"))
def test_find_hole(case: Case) -> None:
    document, [cursor] = read_document(case)
    hole = find_hole(document, cursor)
    assert hole.multiline is case["multiline"]
    assert (len(hole.prefix), hole.prefix + hole.suffix) == (cursor, document.text)
    assert hole.replaced == (cursor, cursor)
    assert hole.language == document.language


@pytest.mark.parametrize("case", cases("gating_cases.toml"))
@pytest.mark.parametrize("invoked", [False, True])
def test_why_not(case: Case, invoked: bool) -> None:
    document, [cursor] = read_document(case)
    expected = case["invoked" if invoked else "reason"]
    reason = why_not(document, cursor, invoked=invoked)
    if expected:
        assert reason is not None and expected in reason and "\n" not in reason
    else:
        assert reason is None
