"""Long texts: only lines around the cursor are parsed, and what is asked of them is answered as for the whole."""

import random

import pytest
from quicksilver.fim.cursor_class import class_at
from quicksilver.fim.syntax.tree import MAX_WHOLE_CHARS, parse

FUNCTION = '''
def area_{i}(width, height):
    """The area é of a rectangle.

    It has two lines, (one of them with a bracket.
    """
    total = width * height  # a comment
    return {{"area": total, 'of': [width, height]}}

'''
TEXT = "import math\n" + "".join(FUNCTION.format(i=i) for i in range(500))


def test_a_window_says_what_the_whole_says():
    assert len(TEXT) > MAX_WHOLE_CHARS
    whole = parse(TEXT, "python")
    assert whole is not None and whole.window is None
    chance = random.Random(1)
    for offset in [0, len(TEXT), *(chance.randrange(len(TEXT)) for _ in range(60))]:
        part = parse(TEXT, "python", None, offset)
        assert part is not None and part.window is not None
        start, end = part.window
        assert end - start < 60_000 and start <= part.byte_at(offset) <= end
        assert class_at(part, offset) == class_at(whole, offset)
        assert part.n_errors == whole.n_errors == 0


def test_short_texts_are_parsed_whole():
    part = parse("x = 1\n", "python", None, 3)
    assert part is not None and part.window is None


@pytest.mark.parametrize(("text", "n"), [("total = width", 0), ("total = (width,)", 0), ("total = )", 1)])
def test_an_edit_in_a_window_is_judged_as_in_the_whole(text, n):
    at = TEXT.index("    total = ", len(TEXT) // 2) + 4
    end = TEXT.index("  #", at)
    part, whole = parse(TEXT, "python", None, at), parse(TEXT, "python")
    assert part is not None and whole is not None
    edited, wholly = part.with_edit(at, end, text), whole.with_edit(at, end, text)
    assert edited is not None and wholly is not None
    assert bool(edited.n_errors) == bool(wholly.n_errors) == bool(n)


def test_a_text_without_line_breaks_has_a_window_too():
    text = "x = " + "1 + " * 20_000 + "1"
    part = parse(text, "python", None, 10)
    assert part is None or part.window == (0, len(text))


def test_lines_too_long_for_a_window_are_not_parsed():
    data = "x = [" + "(1, 2), " * 30_000 + "]\n"
    assert parse(TEXT + data + TEXT, "python", near=len(TEXT) - 1) is None
    far = parse(TEXT + TEXT + data, "python", near=1_000)
    assert far is not None and far.n_errors == 0
