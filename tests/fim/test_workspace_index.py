"""The index: what a search finds, what leaves with a file, what stays when much is replaced."""

import sqlite3

import pytest
from hypothesis import given
from hypothesis import strategies as st
from quicksilver.fim.workspace.chunks import N_LINES_MAX, N_LINES_MIN, similarity, split_lines, split_text, words
from quicksilver.fim.workspace.files import SourceFile, Stamp
from quicksilver.fim.workspace.index import WorkspaceIndex

STAMP = Stamp(1, 100)


def file(path, root="/w"):
    return SourceFile(root, path)


@given(st.lists(st.sampled_from(["", "def f():", "    x = 1", "        y", ")", "class A:"]), max_size=200))
def test_chunks_are_all_lines_in_order_and_of_bounded_length(lines):
    ranges = split_lines(lines)
    assert [n for start, end in ranges for n in range(start, end)] == list(range(len(lines)))
    assert all(N_LINES_MIN <= end - start <= N_LINES_MAX for start, end in ranges[:-1])


def test_chunks_begin_where_something_begins():
    function = "def f():\n" + "    x = 1\n" * 8 + "\n\n"
    starts = [chunk.text.split("\n")[0] for chunk in split_text("a", function * 12)]
    assert set(starts) == {"def f():"}


@given(st.frozensets(st.text(max_size=3)), st.frozensets(st.text(max_size=3)))
def test_similarity_is_a_share(one, other):
    assert similarity(one, other) == similarity(other, one)
    assert 0 <= similarity(one, other) <= 1
    assert similarity(one, one) == bool(one)


def test_words_of_every_text_do_not_count():
    assert words("def parse(self, token_list): return None  # 12 é über") == {"parse", "token_list", "über"}


def test_the_rare_word_decides():
    index = WorkspaceIndex()
    for n in range(30):
        index.put(file(f"common{n}.py"), STAMP, "common = value\n" * 5)
    index.put(file("rare.py"), STAMP, "common = value\nunheard_of = common\n")
    first = index.search({"common", "value", "unheard_of"}, 5)[0]
    assert (first.file, first.start, first.end) == (file("rare.py"), 0, 2)
    assert index.search({"nowhere"}, 5) == []
    assert index.search(set(), 5) == []
    assert index.search({'"', "a OR b", "unheard_of)", "*", "UNHEARD_OF"}, 5)[0].file == file("rare.py")


def test_a_file_that_leaves_is_found_no_more_and_a_new_text_takes_the_olds_place():
    index = WorkspaceIndex()
    index.put(file("a.py"), STAMP, "alpha = 1\n")
    index.put(file("b.py"), STAMP, "alpha = 2\n")
    index.discard(file("a.py"))
    index.discard(file("never.py"))
    assert [place.file.path for place in index.search({"alpha"}, 5)] == ["b.py"]
    index.put(file("b.py"), Stamp(2, 7), "omega = 2\n")
    assert index.search({"alpha"}, 5) == []
    assert index.stamp(file("b.py")) == Stamp(2, 7)
    assert (index.size.n_files, index.size.n_chunks, index.size.n_text_bytes) == (1, 1, 7)


def test_much_replacing_wears_an_index_out():
    index = WorkspaceIndex()
    text = "\n".join(f"name_{n} = {n}" for n in range(320))
    for _ in range(150):
        index.put(file("a.py"), STAMP, text)
    assert not index.is_fragmented
    for _ in range(200):
        index.put(file("a.py"), STAMP, text)
    assert index.is_fragmented


def test_a_full_index_takes_no_more_and_says_so():
    index = WorkspaceIndex(max_index_bytes=200_000)
    taken = [index.put(file(f"{n}.py"), STAMP, "\n".join(f"name_{n}_{m}" for m in range(400))) for n in range(200)]
    assert taken[0] and not taken[-1]
    assert index.size.n_index_bytes < 300_000
    assert file("0.py") in index
    assert file("199.py") not in index


def test_files_by_name():
    index = WorkspaceIndex()
    for path in ("a/b.py", "x/a/b.py", "xa/b.py", "a/b/__init__.py", "b.pyi"):
        index.put(file(path), STAMP, "x = 1\n")
    assert [each.path for each in index.named("a/b.py", "a/b/__init__.py")] == ["a/b.py", "a/b/__init__.py", "x/a/b.py"]
    assert [each.path for each in index.named("b.pyi")] == ["b.pyi"]
    assert [each.path for each in index.in_folder("/w", "a")] == ["a/b.py"]
    index.discard(file("a/b.py"))
    assert [each.path for each in index.named("a/b.py")] == ["x/a/b.py"]


def test_a_closed_index_has_given_its_memory_back():
    index = WorkspaceIndex()
    index.close()
    with pytest.raises(sqlite3.ProgrammingError):
        index.search({"alpha"}, 1)
