"""Functions that go on as others of the file do: what is drafted for them, and what is not."""

import pytest
from quicksilver.fim.drafts.search import N_MATCH_MAX, find_drafts
from quicksilver.fim.drafts.twins import find_twin
from quicksilver.fim.types import Hole

MONTHS = '''def total_by_month(expenses: list[Expense]) -> dict[str, Decimal]:
    """The sum of each month."""
    totals: dict[str, Decimal] = defaultdict(Decimal)
    for expense in expenses:
        totals[expense.month] += expense.amount
    return dict(totals)
'''
HEADER = "\n\ndef total_by_category(expenses: list[Expense]) -> dict[str, Decimal]:\n"
DOCSTRING = '    """All that was spent on a category."""\n'
LINES = (
    "    totals: dict[str, Decimal] = defaultdict(Decimal)",
    "    for expense in expenses:",
    "        totals[expense.category] += expense.amount",
    "    return dict(totals)",
)


def followed(prefix: str, suffix: str = "\n", *, multiline: bool = False) -> str | None:
    found = find_twin(prefix, suffix, multiline=multiline)
    return None if found is None else found.text


@pytest.mark.parametrize("n", range(4))
@pytest.mark.parametrize("docstring", ["", DOCSTRING])
def test_each_line_of_a_twin(n: int, docstring: str) -> None:
    before = MONTHS + HEADER + docstring + "".join(line + "\n" for line in LINES[:n])
    indent = LINES[n][: len(LINES[n]) - len(LINES[n].lstrip())]
    if n or docstring:  # else its docstring comes first
        assert followed(before + indent) == LINES[n].strip()
        assert followed(before) == LINES[n]
    assert followed(before + LINES[n][:9]) == LINES[n][9:]


def test_the_whole_body_of_a_twin() -> None:
    body = "\n".join(LINES)
    assert followed(MONTHS + HEADER + DOCSTRING + "    ", multiline=True) == body.strip()
    with_docstring = '"""The sum of each category."""\n' + body
    assert followed(MONTHS + HEADER + "    ", multiline=True) == with_docstring
    assert followed(HEADER + DOCSTRING + "    ", "\n\n\n" + MONTHS, multiline=True) == body.strip()


def test_parameters_on_lines_of_their_own() -> None:
    text = "def load_{0}(\n    path: Path,\n    *,\n    {0}: int,\n) -> list[str]:\n    return read(path, {0})\n"
    before = text.format("width") + "\n\n" + text.format("height").removesuffix("    return read(path, height)\n")
    assert followed(before + "    ") == "return read(path, height)"


def test_the_nearest_of_several_that_fit() -> None:
    years = MONTHS.replace("month", "year").replace("dict(totals)", "sorted(totals)")
    assert followed(MONTHS + "\n\n" + years + HEADER + "".join(line + "\n" for line in LINES[:3])) == (
        "    return sorted(totals)"
    )


@pytest.mark.parametrize(
    "prefix",
    [
        MONTHS + "\n\ndef other(a, b):\n    ",  # another shape
        MONTHS + HEADER + DOCSTRING + "    if expenses:\n        ",  # it goes on otherwise
        MONTHS + HEADER + DOCSTRING + "\n".join(LINES) + "\n    ",  # nothing follows
        MONTHS + "\n\nx = 1\n",  # no function
        MONTHS + HEADER + DOCSTRING + "    total = ",  # another line
        MONTHS + HEADER + DOCSTRING + "        ",  # another depth
        HEADER + "    ",  # alone
        "",
    ],
)
def test_no_twin(prefix: str) -> None:
    assert followed(prefix) is None


def hole(prefix: str, *, multiline: bool, suffix: str = "\n") -> Hole:
    at = (len(prefix), len(prefix))
    return Hole(prefix=prefix, suffix=suffix, language="python", replaced=at, multiline=multiline)


def test_drafts_have_the_names_of_this_function_and_not_those_of_its_twin() -> None:
    before = MONTHS + HEADER + DOCSTRING + "".join(line + "\n" for line in LINES[:2]) + "        "
    found = find_drafts(hole(before, multiline=True))
    assert found[-1].text == "totals[expense.category] += expense.amount\n    return dict(totals)"
    assert found[-1].n_before > 40
    assert not any("expense.month" in draft.text for draft in found)


def test_a_draft_that_agrees_literally_is_no_less_sure_as_a_twin() -> None:
    before = MONTHS + HEADER + DOCSTRING + "".join(line + "\n" for line in LINES[:3]) + "    return "
    found = {draft.text: draft for draft in find_drafts(hole(before, multiline=False))}
    assert found["dict(totals)"].n_before <= N_MATCH_MAX and found["dict(totals)"].n_shape > 40


def test_no_draft_of_a_twin_in_front_of_text() -> None:
    before = MONTHS + HEADER + DOCSTRING + "    totals: dict["
    assert "str, Decimal] = defaultdict(Decimal)" not in [
        draft.text for draft in find_drafts(hole(before, multiline=False, suffix="]\n"))
    ]
