import ast
import math
import random

import pytest
from quicksilver.benchmarks.quality import baselines as floors
from quicksilver.benchmarks.quality.holes import KINDS, N_SPAN_CHARS_MAX, draw
from quicksilver.benchmarks.quality.syntax import block_bodies, parses
from quicksilver.fim.errors import InputError
from quicksilver.training.corpus.corpus import CorpusDocument

SOURCE = '''"""A module."""
import os


@decorated
class Shelf:
    """Holds books."""

    width = 3  # in metres

    def __init__(self, books):
        """Keep books."""
        self.books = books
        self.n = len(books)

    def titles(self):
        found = []
        for book in self.books:
            if book.title:
                title = book.title.strip()
                found.append(title)
        return found
'''
DOCUMENTS = [
    CorpusDocument("one", "a.py", SOURCE * 3),
    CorpusDocument("one", "b.py", SOURCE.replace("book", "größe")),
    CorpusDocument("two", "c.py", SOURCE.replace("Shelf", "Crate") * 4),
]
TEXTS = {(d.package, d.path): d.text for d in DOCUMENTS}


@pytest.mark.parametrize("kind", KINDS)
def test_holes_put_together_give_the_document(kind):
    tasks = draw(DOCUMENTS, kind, 24, seed=1)
    assert len(tasks) == 24
    for task in tasks:
        assert task.prefix + task.truth + task.suffix == TEXTS[task.package, task.path]
        assert task.truth.strip() and task.kind == kind
    assert sum(task.package == "one" for task in tasks) == 12


@pytest.mark.parametrize("kind", KINDS)
def test_a_seed_fixes_the_holes_and_fewer_are_the_first_of_more(kind):
    tasks = draw(DOCUMENTS, kind, 20, seed=3)
    assert tasks == draw(DOCUMENTS, kind, 20, seed=3)
    assert tasks[:7] == draw(DOCUMENTS, kind, 7, seed=3)
    assert tasks != draw(DOCUMENTS, kind, 20, seed=4)


def test_rest_of_line_holes_are_drawn_as_in_the_first_published_numbers():
    """The same calls of the generator in the same order as on 2026-11-21, so that numbers stay comparable."""
    rng = random.Random(5)
    for i, task in enumerate(draw(DOCUMENTS, "rest-of-line", 40, seed=5)):
        path, line = "", ""
        while not line.strip():
            document = rng.choice([d for d in DOCUMENTS if d.package == ("one", "two")[i % 2]])
            lines = document.text.split("\n")
            path, line = document.path, lines[rng.randrange(len(lines))]
        column = rng.randrange(len(line) - len(line.lstrip()), len(line.rstrip()))
        assert (task.path, task.truth) == (path, line[column:])


def test_single_line_holes_end_at_their_line():
    for kind in ("rest-of-line", "whole-line"):
        for task in draw(DOCUMENTS, kind, 30, seed=0):
            assert "\n" not in task.truth and task.suffix.startswith("\n") and not task.multiline
    for task in draw(DOCUMENTS, "whole-line", 30, seed=0):
        assert not task.prefix.rsplit("\n", 1)[-1].strip()


def test_multi_line_holes_span_two_to_six_lines():
    tasks = draw(DOCUMENTS, "multi-line", 60, seed=0)
    n_lines = {task.truth.count("\n") + 1 for task in tasks}
    assert min(n_lines) == 2 and max(n_lines) == 6
    inside = [bool(task.prefix.rsplit("\n", 1)[-1].strip()) for task in tasks]
    assert any(inside) and not all(inside)
    assert all(task.suffix.startswith("\n") and task.multiline for task in tasks)


