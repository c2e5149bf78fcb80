import pytest
from hypothesis import given
from hypothesis import strategies as st
from quicksilver.fim.drafts.analogies import find_analogies


def first(prefix: str, suffix: str = "\n") -> str | None:
    found = find_analogies(prefix, suffix, 3)
    return found[0].text if found else None


@pytest.mark.parametrize(
    ("prefix", "rest"),
    [
        ("    self.width = width\n    self.height = ", "height"),
        ("    self.width = width\n    self.height =", " height"),
        ("    self.width = width\n    self.hei", " = hei"),  # as far as one can tell
        ("    self.width = width  # px\n    self.height = hei", "ght  # px"),
        ("x = get_width(max_width)\ny = get_height(", "max_height)"),
        ("def test_open(self): check(open_door)\ndef test_close(self): che", "ck(close_door)"),
        ("log('opening %s', door)\nlog('closing %s', ", "door)"),
        ("a.b(c)\n", None),
        ("", None),
        ("one(two)\nthree.four", None),
    ],
)
def test_names_are_replaced_consistently(prefix, rest):
    assert first(prefix) == rest


def test_a_name_cannot_become_two():
    assert first("swap(a, b, a)\nswap(x, y, z") is None
    assert first("swap(a, b, a)\nswap(x, y, ") == "x)"


def test_lines_below_count_too():
    assert first("    self.height = ", "\n    self.width = width\n") == "height"


def test_more_equal_names_come_first():
    prefix = "put(red, 1, paint)\nput(blue, 2, water)\nput(blue, 3, "
    assert [a.text for a in find_analogies(prefix, "", 3)] == ["water)", "paint)"]


@given(st.text("ab_.(= \n", max_size=80), st.text("ab_)\n ", max_size=40), st.integers(1, 4))
def test_whatever_the_text(prefix, suffix, n_max):
    found = find_analogies(prefix, suffix, n_max)
    assert len(found) <= n_max
    assert len({a.text for a in found}) == len(found)
    for analogy in found:
        assert analogy.text.strip()
        assert "\n" not in analogy.text
