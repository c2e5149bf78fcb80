"""Which begun words an answer may complete for less than the full demand."""

import pytest
from quicksilver.fim.syntax.tree import parse
from quicksilver.fim.trimming.checks import Checks
from quicksilver.fim.types import Hole


def checks(document: str, *, off: tuple[str, ...] = (), elsewhere: tuple[str, ...] = (), tree: bool = True) -> Checks:
    left, right = document.split("‸")
    hole = Hole(prefix=left, suffix=right, language="python", replaced=(len(left), len(left)), multiline=False)
    return Checks(hole, parse(left + right, "python") if tree else None, off, lambda word: word in elsewhere)


@pytest.mark.parametrize("tree", [True, False])
@pytest.mark.parametrize(
    ("document", "text", "is_known"),
    [
        ("expenses = []\nx = exp‸\n", "enses", True),  # above
        ("x = exp‸\nexpenses = []\n", "enses", True),  # below
        ("x = exp‸\n", "enses", False),
        ("x = exp‸\n", "licit", True),  # another file
        ("re‸\n", "turn", True),  # a keyword
        ("x = so‸\n", "rted", True),  # a builtin
        ("if __nam‸\n", "e__", True),
        ("def __in‸\n", "it__", True),
        ("for a in totals.i‸\n", "n", False),  # a keyword is no attribute
        ("for a in totals.i‸\n", "nems", False),
        ("csv.D‸\n", "ataReader", False),
        ("import csv\ncsv.DictReader\ncsv.D‸\n", "ictReader", True),
        ("expense = 1\nx = exp‸\n", "enses", False),  # part of it stands there
        ("expenses = []\nx = 1  # the exp‸\n", "enses", False),  # prose
        ('expenses = []\nx = "exp‸"\n', "enses", False),
        ("x = ‸\n", "anything", True),  # no begun word
    ],
)
def test_known_words(document: str, text: str, is_known: bool, tree: bool) -> None:
    assert checks(document, elsewhere=("explicit",), tree=tree).knows(text) is is_known


def test_without_the_rule_every_word_is_known() -> None:
    assert checks("x = exp‸\n", off=("known-words",)).knows("enses")


def test_other_files_are_asked_once_about_a_word() -> None:
    asked: list[str] = []
    left = "x = exp"
    hole = Hole(prefix=left, suffix="\n", language="python", replaced=(7, 7), multiline=False)
    found = Checks(hole, None, (), lambda word: not asked.append(word))
    assert found.knows("licit") and found.knows("licit x")
    assert asked == ["explicit"]
