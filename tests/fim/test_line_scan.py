"""What a line leaves open: brackets, strings, comments."""

import pytest
from quicksilver.fim.text.line_scan import in_triple_quotes, is_word_character, scan_line


@pytest.mark.parametrize(
    ("line", "openers", "closers", "quote"),
    [
        ("", "", "", ""),
        ("f(a[0], {", "({", "", ""),
        ("a), b]", "", ")]", ""),
        ("f(]", "(", "]", ""),
        ("'(' + \"[\"", "", "", ""),
        ("'it\\'s (' + (", "(", "", ""),
        ("'a''' + (", "(", "", ""),  # 'a' and an empty string
        ("'' + (", "(", "", ""),
        ("x = \"don't (", "", "", '"'),
        ('"""It\'s "quoted" (', "", "", '"""'),
        ("'''(''' + [", "[", "", ""),
        ("f(  # (", "(", "", ""),
    ],
)
def test_scan_line(line: str, openers: str, closers: str, quote: str) -> None:
    scan = scan_line(line)
    assert (scan.openers, scan.closers, scan.quote) == (openers, closers, quote)
    assert scan.n_open_ends == len(openers) + len(closers) + bool(quote)


@pytest.mark.parametrize(("line", "code_end"), [("x # y # z", 2), ("x = '#' # z", 8), ("'#'", 3), ("", 0)])
def test_code_ends_where_the_comment_begins(line: str, code_end: int) -> None:
    assert scan_line(line).code_end == code_end


def test_a_line_may_start_inside_a_string() -> None:
    scan = scan_line('# no comment (""" + (', '"""')
    assert (scan.openers, scan.quote, scan.code_end) == ("(", "", 21)


@pytest.mark.parametrize(
    ("text", "inside"),
    [
        ("", False),
        ('"""a', True),
        ('"""a"""', False),
        ("'''a\n\"\"\"", True),
        ("'''a\n\"\"\"\n'''", False),
        ('# """\nx = \'"""\'\ny = "\'\'\'"\n', False),
        ('# """\n', False),
        ('x = """\r\n# """\r\n', False),
        ("x = \"\"\"\r# '''\r", True),
    ],
)
def test_in_triple_quotes(text: str, inside: bool) -> None:
    assert in_triple_quotes(text) is inside


@pytest.mark.parametrize("character", ["a", "_", "7", "é", "\u0301", "中"])
def test_word_characters(character: str) -> None:
    assert is_word_character(character)


@pytest.mark.parametrize("character", ["", " ", "-", "(", "\n", "😀", "\ud83d", "\0"])
def test_other_characters(character: str) -> None:
    assert not is_word_character(character)
