"""Trees: what is parsed, what is kept, what is found around a place; the classes are in class_cases.toml."""

import threading

import psutil
import pytest
from quicksilver.fim.cursor_class import class_at
from quicksilver.fim.syntax import tree as syntax_module
from quicksilver.fim.syntax.grammars import GRAMMARS
from quicksilver.fim.syntax.tree import MAX_CHARS, Syntax, parse


def tree_of(text: str, language: str = "python", before: Syntax | None = None) -> Syntax:
    found = parse(text, language, before)
    assert found is not None
    return found


@pytest.mark.parametrize("language", GRAMMARS)
def test_every_language_is_parsed(language: str) -> None:
    assert tree_of("a", language).tree.root_node.end_byte == 1


def test_no_grammar_no_syntax() -> None:
    assert parse("a", "cobol") is None


def test_long_texts_are_not_parsed() -> None:
    assert parse(" " * MAX_CHARS, "python") is not None
    assert parse(" " * (MAX_CHARS + 1), "python") is None


def test_what_takes_too_long_is_given_up_and_the_next_text_is_parsed(monkeypatch: pytest.MonkeyPatch) -> None:
    before = tree_of("x = 1\n")
    monkeypatch.setattr(syntax_module, "MAX_PARSE_S", -1.0)
    text = "x = (1,\n" * 1_000
    assert parse(text, "python") is None
    assert parse(text, "python", before) is None
    monkeypatch.undo()
    assert tree_of("x = 1\n").n_errors == 0


def test_the_same_text_is_the_same_syntax() -> None:
    before = tree_of("x = 1\n")
    assert parse("x = 1\n", "python", before) is before
    assert parse("x = 1\n", "go", before) is not before


def test_a_key_reads_only_what_it_touches(monkeypatch: pytest.MonkeyPatch) -> None:
    text = "package a\n" + "\nfunc f(a int) {\n\treturn g(a, 1)\n}\n" * 2_000
    before, at = tree_of(text, "go"), text.index("1)", len(text) // 2)
    n_read = 0

    class Counted(bytes):
        def __getitem__(self, key):
            nonlocal n_read
            n_read += 1
            return bytes(self).__getitem__(key)

    monkeypatch.setattr(syntax_module, "READ_BYTES", 256)
    syntax_module._parse(Counted(text.encode()), "go", None, None, is_known=False)
    n_all, n_read = n_read, 0
    typed = (text[:at] + "2" + text[at:]).encode()
    syntax_module._parse(Counted(typed), "go", syntax_module._edit_tree(before, typed), None, is_known=False)
    assert 0 < n_read < n_all / 5


def test_an_edit_leaves_the_syntax_before_it_alone() -> None:
    before = tree_of("def f():\n    return 1\n")
    shape = str(before.tree.root_node)
    after = before.with_edit(9, 21, "    x = (\n")
    assert after is not None and after.text == "def f():\n    x = (\n\n"
    assert str(before.tree.root_node) == shape != str(after.tree.root_node)


@pytest.mark.parametrize(
    ("text", "n_errors"), [("x = 1\n", 0), ("x = \n", 1), ("f(\n", 1), ("", 0), ("x = )\ny = )\n", 2)]
)
def test_errors_are_counted(text: str, n_errors: int) -> None:
    assert tree_of(text).n_errors == n_errors


def test_a_broken_node_with_too_many_children_counts_as_one(monkeypatch: pytest.MonkeyPatch) -> None:
    broken = tree_of("x = )\n" * 3)
    assert broken.n_errors > 1
    monkeypatch.setattr(syntax_module, "MAX_ERROR_CHILDREN", 0)
    assert tree_of(broken.text).n_errors <= 1


@pytest.mark.parametrize(
    ("text", "data"),
    [
        ("x\ry\r\nz\r", b"x\ny\r\nz\n"),
        ("'\ud83d'", "'\ufffd'".encode()),
        ("'\ude00'\r", "'\ufffd'\n".encode()),
        ("'é😀'", "'é😀'".encode()),
    ],
)
def test_the_bytes_are_what_a_grammar_can_read(text: str, data: bytes) -> None:
    found = tree_of(text)
    assert found.data == data
    assert found.n_errors == 0


@pytest.mark.parametrize(
    ("text", "token"),
    [
        ("x = foo", "foo"),
        ("x = foo  \n\n", "foo"),
        ("if x:  # no (\n  # no [\n", ":"),
        ("x = 'é'\ny = größe ", "größe"),
        ("x = \x07", "\x07"),
        ("x = 😀", "😀"),
        ("# nothing", None),
        ("", None),
        ("x" + " " * 5_000, None),
        ("x\n" + "# a\n" * 200, None),
    ],
)
def test_the_token_before(text: str, token: str | None) -> None:
    found = tree_of(text).token_before(len(text))
    assert (found and found[0]) == token
    assert found is None or text.startswith(found[0], found[1])


def test_threads_parse_side_by_side() -> None:
    texts = [f"def f{i}():\n    return {i}\n" * 200 for i in range(8)]
    shapes: dict[int, str] = {}

    def parse(i: int) -> None:
        for _ in range(5):
            shapes[i] = str(tree_of(texts[i]).tree.root_node)

    threads = [threading.Thread(target=parse, args=(i,)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert shapes == {i: str(tree_of(text).tree.root_node) for i, text in enumerate(texts)}


@pytest.mark.parametrize("text", ["(" * 100_000, "é" * 100_000 + "'", "x = [\n" * 20_000, "\ud83d" * 50_000])
def test_monstrous_texts_have_a_class(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(syntax_module, "FREE_PARSE_S", 60.0)
    monkeypatch.setattr(syntax_module, "MAX_PARSE_S", 60.0)
    assert class_at(tree_of(text), len(text))


def test_typing_does_not_fill_the_memory() -> None:
    """py-tree-sitter keeps each piece of a text that it is given piece by piece."""
    process = psutil.Process()
    text = "x = 1\ny = '" + "y" * 60_000 + "'\n"  # one leaf, so that a key costs little to parse
    known = tree_of(text)

    def type_keys(n: int) -> float:
        nonlocal text, known
        for _ in range(n):
            text = text[:5] + "1" + text[5:]
            known = tree_of(text, before=known)
            assert known.with_edit(0, 0, "z = 2\n") is not None
        return process.memory_info().rss / 2**20

    type_keys(50)
    before_mib = type_keys(50)
    assert type_keys(400) - before_mib < 15  # kept, they were 46 MiB