def test_random_spans_start_at_code_and_are_log_uniform():
    document = CorpusDocument("p", "a.py", "abcd efgh\n" * 400)
    tasks = draw([document], "random-span", 1500, seed=0)
    lengths = sorted(len(task.truth) for task in tasks)
    assert lengths[0] == 1 and lengths[-1] <= N_SPAN_CHARS_MAX
    assert lengths[len(lengths) // 2] == pytest.approx(math.sqrt(N_SPAN_CHARS_MAX), rel=0.35)
    assert not any(task.truth[0].isspace() for task in tasks)
    assert any("\n" in task.truth for task in tasks)


def test_block_holes_are_whole_bodies():
    bodies = {SOURCE[start:end] for start, end in block_bodies(SOURCE, 2, 12)}
    assert "self.books = books\n        self.n = len(books)" in bodies  # below the docstring
    assert "title = book.title.strip()\n                found.append(title)" in bodies
    assert not any(body.startswith(('"""', "width")) for body in bodies)  # the class body has 14 lines
    for task in draw(DOCUMENTS, "block", 12, seed=0):
        assert 2 <= task.truth.count("\n") + 1 <= 12
        assert parses(task.prefix + "pass" + task.suffix)
        ast.parse("if 1:\n" + task.prefix.rsplit("\n", 1)[-1] + task.truth)


def test_bodies_that_share_a_line_or_do_not_parse_are_left_out():
    assert block_bodies("if x: y()\n", 1, 12) == ()
    assert block_bodies("def f(:\n", 1, 12) == ()
    assert block_bodies("def f():\n    'only a docstring'\n", 1, 12) == ()
    text = "if x:\n    @ä\n    def f():\n        return 1\n"
    assert text[slice(*block_bodies(text, 3, 3)[0])].startswith("@ä")


def test_a_key_names_the_hole_and_its_kind():
    whole, rest = draw(DOCUMENTS, "whole-line", 20, seed=0), draw(DOCUMENTS, "rest-of-line", 20, seed=0)
    assert len({task.key() for task in [*whole, *set(rest)]}) == 20 + len(set(rest))
    assert whole[0].key() == draw(DOCUMENTS, "whole-line", 1, seed=0)[0].key()


def test_what_cannot_be_drawn_is_said_in_one_line():
    with pytest.raises(InputError, match="build the corpus again"):
        draw([], "block", 1, 0)
    with pytest.raises(InputError, match="at least 1"):
        draw(DOCUMENTS, "block", 0, 0)
    with pytest.raises(InputError, match=r"hold only \d+ block holes, not 5000"):
        draw(DOCUMENTS, "block", 5000, 0)
    with pytest.raises(InputError, match="hold only 0 rest-of-line"):
        draw([CorpusDocument("p", "a.py", "\n \n"), CorpusDocument("p", "b.py", "")], "rest-of-line", 1, 0)


def test_floors():
    assert floors.empty("a", "b") == ""
    assert floors.previous_line("x = first(1)\nx = fir", "") == "st(1)"
    assert floors.previous_line("no line above", "") == ""
    assert floors.longest_match("total = first\nx = 1\ntot", "\n") == "al = first"
    assert floors.longest_match("abc", "\nxbc = 7\n") == " = 7"
    assert floors.longest_match("q", "") == ""
    assert floors.longest_match("", "abc") == ""


def test_longest_match_prefers_the_longer_context_then_the_nearer_place():
    assert floors.longest_match("self.a = one\nb = two\nself.c\nself.a =", "") == " one"
    assert floors.longest_match("x = 1\nx = 2\nx", "\nx = 3") == " = 2"


def test_a_copy_of_several_lines_ends_where_the_text_says():
    above = "def f():\n    a = 1\n    b = 2\n\ndef g():\n    "
    assert floors.longest_match_lines(above, "\n\nz = 0\n") == "a = 1\n    b = 2"  # the dedent
    assert floors.longest_match_lines(above, "\n    b = 2\n") == "a = 1"  # the line below the cursor
    assert floors.longest_match_lines("y = x[first:last]\ny = x[", ":last]\n") == "first"  # the rest of the line
    assert floors.longest_match_lines("q", "\n") == ""
