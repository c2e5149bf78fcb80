"""What an answer is indented with where the document has no indentation yet: the editor's word counts."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from quicksilver.fim.trimming.trim import trim
from quicksilver.fim.types import Hole

OPENER = "def add(a, b):"


def hole_after(prefix: str, suffix: str = "\n") -> Hole:
    at = (len(prefix), len(prefix))
    return Hole(prefix=prefix, suffix=suffix, language="python", replaced=at, multiline=True)


@pytest.mark.parametrize(
    ("indent", "expected"),
    [
        (None, "\n    if a:\n        return b"),
        ("  ", "\n  if a:\n    return b"),
        ("\t", "\n\tif a:\n\t\treturn b"),
        (" " * 8, "\n        if a:\n                return b"),
    ],
)
def test_a_document_without_indentation_takes_the_editors(indent: str | None, expected: str) -> None:
    text = "\n    if a:\n        return b"
    assert trim(hole_after(OPENER), text, indent=indent) == expected


def test_a_document_that_is_indented_already_keeps_its_own() -> None:
    before = f"def sub(a, b):\n    return a - b\n\n\n{OPENER}"
    assert trim(hole_after(before), "\n    return b", indent="\t") == "\n    return b"


def test_a_line_that_is_aligned_to_something_is_left_alone() -> None:
    text = "\n    return max(a,\n               b)"
    assert trim(hole_after(OPENER), text, indent="\t") == text


INDENTS = st.sampled_from([None, "\t", "  ", "   ", "    ", " " * 8])
LINES = st.lists(
    st.tuples(st.sampled_from(["", " ", "  ", "    ", " " * 8, "\t", "\t ", " \t"]), st.sampled_from("ab"))
)


@given(INDENTS, LINES)
def test_trimming_again_changes_nothing(indent: str | None, lines: list[tuple[str, str]]) -> None:
    hole = hole_after(OPENER)
    once = trim(hole, "".join(f"\n{blank}{word}" for blank, word in lines), indent=indent)
    assert trim(hole, once, indent=indent) == once
